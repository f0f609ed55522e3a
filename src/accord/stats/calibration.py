"""Calibration: does a probability of .7 come true seven times in ten?

Outcomes are what happened: 1, 0, or a soft label in between. A preference model's pairs have no
natural order, and pairs listed with the better side first would make every outcome 1: turn them
into favourites (`favourites`) before judging calibration. Brier score and temperature do not depend
on the order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit

from accord.core.errors import DataError

TEMPERATURE_BOUNDS = (0.01, 100.0)
"""A temperature outside stands for its bound: data that a model orders perfectly has none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """A group of predictions with neighbouring probabilities."""

    low: float
    """Smallest probability in the group."""
    high: float
    """Largest probability in the group."""
    probability: float
    """Mean probability: what was said."""
    outcome: float
    """Mean outcome: what happened."""
    count: int


def _checked(
    probability: ArrayLike, outcome: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    said = np.asarray(probability, dtype=np.float64)
    happened = np.asarray(outcome, dtype=np.float64)
    if said.ndim != 1 or said.shape != happened.shape or said.size == 0:
        raise DataError(
            "calibration needs one outcome a probability",
            got=f"{said.shape} probabilities, {happened.shape} outcomes",
        )
    for name, column in (("probability", said), ("outcome", happened)):
        if not ((column >= 0) & (column <= 1)).all():
            raise DataError(f"every {name} must lie in [0, 1]")
    return said, happened


def favourites(
    probability: ArrayLike, outcome: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(confidence, came true) of each pair's favourite, whichever side is listed first.

    confidence = max(p, 1 - p); a pair without a favourite (p = .5) came true by half.
    Raises DataError unless both columns have one length and lie in [0, 1].
    """
    said, happened = _checked(probability, outcome)
    came_true = np.where(said >= 0.5, happened, 1 - happened)
    return np.maximum(said, 1 - said), np.where(said == 0.5, 0.5, came_true)


def reliability(probability: ArrayLike, outcome: ArrayLike, *, bins: int = 10) -> tuple[Bin, ...]:
    """Groups of about equal size, by rising probability.

    Equal probabilities are never divided, so that the order of the data does not count; there are
    fewer groups than `bins` where many are equal or the data is short.
    Raises DataError unless both columns have one length and lie in [0, 1].
    """
    said, happened = _checked(probability, outcome)
    if bins < 1:
        raise DataError("reliability needs at least one bin", got=bins)
    order = np.argsort(said, kind="stable")
    said, happened = said[order], happened[order]
    cuts = (np.arange(1, bins) * said.size) // bins
    ends = np.searchsorted(said, said[cuts - 1], side="right")[cuts > 0]
    edges = np.unique(np.concatenate([[0], ends, [said.size]]))
    return tuple(
        Bin(
            low=float(said[start]),
            high=float(said[end - 1]),
            probability=float(said[start:end].mean()),
            outcome=float(happened[start:end].mean()),
            count=int(end - start),
        )
        for start, end in pairwise(edges)
    )


def ece(probability: ArrayLike, outcome: ArrayLike, *, bins: int = 10) -> float:
    """Expected calibration error: mean gap between said and happened over `reliability` groups.

    Naeini et al. 2015 with groups of equal size. It is biased upward: a perfect model's ECE over n
    predictions is about .8 sqrt(p (1 - p) bins / n), not 0, so compare models at equal n.
    Raises DataError unless both columns have one length and lie in [0, 1].
    """
    table = reliability(probability, outcome, bins=bins)
    total = sum(group.count for group in table)
    return sum(group.count * abs(group.probability - group.outcome) for group in table) / total


def brier(probability: ArrayLike, outcome: ArrayLike) -> float:
    """Mean squared distance of probability and outcome (Brier 1950): 0 perfect, .25 always .5.

    Raises DataError unless both columns have one length and lie in [0, 1].
    """
    said, happened = _checked(probability, outcome)
    return float(np.square(said - happened).mean())


def temperature(logit: ArrayLike, outcome: ArrayLike) -> float:
    """T > 0 for which sigmoid(logit / T) makes the outcomes most likely (Guo et al. 2017).

    Above 1 the logits were over-confident. Held to [.01, 100]; 1 where all logits are 0.
    Raises DataError unless both columns have one length, logits are finite and outcomes in [0, 1].
    """
    scores = np.asarray(logit, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise DataError("every logit must be a finite number")
    _, happened = _checked(expit(scores), outcome)
    if not scores.any():
        return 1.0

    def slope(inverse: float) -> float:
        """Derivative of the loss by 1 / T: it rises, so it crosses 0 at most once."""
        return float((scores * (expit(inverse * scores) - happened)).sum())

    low, high = 1 / TEMPERATURE_BOUNDS[1], 1 / TEMPERATURE_BOUNDS[0]
    if slope(low) >= 0:
        return TEMPERATURE_BOUNDS[1]
    if slope(high) <= 0:
        return TEMPERATURE_BOUNDS[0]
    return 1 / float(brentq(slope, low, high, xtol=1e-12))
