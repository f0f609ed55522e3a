"""Any order of asking, answering twice, late, stale, corrected: held against a small model."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from accord.collect.answering import Answered, answer, correct
from accord.collect.assigning import Lease, next_task, release
from accord.collect.sheet import Opinion
from accord.collect.tasks import Purpose
from accord.core.errors import ConflictError
from accord.store.database import open_database
from accord.store.judgements import current
from accord.store.tables import assignments, tasks
from accord.store.verifying import verify_database
from tests.collect.asking import ask, made, prefers, somebody

LEASE = 100
OVERLAP = 2
ORDER = (Purpose.LESSON, Purpose.CALIBRATION)
OPINIONS = st.sampled_from(["first", "second", "tie", "skip"])


class Collection(RuleBasedStateMachine):
    """Four raters, three tasks, a clock that somebody turns."""

    leases = Bundle("leases")
    answered = Bundle("answered")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.database = open_database(Path(self.folder.name, "accord.db"))
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.keys = 0
        self.acknowledged: dict[str, int] = {}
        """Assignment to the newest event that was acknowledged for it."""
        self.sent: dict[str, tuple[Lease, Opinion, Answered]] = {}
        self.for_all: dict[str, Purpose] = {}
        """Tasks that everybody is asked."""

    @initialize()
    def open(self) -> None:
        self.campaign = made(
            self.database, tasks=3, overlap=OVERLAP, lease_seconds=LEASE, most_skips=9
        )
        self.people = [somebody(self.database, self.campaign, name) for name in "abcd"]

    def key(self) -> str:
        self.keys += 1
        return f"key {self.keys}"

    @staticmethod
    def opinion(lease: Lease, kind: str) -> Opinion:
        if kind == "skip":
            return Opinion.skipped("unreadable")
        return Opinion.ranked((0, 0)) if kind == "tie" else prefers(lease, int(kind == "second"))

    @rule(purpose=st.sampled_from([Purpose.LESSON, Purpose.CALIBRATION]))
    def put_in(self, purpose: Purpose) -> None:
        """A task for everybody, at any time."""
        if len(self.for_all) == 3:
            return
        known = purpose is Purpose.LESSON
        task = ask(
            self.database,
            self.campaign,
            f"for all {len(self.for_all)}",
            purpose=purpose,
            gold=(0, 1) if known else None,
            calibration=None if known else "a round",
        )
        self.for_all[task] = purpose

    @rule(target=leases, who=st.integers(0, 3))
    def ask(self, who: int) -> Lease | None:
        rater = self.people[who]
        with self.database.read() as connection:
            own = sa.select(assignments).where(assignments.c.rater == rater)
            rows = connection.execute(own).all()
        had = {row.task for row in rows if row.state in ("submitted", "late", "skipped")}
        held = {row.task for row in rows if row.state == "leased" and row.leased_until > self.now}
        lease = next_task(self.database, self.campaign, rater, now=self.now)
        if held:
            assert lease is not None
            assert lease.task in held
            return lease
        due = [self.for_all[task] for task in self.for_all.keys() - had]
        got = None if lease is None else self.for_all.get(lease.task)
        assert got == (min(due, key=ORDER.index) if due else None)
        return lease

    @rule(seconds=st.sampled_from([1, LEASE // 2, LEASE]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(lease=leases)
    def give_back(self, lease: Lease | None) -> None:
        if lease is not None:
            release(self.database, lease)

    @rule(target=answered, lease=leases, kind=OPINIONS)
    def say(self, lease: Lease | None, kind: str) -> str | None:
        """Send it; whether it is taken depends on the token and on what was said before."""
        if lease is None:
            return None
        said, key = self.opinion(lease, kind), self.key()
        with self.database.read() as connection:
            row = connection.execute(
                sa.select(assignments).where(assignments.c.id == lease.assignment)
            ).one()
        refused = (
            lease.assignment in self.acknowledged
            or row.fence != lease.fence
            or row.state == "released"
        )
        try:
            done = answer(
                self.database, self.campaign, lease, said, key=key, ui="test", now=self.now
            )
        except ConflictError:
            assert refused
            return None
        assert not refused
        assert done.new
        assert (done.feedback is not None) == lease.lesson
        assert done.late == (row.leased_until <= self.now)
        self.acknowledged[lease.assignment] = done.seq
        self.sent[key] = (lease, said, done)
        return key

    @rule(key=answered)
    def say_it_again(self, key: str | None) -> None:
        if key is None:
            return
        lease, said, done = self.sent[key]
        again = answer(self.database, self.campaign, lease, said, key=key, ui="test", now=self.now)
        assert (again.seq, again.new, again.late) == (done.seq, False, done.late)

    @rule(key=consumes(answered), kind=OPINIONS)
    def think_again(self, key: str | None, kind: str) -> None:
        if key is None:
            return
        lease, _, done = self.sent[key]
        if self.acknowledged[lease.assignment] != done.seq:
            return
        said = self.opinion(lease, kind)
        new = self.key()
        if lease.lesson:
            with pytest.raises(ConflictError, match="first answer to a lesson"):
                correct(self.database, self.campaign, done.seq, said, key=new, ui="test")
            return
        for _ in range(2):
            later = correct(self.database, self.campaign, done.seq, said, key=new, ui="test")
        self.acknowledged[lease.assignment] = later.seq

    @invariant()
    def nothing_acknowledged_is_lost_or_doubled(self) -> None:
        with self.database.read() as connection:
            rows = current(connection)
        assert sorted(row.seq for row in rows) == sorted(self.acknowledged.values())
        counted = [(row.task, row.rater) for row in rows]
        assert len(set(counted)) == len(counted)

    @invariant()
    def overlap_is_kept_but_for_what_is_late(self) -> None:
        with self.database.read() as connection:
            rows = connection.execute(sa.select(assignments.c.task, assignments.c.state)).all()
            states = {
                row.id: row.state
                for row in connection.execute(sa.select(tasks.c.id, tasks.c.state))
            }
        in_time = Counter(row.task for row in rows if row.state in ("leased", "submitted"))
        answers = Counter(row.task for row in rows if row.state in ("submitted", "late"))
        for task, state in states.items():
            if task in self.for_all:
                assert state == "open"
                continue
            assert in_time[task] <= OVERLAP
            assert (state == "done") == (answers[task] >= OVERLAP)

    def teardown(self) -> None:
        assert verify_database(self.database).ok
        self.database.close()
        self.folder.cleanup()


TestCollection = Collection.TestCase
TestCollection.settings = hypothesis.settings(max_examples=25, stateful_step_count=25)
