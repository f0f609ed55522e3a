"""A text handed in: one event of its author, however often it arrives.

Reviews are handed in by `answering.answer`, as judgements of one response; so are skips. What
follows from a text (the task is done, somebody is asked to review it) is written in the same
transaction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect import statements
from accord.collect.answering import assignment_in, check_lease, settle
from accord.collect.assigning import Held
from accord.collect.campaign import Campaign
from accord.collect.statements import EXPIRED, LATE, SUBMITTED
from accord.collect.tasks import TaskKind, TaskState
from accord.collect.text_leases import SHOWN
from accord.collect.text_tasks import WRITING, add_review
from accord.core.errors import ConflictError, DataError
from accord.core.types import Response, StopReason
from accord.store.database import Database
from accord.store.event import Event
from accord.store.log import event_at, parts_of
from accord.store.registry import ABOUT, RESPONSE_ADDED, TEXT, keep_response, response_text
from accord.store.tables import assignments, events, payloads, raters, task_responses, tasks
from accord.store.tables import responses as response_table
from accord.store.tables.columns import stamp


@dataclass(frozen=True, kw_only=True, slots=True)
class HandedIn:
    """What became of a text."""

    seq: int
    """Number of its event: the author's receipt, and what a replacement names."""
    response: str
    """Id of the text."""
    new: bool
    """False where the same submission had been accepted before."""
    late: bool
    """Whether the lease had run out."""


def hand_in(
    database: Database,
    campaign: Campaign,
    lease: Held,
    text: str,
    *,
    key: str,
    ui: str,
    opened: datetime | None = None,
    seconds: float | None = None,
    now: datetime | None = None,
) -> HandedIn:
    """Keep what somebody wrote for a leased task; it is on the disk when this returns.

    `key` is the sender's, random and the same for every attempt: however often it arrives, the text
    is there once. `opened` is when the task was shown, `seconds` the active time.
    Raises ConflictError as `answering.answer` does; DataError for a task that is none of writing,
    and for a text that is blank, is the one that it should make better, or was written for this
    prompt before: another one may be handed in then.
    """
    now = now or datetime.now(UTC)
    with database.write() as connection:
        row = assignment_in(connection, campaign, lease.assignment)
        if row is None or row.rater != lease.rater:
            raise DataError("there is no such assignment", got=lease.assignment)
        known = _known(connection, key)
        if known is None:
            check_lease(row, lease)
            _check_author(connection, row.rater)
            _check_text(connection, row.task, text)
        late = bool(known.get("late")) if known is not None else _is_over(row, now)
        made = {
            "opened": None if opened is None else stamp(opened),
            "seconds": seconds,
            "late": late,
        }
        return _keep(connection, campaign, row, text, made, key=key, ui=ui)


def replace_text(
    database: Database, campaign: Campaign, seq: int, text: str, *, key: str, ui: str
) -> HandedIn:
    """Put another text in the place of the one of event `seq`, of the same author.

    The first one stays in the log, and nobody is asked to review it any more. Idempotent by `key`.
    Raises ConflictError where somebody began to review it, or it was replaced before; DataError
    where `seq` is no text of this campaign, and for texts as `hand_in`.
    """
    with database.write() as connection:
        older = event_at(connection, seq)
        about = parts_of(connection, seq).get(ABOUT) or {}
        row = assignment_in(connection, campaign, about.get("assignment"))
        if older.type != RESPONSE_ADDED or row is None:
            raise DataError("this event is no text of this campaign", got=f"event {seq}")
        if _known(connection, key) is None:
            _check_author(connection, row.rater)
            _check_replaceable(connection, older)
            _check_text(connection, row.task, text, instead=older.subject)
        made = {name: about.get(name) for name in ("opened", "seconds", "late")}
        return _keep(connection, campaign, row, text, made, key=key, ui=ui, supersedes=older)


@dataclass(frozen=True, kw_only=True, slots=True)
class Newest:
    """The newest text of an author in a campaign."""

    seq: int
    """Number of its event."""
    assignment: str
    """Id."""
    text: str


def newest_text(connection: Connection, campaign: Campaign, rater: str) -> Newest | None:
    """What somebody handed in last and did not replace; None where there is nothing, or erased."""
    later = events.alias("later")
    found = (
        sa.select(response_table.c.id, response_table.c.seq)
        .where(
            response_table.c.rater == rater,
            response_table.c.digest.is_not(None),
            ~sa.exists().where(later.c.supersedes == response_table.c.seq),
        )
        .order_by(response_table.c.seq.desc())
    )
    for one in connection.execute(found).all():
        about = parts_of(connection, one.seq).get(ABOUT) or {}
        row = assignment_in(connection, campaign, about.get("assignment"))
        if row is not None:
            text = response_text(connection, one.id)
            return Newest(seq=one.seq, assignment=row.id, text=text)
    return None


def check_replaceable(connection: Connection, seq: int) -> None:
    """Raise ConflictError where somebody has opened a review of the text of event `seq`."""
    _check_replaceable(connection, event_at(connection, seq))


# ---- one text ------------------------------------------------------------------------------------


def _known(connection: Connection, key: str) -> Mapping[str, Any] | None:
    """What was said of the text that was accepted under this key; None where none was."""
    found = connection.execute(sa.select(events.c.seq).where(events.c.key == key))
    seq = found.scalar_one_or_none()
    return None if seq is None else parts_of(connection, seq).get(ABOUT) or {}


def _is_over(row: sa.Row[Any], now: datetime) -> bool:
    return bool(row.state == EXPIRED or row.leased_until <= now)


def _check_author(connection: Connection, rater: str) -> None:
    """Raise DataError for somebody who was erased: what they say would have no author."""
    state = connection.execute(sa.select(raters.c.state).where(raters.c.id == rater)).scalar_one()
    if state == "erased":
        raise DataError("a text needs an author who was not erased", got=rater)


def _check_text(connection: Connection, task: str, text: str, *, instead: str = "") -> None:
    """Raise DataError for what is no new text for a task; `instead` is the one that it replaces."""
    of = connection.execute(statements.TASK, {"of_task": task}).one()
    if of.kind not in WRITING:
        raise DataError("this task asks for no text", got=of.kind, do="judge what it shows")
    if not text.strip():
        raise DataError("a text has at least one word", got=repr(text)[:80])
    given = connection.execute(SHOWN, {"of_task": task}).one()
    if given.said is not None and json.loads(given.said).strip() == text.strip():
        raise DataError(
            "the text is still the one that is to be made better",
            do="change it, or skip the task where nothing can be better",
        )
    later = events.alias("later")
    others = (
        sa.select(payloads.c.body)
        .join(response_table, response_table.c.seq == payloads.c.seq)
        .where(
            payloads.c.name == TEXT,
            payloads.c.body.is_not(None),
            response_table.c.prompt == of.prompt,
            response_table.c.rater.is_not(None),
            response_table.c.id != instead,
            ~sa.exists().where(later.c.supersedes == response_table.c.seq),
        )
    )
    bodies = connection.execute(others).scalars()
    if any(str(json.loads(body)).strip() == text.strip() for body in bodies):
        raise DataError(
            "this very text was written for this prompt before",
            do="write one of your own, or skip the task",
        )


def _check_replaceable(connection: Connection, older: Event) -> None:
    """Raise ConflictError where somebody has opened a review of this text."""
    begun = (
        sa.select(assignments.c.id)
        .join(tasks, tasks.c.id == assignments.c.task)
        .join(task_responses, task_responses.c.task == tasks.c.id)
        .where(
            task_responses.c.response == older.subject,
            tasks.c.kind == TaskKind.REVIEW,
            assignments.c.state != "released",
        )
    )
    if connection.execute(begun.limit(1)).scalar_one_or_none() is not None:
        raise ConflictError(
            "somebody has begun to review this text",
            got=f"event {older.seq}",
            do="leave it as it is: a text that is rejected is asked for again",
        )


def _keep(
    connection: Connection,
    campaign: Campaign,
    row: sa.Row[Any],
    text: str,
    made: Mapping[str, Any],
    *,
    key: str,
    ui: str,
    supersedes: Event | None = None,
) -> HandedIn:
    """The event of a text, once, and what follows from it."""
    task = connection.execute(statements.TASK, {"of_task": row.task}).one()
    shown = connection.execute(statements.RESPONSES, {"of_task": row.task}).all()
    done = keep_response(
        connection,
        task.prompt,
        Response(prompt_id=task.prompt, text=text, stop=StopReason.STOP),
        rater=row.rater,
        edits=shown[0].id if shown else None,
        key=key,
        supersedes=None if supersedes is None else supersedes.seq,
        guideline=campaign.settings.guideline,
        ui=ui,
        made={"task": row.task, "assignment": row.id, **made},
    )
    late = bool(made["late"])
    if done.new:
        if supersedes is not None:
            _withdraw_reviews(connection, supersedes.subject)
        else:
            becomes = LATE if late else SUBMITTED
            connection.execute(statements.CLOSE, {"of_id": row.id, "becomes": becomes})
            settle(connection, campaign, task)
        if campaign.settings.reviews:
            add_review(
                connection,
                campaign,
                prompt=task.prompt,
                text=done.event.subject,
                of=row.task,
                overlap=campaign.settings.reviews,
            )
    return HandedIn(seq=done.event.seq, response=done.event.subject, new=done.new, late=late)


def _withdraw_reviews(connection: Connection, text: str) -> None:
    shows = sa.select(task_responses.c.task).where(task_responses.c.response == text)
    changed = sa.update(tasks).where(tasks.c.id.in_(shows), tasks.c.kind == TaskKind.REVIEW)
    connection.execute(changed.values(state=TaskState.WITHDRAWN.value))
