"""Who decides where raters are split: a lead who had no part in it, not even a late one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from accord.collect.answering import answer, correct
from accord.collect.assigning import Lease, next_task
from accord.collect.campaign import Campaign
from accord.collect.sheet import Opinion
from accord.collect.tasks import Purpose
from accord.core.errors import ConflictError
from accord.store.database import Database
from accord.store.judgements import current
from accord.store.tables import tasks
from accord.store.verifying import verify_database
from tests.collect.asking import made, prefers, somebody

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(seconds=60)


class Split(NamedTuple):
    """A task whose two raters disagree, and two leads, of whom one saw it."""

    campaign: Campaign
    seen: Lease
    """Of the lead `saw`; it ran out at `LATER`."""
    saw: str
    free: str


def split(database: Database) -> Split:
    campaign = made(database, tasks=1, overlap=2, lease_seconds=60)
    saw, free = (somebody(database, campaign, name, role="lead") for name in ("saw", "free"))
    seen = taken(database, campaign, saw, now=START)
    for number, name in enumerate("ab"):
        lease = taken(database, campaign, somebody(database, campaign, name), now=LATER)
        said = prefers(lease, number)
        answer(database, campaign, lease, said, key=f"{name} says", ui="test", now=LATER)
    return Split(campaign, seen, saw, free)


def taken(database: Database, campaign: Campaign, rater: str, *, now: datetime) -> Lease:
    lease = next_task(database, campaign, rater, now=now)
    assert lease is not None
    return lease


def decision(database: Database, there: Split, rater: str, *, now: datetime = LATER) -> Lease:
    """The adjudication, leased to a lead."""
    lease = taken(database, there.campaign, rater, now=now)
    with database.read() as connection:
        row = connection.execute(sa.select(tasks).where(tasks.c.id == lease.task)).one()
    assert (row.purpose, row.repeats) == (Purpose.ADJUDICATION, there.seen.task)
    return lease


def said_by(database: Database, rater: str) -> list[tuple[str, bool]]:
    """(task, late) of what a rater said that counts."""
    with database.read() as connection:
        return [(row.task, row.late) for row in current(connection) if row.rater == rater]


def test_a_lead_who_only_saw_it_may_decide(database: Database) -> None:
    there = split(database)
    lease = decision(database, there, there.saw)
    said = prefers(lease, 0)
    answer(database, there.campaign, lease, said, key="k", ui="test", now=LATER)
    assert said_by(database, there.saw) == [(lease.task, False)]
    assert verify_database(database).ok


def test_a_lead_whose_answer_came_late_may_not(database: Database) -> None:
    there = split(database)
    said = prefers(there.seen, 0)
    answer(database, there.campaign, there.seen, said, key="late", ui="test", now=LATER)
    assert next_task(database, there.campaign, there.saw, now=LATER) is None
    decision(database, there, there.free)


def test_a_late_answer_takes_the_decision_away_again(database: Database) -> None:
    """Also where the lease on the decision has run out meanwhile."""
    there = split(database)
    deciding = decision(database, there, there.saw)
    over = LATER + timedelta(days=1)
    for now in (LATER, over):
        if now == over:
            next_task(database, there.campaign, somebody(database, there.campaign, "c"), now=now)
        late = prefers(there.seen, 0)
        done = answer(database, there.campaign, there.seen, late, key="late", ui="test", now=now)
        assert done.late
        said = prefers(deciding, 1)
        with pytest.raises(ConflictError, match="given back"):
            answer(database, there.campaign, deciding, said, key="decides", ui="test", now=now)
    assert next_task(database, there.campaign, there.saw, now=over) is None
    decision(database, there, there.free, now=over)
    assert said_by(database, there.saw) == [(there.seen.task, True)]


def test_a_decision_whose_lease_ran_out_is_gone_with_a_late_answer(database: Database) -> None:
    there = split(database)
    deciding, over = decision(database, there, there.saw), LATER + timedelta(days=1)
    assert next_task(database, there.campaign, there.free, now=over) is not None
    late = prefers(there.seen, 0)
    answer(database, there.campaign, there.seen, late, key="late", ui="test", now=over)
    said = prefers(deciding, 1)
    with pytest.raises(ConflictError, match="given back"):
        answer(database, there.campaign, deciding, said, key="decides", ui="test", now=over)


def test_who_decided_does_not_count_once_more(database: Database) -> None:
    there = split(database)
    deciding = decision(database, there, there.saw)
    said = prefers(deciding, 0)
    done = answer(database, there.campaign, deciding, said, key="decides", ui="test", now=LATER)
    late = prefers(there.seen, 1)
    with pytest.raises(ConflictError, match="you decided this task as a lead since"):
        answer(database, there.campaign, there.seen, late, key="late", ui="test", now=LATER)
    assert said_by(database, there.saw) == [(deciding.task, False)]
    again = answer(database, there.campaign, deciding, said, key="decides", ui="test", now=LATER)
    assert (again.seq, again.new) == (done.seq, False)


def test_a_skip_is_no_part_until_it_is_made_an_answer(database: Database) -> None:
    there = split(database)
    skip = Opinion.skipped("unclear")
    first = answer(database, there.campaign, there.seen, skip, key="skip", ui="test", now=LATER)
    deciding = decision(database, there, there.saw)
    other = prefers(there.seen, 0)
    correct(database, there.campaign, first.seq, other, key="after all", ui="test")
    said = prefers(deciding, 1)
    with pytest.raises(ConflictError, match="given back"):
        answer(database, there.campaign, deciding, said, key="decides", ui="test", now=LATER)
    decision(database, there, there.free)


def test_a_skip_of_what_one_decided_stays_a_skip(database: Database) -> None:
    there = split(database)
    skip = Opinion.skipped("unclear")
    first = answer(database, there.campaign, there.seen, skip, key="skip", ui="test", now=LATER)
    deciding = decision(database, there, there.saw)
    said = prefers(deciding, 0)
    answer(database, there.campaign, deciding, said, key="decides", ui="test", now=LATER)
    with pytest.raises(ConflictError, match="you decided this task as a lead since"):
        correct(database, there.campaign, first.seq, said, key="after all", ui="test")
    other = Opinion.skipped("tired")
    assert correct(database, there.campaign, first.seq, other, key="reason", ui="test").new


def test_who_took_an_answer_back_had_a_part_all_the_same(database: Database) -> None:
    there = split(database)
    said = prefers(there.seen, 0)
    late = answer(database, there.campaign, there.seen, said, key="late", ui="test", now=LATER)
    skip = Opinion.skipped("unclear")
    correct(database, there.campaign, late.seq, skip, key="back", ui="test")
    assert next_task(database, there.campaign, there.saw, now=LATER) is None


def test_who_has_it_open_is_not_asked_to_decide_it(database: Database) -> None:
    """A late answer of somebody else made it a split while the lead has the last place."""
    campaign = made(database, tasks=1, overlap=2, lease_seconds=60)
    slow, quick = (somebody(database, campaign, name) for name in ("slow", "quick"))
    lead = somebody(database, campaign, "lead", role="lead")
    first = taken(database, campaign, slow, now=START)
    second = taken(database, campaign, quick, now=LATER)
    open_ = taken(database, campaign, lead, now=LATER)
    for lease, choice in ((second, 0), (first, 1)):
        said = prefers(lease, choice)
        answer(database, campaign, lease, said, key=f"{choice}", ui="test", now=LATER)
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tasks)).scalar_one() == 2
    holding = [open_.assignment]
    assert next_task(database, campaign, lead, holding=holding, now=LATER) is None
    said = prefers(open_, 0)
    assert answer(database, campaign, open_, said, key="open", ui="test", now=LATER).new
    assert next_task(database, campaign, lead, now=LATER) is None
