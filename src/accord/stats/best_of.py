"""Best-of-n: what the answer that a proxy likes best among n is worth in truth.

Shape letters: P = prompts; S = samples a prompt.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accord.core.errors import DataError


def best_of_each(proxy: ArrayLike, gold: ArrayLike, n: int) -> NDArray[np.float64]:
    """Expected gold of the best of `n` by proxy, for each prompt: `[P, S]` and `[P, S]` to `[P]`.

    Unbiased: the mean over all C(S, n) subsets of a prompt's samples (Nakano et al. 2021,
    arXiv:2112.09332, appendix I). With samples in ascending proxy order, i from 1:
    sum_i C(i - 1, n - 1) / C(S, n) * gold_i. Among samples of equal proxy each is as likely to be
    picked, so they share their mean gold. With `gold` = `proxy` it is the expected proxy itself.
    Raises DataError unless 1 <= n <= S, for other shapes and for numbers that are not finite.
    """
    proxy_PS, gold_PS = np.asarray(proxy, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    if proxy_PS.ndim != 2 or proxy_PS.shape != gold_PS.shape or not proxy_PS.size:
        raise DataError(
            "best-of-n needs one proxy and one gold for each prompt and sample",
            got=f"{proxy_PS.shape}, {gold_PS.shape}",
        )
    if not (np.isfinite(proxy_PS).all() and np.isfinite(gold_PS).all()):
        raise DataError("proxy and gold must be finite numbers")
    samples = proxy_PS.shape[1]
    if not 1 <= n <= samples:
        raise DataError("best-of-n needs 1 <= n <= samples", got=f"n {n}, samples {samples}")
    chance_S = _chances(samples, n)
    rows = zip(proxy_PS, gold_PS, strict=True)
    return np.array([chance_S @ _by_rank(proxy_S, gold_S) for proxy_S, gold_S in rows])


def best_of_n(proxy: ArrayLike, gold: ArrayLike, n: int) -> float:
    """Mean of `best_of_each` over the prompts; raises what that raises."""
    return float(best_of_each(proxy, gold, n).mean())


def _by_rank(proxy_S: NDArray[np.float64], gold_S: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gold in ascending proxy order, the mean of its tier in place of each tied sample's."""
    _, tier_S = np.unique(proxy_S, return_inverse=True)
    means: NDArray[np.float64] = np.bincount(tier_S, weights=gold_S) / np.bincount(tier_S)
    return means[np.sort(tier_S)]


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
