"""Kendall's tau-b: how alike two rankings with ties are, and how alike raters rank one prompt.

It asks: of two responses taken at random, how much more often do both rankings order them the same
way than the opposite way? 1 same order, 0 no relation, -1 reversed. Ties in one ranking alone cost
a little; a ranking that ties everything has no order, and its tau is NaN. With two responses tau is
1 or -1 and agreement by a coefficient of `agreement` says more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from accord.core.errors import DataError
from accord.stats.intervals import Clusters, Interval, bootstrap_mean
from accord.stats.ratings import Floats


def tau_b(first: ArrayLike, second: ArrayLike) -> float:
    """Tau-b of two rankings of the same K responses (Kendall 1945); equal ranks are ties.

    (concordant - discordant pairs) / sqrt(pairs untied in first * pairs untied in second). NaN
    where a ranking ties everything.
    Raises DataError for mixed lengths, fewer than two responses and ranks that are not finite.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise DataError(
            "tau needs two rankings of the same responses", got=f"{one.shape}, {other.shape}"
        )
    return float(_taus(np.stack([one, other]))[0, 1])


def item_taus(rankings: Sequence[ArrayLike]) -> Floats:
    """[items] mean tau-b over the pairs of raters of each item.

    `rankings` has an [raters, K] array an item (K may differ), a row of NaN for who did not rank
    it. Pairs with an undefined tau are left out; an item without any other pair is NaN.
    Raises DataError for ranks that are infinite or partly missing, and fewer than two responses.
    """
    means = np.full(len(rankings), np.nan)
    for place, table in enumerate(rankings):
        ranks = np.asarray(table, dtype=np.float64)
        if ranks.ndim != 2:
            raise DataError(
                "an item's rankings need a row a rater", got=ranks.shape, where=f"item {place}"
            )
        absent = np.isnan(ranks).all(axis=1)
        taus = _taus(ranks[~absent])
        pairs = [taus[a, b] for a, b in combinations(range(len(taus)), 2)]
        defined = [tau for tau in pairs if not np.isnan(tau)]
        if defined:
            means[place] = np.mean(defined)
    return means


def mean_tau_b(
    rankings: Sequence[ArrayLike],
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Mean of `item_taus` over items that have one, with `intervals.bootstrap_mean`'s interval.

    Every item counts the same, however many raters it had. `clusters` has one label an item.
    Raises DataError as those two do, and where fewer than two prompts have a defined tau.
    """
    taus = item_taus(rankings)
    if clusters is not None and len(clusters) != len(taus):
        raise DataError(
            "an interval needs one cluster an item",
            got=f"{len(taus)} items, {len(clusters)} clusters",
        )
    there = ~np.isnan(taus)
    kept = None if clusters is None else [c for c, ok in zip(clusters, there, strict=True) if ok]
    return bootstrap_mean(taus[there], clusters=kept, level=level, resamples=resamples, seed=seed)


def _taus(ranks: Floats) -> Floats:
    """[raters, raters] tau-b of every two rows."""
    if ranks.ndim != 2 or ranks.shape[1] < 2:
        raise DataError("tau needs at least two responses", got=ranks.shape)
    if not np.isfinite(ranks).all():
        raise DataError("a ranking needs a finite rank for every response")
    before, after = np.triu_indices(ranks.shape[1], 1)
    order = np.sign(ranks[:, before] - ranks[:, after])
    untied = np.abs(order).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(order @ order.T / np.sqrt(np.outer(untied, untied)))
