"""Killed at any moment: nothing acknowledged is lost, nothing is doubled, the chain holds."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from accord.store import database as module
from accord.store.database import open_database
from accord.store.event import Event
from accord.store.judgements import current
from accord.store.log import event_at, size
from accord.store.verifying import verify_database


def kill_in_a_loop(place: str, *, rounds: int, processes: int, threads: int, seed: int) -> int:
    """Start submitting processes, kill them all at a random moment, check; returns submissions."""
    draws = random.Random(seed)
    acknowledged: dict[str, int] = {}
    for round_ in range(rounds):
        running = [start(place, f"{round_}.{n}", threads) for n in range(processes)]
        try:
            first = [process.stdout.readline() for process in running if process.stdout]
            time.sleep(draws.uniform(0, 0.4))
        finally:
            for process in running:
                process.kill()
        for process, line in zip(running, first, strict=True):
            # The same reader to the end: `communicate` would pass over what it has read ahead.
            assert process.stdout is not None
            assert process.stderr is not None
            with process:
                rest, errors = process.stdout.read(), process.stderr.read()
            assert errors == ""
            for text in (line + rest).splitlines():
                key, seq = text.split()
                assert acknowledged.setdefault(key, int(seq)) == int(seq)
        check(place, acknowledged)
    return len(acknowledged)


def start(place: str, name: str, threads: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, Path(__file__).with_name("submitting.py"), place, name, str(threads)],
        env={**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def check(place: str, acknowledged: dict[str, int]) -> None:
    with open_database(place) as database:
        verdict = verify_database(database)
        assert verdict.faults == ()
        with database.read() as connection:
            events: list[Event] = [
                event_at(connection, seq) for seq in range(1, size(connection) + 1)
            ]
            rows = current(connection)
        judged = [event for event in events if event.type == "judgement.given"]
        seqs = {event.key: event.seq for event in judged}
        assert acknowledged.items() <= seqs.items()
        assert max(Counter(event.key for event in judged).values()) == 1
        assert [row.seq for row in rows] == [event.seq for event in judged]
        if database.is_sqlite:
            with database.read() as connection:
                found = connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()
                assert found == "ok"


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    place = str(tmp_path / "accord.db")
    assert kill_in_a_loop(place, rounds=3, processes=1, threads=2, seed=0) >= 3


@pytest.mark.slow
def test_fifty_clients_killed_in_a_loop_lose_nothing(place: str) -> None:
    made = kill_in_a_loop(place, rounds=12, processes=5, threads=10, seed=1)
    print(f"{made} submissions acknowledged over 12 kills of 50 clients")
    assert made >= 60
