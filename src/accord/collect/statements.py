"""What a rater's turn asks of the database, each statement built once: building took longer than
running. Parameters are named in each docstring.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sqlalchemy as sa

from accord.collect.sheet import RaterKind
from accord.collect.tasks import Purpose, TaskState, erased_words
from accord.store.judgements import COUNTS, Verdict
from accord.store.registry import TEXT
from accord.store.tables import (
    assignments,
    campaigns,
    events,
    judgements,
    memberships,
    payloads,
    prompts,
    raters,
    responses,
    task_responses,
    tasks,
)

LEASED, SUBMITTED, LATE = "leased", "submitted", "late"
SKIPPED, RELEASED, EXPIRED = "skipped", "released", "expired"
ANSWERED = (SUBMITTED, LATE)
TAKEN = (LEASED, *ANSWERED)
"""States of an assignment that fill a place of the task's overlap."""
NEAREST = 16
"""Tasks among which the draw is made: few, so that begun tasks are finished first."""
MOST_COUNTED = 1000
"""Open tasks that are counted for a rater, at most: a look at more takes time and says little."""

_CAMPAIGN = sa.bindparam("in_campaign", type_=sa.String)
RATER = sa.bindparam("of_rater", type_=sa.String)
_TASK = sa.bindparam("of_task", type_=sa.String)
_ID = sa.bindparam("of_id", type_=sa.String)

HERE = sa.func.coalesce(tasks.c.campaign, "") == _CAMPAIGN
"""A task is of `in_campaign`, where rows are found by their rater. In a form that no index serves:
a rater's rows are few and a campaign's tasks many, but a server that counted its rows long ago may
begin with the tasks (PostgreSQL 15 did: 11 ms for one count in 2,000)."""

STAND = (
    sa.select(
        campaigns.c.state,
        raters.c.state.label("person"),
        raters.c.role,
        raters.c.kind,
        memberships.c.state.label("membership"),
    )
    .select_from(campaigns)
    .outerjoin(raters, raters.c.id == RATER)
    .outerjoin(
        memberships,
        (memberships.c.campaign == campaigns.c.id) & (memberships.c.rater == raters.c.id),
    )
    .where(campaigns.c.id == _CAMPAIGN)
)
"""How far `of_rater` may work `in_campaign`."""

_PACED = (Purpose.WORK, Purpose.GOLD, Purpose.REPEAT)
COUNT = (
    sa.select(
        sa.func.count().label("judged"),
        sa.func.sum(sa.case((tasks.c.purpose.in_(_PACED), 1), else_=0)).label("paced"),
    )
    .select_from(assignments)
    .join(tasks, tasks.c.id == assignments.c.task)
    .where(HERE, assignments.c.rater == RATER, assignments.c.state.in_(ANSWERED))
)
"""How many tasks `in_campaign` `of_rater` answered, and how many of those were work or checks that
come between work, which is what checks are planned by."""

EXPIRE = (
    sa.update(assignments)
    .where(
        assignments.c.state == LEASED,
        assignments.c.leased_until <= sa.bindparam("now", type_=assignments.c.leased_until.type),
    )
    .values(state=EXPIRED)
)
"""End the leases that ran out by `now`."""

HELD = (
    sa.select(assignments)
    .join(tasks, tasks.c.id == assignments.c.task)
    .where(
        HERE,
        assignments.c.rater == RATER,
        assignments.c.state == LEASED,
        assignments.c.id.not_in(sa.bindparam("holding", expanding=True, type_=sa.String)),
        ~erased_words(),
    )
    .order_by(assignments.c.leased)
    .limit(1)
)
"""A task that `of_rater` has open `in_campaign`, none of `holding`."""

EXTEND = (
    sa.update(assignments).where(assignments.c.id == _ID).values(leased_until=sa.bindparam("until"))
)
"""Let the lease of assignment `of_id` run to `until`."""

RAISE_FENCE = (
    sa.update(tasks)
    .where(tasks.c.id == _TASK)
    .values(fence=tasks.c.fence + 1)
    .returning(tasks.c.fence, tasks.c.purpose)
)
"""A new token for `of_task`."""

LEASE_AGAIN = (
    sa.update(assignments)
    .where(assignments.c.task == _TASK, assignments.c.rater == RATER)
    .values(
        state=LEASED,
        fence=sa.bindparam("token"),
        leased=sa.bindparam("now"),
        leased_until=sa.bindparam("until"),
    )
    .returning(*assignments.c)
)
"""Lease `of_task` to `of_rater`, who had it before, under `token` from `now` to `until`."""

LEASE = sa.insert(assignments)

FIRST_SHOWING = (
    sa.select(assignments.c.shown)
    .join(tasks, tasks.c.repeats == assignments.c.task)
    .where(tasks.c.id == _TASK, assignments.c.rater == RATER)
)
"""The order in which `of_rater` saw the responses that `of_task` repeats."""

_asked = payloads.alias("asked")
WORDS = (
    sa.select(
        task_responses.c.place, payloads.c.body, _asked.c.body.label("asked"), tasks.c.purpose
    )
    .join(tasks, tasks.c.id == task_responses.c.task)
    .join(responses, responses.c.id == task_responses.c.response)
    .join(payloads, (payloads.c.seq == responses.c.seq) & (payloads.c.name == TEXT))
    .join(prompts, prompts.c.id == tasks.c.prompt)
    .join(_asked, (_asked.c.seq == prompts.c.seq) & (_asked.c.name == TEXT))
    .where(task_responses.c.task == _TASK)
)
"""Each response of `of_task` with its canonical place, and the prompt beside it; what it is for."""

ASSIGNMENT = sa.select(assignments).where(assignments.c.id == _ID)
"""Assignment `of_id`."""

JUDGED = (
    sa.select(
        tasks.c.id.label("task"),
        tasks.c.prompt,
        tasks.c.purpose,
        erased_words().label("erased"),
    )
    .join(assignments, assignments.c.task == tasks.c.id)
    .join(judgements, judgements.c.assignment == assignments.c.id)
    .where(
        HERE,
        assignments.c.rater == RATER,
        assignments.c.state.in_(ANSWERED),
        judgements.c.supersedes.is_(None),
    )
    .order_by(judgements.c.seq)
)
"""The tasks `in_campaign` that `of_rater` answered, in the order of the answers."""

NEWEST = (
    sa.select(judgements.c.seq, judgements.c.assignment, judgements.c.verdict)
    .join(tasks, tasks.c.id == judgements.c.task)
    .where(
        HERE,
        judgements.c.rater == RATER,
        judgements.c.assignment.is_not(None),
        tasks.c.purpose != Purpose.LESSON,
        *COUNTS,
        ~erased_words(),
    )
    .order_by(judgements.c.seq.desc())
    .limit(1)
)
"""The newest answer `in_campaign` of `of_rater` that stands and may be corrected."""

REPEATED = sa.select(tasks.c.repeats).where(
    tasks.c.campaign == _CAMPAIGN, tasks.c.purpose == Purpose.REPEAT, tasks.c.for_rater == RATER
)
"""The tasks `in_campaign` that `of_rater` was given again."""

ASSIGNMENT_HERE = (
    sa.select(assignments)
    .join(tasks, tasks.c.id == assignments.c.task)
    .where(assignments.c.id == _ID, tasks.c.campaign == _CAMPAIGN)
)
"""Assignment `of_id`, where it is `in_campaign`."""

KNOWN = (
    sa.select(judgements.c.late)
    .join(events, events.c.seq == judgements.c.seq)
    .where(events.c.key == sa.bindparam("sent", type_=sa.String))
)
"""What was accepted under the key `sent`."""

RESPONSES = (
    sa.select(responses.c.id, responses.c.policy)
    .join(task_responses, task_responses.c.response == responses.c.id)
    .where(task_responses.c.task == _TASK)
    .order_by(task_responses.c.place)
)
"""The responses of `of_task` in canonical order, and who said them."""

CLOSE = (
    sa.update(assignments)
    .where(assignments.c.id == _ID)
    .values(state=sa.bindparam("becomes", type_=sa.String))
)
"""Say of assignment `of_id` what it `becomes`."""

TASK = sa.select(tasks).where(tasks.c.id == _TASK)
"""`of_task`."""

STATES = (
    sa.select(assignments.c.state, raters.c.kind)
    .join(raters, raters.c.id == assignments.c.rater)
    .where(assignments.c.task == _TASK)
)
"""The state of every assignment of `of_task`, and the kind of its rater."""

SETTLE = (
    sa.update(tasks)
    .where(tasks.c.id == _TASK)
    .values(state=sa.bindparam("becomes", type_=sa.String))
)
"""Say of `of_task` what it `becomes`."""


_decides = sa.select(tasks.c.id).where(
    tasks.c.repeats == _TASK, tasks.c.purpose == Purpose.ADJUDICATION
)
DECIDED = sa.select(assignments.c.id).where(
    assignments.c.rater == RATER,
    assignments.c.state.in_(ANSWERED),
    assignments.c.task.in_(_decides),
)
"""Whether `of_rater` decided `of_task` as a lead."""

LEAVE_TO_OTHERS = (
    sa.update(assignments)
    .where(
        assignments.c.rater == RATER,
        assignments.c.state.in_((LEASED, EXPIRED)),
        assignments.c.task.in_(_decides),
    )
    .values(state=RELEASED)
)
"""Take the decision about `of_task` from `of_rater`, who has not answered it yet."""


@cache
def open_tasks(purpose: Purpose, kind: str) -> sa.Select[tuple[str, int]]:
    """The first tasks `in_campaign` with a free place for `of_rater`, of `kind`, who had none of
    them.

    Work has its places for each kind of rater: what programs said keeps no person from being asked,
    and they may be asked what people are done with.
    """
    work = purpose is Purpose.WORK
    own = sa.exists().where(
        assignments.c.task == tasks.c.id,
        assignments.c.rater == RATER,
        assignments.c.state.in_((*TAKEN, SKIPPED)),
    )
    counted = sa.select(sa.func.count()).where(
        assignments.c.task == tasks.c.id, assignments.c.state.in_(TAKEN)
    )
    if work:
        counted = counted.join(raters, raters.c.id == assignments.c.rater)
        counted = counted.where(raters.c.kind == kind)
    taken = counted.select_from(assignments).correlate(tasks).scalar_subquery()
    states = [TaskState.OPEN]
    if work and kind != RaterKind.HUMAN:
        states.append(TaskState.DONE)
    found = sa.select(tasks.c.id, tasks.c.priority).where(
        tasks.c.campaign == _CAMPAIGN,
        tasks.c.state.in_(states),
        tasks.c.purpose == purpose,
        sa.or_(tasks.c.for_rater.is_(None), tasks.c.for_rater == RATER),
        ~own,
        ~erased_words(),
    )
    if purpose is Purpose.ADJUDICATION:
        found = found.where(~_had_a_part())
    if work or purpose is Purpose.ADJUDICATION:
        found = found.where(taken < tasks.c.overlap)
    return found.order_by(tasks.c.priority.desc(), tasks.c.id.desc()).limit(NEAREST)


@cache
def how_many(found: sa.Select[Any]) -> sa.Select[Any]:
    """How many tasks a select like `open_tasks` finds, `MOST_COUNTED` at most."""
    few = found.order_by(None).limit(MOST_COUNTED).subquery()
    return sa.select(sa.func.count()).select_from(few)


def _had_a_part() -> sa.ColumnElement[bool]:
    """Whether `of_rater` judged what an adjudication repeats, or is about to: who answered it, late
    too, has it open, or answered and took that back. Who only saw it has had none.
    """
    had, said = assignments.alias(), judgements.alias()
    at_it = sa.exists().where(
        had.c.task == tasks.c.repeats, had.c.rater == RATER, had.c.state.in_(TAKEN)
    )
    judged = sa.exists().where(
        said.c.task == tasks.c.repeats,
        said.c.rater == RATER,
        said.c.verdict != Verdict.SKIP,
    )
    return at_it | judged
