"""Exact tests and limits of counts.

As `scipy.stats` has them, whose import takes most of a second of every command and each of whose
calls takes a millisecond: raters are asked about in thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto

import numpy as np
from scipy.special import bdtr, betaincinv, gammaln

SAME = 1e-9
"""Two chances that differ by less than this share are one: they are sums of logarithms."""


class Side(Enum):
    """What counts as extreme in a table of counts."""

    LESS = auto()
    """A smaller share in the first row."""
    GREATER = auto()
    EITHER = auto()
    """Whatever is no likelier than the table."""


def binomial(successes: int, total: int) -> float:
    """Two-sided p of a number of successes, against a chance of 1/2 each."""
    return min(1.0, 2 * float(bdtr(min(successes, total - successes), total, 0.5)))


def clopper_pearson(successes: int, total: int, *, level: float) -> tuple[float, float]:
    """Ends of the exact interval of a share (Clopper and Pearson 1934)."""
    failures, tail = total - successes, (1 - level) / 2
    low = betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = betaincinv(successes + 1, failures, 1 - tail) if failures else 1.0
    return float(low), float(high)


def fisher(table: Sequence[Sequence[int]], side: Side = Side.EITHER) -> float:
    """p of Fisher's exact test of two rows of (yes, no); 1 where a row or column is empty."""
    (yes, no), (others_yes, others_no) = table
    row, other, column = yes + no, others_yes + others_no, yes + others_yes
    least, most = max(0, column - other), min(row, column)
    counts = np.arange(least, most + 1)
    log = -sum(
        gammaln(part + 1)
        for part in (counts, row - counts, column - counts, counts + other - column)
    )
    chance = np.exp(log - log.max())
    chance /= chance.sum()
    here = yes - least
    if side is Side.EITHER:
        extreme = chance[chance <= chance[here] * (1 + SAME)]
    else:
        extreme = chance[: here + 1] if side is Side.LESS else chance[here:]
    return min(1.0, float(extreme.sum()))
