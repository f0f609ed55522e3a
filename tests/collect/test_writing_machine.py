"""Any order of taking, writing, reviewing, replacing, correcting, late or twice: held against a
small model, and in the end against a frozen set.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from accord.collect.answering import Answered, answer, correct
from accord.collect.assigning import release
from accord.collect.campaign_log import Why
from accord.collect.comparing import excluded
from accord.collect.frozen import verify_frozen
from accord.collect.sheet import Opinion
from accord.collect.tasks import TaskKind, responses_of
from accord.collect.text_frozen import text_origins
from accord.collect.text_leases import TextLease, next_text
from accord.collect.writing import HandedIn, hand_in, replace_text
from accord.core.errors import ConflictError, DataError
from accord.store.database import open_database
from accord.store.tables import assignments, events, responses, tasks
from accord.store.verifying import verify_database
from tests.collect.asking import somebody
from tests.collect.texting import ACCEPT, REJECT, SKIP, asked, frozen_texts

LEASE, REVIEWS, OVERLAP, MOST = 100, 2, 1, 2
SAID = {"accept": ACCEPT, "reject": REJECT, "skip": SKIP}
OPINIONS = st.sampled_from(sorted(SAID))


class Writing(RuleBasedStateMachine):
    """Five people, two prompts and one answer to make better, a clock that somebody turns."""

    leases = Bundle("leases")
    texts = Bundle("texts")
    reviews = Bundle("reviews")

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.database = open_database(Path(self.folder.name, "accord.db"))
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.keys = 0
        self.current: dict[str, int] = {}
        """Text (id) to its event, of those that nobody replaced."""
        self.replaced: set[int] = set()
        self.by: dict[str, str] = {}
        """Text (id) to its author."""
        self.about: dict[str, str] = {}
        """Text (id) to its prompt, which one first task alone asks about."""
        self.assigned: dict[str, str] = {}
        """Assignment to the text that stands for it."""
        self.said: dict[str, tuple[str, str, int, Opinion]] = {}
        """Assignment of a review to text, reviewer, event and what was said last."""
        self.sent: dict[str, tuple[TextLease, str, HandedIn]] = {}
        self.judged: dict[str, tuple[TextLease, Opinion, Answered]] = {}

    @initialize()
    def open(self) -> None:
        self.campaign = asked(
            self.database,
            write=2,
            edit=1,
            overlap=OVERLAP,
            reviews=REVIEWS,
            lease_seconds=LEASE,
            most_skips=MOST,
        )
        self.people = [somebody(self.database, self.campaign, name) for name in "abcde"]

    def key(self) -> str:
        self.keys += 1
        return f"key {self.keys}"

    def text_of(self, task: str) -> str:
        """The text that a review shows."""
        with self.database.read() as connection:
            return responses_of(connection, task)[0]

    def row(self, lease: TextLease) -> sa.Row[tuple[object, ...]]:
        with self.database.read() as connection:
            of = assignments.c.id == lease.assignment
            return connection.execute(sa.select(assignments).where(of)).one()

    def refused(self, lease: TextLease) -> bool:
        """Whether nothing is taken under a lease, by what the model knows and the row says."""
        row = self.row(lease)
        done = lease.assignment in self.assigned or lease.assignment in self.said
        return done or row.fence != lease.fence or row.state in ("released", "skipped")

    @rule(target=leases, who=st.integers(0, 4))
    def take(self, who: int) -> TextLease | None:
        rater = self.people[who]
        lease = next_text(self.database, self.campaign, rater, now=self.now)
        if lease is not None and lease.kind is TaskKind.REVIEW:
            text = self.text_of(lease.task)
            assert self.by[text] != rater
            assert text in self.current
        return lease

    @rule(seconds=st.sampled_from([1, LEASE // 2, LEASE]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(lease=leases)
    def give_back(self, lease: TextLease | None) -> None:
        if lease is not None:
            release(self.database, lease)

    @rule(who=st.integers(0, 4), kind=OPINIONS)
    def turn(self, who: int, kind: str) -> None:
        """A whole turn, so that much is written and decided in few steps."""
        lease = self.take(who)
        if lease is None:
            return
        if lease.kind is TaskKind.REVIEW:
            self.judge(lease, kind)
        else:
            self.write(lease, "own")

    @rule(kinds=st.lists(OPINIONS, min_size=REVIEWS, max_size=REVIEWS))
    def everybody(self, kinds: list[str]) -> None:
        """Somebody writes, and as many as it takes review."""
        for who, kind in zip(range(5), ["accept", *kinds], strict=False):
            self.turn(who, kind)

    @rule(target=texts, lease=leases, words=st.sampled_from(["own", "blank", "same"]))
    def write(self, lease: TextLease | None, words: str) -> str | None:
        if lease is None or lease.kind is TaskKind.REVIEW:
            return None
        key = self.key()
        known = next(iter(self.sent.values()), None)
        text = {"own": f"text {key}", "blank": " ", "same": lease.text or ""}[words]
        refused = self.refused(lease)
        over = self.row(lease).leased_until <= self.now
        try:
            done = hand_in(
                self.database, self.campaign, lease, text, key=key, ui="test", now=self.now
            )
        except ConflictError:
            assert refused
            return None
        except DataError:
            assert words != "own"
            return None
        assert not refused
        assert words == "own"
        assert (done.new, done.late) == (True, over)
        assert known is None or known[2].seq != done.seq
        self.current[done.response] = done.seq
        self.by[done.response] = lease.rater
        self.about[done.response] = lease.prompt.digest
        self.assigned[lease.assignment] = done.response
        self.sent[key] = (lease, text, done)
        return key

    @rule(key=texts)
    def write_it_again(self, key: str | None) -> None:
        if key is None:
            return
        lease, text, done = self.sent[key]
        again = hand_in(self.database, self.campaign, lease, text, key=key, ui="test", now=self.now)
        assert (again.seq, again.new, again.late) == (done.seq, False, done.late)

    @rule(key=texts)
    def replace(self, key: str | None) -> None:
        if key is None:
            return
        lease, _, _ = self.sent[key]
        older = self.assigned[lease.assignment]
        seq, new = self.current[older], self.key()
        with self.database.read() as connection:
            begun = any(
                row.state != "released" and self.shows(row.task) == older
                for row in connection.execute(sa.select(assignments))
            )
        try:
            for _ in range(2):
                done = replace_text(
                    self.database, self.campaign, seq, f"text {new}", key=new, ui="test"
                )
        except ConflictError:
            assert begun
            return
        assert not begun
        del self.current[older]
        self.replaced.add(seq)
        self.current[done.response] = done.seq
        self.by[done.response] = lease.rater
        self.about[done.response] = lease.prompt.digest
        self.assigned[lease.assignment] = done.response

    def shows(self, task: str) -> str | None:
        """The text of a review; None for another task."""
        with self.database.read() as connection:
            kind = connection.execute(
                sa.select(tasks.c.kind).where(tasks.c.id == task)
            ).scalar_one()
        return self.text_of(task) if kind == TaskKind.REVIEW else None

    @rule(target=reviews, lease=leases, kind=OPINIONS)
    def judge(self, lease: TextLease | None, kind: str) -> str | None:
        if lease is None or (lease.kind is not TaskKind.REVIEW and kind != "skip"):
            return None
        said, key, refused = SAID[kind], self.key(), self.refused(lease)
        try:
            done = answer(
                self.database, self.campaign, lease, said, key=key, ui="test", now=self.now
            )
        except ConflictError:
            assert refused
            return None
        assert not refused
        again = answer(self.database, self.campaign, lease, said, key=key, ui="test", now=self.now)
        assert (again.seq, again.new) == (done.seq, False)
        if lease.kind is not TaskKind.REVIEW:
            return None
        text = self.text_of(lease.task)
        self.said[lease.assignment] = (text, lease.rater, done.seq, said)
        self.judged[key] = (lease, said, done)
        return key

    @rule(key=reviews, kind=OPINIONS)
    def think_again(self, key: str | None, kind: str) -> None:
        if key is None:
            return
        lease, _, _ = self.judged[key]
        text, who, seq, _ = self.said[lease.assignment]
        done = correct(self.database, self.campaign, seq, SAID[kind], key=self.key(), ui="test")
        self.said[lease.assignment] = (text, who, done.seq, SAID[kind])

    def decided(self, text: str) -> Why | None:
        """What the model says of a text: None where it is a demonstration."""
        rivals = {self.by[one] for one in self.current if self.about[one] == self.about[text]}
        last = {
            who: said
            for of, who, _, said in sorted(self.said.values(), key=lambda one: one[2])
            if of == text and said is not SKIP and who not in rivals
        }
        said = list(last.values())
        if len(said) < REVIEWS:
            return Why.NOT_REVIEWED
        accepts = sum(one is ACCEPT for one in said)
        return None if 2 * accepts > len(said) else Why.REJECTED

    @invariant()
    def every_acknowledged_text_is_there_once(self) -> None:
        later = events.alias("later")
        with self.database.read() as connection:
            rows = connection.execute(
                sa.select(responses.c.id, responses.c.seq, responses.c.rater).where(
                    responses.c.rater.is_not(None),
                    ~sa.exists().where(later.c.supersedes == responses.c.seq),
                )
            ).all()
        assert {row.id: row.seq for row in rows} == self.current
        assert {row.id: row.rater for row in rows} == {one: self.by[one] for one in self.current}

    @invariant()
    def overlap_is_kept_but_for_what_is_late(self) -> None:
        with self.database.read() as connection:
            rows = connection.execute(sa.select(assignments)).all()
            asked_of = {row.id: row for row in connection.execute(sa.select(tasks))}
        in_time = Counter(row.task for row in rows if row.state in ("leased", "submitted"))
        assert all(count <= asked_of[task].overlap for task, count in in_time.items())
        open_reviews = {
            self.shows(name)
            for name, task in asked_of.items()
            if task.kind == TaskKind.REVIEW and task.state == "open"
        }
        assert open_reviews <= self.current.keys()
        begun = {row.task for row in rows if row.state != "released"}
        standing = Counter(
            task.repeats
            for name, task in asked_of.items()
            if task.kind != TaskKind.REVIEW
            and task.repeats is not None
            and (task.state != "withdrawn" or name in begun)
        )
        assert all(count <= MOST for count in standing.values())

    def teardown(self) -> None:
        if self.current:
            self.every_text_is_accounted_for()
        assert verify_database(self.database).ok
        self.database.close()
        self.folder.cleanup()

    def every_text_is_accounted_for(self) -> None:
        want: dict[int, Why | None] = dict.fromkeys(self.replaced, Why.REPLACED)
        want |= {seq: self.decided(text) for text, seq in self.current.items()}
        place = Path(self.folder.name)
        if None not in want.values():
            with pytest.raises(DataError, match="no text of this campaign") as caught:
                frozen_texts(self.database, self.campaign, place)
            counts = [int(part.split()[0]) for part in str(caught.value.got).split(", ")]
            assert sum(counts) == len(want)
            return
        made = frozen_texts(self.database, self.campaign, place)
        found: dict[int, Why | None] = {one.seq: one.why for one in excluded(made.folder)}
        found |= {one.seq: None for one in text_origins(made.folder)}
        assert found == want
        assert made.counts["given"] == len(want)
        assert verify_frozen(made.folder, self.database).ok


TestWriting = Writing.TestCase
TestWriting.settings = hypothesis.settings(max_examples=25, stateful_step_count=30)
