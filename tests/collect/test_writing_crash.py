"""Writers and reviewers killed at any moment: no text lost or doubled, each accounted for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.collect.campaign import campaign_called
from accord.collect.comparing import excluded
from accord.collect.frozen import verify_frozen
from accord.collect.text_frozen import text_origins
from accord.store.database import Database, open_database
from accord.store.judgements import current
from accord.store.log import parts_of
from accord.store.registry import ABOUT
from accord.store.tables import assignments, responses, tasks
from accord.store.verifying import verify_database
from tests.collect.texting import asked, frozen_texts
from tests.collect.writers import main
from tests.killing import kill_in_a_loop


def killed(
    place: str, folder: Path, *, rounds: int, processes: int, threads: int, seed: int
) -> int:
    """Texts and reviews acknowledged."""
    with open_database(place) as database:
        # Short leases: those of killed people run out and their tasks go to others.
        asked(database, write=rounds * 60, edit=rounds * 60, lease_seconds=2)
    done = kill_in_a_loop(
        main,
        place,
        check,
        rounds=rounds,
        processes=processes,
        threads=threads,
        seed=seed,
        others=2,
    )
    with open_database(place) as database:
        account(database, folder)
    return done


def check(place: str, acknowledged: dict[str, int]) -> None:
    with open_database(place) as database:
        stands(database, acknowledged)


def stands(database: Database, acknowledged: dict[str, int]) -> None:
    assert verify_database(database).faults == ()
    with database.read() as connection:
        judged = {row.assignment: row.seq for row in current(connection)}
        found = sa.select(responses.c.seq, responses.c.rater).where(responses.c.rater.is_not(None))
        written = {
            parts_of(connection, row.seq)[ABOUT]["assignment"]: row
            for row in connection.execute(found).all()
        }
        count = connection.execute(
            sa.select(sa.func.count()).where(responses.c.rater.is_not(None))
        ).scalar_one()
        leases = {row.id: row for row in connection.execute(sa.select(assignments))}
        overlap = {row.id: row.overlap for row in connection.execute(sa.select(tasks))}
    assert len(written) == count
    assert not written.keys() & judged.keys()
    kept = judged | {name: row.seq for name, row in written.items()}
    assert acknowledged.items() <= kept.items()
    assert all(leases[name].rater == row.rater for name, row in written.items())
    done = {name for name, row in leases.items() if row.state in ("submitted", "late", "skipped")}
    assert done == kept.keys()
    in_time = Counter(row.task for row in leases.values() if row.state == "submitted")
    assert all(n <= overlap[task] for task, n in in_time.items())


def account(database: Database, folder: Path) -> None:
    """Every text is a row or listed."""
    with database.read() as connection:
        campaign = campaign_called(connection, "texts")
        found = sa.select(responses.c.seq).where(responses.c.rater.is_not(None))
        seqs = sorted(connection.execute(found).scalars())
    made = frozen_texts(database, campaign, folder)
    rows = [one.seq for one in text_origins(made.folder)]
    assert sorted(rows + [one.seq for one in excluded(made.folder)]) == seqs
    assert verify_frozen(made.folder, database).ok


def test_killed_writers_lose_nothing(tmp_path: Path) -> None:
    place = str(tmp_path / "accord.db")
    done = killed(place, tmp_path, rounds=2, processes=1, threads=4, seed=0)
    assert done >= 4


@pytest.mark.slow
def test_fifty_writers_killed_in_a_loop_lose_nothing(place: str, tmp_path: Path) -> None:
    done = killed(place, tmp_path, rounds=6, processes=5, threads=10, seed=1)
    print(f"{done} texts and reviews acknowledged over 6 kills of 50 people")
    assert done >= 150
