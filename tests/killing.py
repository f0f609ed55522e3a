"""Programs that are killed at any moment, and what they had acknowledged by then."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.forked import Forked, Program, begin

PATIENCE = 120
"""Seconds after which a program that should have said something is given up."""


def kill_in_a_loop(
    program: Program,
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

    A program is given `place`, a name and how many threads to use, and prints a line with a key and
    a number for each acknowledgement. Names come again after `others` rounds. `longest` is the most
    that is waited after each has said its first line, in seconds.
    """
    draws = random.Random(seed)
    acknowledged: dict[str, int] = {}
    for round_ in range(rounds):
        with ExitStack() as stack:
            names = [f"{round_ % others}.{n}" for n in range(processes)]
            started = (
                begin(place, name, str(threads), cwd=Path.cwd(), program=program) for name in names
            )
            running = [stack.enter_context(process) for process in started]
            for process in running:
                _wait_for_a_line(process)
            time.sleep(draws.uniform(0, longest))
            for process in running:
                process.kill()
            ended = [process.wait() for process in running]
        for done in ended:
            assert done.stderr == ""
            for text in done.stdout.splitlines():
                key, seq = text.split()
                assert acknowledged.setdefault(key, int(seq)) == int(seq)
        check(place, acknowledged)
    return len(acknowledged)


def _wait_for_a_line(process: Forked) -> None:
    until = time.monotonic() + PATIENCE
    while "\n" not in process.said() and not process.ended() and time.monotonic() < until:
        time.sleep(0.002)
    assert "\n" in process.said() or process.ended(), "nothing was acknowledged"
