"""Programs that are killed at any moment, and what they had acknowledged by then."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import accord

ROOT = Path(__file__).parents[1]
SOURCES = Path(accord.__file__).parents[1]


def kill_in_a_loop(
    program: Path,
    place: str,
    check: Callable[[str, dict[str, int]], None],
    *,
    rounds: int,
    processes: int,
    threads: int,
    seed: int,
    others: int,
    longest: float = 1.0,
) -> int:
    """Start processes, kill them all at a random moment, check; returns what was acknowledged.

    A program is called with `place`, a name and how many threads to use, and prints a line with a
    key and a number for each acknowledgement. Names come again after `others` rounds. `longest` is
    the most that is waited after each has said its first line, in seconds.
    """
    draws = random.Random(seed)
    acknowledged: dict[str, int] = {}
    for round_ in range(rounds):
        running = [
            _start(program, place, f"{round_ % others}.{n}", threads) for n in range(processes)
        ]
        try:
            first = [process.stdout.readline() for process in running if process.stdout]
            time.sleep(draws.uniform(0, longest))
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


def _start(program: Path, place: str, name: str, threads: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, program, place, name, str(threads)],
        env={**os.environ, "PYTHONPATH": f"{SOURCES}:{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
