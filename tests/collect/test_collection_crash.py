"""Raters killed at any moment: no answer lost or doubled, overlap kept, the chain valid."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.store.database import open_database
from accord.store.judgements import current
from accord.store.tables import assignments, tasks
from accord.store.verifying import verify_database
from tests.collect.asking import made
from tests.collect.clients import main
from tests.killing import kill_in_a_loop

OVERLAP = 3


def killed(place: str, *, rounds: int, processes: int, threads: int, seed: int) -> int:
    """Answers acknowledged."""
    with open_database(place) as database:
        # Short leases: those of killed raters run out and their tasks go to others.
        made(database, tasks=rounds * 150, overlap=OVERLAP, lease_seconds=2, repeat_share=0.1)
    return kill_in_a_loop(
        main,
        place,
        check,
        rounds=rounds,
        processes=processes,
        threads=threads,
        seed=seed,
        others=2,
    )


def check(place: str, acknowledged: dict[str, int]) -> None:
    with open_database(place) as database:
        assert verify_database(database).faults == ()
        with database.read() as connection:
            rows = current(connection)
            leases = connection.execute(sa.select(assignments)).all()
            overlap = {
                row.id: row.overlap
                for row in connection.execute(sa.select(tasks.c.id, tasks.c.overlap))
            }
    kept = {row.assignment: row.seq for row in rows}
    assert acknowledged.items() <= kept.items()
    assert len(kept) == len(rows)
    assert len({(row.task, row.rater) for row in rows}) == len(rows)
    in_time = Counter(row.task for row in rows if not row.late and row.verdict != "skip")
    assert all(count <= overlap[task] for task, count in in_time.items())
    states = {row.id: row.state for row in leases}
    for row in rows:
        expected = "skipped" if row.verdict == "skip" else ("late" if row.late else "submitted")
        assert states[row.assignment] == expected


def test_killed_raters_lose_nothing(tmp_path: Path) -> None:
    place = str(tmp_path / "accord.db")
    assert killed(place, rounds=2, processes=1, threads=4, seed=0) >= 4


@pytest.mark.slow
def test_fifty_raters_killed_in_a_loop_lose_nothing(place: str) -> None:
    answers = killed(place, rounds=8, processes=5, threads=10, seed=1)
    print(f"{answers} answers acknowledged over 8 kills of 50 raters")
    assert answers >= 200
