"""Does a rater guess, or have a taste? Known answers, repeated items and votes, weighed as one.

Each of these alone says little of a rater's first sixty judgements: six known answers and six
repeats are twelve coins. Together they are a likelihood ratio between two kinds of raters:

- one who guesses answers without looking at what is asked, by a habit of their own (the share of
  their judgements that gave each answer);
- one who looks: right on known answers, and the same again on repeats, as often as raters of the
  pool who look.

A rater whose taste is not that of the others looks: known answers are those nobody doubts, and
repeats ask them against themselves. So the votes of others are heard only as an excuse: they can
make it likelier that a rater looks, and never less likely.

The mixture of both kinds is fitted by expectation-maximisation over all raters; the kind that
guesses has no free parameter, so that which kind is which cannot be mixed up. Raters who look
differ: their rates have a beta distribution around the pool's (beta-binomial likelihood).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, expit

from accord.core.errors import DataError
from accord.stats.ratings import Floats

LEAST_CHANCE = 0.02
"""A guess is right, or the same again, at least so often, whatever the habit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trials:
    """Yes-or-no outcomes of one rater, each with the chance that a guess has."""

    hits: tuple[bool, ...] = ()
    chances: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.hits) != len(self.chances):
            raise DataError(
                "every trial needs the chance of a guess",
                got=f"{len(self.hits)} trials, {len(self.chances)} chances",
            )
        if not all(0 <= chance <= 1 for chance in self.chances):
            raise DataError("a chance lies in [0, 1]")

    def guessed(self) -> float:
        """Log-likelihood of the outcomes where the rater guesses."""
        return sum(
            math.log(max(chance if hit else 1 - chance, LEAST_CHANCE))
            for hit, chance in zip(self.hits, self.chances, strict=True)
        )

    def looked(self, rate: float, alike: float) -> float:
        """Log-likelihood where the rater's own rate is beta with mean `rate` and the weight of
        `alike` trials."""
        right, wrong = sum(self.hits), len(self.hits) - sum(self.hits)
        a, b = rate * alike, (1 - rate) * alike
        return float(betaln(a + right, b + wrong) - betaln(a, b))


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What is known of one rater."""

    gold: Trials = Trials()
    """Items with a known answer."""
    repeats: Trials = Trials()
    """Items that the rater had judged before: whether the answer was the same."""
    excuse: float = 0.0
    """Log of how much likelier the votes are beside those of others if the rater looks; not below
    0 (`excuse_of`)."""

    @property
    def trials(self) -> int:
        """Outcomes that may speak against the rater."""
        return len(self.gold.hits) + len(self.repeats.hits)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pool:
    """What is thought of raters before one of them judged; each worth `weight` trials or raters."""

    gold: float = 0.92
    """Share of known answers that a rater who looks gets right."""
    repeats: float = 0.85
    """Share of repeats that they answer the same way."""
    guessers: float = 0.3
    """Share of raters who guess."""
    weight: float = 10.0
    alike: float = 40.0
    """How alike raters who look are: the trials of one that weigh as much as the pool's rate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Guessing:
    """Who guesses, and what the pool is like without them."""

    chance: Mapping[str, float]
    """Probability that each rater guesses; the share of guessers for one without any evidence."""
    pool: Pool
    """As fitted."""


def guessing(told: Mapping[str, Told], pool: Pool | None = None) -> Guessing:
    """The probability that each rater guesses. Deterministic; the order of raters does not count.

    Raises DataError where what the pool was thought to be is no share.
    """
    before = pool or Pool()
    shares = (before.gold, before.repeats, before.guessers)
    if not all(0 < share < 1 for share in shares) or before.weight <= 0 or before.alike <= 0:
        raise DataError("a pool has shares between 0 and 1 and positive weights", got=before)
    names = sorted(told)
    raters = [told[name] for name in names]
    guessed = np.array([one.gold.guessed() + one.repeats.guessed() for one in raters])
    excuse = np.array([max(one.excuse, 0.0) for one in raters])
    now, chance = before, np.zeros(len(raters))
    for _ in range(200):
        looked = np.array(
            [
                one.gold.looked(now.gold, now.alike) + one.repeats.looked(now.repeats, now.alike)
                for one in raters
            ]
        )
        odds = math.log(now.guessers / (1 - now.guessers)) + guessed - looked - excuse
        new = np.asarray(expit(odds))
        settled = len(new) == 0 or float(np.abs(new - chance).max()) < 1e-9
        chance = new
        if settled:
            break
        now = _refit(before, raters, chance)
    return Guessing(chance=dict(zip(names, chance.tolist(), strict=True)), pool=now)


def _refit(before: Pool, raters: Sequence[Told], chance: Floats) -> Pool:
    def rate(expected: float, trials: Sequence[Trials]) -> float:
        hits = sum((1 - c) * sum(t.hits) for c, t in zip(chance, trials, strict=True))
        total = sum((1 - c) * len(t.hits) for c, t in zip(chance, trials, strict=True))
        share = (hits + before.weight * expected) / (total + before.weight)
        return float(min(max(share, 0.01), 0.99))

    guessers = (float(chance.sum()) + before.weight * before.guessers) / (
        len(raters) + before.weight
    )
    return Pool(
        gold=rate(before.gold, [one.gold for one in raters]),
        repeats=rate(before.repeats, [one.repeats for one in raters]),
        guessers=guessers,
        weight=before.weight,
        alike=before.alike,
    )


def excuse_of(
    answers: Sequence[Hashable], others: Sequence[Sequence[Hashable]], *, smoothing: float = 1.0
) -> float:
    """Log of how much likelier a rater's answers are if they know what others answered.

    `others` has the answers of other raters on each of the same items. A rater who looks draws from
    a share a of what others say there (smoothed towards what all others say everywhere, worth
    `smoothing` answers) and 1 - a of their own habit; the best a is taken, a = 0 being the guess,
    and one nat off for having chosen it (Akaike 1974). Never negative; near 0 for a taste of one's
    own.
    """
    kinds = sorted({*answers, *(one for row in others for one in row)}, key=str)
    if not answers or len(kinds) < 2:
        return 0.0
    place = {kind: number for number, kind in enumerate(kinds)}
    said = np.array([place[one] for one in answers])
    counts = np.zeros((len(answers), len(kinds)))
    for row, given in enumerate(others):
        for one in given:
            counts[row, place[one]] += 1
    if not counts.any():
        return 0.0
    overall = counts.sum(axis=0) / counts.sum()
    known = (counts + smoothing * overall) / (counts.sum(axis=1, keepdims=True) + smoothing)
    habit = np.bincount(said, minlength=len(kinds)) / len(said)
    items = np.arange(len(said))
    shares = np.linspace(0, 0.98, 50)[:, None]
    mixed = shares * known[items, said] + (1 - shares) * habit[said]
    gain = float(np.log(mixed).sum(axis=1).max() - np.log(habit[said]).sum())
    return max(0.0, gain - 1)
