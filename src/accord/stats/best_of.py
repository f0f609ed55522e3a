"""Best-of-n: what the answer that a proxy likes best among n is worth in truth."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accord.core.errors import DataError


def best_of(proxy: ArrayLike, gold: ArrayLike, n: int) -> float:
    """Expected gold of the best of `n` by proxy, from all N samples of one prompt.

    Unbiased: the mean over all C(N, n) subsets (Nakano et al. 2021, arXiv:2112.09332, appendix I).
    With samples in ascending proxy order, i from 1: sum_i C(i - 1, n - 1) / C(N, n) * gold_i.
    Among samples of equal proxy each is as likely to be picked, so they share their mean gold. With
    `gold` = `proxy` it is the expected proxy itself.
    Raises DataError unless 1 <= n <= N, for mixed lengths and for numbers that are not finite.
    """
    scores, truths = np.asarray(proxy, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    if scores.ndim != 1 or scores.shape != truths.shape:
        raise DataError(
            "best-of-n needs one proxy and one gold a sample",
            got=f"{scores.shape}, {truths.shape}",
        )
    if not (np.isfinite(scores).all() and np.isfinite(truths).all()):
        raise DataError("proxy and gold must be finite numbers")
    if not 1 <= n <= scores.size:
        raise DataError("best-of-n needs 1 <= n <= samples", got=f"n {n}, samples {scores.size}")
    _, tier = np.unique(scores, return_inverse=True)
    shared = np.bincount(tier, weights=truths) / np.bincount(tier)
    return float(_chances(scores.size, n) @ shared[np.sort(tier)])


def _chances(samples: int, n: int) -> NDArray[np.float64]:
    """P(the i-th smallest of `samples` is the largest of n drawn without replacement)."""
    subsets = math.comb(samples, n)
    return np.array([math.comb(i, n - 1) / subsets for i in range(samples)])


def kl_bound(n: int) -> float:
    """Most KL(best-of-n || sampling policy) of an answer, in nats: ln n - (n - 1) / n.

    Equal to it only where no two samples can tie (Beirami et al. 2024, arXiv:2401.01879).
    Raises DataError for n < 1.
    """
    if n < 1:
        raise DataError("best-of-n needs n of at least 1", got=n)
    return math.log(n) - (n - 1) / n
