"""Intervals: how far an estimate may be from the truth, given how the data came about.

Values that share a cluster (answers to one prompt, say) are not independent; every interval here
takes the clusters and treats them, not the values, as what was drawn. All intervals are two-sided.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

from accord.core.errors import DataError

Clusters = Sequence[Hashable] | NDArray[np.generic]
"""One label a value: values with equal labels were drawn together."""

Pairs = Sequence[tuple[int, int]] | NDArray[np.integer]
"""Two numbers a value: the things that it was measured on."""

CHUNK = 4_000_000
"""Largest number of resampled clusters held in memory at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An estimate with its interval, both in the unit of the values."""

    estimate: float
    low: float
    high: float
    level: float
    """Share of such intervals that contain the truth, if their assumptions hold."""
    clusters: int
    """Independent draws behind the estimate."""


def _vector(values: ArrayLike) -> NDArray[np.float64]:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise DataError("an interval needs a flat list of finite numbers", got=vector.shape)
    return vector


def _sums(
    values: NDArray[np.float64],
    clusters: Clusters | None,
    weights: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(weighted sum of the values, sum of the weights) a cluster; all weigh 1 by default."""
    weights = np.ones_like(values) if weights is None else weights
    if clusters is None:
        sums, counts = values * weights, weights
    else:
        if len(clusters) != len(values):
            raise DataError(
                "an interval needs one cluster a value",
                got=f"{len(values)} values, {len(clusters)} clusters",
            )
        order = {label: number for number, label in enumerate(dict.fromkeys(clusters))}
        index = np.array([order[label] for label in clusters], dtype=np.intp)
        sums = np.bincount(index, weights=values * weights).astype(np.float64)
        counts = np.bincount(index, weights=weights).astype(np.float64)
    if len(sums) < 2:
        raise DataError(
            "an interval needs at least two independent draws",
            got=len(sums),
            do="use more prompts",
        )
    return sums, counts


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise DataError("an interval's level must lie between 0 and 1", got=level)


def _mean_and_variance(
    sums: NDArray[np.float64], counts: NDArray[np.float64]
) -> tuple[float, float]:
    """Mean of all values and its variance over clusters (CR1)."""
    draws, total = len(sums), counts.sum()
    estimate = sums.sum() / total
    spread = np.square(sums - estimate * counts).sum() * draws / (draws - 1)
    return float(estimate), float(spread / total**2)


def mean(
    values: ArrayLike,
    *,
    clusters: Clusters | None = None,
    weight: ArrayLike | None = None,
    level: float = 0.95,
) -> Interval:
    """Mean of all values with a t interval that holds for few and uneven clusters.

    With G clusters of sizes m_g and residual sums e_g = sum(value - mean):
    variance = G / (G - 1) * sum e_g^2 / (sum m_g)^2, and t has G - 1 degrees of freedom (CR1,
    Cameron and Miller 2015, section II). Without clusters this is Student's interval. `weight`
    counts each value so often, in e_g and in m_g.
    Raises DataError below two clusters, for mixed lengths and for numbers that are not finite.
    """
    _check_level(level)
    given = _vector(values)
    weights = None if weight is None else _vector(weight)
    if weights is not None and (weights.shape != given.shape or not (weights > 0).all()):
        raise DataError("every value needs a weight above 0", got=weights.shape)
    sums, counts = _sums(given, clusters, weights)
    draws = len(sums)
    estimate, variance = _mean_and_variance(sums, counts)
    reach = stdtrit(draws - 1, (1 + level) / 2) * math.sqrt(variance)
    return Interval(
        estimate=float(estimate),
        low=float(estimate - reach),
        high=float(estimate + reach),
        level=level,
        clusters=draws,
    )


def bootstrap_mean(
    values: ArrayLike,
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Mean of all values with a cluster bootstrap, for values far from normal.

    Whole clusters are drawn with replacement. A plain percentile interval is too narrow for few
    clusters; this one reads wider percentiles, at the normal tail of
    sqrt(G / (G - 1)) * t(G - 1) (the expanded percentile interval, Hesterberg 2015, section 4.3).
    It never leaves the range of the values; for fewer than 8 clusters `mean` covers better.
    Reproducible by `seed`.
    Raises DataError below two clusters, for mixed lengths and for numbers that are not finite.
    """
    _check_level(level)
    if resamples < 1000:
        raise DataError("a bootstrap needs at least 1000 resamples", got=resamples)
    sums, counts = _sums(_vector(values), clusters)
    draws = len(sums)
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, CHUNK // draws)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        drawn = rng.integers(0, draws, size=(rows, draws))
        means[start : start + rows] = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, expanded_tails(draws, level))
    return Interval(
        estimate=float(sums.sum() / counts.sum()),
        low=float(low),
        high=float(high),
        level=level,
        clusters=draws,
    )


def expanded_tails(draws: int, level: float) -> tuple[float, float]:
    """The expanded percentiles of a bootstrap of so many draws."""
    reach = math.sqrt(draws / (draws - 1)) * stdtrit(draws - 1, (1 + level) / 2)
    tail = float(ndtr(-reach))
    return tail, 1 - tail


def bootstrap_pairs(
    values: ArrayLike,
    pairs: Pairs,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of values that were each measured on two of the drawn things: on pairs of texts, say.

    Things are drawn with replacement, and a pair counts as often as both of its things together
    (the pigeonhole bootstrap: Owen 2007, doi.org/10.1214/07-AOAS122); percentiles as in
    `bootstrap_mean`. What is a pair's own counts three times in the spread, so the interval is too
    wide, by a factor of 1.7 at most: on 30 to 2,000 pairs of 60 to 800 rated texts one of level
    0.95 held the truth 96 to 100 times of 100. `Interval.clusters` is the number of things.
    Reproducible by `seed`. Raises DataError below two pairs, for a pair of a thing with
    itself, for mixed lengths and for numbers that are not finite.
    """
    _check_level(level)
    given, (first, second), draws = _of_pairs(values, pairs)
    rng = np.random.default_rng(seed)
    means = []
    step = max(1, CHUNK // max(draws, len(given)))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        times = rng.multinomial(draws, np.full(draws, 1 / draws), size=rows)
        weights = times[:, first] * times[:, second]
        total = weights.sum(axis=1)
        means.append((weights @ given)[total > 0] / total[total > 0])
    low, high = np.quantile(np.concatenate(means), expanded_tails(draws, level))
    return Interval(
        estimate=float(given.mean()), low=float(low), high=float(high), level=level, clusters=draws
    )


def mean_of_pairs(values: ArrayLike, pairs: Pairs, *, level: float = 0.95) -> Interval:
    """Mean of values on pairs with a t interval that is as wide as it must be.

    variance = G / (G - 1) * (sum_g s_g^2 - sum_p e_p^2) / pairs^2, with the residual e_p of a pair,
    their sum s_g over the pairs of a thing, and G things: pairs that share a thing go together, and
    none counts twice (Aronow, Samii and Assenova 2015, doi.org/10.1093/pan/mpv018). It takes
    differences; for a share near 0 or 1, and for few pairs, `bootstrap_pairs` is the safer one.
    Where the sum falls below that of independent pairs, it is theirs.
    Raises DataError as `bootstrap_pairs` does.
    """
    _check_level(level)
    given, places, draws = _of_pairs(values, pairs)
    apart = given - given.mean()
    sums = sum(np.bincount(place, weights=apart, minlength=draws) for place in places)
    alone = float(np.square(apart).sum())
    together = max(float(np.square(sums).sum()) - alone, alone)
    spread = math.sqrt(together * draws / (draws - 1)) / len(given)
    reach = float(stdtrit(draws - 1, (1 + level) / 2)) * spread
    centre = float(given.mean())
    return Interval(
        estimate=centre, low=centre - reach, high=centre + reach, level=level, clusters=draws
    )


def _of_pairs(values: ArrayLike, pairs: Pairs) -> tuple[NDArray[np.float64], NDArray[np.intp], int]:
    """Values, places of the first and of the second things (2, pairs), and how many things."""
    given = _vector(values)
    places = np.asarray(pairs, dtype=np.intp).reshape(-1, 2)
    if len(places) != len(given) or len(given) < 2:
        raise DataError(
            "an interval needs one pair a value, and two pairs at least",
            got=f"{len(given)} values, {len(places)} pairs",
        )
    if (places[:, 0] == places[:, 1]).any():
        raise DataError("a pair is of two different things")
    things, index = np.unique(places, return_inverse=True)
    return given, index.reshape(-1, 2).T, len(things)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    clusters: Clusters | None = None,
    weight: ArrayLike | None = None,
    level: float = 0.95,
) -> Interval:
    """Mean of first[i] - second[i] with `mean`'s interval: both measured on the same items.

    What the items have in common (a hard prompt, say) cancels, so this is narrower than the
    difference of two intervals. Raises DataError as `mean` does.
    """
    one, other = _vector(first), _vector(second)
    if len(one) != len(other):
        raise DataError(
            "a paired difference needs the same items on both sides",
            got=f"{len(one)} and {len(other)}",
        )
    return mean(one - other, clusters=clusters, weight=weight, level=level)


def unpaired_difference(one: Interval, other: Interval) -> Interval:
    """`one` minus `other`, where they were estimated from different draws.

    Each limit lies as far from the difference as both distances together, added as squares (MOVER:
    Zou and Donner 2008, doi:10.1002/sim.3095, section 2). It takes skewed intervals as they are.
    Where both share draws that move them the same way, it is too wide. Raises DataError for
    different levels.
    """
    if one.level != other.level:
        raise DataError("intervals of one level make a difference", got=(one.level, other.level))
    estimate = one.estimate - other.estimate
    return Interval(
        estimate=estimate,
        low=estimate - math.hypot(one.estimate - one.low, other.high - other.estimate),
        high=estimate + math.hypot(one.high - one.estimate, other.estimate - other.low),
        level=one.level,
        clusters=min(one.clusters, other.clusters),
    )


def proportion(successes: float, total: int, *, level: float = 0.95) -> Interval:
    """Share of independent yes-or-no outcomes with Wilson's score interval (Wilson 1927).

    Stays inside [0, 1] and has a length at 0 and at 1 too. `successes` may count halves.
    For outcomes that share clusters use `share`.
    Raises DataError unless 0 <= successes <= total and total > 0.
    """
    _check_level(level)
    if not (total > 0 and 0 <= successes <= total):
        raise DataError("a proportion needs 0 <= successes <= total", got=f"{successes} of {total}")
    low, high = _wilson(successes / total, total, level)
    return Interval(estimate=successes / total, low=low, high=high, level=level, clusters=total)


def _wilson(share: float, total: float, level: float) -> tuple[float, float]:
    """Ends of Wilson's interval for a share of `total` draws, which need not be whole."""
    z = float(ndtri((1 + level) / 2))
    scale = 1 + z * z / total
    centre = (share + z * z / (2 * total)) / scale
    reach = z / scale * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return min(max(0.0, centre - reach), share), max(min(1.0, centre + reach), share)


def share(
    values: ArrayLike,
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
    weight: ArrayLike | None = None,
) -> Interval:
    """Mean of values in [0, 1] that share clusters, with an interval that stays in [0, 1].

    Wilson's interval with the number of independent draws that the spread between clusters tells:
    n = p (1 - p) / variance * (z / t(G - 1))^2, at most the number of values, with the variance of
    `mean` (Korn and Graubard 1998). Where all values are 0 or all 1 there is no spread to go by,
    and the G clusters count as one draw each: the interval has a length there too.
    Simulated with 4 values each in 8 to 128 clusters, shares from .5 to .995 and correlations
    inside clusters of 0 to .9, it holds the truth 93 to 99 times of 100 at level 0.95.
    With `weight`, one a value and above 0, it is the weighted mean (Hajek's, where a weight is one
    over an inclusion probability), and numbers of values and clusters are the effective ones (Kish
    1965).
    Raises DataError below two clusters, for mixed lengths, for values outside [0, 1] and weights
    that are not above 0.
    """
    _check_level(level)
    vector = _vector(values)
    if len(vector) and not (vector.min() >= 0 and vector.max() <= 1):
        raise DataError(
            "a share needs values in [0, 1]", got=f"{vector.min():g} to {vector.max():g}"
        )
    weights = np.ones_like(vector) if weight is None else _vector(weight)
    if weights.shape != vector.shape or not (weights > 0).all():
        raise DataError("a weighted share needs a weight above 0 a value", got=weights.shape)
    sums, counts = _sums(vector, clusters, weights)
    draws = len(sums)
    estimate, variance = _mean_and_variance(sums, counts)
    total = float(draws) if weight is None else _effective(counts)
    if 0 < estimate < 1 and variance > 0:
        z, t = ndtri((1 + level) / 2), stdtrit(draws - 1, (1 + level) / 2)
        total = min(estimate * (1 - estimate) / variance * float(z / t) ** 2, _effective(weights))
    low, high = _wilson(estimate, total, level)
    return Interval(estimate=estimate, low=low, high=high, level=level, clusters=draws)


def _effective(weights: NDArray[np.float64]) -> float:
    """How many equal weights would give a mean of the same variance (Kish 1965)."""
    return float(weights.sum() ** 2 / np.square(weights).sum())
