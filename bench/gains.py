"""What a gain over random comes to: whether it is one, and how many labels it is worth."""

from __future__ import annotations

import numpy as np
from scipy import stats

RESAMPLES = 2_000


def p_value(gain: np.ndarray) -> float:
    """Of Student's test that the mean of `gain` (one a seed) is 0; 1 where all are 0."""
    if len(gain) < 2 or not gain.any():
        return 1.0
    if gain.std() == 0:
        return 0.0
    return float(stats.ttest_1samp(gain, 0.0).pvalue)


def saved(reached: np.ndarray, random: np.ndarray, *, each: int, spent: int) -> list[float]:
    """Labels that random needs beyond `spent` to be as accurate; below 0: it would need fewer.

    `reached` [seeds] is a method's accuracy after `spent` labels, `random` [seeds, steps] that of
    random after every `each` labels. Estimate and 95% limits over seeds drawn again (percentile
    bootstrap). What lies beyond random's last step counts as that step.
    """
    rng = np.random.default_rng(0)
    picks = rng.integers(len(reached), size=(RESAMPLES, len(reached)))
    drawn = [
        labels_to(reached[pick].mean(), random[pick].mean(axis=0), each) - spent for pick in picks
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    estimate = labels_to(float(reached.mean()), random.mean(axis=0), each) - spent
    return [round(float(value), 1) for value in (estimate, low, high)]


def labels_to(accuracy: float, curve: np.ndarray, each: int) -> float:
    """Labels at which `curve` (after `each`, 2 `each`, ... labels) first reaches `accuracy`, with
    straight lines between; its first or last step where it lies outside."""
    if accuracy <= curve[0]:
        return float(each)
    if accuracy > curve.max():
        return float(each * len(curve))
    k = int(np.argmax(curve >= accuracy))
    part = (accuracy - curve[k - 1]) / (curve[k] - curve[k - 1])
    return float(each * (k + part))
