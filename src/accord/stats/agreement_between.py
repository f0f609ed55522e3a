"""Do two groups of raters say the same? Agreement of one rater of each, over items both rated.

Put beside the agreement inside each group: where people agree with their own group more than with
the other, the groups differ; where all three are low, the task or its guideline is unclear. The
idea is the cross-replication reliability of Wong, Paritosh and Aroyo (2021). Intervals are in
`agreement_intervals`.

Shape letters:  R = resamples,  I = items,  Q = categories of the scale.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from accord.core.errors import DataError
from accord.stats.agreement import Parts, distances, ordinal_steps, ratio
from accord.stats.ratings import Floats, Ratings


class Between(StrEnum):
    """What a coefficient of two groups asks. All are 1 - D / E; D is the mean over items of the
    share of pairs, one rater of each group, that differ."""

    PERCENT = "percent"
    """How often does a rater of one group say what a rater of the other says? E is 1."""
    KAPPA = "kappa"
    """The same above chance: E is what the groups' own shares of the categories would give, as
    Cohen's (1960) for two raters. An item's shares count once however many rated it. Misleads where
    a category is rare, as he does."""
    KAPPA_ORDINAL = "kappa-ordinal"
    """Kappa on a scale: two answers are apart by Gwet's ordinal weights (2014)."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BothRated:
    """Items that somebody of each group rated."""

    first_IQ: Floats
    """Share of the first group's raters of an item who gave each category."""
    second_IQ: Floats
    rows: NDArray[np.intp]
    """Which items of the ratings these are."""
    scale: Floats

    def parts(self, coefficient: Between, drawn_RI: Floats) -> Parts:
        """(D, E) of items drawn as often as `drawn_RI` says."""
        apart = distances(self.scale, 0)
        if coefficient is Between.KAPPA_ORDINAL:
            apart = ordinal_steps(self.scale)
        total = drawn_RI.sum(axis=1)
        found = drawn_RI @ ((self.first_IQ @ apart) * self.second_IQ).sum(axis=1) / total
        if coefficient is Between.PERCENT:
            return found, np.ones_like(found)
        one, other = (drawn_RI @ side / total[:, None] for side in (self.first_IQ, self.second_IQ))
        return found, ((one @ apart) * other).sum(axis=1)


def both_rated(
    ratings: Ratings, first: Collection[Hashable], second: Collection[Hashable]
) -> BothRated:
    """Items that somebody of each group rated.

    Raises DataError where there is none, and for groups that share a rater.
    """
    if set(first) & set(second):
        raise DataError("two groups of raters share nobody", got=f"{len(first)}, {len(second)}")
    counts = [
        ratings.only(*(name for name in ratings.raters if name in side)).counts()
        for side in (set(first), set(second))
    ]
    rows = np.flatnonzero((counts[0].sum(axis=1) > 0) & (counts[1].sum(axis=1) > 0))
    if not len(rows):
        raise DataError("no item was rated by both groups", do="have some items rated by both")
    one, other = (side[rows] / side[rows].sum(axis=1, keepdims=True) for side in counts)
    return BothRated(first_IQ=one, second_IQ=other, rows=rows, scale=np.array(ratings.scale))


def agreement_between(
    ratings: Ratings,
    first: Collection[Hashable],
    second: Collection[Hashable],
    coefficient: Between,
) -> float:
    """A coefficient of agreement between two groups; NaN where chance cannot be told.

    Raises DataError as `both_rated`.
    """
    shared = both_rated(ratings, first, second)
    found, expected = shared.parts(coefficient, np.ones((1, len(shared.rows))))
    return float(ratio(found, expected)[0])
