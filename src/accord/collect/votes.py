"""The judgements of a campaign that count, as plain rows, and as tables for the statistics.

Everything that has one value a response is in canonical order; the order on the screen is `shown`
alone. A skip and "all bad" are rows like others and votes on no pair: they are counted apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign
from accord.collect.gold import is_right
from accord.collect.sheet import LEAST_RATING, MOST_RATING, RaterKind
from accord.collect.tasks import RANDOM, Purpose
from accord.stats.ratings import Floats, Ratings
from accord.store.judgements import COUNTS, Verdict
from accord.store.registry import TEXT
from accord.store.tables import (
    assignments,
    events,
    judgements,
    payloads,
    raters,
    task_responses,
    tasks,
)
from accord.store.tables import responses as response_table
from accord.store.tables.columns import moment

WORK = (Purpose.WORK,)
"""What agreement is measured on: answers that nobody knew before."""
QUARANTINED = "quarantined"
"""State of a rater whose judgements are kept and used for nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vote:
    """One judgement."""

    seq: int
    """Number of its event."""
    task: str
    prompt: str
    rater: str
    kind: RaterKind
    purpose: Purpose
    verdict: Verdict
    tiers: tuple[int, ...] | None
    """Rank by canonical place, 0 the best; None for a skip, and for "all bad" without an order."""
    responses: tuple[str, ...]
    """Ids by canonical place."""
    shown: tuple[int, ...]
    """Canonical places in the order on the screen."""
    time: datetime
    """When it was accepted."""
    strength: int | None = None
    ratings: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """Criterion to a rating of each response."""
    gold: tuple[int, ...] | None = None
    """The known answer of the task, as tiers."""
    repeats: str | None = None
    """The task of the same rater that was asked again."""
    round: str | None = None
    """Of calibration."""
    selected_by: str = RANDOM
    inclusion: float = 1.0
    seconds: float | None = None
    """Active time."""
    late: bool = False
    lengths: tuple[int, ...] | None = None
    """Characters of each response, where they were asked for and are not erased."""

    @property
    def best(self) -> int | None:
        """Places that share the first tier, as bits of a number; None where nothing is ordered."""
        if self.verdict not in (Verdict.RANKING, Verdict.TIE) or self.tiers is None:
            return None
        return top(self.tiers)

    @property
    def answer(self) -> int | None:
        """`best`, 0 for "all bad", None for a skip."""
        return 0 if self.verdict is Verdict.ALL_BAD else self.best

    @property
    def right(self) -> bool | None:
        """Whether it has the known answer; None without one, and for a skip."""
        if self.gold is None or self.verdict is Verdict.SKIP:
            return None
        return is_right(self.tiers, self.gold)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Table:
    """Ratings with the prompt of each item, which intervals draw by."""

    ratings: Ratings
    prompts: tuple[str, ...]
    """One an item, in the order of `ratings.items`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Votes:
    """The judgements of one campaign that count, oldest first."""

    rows: tuple[Vote, ...]
    criteria: tuple[str, ...] = ()
    states: Mapping[str, str] = field(default_factory=dict)
    """State of each rater: new, active, quarantined ..."""

    @property
    def raters(self) -> tuple[str, ...]:
        """Everybody who judged, by name."""
        return tuple(sorted({row.rater for row in self.rows}))

    def only(self, keep: Callable[[Vote], bool]) -> Votes:
        """The same campaign with some rows."""
        return replace(self, rows=tuple(row for row in self.rows if keep(row)))

    def of(self, *purposes: Purpose) -> Votes:
        """Rows of tasks that were asked for one of these purposes."""
        return self.only(lambda row: row.purpose in purposes)

    def without(self, *left_out: str) -> Votes:
        """Rows of everybody else."""
        return self.only(lambda row: row.rater not in left_out)

    def trusted(self) -> Votes:
        """Rows of raters who are not quarantined."""
        return self.without(*(name for name, state in self.states.items() if state == QUARANTINED))

    def repeated(self) -> tuple[tuple[Vote, Vote], ...]:
        """(first, second) answer of a rater to the same task; a skip is no answer."""
        known = {(row.rater, row.task): row for row in self.rows}
        found = (
            (known.get((row.rater, row.repeats)), row)
            for row in self.rows
            if row.purpose is Purpose.REPEAT and row.repeats is not None
        )
        return tuple(
            (before, after)
            for before, after in found
            if before is not None and before.answer is not None and after.answer is not None
        )

    # ---- tables for the statistics ---------------------------------------------------------------

    def choices(self) -> Table:
        """What each rater called best, one item a task.

        With two responses 1 says the canonical first is better, 0 the second, .5 a tie; with more
        it is the number whose bits are the places that share the first tier.
        """
        pairs = all(len(row.responses) == 2 for row in self.rows)
        as_vote = {0b01: 1.0, 0b10: 0.0, 0b11: 0.5}
        cells = [
            (row.task, row, as_vote[row.best] if pairs else float(row.best))
            for row in self.rows
            if row.best is not None
        ]
        if not pairs:
            return _table(cells, scale=range(1, 1 << max(len(row.responses) for row in self.rows)))
        return _table(cells, scale=(0, 0.5, 1))

    def pairs(self, *, ties: bool = True) -> Table:
        """Votes on every pair of places of every task, as (task, lower place, higher place).

        1 says the lower place is better, 0 the higher, .5 a tie, which `ties` can leave out.
        """
        cells = [
            ((row.task, one, other), row, _vote(row.tiers[one], row.tiers[other]))
            for row in self.rows
            if row.best is not None and row.tiers is not None
            for one, other in combinations(range(len(row.tiers)), 2)
        ]
        if not ties:
            cells = [cell for cell in cells if cell[2] != 0.5]
        return _table(cells, scale=(0, 0.5, 1) if ties else (0, 1))

    def rated(self, criterion: str) -> Table:
        """Ratings of every response of every task on one criterion, as (task, place)."""
        cells = [
            ((row.task, place), row, float(value))
            for row in self.rows
            for place, value in enumerate(row.ratings.get(criterion, ()))
            if value is not None
        ]
        whole = {float(step) for step in range(LEAST_RATING, MOST_RATING + 1)}
        return _table(cells, scale=sorted(whole | {cell[2] for cell in cells}))

    def accepted(self) -> Table:
        """What each reviewer said of each text, one item a text: 1 accepts, 0 rejects."""
        cells = [
            (row.responses[0], row, float(row.verdict is Verdict.RANKING))
            for row in self.rows
            if row.verdict in (Verdict.RANKING, Verdict.ALL_BAD) and len(row.responses) == 1
        ]
        return _table(cells, scale=(0, 1))

    def rankings(self) -> tuple[tuple[Floats, ...], tuple[str, ...]]:
        """([raters, K] tiers of each task that was ranked, its prompt)."""
        tiers: dict[str, list[tuple[int, ...]]] = {}
        prompts: dict[str, str] = {}
        for row in self.rows:
            if row.best is not None and row.tiers is not None:
                tiers.setdefault(row.task, []).append(row.tiers)
                prompts[row.task] = row.prompt
        return tuple(np.array(t, dtype=np.float64) for t in tiers.values()), tuple(prompts.values())


def load(
    connection: Connection, campaign: Campaign, *, lengths: bool = False, lessons: bool = False
) -> Votes:
    """The judgements of a campaign that are neither superseded nor withdrawn nor erased.

    Those of lessons are left out, for whoever learns is not measured, unless `lessons` asks for
    them. `lengths` reads every response's text to count its characters.
    """
    chosen = (
        sa.select(
            judgements,
            tasks.c.prompt,
            tasks.c.purpose,
            tasks.c.selected_by,
            tasks.c.inclusion,
            tasks.c.gold,
            tasks.c.repeats,
            tasks.c.round,
            raters.c.kind,
            raters.c.state,
            assignments.c.shown.label("leased_order"),
        )
        .join(tasks, tasks.c.id == judgements.c.task)
        .join(raters, raters.c.id == judgements.c.rater)
        .outerjoin(assignments, assignments.c.id == judgements.c.assignment)
        .where(tasks.c.campaign == campaign.id, *COUNTS)
        .order_by(judgements.c.seq)
    )
    if not lessons:
        chosen = chosen.where(tasks.c.purpose != Purpose.LESSON)
    rows = connection.execute(chosen).all()
    places = _places(connection, campaign)
    sizes = _lengths(connection, campaign) if lengths else None
    return Votes(
        rows=tuple(_vote_of(row, places[row.task], sizes) for row in rows),
        criteria=campaign.criteria,
        states={row.rater: row.state for row in rows} | _decided(connection, campaign),
    )


def _decided(connection: Connection, campaign: Campaign) -> dict[str, str]:
    """What was decided last about raters who were erased since: it stands, their row forgot it.

    A decision that cannot be read could have been a quarantine.
    """
    here = sa.select(judgements.c.rater).join(tasks, tasks.c.id == judgements.c.task)
    chosen = (
        sa.select(events.c.subject, payloads.c.body)
        .outerjoin(payloads, (payloads.c.seq == events.c.seq) & (payloads.c.name == "state"))
        .join(raters, raters.c.id == events.c.subject)
        .where(
            events.c.type == "rater.state_set",
            raters.c.state == "erased",
            raters.c.id.in_(here.where(tasks.c.campaign == campaign.id)),
        )
        .order_by(events.c.seq)
    )
    return {
        row.subject: QUARANTINED if row.body is None else str(json.loads(row.body))
        for row in connection.execute(chosen)
    }


def top(tiers: Iterable[int]) -> int:
    """Places in the first tier as bits of a number, the lowest bit for place 0."""
    return sum(1 << place for place, tier in enumerate(tiers) if tier == 0)


def _vote(one: int, other: int) -> float:
    return 0.5 if one == other else float(one < other)


def _table(cells: list[tuple[Any, Vote, float]], scale: Iterable[float]) -> Table:
    # Sorted, so that the order in which people judged changes no figure.
    cells = sorted(cells, key=lambda cell: (str(cell[0]), cell[1].rater))
    prompts = {item: row.prompt for item, row, _ in cells}
    ratings = Ratings.of_rows(((item, row.rater, value) for item, row, value in cells), scale=scale)
    return Table(ratings=ratings, prompts=tuple(prompts[item] for item in ratings.items))


def _vote_of(
    row: sa.Row[Any], places: tuple[str, ...], sizes: Mapping[str, int | None] | None
) -> Vote:
    counted = None if sizes is None else [sizes.get(response) for response in places]
    whole = partial(_tuple)
    return Vote(
        seq=row.seq,
        task=row.task,
        prompt=row.prompt,
        rater=row.rater,
        kind=RaterKind(row.kind),
        purpose=Purpose(row.purpose),
        verdict=Verdict(row.verdict),
        tiers=whole(row.tiers),
        responses=places,
        shown=whole(row.shown) or whole(row.leased_order) or (),
        time=moment(row.time),
        strength=row.strength,
        ratings={name: tuple(values) for name, values in (row.ratings or {}).items()},
        gold=whole(row.gold),
        repeats=row.repeats,
        round=row.round,
        selected_by=row.selected_by,
        inclusion=row.inclusion,
        seconds=row.seconds,
        late=bool(row.late),
        lengths=tuple(counted) if counted and None not in counted else None,  # type: ignore[arg-type]
    )


def _tuple(values: list[int] | None) -> tuple[int, ...] | None:
    return None if values is None else tuple(values)


def _places(connection: Connection, campaign: Campaign) -> dict[str, tuple[str, ...]]:
    chosen = (
        sa.select(task_responses)
        .join(tasks, tasks.c.id == task_responses.c.task)
        .where(tasks.c.campaign == campaign.id)
        .order_by(task_responses.c.task, task_responses.c.place)
    )
    found: dict[str, tuple[str, ...]] = {}
    for row in connection.execute(chosen):
        found[row.task] = (*found.get(row.task, ()), row.response)
    return found


def _lengths(connection: Connection, campaign: Campaign) -> dict[str, int | None]:
    chosen = (
        sa.select(response_table.c.id, payloads.c.body)
        .join(payloads, payloads.c.seq == response_table.c.seq)
        .join(task_responses, task_responses.c.response == response_table.c.id)
        .join(tasks, tasks.c.id == task_responses.c.task)
        .where(tasks.c.campaign == campaign.id, payloads.c.name == TEXT)
        .distinct()
    )
    return {
        row.id: None if row.body is None else len(json.loads(row.body))
        for row in connection.execute(chosen)
    }
