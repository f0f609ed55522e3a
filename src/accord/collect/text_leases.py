"""A turn of somebody who writes, edits or reviews: a task under a lease.

Leases are those of comparisons: one rater's for a time, under a token that grows.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect import statements
from accord.collect.assigning import assign, check_may_work, count_judged, held
from accord.collect.campaign import Campaign, check_asks
from accord.collect.reviewing import settle_all
from accord.collect.sheet import RaterKind
from accord.collect.statements import SKIPPED, TAKEN
from accord.collect.tasks import Purpose, TaskKind
from accord.collect.text_tasks import WRITING
from accord.core.errors import ConflictError, DataError
from accord.core.hashing import digest
from accord.core.types import Conversation
from accord.store.database import Database
from accord.store.registry import TEXT, conversation_in
from accord.store.tables import assignments, payloads, prompts, task_responses, tasks
from accord.store.tables import responses as response_table


@dataclass(frozen=True, kw_only=True, slots=True)
class TextLease:
    """A task that is one person's until `leased_until`, as they see it."""

    assignment: str
    task: str
    rater: str
    fence: int
    """Token of this lease; a text under an older one is refused."""
    kind: TaskKind
    prompt: Conversation
    text: str | None
    """What is to be made better or reviewed; None where an answer is to be written. Never who or
    what wrote it."""
    criteria: tuple[str, ...]
    """What a review may rate from 1 to 5."""
    number: int
    """How many tasks of the campaign this rater did before."""
    leased_until: datetime


def next_text(
    database: Database,
    campaign: Campaign,
    rater: str,
    *,
    holding: Collection[str] = (),
    now: datetime | None = None,
) -> TextLease | None:
    """The next task for somebody, leased; None where there is nothing for them now.

    Reviews come before new writing. Nobody reviews for a task that they wrote for, writes for one
    that they reviewed for, or writes for one twice. A task that the rater has open comes back,
    unless its assignment is in `holding`.
    Raises ConflictError where the campaign hands out no tasks, or not to this rater: people alone
    write and review.
    """
    check_asks(campaign, texts=True)
    now = now or datetime.now(UTC)
    with database.write(durable=False) as connection:
        stand = check_may_work(connection, campaign, rater)
        if stand.kind != RaterKind.HUMAN:
            raise ConflictError("people alone write and review", got=f"a {stand.kind} rater")
        connection.execute(statements.EXPIRE, {"now": now})
        number = count_judged(connection, campaign, rater)
        row = held(connection, campaign, rater, holding)
        if row is not None:
            until = now + timedelta(seconds=campaign.settings.lease_seconds)
            connection.execute(statements.EXTEND, {"of_id": row["id"], "until": until})
            return _lease(connection, campaign, row | {"leased_until": until}, number)
        task = _draw(connection, campaign, rater, number)
        if task is None:
            settle_all(connection, campaign)
            task = _draw(connection, campaign, rater, number)
        if task is None:
            return None
        k = len(connection.execute(statements.RESPONSES, {"of_task": task}).all())
        row = assign(connection, campaign, task, rater, now, k=k)
        return _lease(connection, campaign, row, number)


def count_texts_left(connection: Connection, campaign: Campaign, rater: str) -> int:
    """How many tasks somebody may still get beside the one that they have open, at most
    `statements.MOST_COUNTED` of review and as many of writing; others may be faster."""
    own = {"in_campaign": campaign.id, "of_rater": rater}
    return sum(
        int(connection.execute(statements.how_many(_open(reviews)), own).scalar_one())
        for reviews in (True, False)
    )


def text_lease_of(connection: Connection, campaign: Campaign, assignment: str) -> TextLease:
    """What an assignment's rater saw, whatever became of it: for showing it again.

    Raises DataError where there is no such assignment, or its words were erased.
    """
    row = connection.execute(statements.ASSIGNMENT, {"of_id": assignment}).one_or_none()
    if row is None:
        raise DataError("there is no such assignment", got=assignment)
    return _lease(
        connection, campaign, row._asdict(), count_judged(connection, campaign, row.rater)
    )


# ---- which task ----------------------------------------------------------------------------------


def _draw(connection: Connection, campaign: Campaign, rater: str, number: int) -> str | None:
    rng = Random(digest([campaign.settings.seed, rater, number, "next"]))
    own = {"in_campaign": campaign.id, "of_rater": rater}
    for reviews in (True, False):
        names = [row.id for row in connection.execute(_open(reviews), own)]
        if names:
            return str(rng.choice(names))
    return None


@cache
def _open(reviews: bool) -> sa.Select[Any]:
    """The first tasks of review, or of writing, `in_campaign` that `of_rater` may take."""
    kinds = (TaskKind.REVIEW,) if reviews else WRITING
    found = statements.open_tasks(Purpose.WORK, RaterKind.HUMAN).where(tasks.c.kind.in_(kinds))
    mine, of = assignments.alias("mine"), tasks.alias("of")
    root: sa.ColumnElement[Any]
    if reviews:
        written_for = tasks.alias("written_for")
        root = (
            sa.select(sa.func.coalesce(written_for.c.repeats, written_for.c.id))
            .where(written_for.c.id == tasks.c.repeats)
            .correlate(tasks)
            .scalar_subquery()
        )
        states: tuple[str, ...] = TAKEN
        shown, seen = task_responses.alias("shown"), task_responses.alias("seen")
        reviewed = (
            sa.exists()
            .where(
                mine.c.task == seen.c.task,
                mine.c.rater == statements.RATER,
                mine.c.state.in_((*TAKEN, SKIPPED)),
                seen.c.response == shown.c.response,
                shown.c.task == tasks.c.id,
                of.c.id == mine.c.task,
                of.c.kind == TaskKind.REVIEW,
            )
            .correlate(tasks)
        )
        found = found.where(~reviewed)
    else:
        root = sa.func.coalesce(tasks.c.repeats, tasks.c.id)
        states = (*TAKEN, SKIPPED)
        found = found.where(~_reviewed_for(root))
    wrote = (
        sa.exists()
        .where(
            mine.c.task == of.c.id,
            mine.c.rater == statements.RATER,
            mine.c.state.in_(states),
            of.c.kind.in_(WRITING),
            sa.func.coalesce(of.c.repeats, of.c.id) == root,
        )
        .correlate(tasks)
    )
    return found.where(~wrote)


def _reviewed_for(root: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether `of_rater` reviewed, or is about to, what somebody wrote for a first task."""
    had, review, wrote = assignments.alias(), tasks.alias(), tasks.alias()
    return (
        sa.exists()
        .where(
            had.c.rater == statements.RATER,
            had.c.state.in_(TAKEN),
            review.c.id == had.c.task,
            review.c.kind == TaskKind.REVIEW,
            wrote.c.id == review.c.repeats,
            sa.func.coalesce(wrote.c.repeats, wrote.c.id) == root,
        )
        .correlate(tasks)
    )


_asked, _said = payloads.alias("asked"), payloads.alias("said")
SHOWN = (
    sa.select(
        tasks.c.kind,
        _asked.c.body.label("asked"),
        task_responses.c.response,
        _said.c.body.label("said"),
    )
    .join(prompts, prompts.c.id == tasks.c.prompt)
    .join(_asked, (_asked.c.seq == prompts.c.seq) & (_asked.c.name == TEXT))
    .outerjoin(task_responses, task_responses.c.task == tasks.c.id)
    .outerjoin(response_table, response_table.c.id == task_responses.c.response)
    .outerjoin(_said, (_said.c.seq == response_table.c.seq) & (_said.c.name == TEXT))
    .where(tasks.c.id == sa.bindparam("of_task", type_=sa.String))
)
"""Kind and words of `of_task`: the prompt, and a text where it shows one."""


def _lease(
    connection: Connection, campaign: Campaign, row: dict[str, Any], number: int
) -> TextLease:
    shown = connection.execute(SHOWN, {"of_task": row["task"]}).one()
    if shown.asked is None or (shown.response is not None and shown.said is None):
        raise DataError("the words of this task were erased", got=row["task"])
    return TextLease(
        assignment=row["id"],
        task=row["task"],
        rater=row["rater"],
        fence=row["fence"],
        kind=TaskKind(shown.kind),
        prompt=conversation_in(shown.asked),
        text=None if shown.said is None else str(json.loads(shown.said)),
        criteria=campaign.criteria,
        number=number,
        leased_until=row["leased_until"],
    )
