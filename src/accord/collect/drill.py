"""A poison drill: false labels go into a copy of a campaign's judgements, and what stops them?

Whichever response has a certain word is made the winner, on a stated share of the judgements that
train, by as few raters as can do it or by everybody a little. Then the rules look at the copy as
they look at any campaign. Measured is how much of the false weight is left in what would be frozen,
and how a cheap preference model (words alone, `accord.stats.baselines`) changes on pairs that were
held out. The copy is a value in memory: nothing here writes to a database.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import combinations

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.alliances import pairs_alike
from accord.collect.campaign import Campaign
from accord.collect.habits import rater_report
from accord.collect.influence import TRAINS, influence
from accord.collect.trust import decide
from accord.collect.votes import Vote, Votes
from accord.core.errors import ConfigError, DataError
from accord.stats.baselines import WORD, fit_tfidf
from accord.store.judgements import Verdict
from accord.store.registry import TEXT
from accord.store.tables import payloads, task_responses, tasks
from accord.store.tables import responses as response_table

Cell = tuple[str, str]
"""A task and a rater."""


class Spread(StrEnum):
    """Who turns labels."""

    FEW = "few"
    """Hostile raters, as few as can do it: whenever the word is there, its response wins."""
    MANY = "many"
    """Everybody a little: labels are drawn from all that can be turned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Poisoned:
    """A copy with false labels."""

    votes: Votes
    turned: frozenset[Cell]
    """Judgements that train and say something else than they did."""
    raters: tuple[str, ...]
    """Who turned one."""
    share: float
    """Of the judgements that train; below what was asked for where the word stands too seldom."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two responses that were held out."""

    first: str
    second: str
    label: float
    """1 the first is better, 0 the second; ties are none."""
    word: float | None
    """1 the first alone has the word, 0 the second; None otherwise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """What a model of words learned."""

    clean: float
    """Accuracy on held-out pairs that the word does not tell apart."""
    triggered: float
    """Accuracy on those that it does."""
    word_wins: float
    """Share of those where the response with the word scores higher."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Drilled:
    """What came of one drill."""

    spread: Spread
    asked: float
    share: float
    """Of labels turned."""
    poisoners: int
    quarantined: int
    """Of the poisoners."""
    looked_at: int
    """Of the poisoners: quarantined, or something stands out."""
    honest: int
    """Raters who turned nothing."""
    honest_quarantined: int
    honest_looked_at: int
    before: float
    """Share of the set's weight that false labels have where everybody weighs the same."""
    after: float
    """The same by the rules and the cap."""
    held_out: int
    """Pairs that the models are asked about."""
    held_out_with_word: int
    """Of those, in one response alone."""
    untouched: Model
    """Of the labels as they were, everybody weighing the same."""
    poisoned: Model
    """Of the copy, everybody weighing the same."""
    defended: Model
    """Of the copy, by the rules and the cap."""


def texts_of(connection: Connection, campaign: Campaign) -> dict[str, str]:
    """The words of every response of a campaign that are not erased, by id."""
    chosen = (
        sa.select(response_table.c.id, payloads.c.body)
        .join(payloads, payloads.c.seq == response_table.c.seq)
        .join(task_responses, task_responses.c.response == response_table.c.id)
        .join(tasks, tasks.c.id == task_responses.c.task)
        .where(
            tasks.c.campaign == campaign.id,
            payloads.c.name == TEXT,
            payloads.c.body.is_not(None),
        )
        .distinct()
    )
    return {row.id: str(json.loads(row.body)) for row in connection.execute(chosen)}


def targets(votes: Votes, texts: Mapping[str, str], word: str) -> dict[str, int]:
    """Tasks on which one response alone has the word, and its canonical place.

    Raises ConfigError for what is no single word of two letters or more.
    """
    if not WORD.fullmatch(word.lower()):
        raise ConfigError(
            "a drill needs one word of two letters or more", got=word, do="give a common word"
        )
    found = {}
    for row in votes.rows:
        have = [word.lower() in _words(texts.get(one, "")) for one in row.responses]
        if sum(have) == 1:
            found[row.task] = have.index(True)
    return found


def poison(
    votes: Votes, places: Mapping[str, int], *, share: float, spread: Spread, seed: int
) -> Poisoned:
    """A copy in which the response at `places` wins on `share` of the judgements that train.

    Who turns a label turns their own repeat of the task as well, and a hostile rater known answers
    too: nobody can tell them from others. Raises ConfigError for a share outside [0, 1], DataError
    where nothing trains.
    """
    if not 0 <= share <= 1:
        raise ConfigError("the share of false labels lies in [0, 1]", got=share)
    trains = [row for row in votes.of(*TRAINS).rows if row.best is not None]
    if not trains:
        raise DataError("nobody judged anything that trains", do="collect judgements first")
    able = [row for row in trains if row.task in places and row.best != 1 << places[row.task]]
    rng = np.random.default_rng(seed)
    if spread is Spread.FEW:
        names = sorted({row.rater for row in able})
        rank = dict(zip(names, rng.permutation(len(names)).tolist(), strict=True))
        able.sort(key=lambda row: rank[row.rater])
    else:
        able = [able[place] for place in rng.permutation(len(able))]
    chosen = frozenset((row.task, row.rater) for row in able[: round(share * len(trains))])
    who = {rater for _, rater in chosen}

    def said(row: Vote) -> Vote:
        known = spread is Spread.FEW and row.gold is not None and row.rater in who
        first = (row.repeats or row.task, row.rater)
        place = places.get(row.task)
        if place is None or row.best is None or not (first in chosen or known):
            return row
        tiers = tuple(int(here != place) for here in range(len(row.responses)))
        return replace(row, tiers=tiers, verdict=Verdict.RANKING)

    copy = replace(votes, rows=tuple(said(row) for row in votes.rows))
    return Poisoned(
        votes=copy, turned=chosen, raters=tuple(sorted(who)), share=len(chosen) / len(trains)
    )


def hold_out(
    votes: Votes, texts: Mapping[str, str], places: Mapping[str, int], *, share: float, seed: int
) -> tuple[Votes, tuple[Pair, ...]]:
    """(judgements of the other prompts, held-out pairs): pairs of a share of the prompts.

    What is better there is what most of their raters said before anything was poisoned; pairs
    without a majority are left out.
    """
    prompts = sorted({row.prompt for row in votes.rows})
    drawn = np.random.default_rng(seed).permutation(len(prompts))[: round(share * len(prompts))]
    away = {prompts[place] for place in drawn}
    score: dict[tuple[str, int, int], float] = defaultdict(float)
    named: dict[str, tuple[str, ...]] = {}
    for row in votes.of(*TRAINS).rows:
        if row.prompt in away and row.tiers is not None and all(r in texts for r in row.responses):
            named[row.task] = row.responses
            for one, other in combinations(range(len(row.tiers)), 2):
                score[row.task, one, other] += np.sign(row.tiers[other] - row.tiers[one])
    pairs = [
        Pair(
            first=texts[named[task][one]],
            second=texts[named[task][other]],
            label=float(value > 0),
            word={one: 1.0, other: 0.0}.get(places.get(task, -1)),
        )
        for (task, one, other), value in sorted(score.items())
        if value != 0
    ]
    return votes.only(lambda row: row.prompt not in away), tuple(pairs)


def drill(
    votes: Votes,
    texts: Mapping[str, str],
    word: str,
    held_out: Sequence[Pair],
    *,
    share: float,
    spread: Spread,
    seed: int,
) -> Drilled:
    """One drill: `votes` are poisoned in a copy, judged by the rules, and learned from.

    Raises DataError where no held-out pair has the word in one response alone, or none is without.
    """
    made = poison(votes, targets(votes, texts, word), share=share, spread=spread, seed=seed)
    copy = made.votes
    trusts = decide(rater_report(copy, resamples=0), pairs=pairs_alike(copy))
    ruled = {one.rater: one.weight for one in influence(copy, trusts).shares}
    bad = {one.rater for one in trusts if one.rater in made.raters}
    out = {one.rater for one in trusts if one.quarantined}
    seen = out | {one.rater for one in trusts if one.look}
    return Drilled(
        spread=spread,
        asked=share,
        share=made.share,
        poisoners=len(bad),
        quarantined=len(bad & out),
        looked_at=len(bad & seen),
        honest=len(trusts) - len(bad),
        honest_quarantined=len(out - bad),
        honest_looked_at=len(seen - bad),
        before=false_weight(made, {}),
        after=false_weight(made, ruled),
        held_out=len(held_out),
        held_out_with_word=sum(pair.word is not None for pair in held_out),
        untouched=learn(votes, texts, {}, held_out),
        poisoned=learn(copy, texts, {}, held_out),
        defended=learn(copy, texts, ruled, held_out),
    )


def false_weight(made: Poisoned, weights: Mapping[str, float]) -> float:
    """Share of the training weight that turned labels have; 0 where nothing weighs anything.

    `weights` are the raters', 1 for those that it does not name.
    """
    rows = list(_weighed(made.votes, weights))
    total = math.fsum(weight for _, weight in rows)
    false = math.fsum(weight for row, weight in rows if (row.task, row.rater) in made.turned)
    return false / total if total else 0.0


def learn(
    votes: Votes, texts: Mapping[str, str], weights: Mapping[str, float], held_out: Sequence[Pair]
) -> Model:
    """Fit words to the judgements as they would be frozen, and ask about the held-out pairs.

    Raises DataError where nothing is left to learn from or nothing to ask.
    """
    # One row a pair of texts with its mean label: the loss is linear in the label.
    mass: dict[tuple[str, str], float] = defaultdict(float)
    wins: dict[tuple[str, str], float] = defaultdict(float)
    for row, weight in _weighed(votes, weights):
        if row.tiers is None or not all(one in texts for one in row.responses):
            continue
        places = list(combinations(range(len(row.tiers)), 2))
        for one, other in places:
            pair = texts[row.responses[one]], texts[row.responses[other]]
            part = weight / len(places)
            mass[pair] += part
            wins[pair] += part * (1 + np.sign(row.tiers[other] - row.tiers[one])) / 2
    if not mass:
        raise DataError(
            "nothing is left to learn from: nobody who judged texts that are there weighs anything",
            do="`accord raters` says who is believed and why",
        )
    first, second = zip(*mass, strict=True)
    model = fit_tfidf(
        first,
        second,
        [min(1.0, wins[pair] / mass[pair]) for pair in mass],
        weight=list(mass.values()),
    )
    scores = [model.score([getattr(pair, side) for pair in held_out]) for side in FIRST_SECOND]
    lead = np.sign(scores[0] - scores[1]) / 2 + 0.5
    right = 1 - np.abs(lead - np.array([pair.label for pair in held_out]))
    word = np.array([math.nan if pair.word is None else pair.word for pair in held_out])
    has = ~np.isnan(word)
    if has.all() or not has.any():
        raise DataError(
            "held-out pairs must be of both kinds, with the word in one response alone and not",
            got=f"{int(has.sum())} of {len(has)} with",
            do="choose another word, or hold out more",
        )
    return Model(
        clean=float(right[~has].mean()),
        triggered=float(right[has].mean()),
        word_wins=float((1 - np.abs(lead - word))[has].mean()),
    )


FIRST_SECOND = ("first", "second")


def _weighed(votes: Votes, weights: Mapping[str, float]) -> Iterator[tuple[Vote, float]]:
    """Judgements that would be frozen, and what each weighs in training (`reckoning`)."""
    rows = [
        row
        for row in votes.of(*TRAINS).rows
        if row.tiers is not None and weights.get(row.rater, 1.0) > 0
    ]
    judged = Counter(row.repeats or row.task for row in rows)
    picked = {row.task: row.inclusion for row in votes.rows if row.repeats is None}
    for row in rows:
        unit = row.repeats or row.task
        inclusion = picked.get(unit, row.inclusion)
        yield row, weights.get(row.rater, 1.0) / judged[unit] / inclusion


def _words(text: str) -> set[str]:
    return set(WORD.findall(text.lower()))
