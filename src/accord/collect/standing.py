"""Where a campaign stands: what is asked, what was said, who works in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import LEADS, Campaign, Membership
from accord.collect.orders import unfinished
from accord.collect.sheet import RaterKind
from accord.collect.statements import ANSWERED, LEASED
from accord.collect.tasks import TaskState
from accord.store.jobs import Job
from accord.store.judgements import COUNTS
from accord.store.tables import assignments, judgements, memberships, raters, tasks


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A campaign in figures."""

    tasks: Mapping[str, Mapping[str, int]]
    """Purpose to state (open, done, withdrawn) to tasks."""
    wanted: int
    """Answers of people that the work tasks which are not withdrawn want in all: their overlap."""
    answered: Mapping[str, int]
    """Kind of rater to answers on these tasks, skips left out."""
    unused: int
    """Of those of people, how many count nowhere: erased, taken back, or of somebody in
    quarantine."""
    judgements: Mapping[str, int]
    """Verdict to judgements that count; superseded and withdrawn ones left out."""
    late: int
    """Of these, how many came after their lease had run out."""
    raters: Mapping[str, int]
    """Membership (trial, active, failed, paused) to raters; who is in quarantine, has left or was
    erased is counted as that."""
    leads: int
    """Of them, how many decide where others are split."""
    leases: int
    """Tasks that somebody has open."""
    jobs: tuple[Job, ...]
    """Jobs that sample for this campaign and are not done."""


def standing(
    connection: Connection, campaign: Campaign, *, now: datetime | None = None
) -> Standing:
    """Count. `now` is for tests and defaults to the clock."""
    now = now or datetime.now(UTC)
    count = sa.func.count()
    mine = tasks.c.campaign == campaign.id
    kinds: dict[str, dict[str, int]] = {}
    grouped = sa.select(tasks.c.purpose, tasks.c.state, count).where(mine)
    for purpose, state, number in connection.execute(
        grouped.group_by(tasks.c.purpose, tasks.c.state).order_by(tasks.c.purpose)
    ):
        kinds.setdefault(purpose, {})[state] = number
    wanted = sa.select(sa.func.coalesce(sa.func.sum(tasks.c.overlap), 0)).where(
        mine, tasks.c.purpose == "work", tasks.c.state != TaskState.WITHDRAWN
    )
    said = (
        sa.select(
            judgements.c.verdict, count, sa.func.sum(sa.case((judgements.c.late, 1), else_=0))
        )
        .join(tasks, tasks.c.id == judgements.c.task)
        .where(
            mine,
            judgements.c.superseded_by.is_(None),
            judgements.c.verdict.not_in(("withdrawn", "erased")),
        )
        .group_by(judgements.c.verdict)
        .order_by(judgements.c.verdict)
    )
    verdicts = connection.execute(said).all()
    people, leads = _people(connection, campaign)
    answered, unused = _answers(connection, campaign)
    leases = (
        sa.select(count)
        .select_from(assignments.join(tasks, tasks.c.id == assignments.c.task))
        .where(mine, assignments.c.state == LEASED, assignments.c.leased_until > now)
    )
    return Standing(
        tasks=kinds,
        wanted=int(connection.execute(wanted).scalar_one()),
        answered=answered,
        judgements={row[0]: row[1] for row in verdicts},
        late=sum(int(row[2] or 0) for row in verdicts),
        raters=people,
        leads=leads,
        unused=unused,
        leases=int(connection.execute(leases).scalar_one()),
        jobs=tuple(job for job, _ in unfinished(connection, campaign)),
    )


def _people(connection: Connection, campaign: Campaign) -> tuple[dict[str, int], int]:
    """Raters by what they are here, and how many leads work."""
    stand = sa.case(
        (raters.c.state.in_(("quarantined", "left", "erased")), raters.c.state),
        else_=memberships.c.state,
    )
    found = (
        sa.select(stand, sa.func.count())
        .select_from(memberships.join(raters, raters.c.id == memberships.c.rater))
        .where(memberships.c.campaign == campaign.id)
    )
    leads = found.with_only_columns(sa.func.count()).where(
        raters.c.role.in_(LEADS), stand == Membership.ACTIVE
    )
    counted = _counts(connection, found.group_by(stand))
    return counted, int(connection.execute(leads).scalar_one())


def _answers(connection: Connection, campaign: Campaign) -> tuple[dict[str, int], int]:
    """Kind of rater to answers on work tasks, and how many of those of people count nowhere."""
    given = (
        sa.select(raters.c.kind, sa.func.count())
        .select_from(assignments)
        .join(tasks, tasks.c.id == assignments.c.task)
        .join(raters, raters.c.id == assignments.c.rater)
        .where(
            tasks.c.campaign == campaign.id,
            tasks.c.purpose == "work",
            tasks.c.state != TaskState.WITHDRAWN,
            assignments.c.state.in_(ANSWERED),
        )
    )
    answered = _counts(connection, given.group_by(raters.c.kind).order_by(raters.c.kind))
    # By what counts: what was erased no longer says which answer it was of.
    counting = (
        given.with_only_columns(sa.func.count())
        .join(judgements, judgements.c.assignment == assignments.c.id)
        .where(raters.c.kind == RaterKind.HUMAN, raters.c.state != "quarantined", *COUNTS)
    )
    used = int(connection.execute(counting).scalar_one())
    return answered, answered.get(RaterKind.HUMAN.value, 0) - used


def _counts(connection: Connection, found: sa.Select[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(found)}
