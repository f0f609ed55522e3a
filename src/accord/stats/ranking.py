"""How well scores order pairs, and the most that any score could reach against noisy raters.

A pair has a lead (first score less second) and a label P(first better); a tie (.5) is left out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accord.core.errors import DataError


def pair_credit(lead: ArrayLike, label: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(credit of each pair that is not a tie, which pairs those are).

    1 where the lead goes the label's way, 0 where it goes the other, .5 where it is exactly 0.
    The second value selects the clusters that belong to the credits in an interval.
    Raises DataError for mixed lengths, leads that are not finite or labels outside [0, 1].
    """
    leads, labels = np.asarray(lead, dtype=np.float64), np.asarray(label, dtype=np.float64)
    if leads.ndim != 1 or leads.shape != labels.shape:
        raise DataError("every pair needs a lead and a label", got=f"{leads.shape}, {labels.shape}")
    if not np.isfinite(leads).all() or not ((labels >= 0) & (labels <= 1)).all():
        raise DataError("leads must be finite and labels must lie in [0, 1]")
    clear = labels != 0.5
    won = np.sign(leads[clear]) * np.sign(labels[clear] - 0.5)
    return 0.5 * (1 + won), clear


def pair_accuracy(lead: ArrayLike, label: ArrayLike, *, weight: ArrayLike | None = None) -> float:
    """Weighted share of pairs whose better side leads, ties left out.

    Raises DataError as `pair_credit` does, and where no pair with weight has a better side.
    """
    credit, clear = pair_credit(lead, label)
    weights = np.ones(clear.shape) if weight is None else np.asarray(weight, dtype=np.float64)
    if weights.shape != clear.shape or (weights < 0).any():
        raise DataError("every pair needs a weight of at least 0", got=weights.shape)
    if weights[clear].sum() == 0:
        raise DataError("accuracy needs at least one pair that is not a tie")
    return float(np.average(credit, weights=weights[clear]))


def bayes_accuracy(probability: ArrayLike) -> float:
    """Expected accuracy of the best possible score against one noisy label a pair.

    `probability` is the rater's true P(first better) of each pair, given that it is not a tie: who
    always says the likelier side is right in mean max(p, 1 - p) of the pairs.
    Raises DataError for an empty list or numbers outside [0, 1].
    """
    chances = np.asarray(probability, dtype=np.float64)
    if chances.size == 0 or not ((chances >= 0) & (chances <= 1)).all():
        raise DataError("the Bayes bound needs probabilities in [0, 1]", got=chances.shape)
    return float(np.maximum(chances, 1 - chances).mean())
