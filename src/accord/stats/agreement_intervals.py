"""Intervals of the coefficients of agreement, by resampling prompts, or prompts and raters.

Items that share a prompt are drawn together. Plain percentiles of such a bootstrap are too narrow
for coefficients of agreement: here they are corrected for bias and skew (BCa, Efron 1987) and
widened for few draws as `intervals.bootstrap_mean` widens its own. A resample copies no rating: it
counts how often each was drawn.

Where a category is so rare that about five items show it, no such interval holds for kappa and
alpha: tests measure 90% at a nominal 95%. Percent agreement and AC1 keep theirs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterator
from dataclasses import replace

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from accord.core.errors import DataError
from accord.stats.agreement import OF_TWO, PARTS, Coefficient, Parts, check, ratio, sample_of
from accord.stats.agreement_between import Between, both_rated
from accord.stats.intervals import CHUNK, Clusters, Interval
from accord.stats.ratings import Floats, Ratings


def agreement_interval(
    ratings: Ratings,
    coefficient: Coefficient,
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A coefficient with its interval for other prompts and the same raters.

    `clusters` has one label an item, in the order of `ratings.items`: items of one prompt share
    theirs (by default each item stands alone). G clusters are drawn with replacement. The limits
    are BCa percentiles, the acceleration from leaving out one cluster at a time (Efron 1987,
    eqs. 2.3 and 7.3; equal values count half in z0), read at sqrt(G / (G - 1)) * t(G - 1)
    (Hesterberg 2015, section 4.3).
    Where nobody disagrees, resamples say nothing: the low limit is then 1 - u / E with u the exact
    upper limit of the share of clusters with a disagreement (Clopper and Pearson 1934). Resamples
    without a value are left out; limits are NaN where those are more than 1 - level of all, or
    where the coefficient has none itself. `Interval.clusters` is G. Reproducible by `seed`.
    Raises DataError as `agreement` does, below two clusters, and for a wrong number of labels.
    """
    check(ratings, coefficient)
    index = _index(clusters, len(ratings.items))
    draws = _draws(int(index.max()) + 1, "prompts", level=level, resamples=resamples)
    sample, rng = sample_of(ratings), np.random.default_rng(seed)

    def values(weights: Iterator[Floats]) -> Floats:
        drawn = (replace(sample, drawn_RI=rows[:, index]) for rows in weights)
        return np.concatenate([ratio(*PARTS[coefficient](one)) for one in drawn])

    step = max(1, CHUNK // len(index))
    resampled = values(_drawn(rng, draws, rows) for rows in _pieces(resamples, step))
    jackknife = values(_without_one(draws, step))
    return _limits(PARTS[coefficient](sample), resampled, [jackknife], draws=draws, level=level)


def agreement_interval_for_raters(
    ratings: Ratings,
    coefficient: Coefficient,
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A coefficient with its interval for other prompts and other raters of the same kind.

    Prompts and raters are drawn independently of each other (Owen 2007, "The pigeonhole
    bootstrap"); a rater who is drawn twice is never compared with himself. Limits as in
    `agreement_interval`, skew and spread from leaving out one prompt, and one rater, at a time,
    with Satterthwaite's degrees of freedom. Wider than `agreement_interval`, and very wide for few
    raters: five say little about all others. `Interval.clusters` is the smaller of prompts and
    raters.
    Raises DataError as `agreement_interval` does, below three raters and for Cohen's kappa, which
    is about two named ones.
    """
    if coefficient in OF_TWO:
        raise DataError(
            "Cohen's kappa says nothing of other raters", do="use fleiss, an alpha or ac1"
        )
    check(ratings, coefficient)
    index = _index(clusters, len(ratings.items))
    draws = _draws(int(index.max()) + 1, "prompts", level=level, resamples=resamples)
    people = _draws(len(ratings.raters), "raters", least=3, level=level, resamples=resamples)
    sample, rng = sample_of(ratings), np.random.default_rng(seed)
    given = sample.codes[:, :, None] == np.arange(len(sample.scale))
    flat = given.transpose(1, 0, 2).reshape(people, -1).astype(np.float64)
    rated = (sample.codes >= 0).T.astype(np.float64)

    def value(prompts: Floats, raters: Floats) -> Floats:
        counts = (raters @ flat).reshape(len(raters), *sample.counts.shape[1:])
        drawn = replace(sample, drawn_RI=prompts[:, index], counts=counts, same=raters**2 @ rated)
        return ratio(*PARTS[coefficient](drawn))

    step = max(1, CHUNK // max(1, sample.counts.size))
    resampled = [
        value(_drawn(rng, draws, rows), _drawn(rng, people, rows))
        for rows in _pieces(resamples, step)
    ]
    plain = max(1, CHUNK // len(index))
    by_prompt = [
        ratio(*PARTS[coefficient](replace(sample, drawn_RI=rows[:, index])))
        for rows in _without_one(draws, plain)
    ]
    by_rater = [value(np.ones((len(rows), draws)), rows) for rows in _without_one(people, step)]
    return _limits(
        PARTS[coefficient](sample),
        np.concatenate(resampled),
        [np.concatenate(by_prompt), np.concatenate(by_rater)],
        draws=min(draws, people),
        level=level,
    )


def interval_between(
    ratings: Ratings,
    first: Collection[Hashable],
    second: Collection[Hashable],
    coefficient: Between,
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A coefficient of agreement between two groups of raters, for other prompts.

    Limits, and what is reproducible, as in `agreement_interval`; where the groups never say the
    same, the high limit of percent agreement is the exact one of the share of clusters that agree.
    Raises DataError as that does, for groups that share a rater, and where no item was rated by
    both.
    """
    shared = both_rated(ratings, first, second)
    index = _index(clusters, len(ratings.items))[shared.rows]
    labels = np.unique(index, return_inverse=True)[1]
    draws = _draws(int(labels.max()) + 1, "prompts", level=level, resamples=resamples)
    rng = np.random.default_rng(seed)

    def values(weights: Iterator[Floats]) -> Floats:
        drawn = (rows[:, labels] for rows in weights)
        return np.concatenate([ratio(*shared.parts(coefficient, one)) for one in drawn])

    step = max(1, CHUNK // len(labels))
    resampled = values(_drawn(rng, draws, rows) for rows in _pieces(resamples, step))
    jackknife = values(_without_one(draws, step))
    whole = shared.parts(coefficient, np.ones((1, len(labels))))
    found = _limits(whole, resampled, [jackknife], draws=draws, level=level)
    if coefficient is Between.PERCENT and found.estimate <= 1e-12:
        return replace(found, high=_unseen(draws, level))
    return found


# ---- drawing -------------------------------------------------------------------------------------


def _index(clusters: Clusters | None, items: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    if clusters is None:
        return np.arange(items)
    if len(clusters) != items:
        raise DataError(
            "an interval needs one cluster an item",
            got=f"{items} items, {len(clusters)} clusters",
            do="give a label for each of `ratings.items`, in that order",
        )
    order = {label: number for number, label in enumerate(dict.fromkeys(clusters))}
    return np.array([order[label] for label in clusters], dtype=np.intp)


def _draws(draws: int, kind: str, *, level: float, resamples: int, least: int = 2) -> int:
    if not 0 < level < 1:
        raise DataError("an interval's level must lie between 0 and 1", got=level)
    if resamples < 1000:
        raise DataError("a bootstrap needs at least 1000 resamples", got=resamples)
    if draws < least:
        raise DataError(f"this interval needs at least {least} {kind}", got=draws)
    return draws


def _pieces(total: int, step: int) -> Iterator[int]:
    """Sizes of at most `step` that add up to `total`."""
    return (min(step, total - start) for start in range(0, total, step))


def _drawn(rng: np.random.Generator, draws: int, rows: int) -> Floats:
    """[rows, draws] how often each was drawn."""
    counts = rng.multinomial(draws, np.full(draws, 1 / draws), size=rows)
    return counts.astype(np.float64)


def _without_one(draws: int, step: int) -> Iterator[Floats]:
    """[at most step, draws] all but one, each in turn."""
    for start in range(0, draws, step):
        rows = np.arange(start, min(start + step, draws))
        yield (rows[:, None] != np.arange(draws)).astype(np.float64)


# ---- limits --------------------------------------------------------------------------------------


def _limits(
    parts: Parts,
    resampled: Floats,
    jackknives: list[Floats],
    *,
    draws: int,
    level: float,
) -> Interval:
    found, expected = (float(part[0]) for part in parts)
    estimate = float(ratio(np.array(found), np.array(expected)))
    kept = resampled[np.isfinite(resampled)]
    if math.isnan(estimate) or len(kept) < level * len(resampled):
        low = high = math.nan
    elif found <= 1e-12:
        low, high = 1 - _unseen(draws, level) / expected, estimate
    else:
        tails = _tails(_bias(kept, estimate), jackknives, level)
        low, high = (float(limit) for limit in np.quantile(kept, tails))
    return Interval(estimate=estimate, low=low, high=high, level=level, clusters=draws)


def _unseen(draws: int, level: float) -> float:
    """Exact upper limit of the share of clusters that show what none of `draws` showed."""
    return float(1 - ((1 - level) / 2) ** (1 / draws))


def _bias(resampled: Floats, estimate: float) -> float:
    """z0: normal quantile of the share of resamples below the estimate, equal ones by half."""
    below = (resampled < estimate - 1e-12).mean() + (resampled <= estimate + 1e-12).mean()
    least = 0.5 / len(resampled)
    return float(ndtri(np.clip(below / 2, least, 1 - least)))


def _tails(bias: float, jackknives: list[Floats], level: float) -> tuple[float, float]:
    """Shares of the resamples below the low and the high limit."""
    cubes = spread = spread_by_freedom = 0.0
    for left_out in jackknives:
        kept = left_out[np.isfinite(left_out)]
        others = len(kept) - 1
        pull = (kept.mean() - kept) * others / len(kept)
        cubes += float((pull**3).sum())
        spread += float((pull**2).sum())
        spread_by_freedom += float((pull**2).sum()) ** 2 / max(others, 1)
    if spread == 0:
        return (1 - level) / 2, (1 + level) / 2
    skew, freedom = cubes / (6 * spread**1.5), spread**2 / spread_by_freedom
    reach = math.sqrt((freedom + 1) / freedom) * float(stdtrit(freedom, (1 + level) / 2))
    return _shifted(bias, skew, -reach), _shifted(bias, skew, reach)


def _shifted(bias: float, skew: float, reach: float) -> float:
    """Efron's corrected percentile; the end of the scale where the correction has no value."""
    scale = 1 - skew * (bias + reach)
    if scale <= 0:
        return 0.0 if reach < 0 else 1.0
    return float(ndtr(bias + (bias + reach) / scale))
