"""Killed at any moment: nothing acknowledged is lost, nothing is doubled, the chain holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from accord.store.database import open_database
from accord.store.event import Event
from accord.store.judgements import current
from accord.store.log import event_at, size
from accord.store.verifying import verify_database
from tests.killing import kill_in_a_loop
from tests.store.submitting import main


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


def killed(place: str, *, rounds: int, processes: int, threads: int, seed: int) -> int:
    """Submissions acknowledged, by somebody new in each round."""
    return kill_in_a_loop(
        main,
        place,
        check,
        rounds=rounds,
        processes=processes,
        threads=threads,
        seed=seed,
        others=rounds,
        longest=0.4,
    )


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    place = str(tmp_path / "accord.db")
    made = killed(place, rounds=3, processes=1, threads=2, seed=0)
    assert made >= 3


@pytest.mark.slow
def test_fifty_clients_killed_in_a_loop_lose_nothing(place: str) -> None:
    made = killed(place, rounds=12, processes=5, threads=10, seed=1)
    print(f"{made} submissions acknowledged over 12 kills of 50 clients")
    assert made >= 60
