"""What everybody is asked: lessons, trials and rounds of calibration, and how each rater did.

In a round of calibration everybody judges the same tasks. Where they differ most is what there is
to talk about; whether the next round, or the next guidelines, made them agree more is a difference
with an interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.ballot import order_told
from accord.collect.campaign import Campaign
from accord.collect.quality import OF_VERDICTS, ORDER, Figure, figure
from accord.collect.sheet import RaterKind
from accord.collect.tasks import Purpose, TaskState, erased_words
from accord.collect.votes import Vote, Votes
from accord.core.errors import DataError
from accord.stats.intervals import Interval, unpaired_difference
from accord.store.registry import conversation_of, response_text
from accord.store.tables import tasks

ERASED = "(erased)"
"""Stands for words that were erased."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pupil:
    """How one rater did on tasks whose answer is known."""

    rater: str
    answered: int
    """Skips left out."""
    right: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Taught:
    """Lessons, or a trial."""

    purpose: Purpose
    tasks: int
    """That are asked now."""
    pupils: tuple[Pupil, ...]
    """Who answered any, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Differing:
    """A task of a round, and how far people differ on it."""

    task: str
    agreement: float
    """Share of pairs of people who put the same first."""
    answers: Mapping[str, int]
    """What was said, letters in canonical order, to how many said it; the most frequent first."""
    prompt: str
    """The prompt's last message."""
    responses: tuple[str, ...]
    """Texts in canonical order: A, B ..."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """A round of calibration."""

    campaign: str
    guideline: str
    """Version that people followed."""
    name: str
    tasks: int
    """That are asked now."""
    finished: tuple[str, ...]
    """People (pseudonyms) who gave an answer, or skipped, each of them."""
    begun: tuple[str, ...]
    """People who did some and not all."""
    figures: tuple[Figure, ...]
    """Agreement of the order; people in quarantine left out."""
    differing: tuple[Differing, ...]
    """Tasks on which people differ, the most differing first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Agreement in a later round minus that in the one before."""

    before: str
    after: str
    coefficient: str
    difference: Interval


def taught(connection: Connection, campaign: Campaign, votes: Votes) -> tuple[Taught, ...]:
    """Lessons and trial of a campaign, where it has them; `votes` as `load` with its lessons."""
    found = []
    for purpose in (Purpose.LESSON, Purpose.QUALIFICATION):
        asked = _asked(connection, campaign, purpose).get(None, set())
        rows = [row for row in votes.of(purpose).rows if row.right is not None]
        if not asked and not rows:
            continue
        answered, right = Counter(row.rater for row in rows), Counter[str]()
        right.update(row.rater for row in rows if row.right)
        pupils = (Pupil(rater=r, answered=n, right=right[r]) for r, n in sorted(answered.items()))
        found.append(Taught(purpose=purpose, tasks=len(asked), pupils=tuple(pupils)))
    return tuple(found)


def rounds(
    connection: Connection,
    campaign: Campaign,
    votes: Votes,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[Round, ...]:
    """The rounds of calibration of a campaign, in the order in which they were made.

    Of people alone. Intervals draw whole prompts (`quality.figure`), reproducibly by `seed`.
    """
    people = votes.of(Purpose.CALIBRATION).only(lambda row: row.kind is RaterKind.HUMAN)
    found = []
    for name, asked in _asked(connection, campaign, Purpose.CALIBRATION).items():
        here = _of_round(people, name)
        if not asked and not here.rows:
            continue
        done = {r: {v.task for v in here.rows if v.rater == r} >= asked for r in here.raters}
        used = here.trusted()
        found.append(
            Round(
                campaign=campaign.settings.name,
                guideline=campaign.settings.guideline,
                name=name or "",
                tasks=len(asked),
                finished=tuple(rater for rater, whole in done.items() if whole),
                begun=tuple(rater for rater, whole in done.items() if not whole),
                figures=tuple(
                    figure(ORDER, c, used.pairs(), level=level, resamples=resamples, seed=seed)
                    for c in OF_VERDICTS
                ),
                differing=_differing(connection, used.rows),
            )
        )
    return tuple(found)


def changes(found: Sequence[Round]) -> tuple[Change, ...]:
    """How agreement changed from each round to the next.

    The rounds are taken to have different prompts. Where they share some, the interval is too wide
    rather than too narrow: what makes a prompt hard does so in both.
    """
    return tuple(
        Change(
            before=_called(one),
            after=_called(other),
            coefficient=first.coefficient,
            difference=unpaired_difference(second.interval, first.interval),
        )
        for one, other in pairwise(found)
        for first, second in zip(one.figures, other.figures, strict=True)
        if first.interval is not None and second.interval is not None
    )


def _of_round(votes: Votes, name: str | None) -> Votes:
    return votes.only(lambda row: row.round == name)


def _called(one: Round) -> str:
    return f"{one.campaign}: {one.name}"


def _asked(
    connection: Connection, campaign: Campaign, purpose: Purpose
) -> dict[str | None, set[str]]:
    """Round to its tasks that are not withdrawn and whose words are there, in the order in which
    they were made."""
    still = (tasks.c.state != TaskState.WITHDRAWN) & ~erased_words()
    chosen = sa.select(tasks.c.round, tasks.c.id, still.label("still")).where(
        tasks.c.campaign == campaign.id, tasks.c.purpose == purpose
    )
    found: dict[str | None, set[str]] = {}
    for row in connection.execute(chosen.order_by(tasks.c.seq)):
        found.setdefault(row.round, set()).update([row.id] if row.still else [])
    return found


def _differing(connection: Connection, rows: Sequence[Vote]) -> tuple[Differing, ...]:
    by_task: dict[str, list[Vote]] = {}
    for row in rows:
        if row.answer is not None:
            by_task.setdefault(row.task, []).append(row)
    agreeing = {task: _agreeing(said) for task, said in by_task.items() if len(said) > 1}
    return tuple(
        Differing(
            task=task,
            agreement=share,
            answers=dict(Counter(map(_told, by_task[task])).most_common()),
            prompt=_prompt(connection, by_task[task][0].prompt),
            responses=tuple(_text(connection, one) for one in by_task[task][0].responses),
        )
        for task, share in sorted(agreeing.items(), key=lambda item: (item[1], item[0]))
        if share < 1
    )


def _agreeing(said: Sequence[Vote]) -> float:
    counts, n = Counter(row.answer for row in said), len(said)
    return sum(k * (k - 1) for k in counts.values()) / (n * (n - 1))


def _told(row: Vote) -> str:
    """An order in canonical letters, as `B > A = C`; "all bad" beside it or alone."""
    order = order_told(row.tiers or ())
    bad = "all bad" if row.answer == 0 else ""
    return ", ".join(part for part in (order, bad) if part)


def _prompt(connection: Connection, prompt: str) -> str:
    try:
        return conversation_of(connection, prompt).messages[-1].content
    except DataError:
        return ERASED


def _text(connection: Connection, response: str) -> str:
    try:
        return response_text(connection, response)
    except DataError:
        return ERASED
