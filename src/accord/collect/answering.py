"""Taking an answer in, once: idempotent by key, under the lease that the task was opened with.

An answer whose lease had run out is kept and marked late, never lost. What follows from an answer
(a task that is done, a split that a lead must decide, a trial that is passed) is written in the
same transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect import statements
from accord.collect.assigning import Held
from accord.collect.campaign import Campaign
from accord.collect.lessons import Feedback, feedback
from accord.collect.qualifying import qualify
from accord.collect.reviewing import settle_texts
from accord.collect.sheet import LEAST_RATING, MOST_RATING, Opinion, RaterKind
from accord.collect.statements import (
    ANSWERED,
    EXPIRED,
    LATE,
    LEASED,
    RELEASED,
    SKIPPED,
    SUBMITTED,
    TAKEN,
)
from accord.collect.tasks import (
    ASKED_OF_ALL,
    Purpose,
    TaskKind,
    TaskState,
    add_task,
    erased_words,
    responses_of,
)
from accord.core.errors import ConflictError, DataError
from accord.store.database import Database
from accord.store.judgements import Judgement, Verdict, submit
from accord.store.tables import judgements, raters, tasks

ADJUDICATE_FIRST = 1000
"""Priority of tasks that a lead must decide."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What became of an answer."""

    seq: int
    """Number of its event: the rater's receipt, and what a correction names."""
    new: bool
    """False where the same submission had been accepted before."""
    late: bool
    """Whether the lease had run out."""
    feedback: Feedback | None = None
    """Of a lesson: what the right answer is."""


def answer(
    database: Database,
    campaign: Campaign,
    lease: Held,
    opinion: Opinion,
    *,
    key: str,
    ui: str,
    now: datetime | None = None,
) -> Answered:
    """Keep what a rater says of a leased task; it is on the disk when this returns.

    `key` is the sender's, random and the same for every attempt: however often it arrives, the
    judgement is there once. `ui` is the version of the page or program that asked.
    Raises ConflictError where the task was opened again since, given back, answered before under
    another key, or decided by the same lead since, or the key was used for other words; DataError
    for an opinion that does not fit.
    """
    now = now or datetime.now(UTC)
    with database.write() as connection:
        row = assignment_in(connection, campaign, lease.assignment)
        if row is None or row.rater != lease.rater:
            raise DataError("there is no such assignment", got=lease.assignment)
        known = _known(connection, key)
        if known is None:
            check_lease(row, lease)
            _check_undecided(connection, row)
            late = row.state == EXPIRED or row.leased_until <= now
        else:
            late = bool(known.late)
        judgement = _judgement(connection, campaign, row, opinion, ui=ui, late=late)
        done = submit(connection, judgement, key=key)
        task = connection.execute(statements.TASK, {"of_task": row.task}).one()
        if done.new:
            _follow(connection, campaign, row, task, judgement)
        told = feedback(connection, task, judgement) if task.purpose == Purpose.LESSON else None
        return Answered(seq=done.event.seq, new=done.new, late=late, feedback=told)


def correct(
    database: Database, campaign: Campaign, seq: int, opinion: Opinion, *, key: str, ui: str
) -> Answered:
    """Replace judgement `seq` by another of the same rater on the same sheet.

    The first one stays in the log. Idempotent by `key`. A skip whose place was given away since
    becomes a late answer.
    Raises DataError where `seq` is no judgement of a task, ConflictError where it was corrected
    before, is of a lesson (the right answer was told), or is a skip of a task that the same lead
    decided since.
    """
    with database.write() as connection:
        older = connection.execute(
            sa.select(judgements.c.assignment, judgements.c.late).where(judgements.c.seq == seq)
        ).one_or_none()
        row = None if older is None else assignment_in(connection, campaign, older.assignment)
        if older is None or row is None:
            raise DataError(
                "this event is no judgement of a task of this campaign", got=f"event {seq}"
            )
        task = connection.execute(statements.TASK, {"of_task": row.task}).one()
        if task.purpose == Purpose.LESSON:
            raise ConflictError("the first answer to a lesson stands", got=f"event {seq}")
        known = _known(connection, key)
        late = bool(known.late if known is not None else older.late)
        if known is None and row.state == SKIPPED and opinion.verdict is not Verdict.SKIP:
            _check_undecided(connection, row)
            late = late or not _has_place(connection, row.task, row.rater)
        judgement = _judgement(connection, campaign, row, opinion, ui=ui, late=late)
        done = submit(connection, judgement, key=key, corrects=seq)
        if done.new:
            _follow(connection, campaign, row, task, judgement)
        return Answered(seq=done.event.seq, new=done.new, late=late)


def is_split(answers: Sequence[Any]) -> bool:
    """Whether no answer has more than half: for each answer, what its rater put first."""
    return not answers or 2 * max(Counter(answers).values()) <= len(answers)


# ---- one judgement -------------------------------------------------------------------------------


def assignment_in(
    connection: Connection, campaign: Campaign, name: str | None
) -> sa.Row[Any] | None:
    """The assignment of this id; None where there is none in the campaign."""
    of = {"of_id": name, "in_campaign": campaign.id}
    return connection.execute(statements.ASSIGNMENT_HERE, of).one_or_none()


def _known(connection: Connection, key: str) -> sa.Row[Any] | None:
    """What was accepted under this key before."""
    return connection.execute(statements.KNOWN, {"sent": key}).one_or_none()


def check_lease(row: sa.Row[Any], lease: Held) -> None:
    """Raise ConflictError where nothing is taken any more under this lease of assignment `row`."""
    if row.fence != lease.fence:
        raise ConflictError(
            "this task was opened again since",
            got=f"token {lease.fence}, the newest is {row.fence}",
            do="answer on the page that was opened last",
        )
    if row.state == RELEASED:
        raise ConflictError("this task was given back", got=row.task, do="ask for the next one")
    if row.state not in (LEASED, EXPIRED):
        raise ConflictError(
            "this task was answered before", got=row.task, do="correct that answer instead"
        )


def _check_undecided(connection: Connection, row: sa.Row[Any]) -> None:
    """Refuse an answer beside the decision of the same lead: nobody counts twice in one task.

    Who has a task open is not asked to decide it: a lease that holds need not be looked at.
    """
    if row.state == LEASED:
        return
    own = {"of_task": row.task, "of_rater": row.rater}
    if connection.execute(statements.DECIDED, own).first() is not None:
        raise ConflictError(
            "you decided this task as a lead since", got=row.task, do="correct that answer instead"
        )


def _has_place(connection: Connection, task: str, rater: str) -> bool:
    """Whether a task wants another answer of raters of this one's kind."""
    known = connection.execute(statements.TASK, {"of_task": task}).one()
    kind = connection.execute(sa.select(raters.c.kind).where(raters.c.id == rater)).scalar_one()
    counts = _states(connection, known, kind)
    return bool(sum(counts[state] for state in TAKEN) < known.overlap)


def _states(connection: Connection, task: sa.Row[Any], kind: str) -> Counter[str]:
    """How many assignments of a task are in which state; of work, those of one kind of rater."""
    found = connection.execute(statements.STATES, {"of_task": task.id})
    work = task.purpose == Purpose.WORK
    return Counter(row.state for row in found if not work or row.kind == kind)


def _judgement(
    connection: Connection,
    campaign: Campaign,
    row: sa.Row[Any],
    opinion: Opinion,
    *,
    ui: str,
    late: bool,
) -> Judgement:
    """The opinion with its values moved from the screen's order to the canonical one."""
    shown = tuple(row.shown)
    if campaign.settings.asks_texts:
        _check_asked(connection, row.task, opinion)
    _check_ratings(opinion, campaign, len(shown))
    if opinion.tiers is not None and len(opinion.tiers) != len(shown):
        raise DataError("a ranking names every response", got=list(opinion.tiers))

    def canonical(values: Sequence[Any]) -> tuple[Any, ...]:
        placed = dict(zip(shown, values, strict=True))
        return tuple(placed[place] for place in range(len(shown)))

    if any(place is not None and not 0 <= place < len(shown) for place, _ in opinion.flags):
        raise DataError("a flag names a place that was not shown", got=opinion.flags)
    said = connection.execute(statements.RESPONSES, {"of_task": row.task}).all()
    policies = tuple(one.policy for one in said)
    return Judgement(
        rater=row.rater,
        responses=tuple(one.id for one in said),
        verdict=opinion.verdict,
        tiers=None if opinion.tiers is None else canonical(opinion.tiers),
        strength=opinion.strength,
        ratings={name: canonical(given) for name, given in opinion.ratings.items()},
        flags=tuple((None if p is None else shown[p], why) for p, why in opinion.flags),
        reason=opinion.reason,
        rationale=opinion.rationale,
        shown=shown,
        order_seed=row.order_seed,
        task=row.task,
        assignment=row.id,
        guideline=campaign.settings.guideline,
        ui=ui,
        policies=policies if all(policies) else (),
        opened=opinion.opened,
        seconds=opinion.seconds,
        late=late,
    )


def _check_asked(connection: Connection, task: str, opinion: Opinion) -> None:
    """Of a text an opinion is an acceptance or a rejection; what is to be written has none."""
    kind = connection.execute(statements.TASK, {"of_task": task}).one().kind
    if opinion.verdict is Verdict.SKIP:
        return
    if kind != TaskKind.REVIEW:
        raise DataError("this task asks for a text", got=opinion.verdict, do="hand in a text")
    if opinion.strength is not None:
        raise DataError("a review has no strength: nothing is compared", got=opinion.strength)


def _check_ratings(opinion: Opinion, campaign: Campaign, k: int) -> None:
    strange = sorted(opinion.ratings.keys() - set(campaign.criteria))
    if strange:
        raise DataError(
            "the guidelines name no such criterion",
            got=strange[0],
            do=f"rate {', '.join(campaign.criteria) or 'none'}",
        )
    for name, given in opinion.ratings.items():
        if len(given) != k:
            raise DataError("a criterion needs one rating a response", got=list(given), where=name)
        for value in given:
            if value is not None and not LEAST_RATING <= value <= MOST_RATING:
                raise DataError(
                    f"a rating lies from {LEAST_RATING} to {MOST_RATING}", got=value, where=name
                )


# ---- what follows --------------------------------------------------------------------------------


def _follow(
    connection: Connection,
    campaign: Campaign,
    row: sa.Row[Any],
    task: sa.Row[Any],
    judgement: Judgement,
) -> None:
    if judgement.verdict is Verdict.SKIP:
        state = SKIPPED
    else:
        state = LATE if judgement.late else SUBMITTED
    connection.execute(statements.CLOSE, {"of_id": row.id, "becomes": state})
    if row.state in (EXPIRED, SKIPPED) and state != SKIPPED:
        # A lead who only saw it may have been asked to decide it meanwhile.
        own = {"of_task": row.task, "of_rater": row.rater}
        connection.execute(statements.LEAVE_TO_OTHERS, own)
    settle(connection, campaign, task)
    if task.kind == TaskKind.REVIEW:
        settle_texts(connection, campaign, task.repeats)
    if task.purpose == Purpose.QUALIFICATION:
        qualify(connection, campaign, row.rater)


def settle(connection: Connection, campaign: Campaign, task: sa.Row[Any]) -> None:
    """Say of a task whether people are still asked, and ask a lead where they are split.

    Inside `Database.write`.
    """
    counts = _states(connection, task, RaterKind.HUMAN)
    if sum(counts[state] for state in ANSWERED) >= task.overlap:
        state = TaskState.DONE
    elif counts[SKIPPED] >= campaign.settings.most_skips and task.purpose not in ASKED_OF_ALL:
        state = TaskState.WITHDRAWN
    else:
        state = TaskState.OPEN
    if state != task.state:
        connection.execute(statements.SETTLE, {"of_task": task.id, "becomes": state.value})
    compared = task.kind == TaskKind.COMPARE and task.purpose == Purpose.WORK
    wanted = campaign.settings.adjudicate and compared and task.overlap > 1
    if wanted and state is TaskState.DONE and is_split(_firsts(connection, task.id)):
        # The answer is kept, whatever became of the words; a lead could not read them either.
        gone = sa.select(erased_words()).where(tasks.c.id == task.id)
        if not connection.execute(gone).scalar_one():
            _ask_a_lead(connection, campaign, task)


def _firsts(connection: Connection, task: str) -> list[tuple[int, ...]]:
    """The places that each person put first; none of them where all were bad."""
    found = (
        sa.select(judgements.c.verdict, judgements.c.tiers)
        .join(raters, raters.c.id == judgements.c.rater)
        .where(
            judgements.c.task == task,
            judgements.c.superseded_by.is_(None),
            judgements.c.verdict.in_((Verdict.RANKING, Verdict.TIE, Verdict.ALL_BAD)),
            raters.c.kind == RaterKind.HUMAN,
        )
    )
    return [
        ()
        if row.verdict == Verdict.ALL_BAD
        else tuple(place for place, tier in enumerate(row.tiers) if tier == 0)
        for row in connection.execute(found)
    ]


def _ask_a_lead(connection: Connection, campaign: Campaign, task: sa.Row[Any]) -> None:
    asked = sa.select(tasks.c.id).where(
        tasks.c.repeats == task.id, tasks.c.purpose == Purpose.ADJUDICATION
    )
    if connection.execute(asked.limit(1)).scalar_one_or_none() is None:
        add_task(
            connection,
            campaign,
            prompt=task.prompt,
            responses=responses_of(connection, task.id),
            purpose=Purpose.ADJUDICATION,
            selected_by=task.selected_by,
            inclusion=task.inclusion,
            priority=ADJUDICATE_FIRST,
            overlap=1,
            repeats=task.id,
        )
