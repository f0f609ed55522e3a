"""Whom to believe: true labels and each rater's reliability, told from the ratings alone.

Dawid and Skene (1979) suppose that every item has one true label, that raters err independently of
each other given it, and that a rater errs the same way on all items. Who agrees with reliable
raters is then reliable, and counts for more; who mostly says the opposite counts against what he
says. It pays where some raters guess or invert: a majority counts them like the others. It misleads
where raters copy each other (their shared errors look like truth) and where there is no single
truth: a minority with another taste looks unreliable.

For preferences the ratings must be votes on each pair in canonical order (by digest, say): "the
first is better" must mean the same response to all raters. Votes by place on the screen would fit a
model of the screen.

Shape letters:  R = resamples,  I = items,  N = raters,  Q = categories of the scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce

import numpy as np
from scipy.special import logit, stdtrit, xlogy

from accord.core.errors import DataError
from accord.stats.intervals import Clusters, Interval
from accord.stats.ratings import Floats, Ratings

TINY = 1e-300
"""Stands for a probability of 0 in a logarithm."""


class Form(StrEnum):
    """How a rater may err."""

    ONE_COIN = "one-coin"
    """Right with one probability whatever the truth, and else any other category alike: one number
    a rater, so a few dozen ratings will do."""
    FULL = "full"
    """A table of P(said | truth) a rater: tells who is lenient from who is careless, and needs some
    twenty ratings of every category from each rater."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Believed:
    """What Dawid-Skene concluded."""

    posterior: Floats
    """[items, categories] probability of each true label; `prevalence` where nobody rated."""
    prevalence: Floats
    """[categories] share of each true label among all items."""
    confusion: Floats
    """[raters, truth, said] probability of what a rater says."""
    objective: tuple[float, ...]
    """Log-likelihood in nats plus the log of the smoothing's prior after each round: it never
    falls. Without smoothing it is the log-likelihood."""
    converged: bool
    """False where the rounds ran out first."""

    def reliability(self) -> Floats:
        """[raters] P(a rater says the true label), over labels as frequent as `prevalence`."""
        return _reliability(self.prevalence, self.confusion)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Majority:
    """Who got most votes, every rater counting the same."""

    share: Floats
    """[items, categories] share of the votes; NaN where nobody rated."""
    label: Floats
    """[items] the value with most votes; NaN where two or more tie for it or nobody rated."""


def majority(ratings: Ratings) -> Majority:
    """Share of votes and the winner of each item; a tie has none."""
    counts = ratings.counts()
    if counts.shape[1] == 0:
        raise DataError("a majority needs ratings")
    with np.errstate(invalid="ignore"):
        share = counts / counts.sum(axis=1, keepdims=True)
    top = counts == counts.max(axis=1, keepdims=True)
    winner = np.array(ratings.scale)[top.argmax(axis=1)]
    return Majority(share=share, label=np.where(top.sum(axis=1) == 1, winner, np.nan))


def dawid_skene(
    ratings: Ratings,
    *,
    form: Form = Form.ONE_COIN,
    smoothing: float = 0.5,
    tolerance: float = 1e-7,
    rounds: int = 2000,
) -> Believed:
    """True labels and raters' errors by expectation-maximisation from the shares of votes.

    The E-step is eq. 2.5 of Dawid and Skene (1979), the M-step eqs. 2.3 and 2.4 with `smoothing`
    pseudo-ratings a row of each rater's table, and pseudo-items, spread evenly (a Dirichlet prior:
    0 is maximum likelihood, and may end at errors of exactly 0). Stops where a round adds less than
    `tolerance` nats. Deterministic; the start from votes settles which label is which, so at least
    most ratings must be better than chance.
    Raises DataError below two categories, without a rating, and for a negative smoothing.
    """
    if not smoothing >= 0 or not tolerance > 0 or rounds < 1:
        raise DataError(
            "Dawid-Skene needs smoothing >= 0, tolerance > 0 and rounds >= 1",
            got=f"{smoothing}, {tolerance}, {rounds}",
        )
    said = _said(ratings)
    votes = said.sum(axis=1)
    rated = votes.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        start = np.where(rated > 0, votes / rated, 1 / votes.shape[1])
    return _fit(said, np.ones((1, len(start))), start[None], form, smoothing, tolerance, rounds)[0]


def reliability_intervals(
    ratings: Ratings,
    *,
    form: Form = Form.ONE_COIN,
    smoothing: float = 0.5,
    clusters: Clusters | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> dict[object, Interval]:
    """Each rater's reliability with its interval, by the rater's name.

    Items (or clusters: one label an item, in the order of `ratings.items`) are drawn with
    replacement and the model is fitted again from the first fit's posterior. The interval is
    symmetric in logits: +- t(clusters that the rater judged - 1) times the standard deviation over
    resamples. NaN limits for who judged fewer than two clusters.
    Raises DataError as `dawid_skene` does, for a wrong number of labels and below 100 resamples.
    """
    if not 0 < level < 1 or resamples < 100:
        raise DataError(
            "reliability needs a level between 0 and 1 and 100 resamples",
            got=f"{level}, {resamples}",
        )
    fitted = dawid_skene(ratings, form=form, smoothing=smoothing)
    items = len(ratings.items)
    names = list(range(items)) if clusters is None else list(clusters)
    if len(names) != items:
        raise DataError(
            "an interval needs one cluster an item", got=f"{items} items, {len(names)} clusters"
        )
    order = {label: number for number, label in enumerate(dict.fromkeys(names))}
    index = np.array([order[label] for label in names])
    rng, groups = np.random.default_rng(seed), len(order)
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=resamples)[:, index]
    again = _fit(
        _said(ratings), drawn.astype(np.float64), fitted.posterior[None], form, smoothing, 1e-4, 200
    )
    found = np.stack([one.reliability() for one in again])
    spread = logit(np.clip(found, 1e-6, 1 - 1e-6)).std(axis=0, ddof=1)
    intervals: dict[object, Interval] = {}
    for place, (name, value) in enumerate(zip(ratings.raters, fitted.reliability(), strict=True)):
        judged = len(set(index[~np.isnan(ratings.values[:, place])].tolist()))
        reach = spread[place] * _quantile(level, judged)
        centre = logit(np.clip(value, 1e-6, 1 - 1e-6))
        low, high = (1 / (1 + math.exp(-(centre + side * reach))) for side in (-1, 1))
        intervals[name] = Interval(
            estimate=float(value), low=low, high=high, level=level, clusters=judged
        )
    return intervals


def _quantile(level: float, draws: int) -> float:
    return float(stdtrit(draws - 1, (1 + level) / 2)) if draws > 1 else math.nan


def _said(ratings: Ratings) -> Floats:
    """[I, N, Q] 1 where a rater gave a category."""
    if len(ratings.scale) < 2 or np.isnan(ratings.values).all():
        raise DataError(
            "Dawid-Skene needs ratings of at least two categories",
            got=f"scale {ratings.scale}",
            do="name the whole scale if nobody used the other values yet",
        )
    categories = np.arange(len(ratings.scale))
    return np.asarray(ratings.codes()[:, :, None] == categories, dtype=np.float64)


def _reliability(prevalence: Floats, confusion: Floats) -> Floats:
    return np.asarray(np.einsum("q,nqq->n", prevalence, confusion))


# ---- expectation-maximisation, R fits at once ----------------------------------------------------


def _fit(
    said: Floats,
    drawn_RI: Floats,
    posterior_RIQ: Floats,
    form: Form,
    smoothing: float,
    tolerance: float,
    rounds: int,
) -> list[Believed]:
    """One fit a row of `drawn_RI`, which says how often each item counts."""
    items, raters, width = said.shape
    flat = said.reshape(items, raters * width)
    history: list[Floats] = []
    for _ in range(rounds):
        weighted = drawn_RI[:, :, None] * posterior_RIQ
        prevalence = _shares((drawn_RI[:, None, :] @ posterior_RIQ)[:, 0], smoothing)
        seen = (weighted.transpose(0, 2, 1) @ flat).reshape(-1, width, raters, width)
        confusion = _errors(seen.transpose(0, 2, 1, 3), form, smoothing)
        logs = np.log(np.maximum(confusion, TINY))
        joint = flat @ logs.transpose(0, 1, 3, 2).reshape(-1, raters * width, width)
        joint += np.log(np.maximum(prevalence, TINY))[:, None, :]
        total = reduce(np.logaddexp, np.moveaxis(joint, 2, 0))
        posterior_RIQ = np.exp(joint - total[:, :, None])
        prior = xlogy(smoothing / width, confusion).sum(axis=(1, 2, 3))
        if form is Form.ONE_COIN:
            prior /= width
        prior += xlogy(smoothing / width, prevalence).sum(axis=1)
        history.append((drawn_RI * total).sum(axis=1) + prior)
        if len(history) > 1 and (history[-1] - history[-2] < tolerance).all():
            break
    rises = np.array(history)
    settled = len(history) > 1 and bool((rises[-1] - rises[-2] < tolerance).all())
    return [
        Believed(
            posterior=posterior_RIQ[row],
            prevalence=prevalence[row],
            confusion=confusion[row],
            objective=tuple(rises[:, row].tolist()),
            converged=settled,
        )
        for row in range(len(drawn_RI))
    ]


def _shares(counts: Floats, smoothing: float) -> Floats:
    """Counts plus pseudo-counts, as shares of the last axis; even where there is nothing."""
    width = counts.shape[-1]
    total = counts.sum(axis=-1, keepdims=True) + smoothing
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(total > 0, (counts + smoothing / width) / total, 1 / width))


def _errors(seen: Floats, form: Form, smoothing: float) -> Floats:
    """[R, N, truth, said] probabilities from expected counts of the same shape."""
    if form is Form.FULL:
        return _shares(seen, smoothing)
    width = seen.shape[-1]
    right = np.einsum("rnqq->rn", seen)
    wrong = seen.sum(axis=(2, 3)) - right
    pair = np.stack([right + smoothing / width, wrong + smoothing * (1 - 1 / width)], axis=-1)
    total = pair.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        coin = np.where(total > 0, pair / total, np.array([1 / width, 1 - 1 / width]))
    same = np.eye(width)
    other = (1 - same) / (width - 1)
    return np.asarray(coin[..., 0, None, None] * same + coin[..., 1, None, None] * other)
