"""What reviews come to: texts accepted or rejected, and prompts that are asked again.

All of it follows from what is there now, so that a review that is corrected, taken back or no
longer believed (its rater was put into quarantine) changes what follows, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign
from accord.collect.people import in_quarantine
from accord.collect.sheet import RaterKind
from accord.collect.statements import ANSWERED
from accord.collect.tasks import TaskKind, TaskState, erased_words, responses_of
from accord.collect.text_tasks import WRITING, add_review, add_writing
from accord.store.judgements import COUNTS, Verdict
from accord.store.tables import (
    assignments,
    events,
    judgements,
    raters,
    responses,
    task_responses,
    tasks,
)


class Decision(StrEnum):
    """What the reviews of a text come to."""

    WAITING = "waiting for review"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


def decided(accepts: int, rejects: int, wanted: int) -> Decision:
    """Accepted by more than half of its reviews, of which there are `wanted` at least."""
    if accepts + rejects < wanted:
        return Decision.WAITING
    accepted = 2 * accepts > accepts + rejects or not wanted
    return Decision.ACCEPTED if accepted else Decision.REJECTED


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A text that somebody wrote and nobody replaced, with its reviews."""

    id: str
    """Of the response."""
    author: str
    trusted: bool
    """Whether its author is not in quarantine."""
    root: str
    """The first task that asked for it."""
    task: str
    """The task that it was written for."""
    prompt: str
    erased: bool
    accepts: int
    rejects: int
    missing: int
    """Reviews that it still wants."""
    asked: bool
    """Whether somebody is still asked to review it, or enough have skipped it."""
    decision: Decision


_WRITTEN_FOR = tasks.alias("written_for")
_first: sa.ColumnElement[Any] = sa.func.coalesce(_WRITTEN_FOR.c.repeats, _WRITTEN_FOR.c.id)


def texts(connection: Connection, campaign: Campaign, *, root: str | None = None) -> Iterator[Text]:
    """Every text of a campaign with reviews, or of one first task; oldest first."""
    wanted = campaign.settings.reviews
    replaced = sa.exists().where(events.c.supersedes == responses.c.seq)
    found = (
        sa.select(
            responses.c.id,
            responses.c.rater,
            responses.c.digest,
            responses.c.prompt,
            _WRITTEN_FOR.c.id.label("task"),
            _first.label("root"),
            tasks.c.state,
        )
        .join(task_responses, task_responses.c.response == responses.c.id)
        .join(tasks, tasks.c.id == task_responses.c.task)
        .join(_WRITTEN_FOR, _WRITTEN_FOR.c.id == tasks.c.repeats)
        .where(tasks.c.campaign == campaign.id, tasks.c.kind == TaskKind.REVIEW, ~replaced)
        .order_by(responses.c.seq)
    )
    if root is not None:
        found = found.where(_first == root)
    outside = in_quarantine(connection)
    every = connection.execute(found).all()
    wrote = {(row.root, row.rater) for row in every}
    of_root = {row.id: row.root for row in every}
    said = Counter(
        (text, accepted)
        for (text, rater), accepted in _reviews(connection, campaign, root, outside).items()
        # Who reviewed and then wrote for the same prompt, late, is a rival.
        if (of_root.get(text), rater) not in wrote
    )
    for _, group in groupby(every, key=lambda row: row.id):
        rows = list(group)
        first = rows[0]
        accepts, rejects = said[first.id, True], said[first.id, False]
        yield Text(
            id=first.id,
            author=first.rater,
            trusted=first.rater not in outside,
            root=first.root,
            task=first.task,
            prompt=first.prompt,
            erased=first.digest is None,
            accepts=accepts,
            rejects=rejects,
            missing=max(0, wanted - accepts - rejects),
            asked=any(row.state != TaskState.DONE for row in rows),
            decision=decided(accepts, rejects, wanted),
        )


def _reviews(
    connection: Connection, campaign: Campaign, root: str | None, outside: Collection[str]
) -> dict[tuple[str, str], bool]:
    """(text, reviewer) to whether it was accepted, of people who are not `outside`: the last review
    of each, who may have had two tasks of one text, one of them late."""
    found = (
        sa.select(task_responses.c.response, judgements.c.rater, judgements.c.verdict)
        .join(tasks, tasks.c.id == judgements.c.task)
        .join(task_responses, task_responses.c.task == tasks.c.id)
        .join(raters, raters.c.id == judgements.c.rater)
        .where(
            tasks.c.campaign == campaign.id,
            tasks.c.kind == TaskKind.REVIEW,
            judgements.c.verdict.in_((Verdict.RANKING, Verdict.ALL_BAD)),
            raters.c.kind == RaterKind.HUMAN,
            *COUNTS,
        )
        .order_by(judgements.c.seq)
    )
    if root is not None:
        found = found.join(_WRITTEN_FOR, _WRITTEN_FOR.c.id == tasks.c.repeats).where(_first == root)
    return {
        (row.response, row.rater): row.verdict == Verdict.RANKING
        for row in connection.execute(found)
        if row.rater not in outside
    }


# ---- what follows --------------------------------------------------------------------------------


def settle_texts(connection: Connection, campaign: Campaign, task: str) -> None:
    """Ask what follows from the texts and reviews of a writing task, inside `Database.write`.

    For each text that was rejected, or whose author is in quarantine, the prompt is asked again, at
    most `most_skips` times. Where reviews no longer count, others are asked for.
    """
    of = connection.execute(sa.select(tasks).where(tasks.c.id == task)).one()
    root = of.repeats or of.id
    found = list(texts(connection, campaign, root=root))
    for text in found:
        if text.missing and text.trusted and not text.erased and not text.asked:
            add_review(
                connection,
                campaign,
                prompt=text.prompt,
                text=text.id,
                of=text.task,
                overlap=text.missing,
            )
    lost = sum(one.decision is Decision.REJECTED or not one.trusted for one in found)
    _ask_again(connection, campaign, root, min(lost, campaign.settings.most_skips))


def settle_all(connection: Connection, campaign: Campaign) -> None:
    """`settle_texts` of every task whose texts or reviews a quarantine may have changed."""
    changed = {
        one.root: one.task
        for one in texts(connection, campaign)
        if not one.trusted or (one.missing and not one.asked and not one.erased)
    }
    for _, task in sorted(changed.items()):
        settle_texts(connection, campaign, task)
    if not campaign.settings.reviews:
        for root, lost in sorted(lost_unreviewed(connection, campaign).items()):
            _ask_again(connection, campaign, root, min(lost, campaign.settings.most_skips))


def lost_unreviewed(connection: Connection, campaign: Campaign) -> Counter[str]:
    """First task to its texts of people in quarantine, where no text is reviewed."""
    found = (
        sa.select(assignments.c.rater, _first.label("root"))
        .join(_WRITTEN_FOR, _WRITTEN_FOR.c.id == assignments.c.task)
        .where(
            _WRITTEN_FOR.c.campaign == campaign.id,
            _WRITTEN_FOR.c.kind.in_(WRITING),
            assignments.c.state.in_(ANSWERED),
        )
    )
    outside = in_quarantine(connection)
    return Counter(row.root for row in connection.execute(found) if row.rater in outside)


def _ask_again(connection: Connection, campaign: Campaign, root: str, wanted: int) -> None:
    """See to it that a first task is asked again so many times."""
    begun = sa.exists().where(assignments.c.task == tasks.c.id, assignments.c.state != "released")
    again = connection.execute(
        sa.select(tasks.c.id, tasks.c.state, begun.label("begun"))
        .where(tasks.c.repeats == root, tasks.c.kind.in_(WRITING))
        .order_by(tasks.c.seq)
    ).all()
    there = [row for row in again if row.begun or row.state != TaskState.WITHDRAWN]
    idle = [row.id for row in there if not row.begun]
    for name in idle[: max(0, len(there) - wanted)]:
        # Whoever rejected thought better of it before anybody began.
        gone = sa.update(tasks).where(tasks.c.id == name)
        connection.execute(gone.values(state=TaskState.WITHDRAWN.value))
    if len(there) < wanted:
        first: sa.Row[Any] | None = connection.execute(
            sa.select(tasks).where(tasks.c.id == root, ~erased_words())
        ).one_or_none()
        for _ in range(wanted - len(there) if first is not None else 0):
            assert first is not None
            add_writing(
                connection,
                campaign,
                prompt=first.prompt,
                edits=next(iter(responses_of(connection, root)), None),
                selected_by=first.selected_by,
                inclusion=first.inclusion,
                overlap=1,
                repeats=root,
            )
