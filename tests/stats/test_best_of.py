"""Best-of-n: by hand, against every subset, by simulation, and its bound on the KL."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats import best_of


def test_by_hand() -> None:
    """Gold in proxy order 10, 20, 30 and n = 2: the pairs pick 20, 30, 30, mean 80 / 3."""
    assert best_of.best_of([0.3, 0.1, 0.2], [30.0, 10.0, 20.0], 2) == pytest.approx(80 / 3)


def test_ties_by_hand() -> None:
    """Proxy 1, 2, 2, gold 0, 10, 20, n = 2: the pairs are worth 10, 20 and 15."""
    assert best_of.best_of([1.0, 2.0, 2.0], [0.0, 10.0, 20.0], 2) == pytest.approx(15)
    assert best_of.best_of([5.0] * 3, [0.0, 10.0, 20.0], 3) == pytest.approx(10)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0, 2.0, 3.0]), st.floats(-5, 5)), min_size=1, max_size=7
    ),
    st.data(),
)
def test_is_the_mean_over_every_subset(
    samples: list[tuple[float, float]], data: st.DataObject
) -> None:
    """Independent implementation: each subset's best by proxy, its ties averaged."""
    n = data.draw(st.integers(1, len(samples)))
    worth = []
    for subset in combinations(samples, n):
        top = max(proxy for proxy, _ in subset)
        worth.append(np.mean([gold for proxy, gold in subset if proxy == top]))
    proxy, gold = zip(*samples, strict=True)
    assert best_of.best_of(proxy, gold, n) == pytest.approx(np.mean(worth), abs=1e-9)


def test_ties_are_what_random_tie_breaking_gives() -> None:
    """Averaged over every order in which a sorting by proxy could leave the tied samples."""
    proxy, gold = [1.0, 1.0, 2.0, 2.0, 2.0], [3.0, -1.0, 4.0, 0.5, 7.0]
    chances = [math.comb(i, 1) / math.comb(5, 2) for i in range(5)]
    worth = [
        sum(c * g for c, g in zip(chances, (*low, *high), strict=True))
        for low in permutations(gold[:2])
        for high in permutations(gold[2:])
    ]
    assert best_of.best_of(proxy, gold, 2) == pytest.approx(np.mean(worth))


def test_is_unbiased() -> None:
    """Best of 4 standard normals is worth 1.02938 on average; 4000 prompts of 12 samples."""
    rng = np.random.default_rng(0)
    proxy = rng.normal(size=(4000, 12))
    found = [best_of.best_of(row, row, 4) for row in proxy]
    assert np.mean(found) == pytest.approx(1.02938, abs=4 * np.std(found) / math.sqrt(4000))
    assert np.std(found) / math.sqrt(4000) < 0.01


def test_ends() -> None:
    """n = 1 is the mean, n = N the best; more samples never hurt the proxy itself."""
    rng = np.random.default_rng(1)
    proxy, gold = rng.normal(size=(2, 9))
    assert best_of.best_of(proxy, gold, 1) == pytest.approx(gold.mean())
    assert best_of.best_of(proxy, gold, 9) == pytest.approx(gold[proxy.argmax()])
    rising = [best_of.best_of(proxy, proxy, n) for n in range(1, 10)]
    assert rising == sorted(rising)


def test_many_samples_do_not_overflow() -> None:
    """The largest of n from 1 .. N is n (N + 1) / (n + 1) on average."""
    proxy = np.arange(1, 2001)
    assert best_of.best_of(proxy, proxy, 1000) == pytest.approx(1000 * 2001 / 1001, rel=1e-12)


def test_kl_bound_golden() -> None:
    """n = 16: 1.8350887."""
    assert best_of.kl_bound(16) == pytest.approx(1.8350887, abs=5e-8)
    assert best_of.kl_bound(1) == 0


@pytest.mark.parametrize("n", [2, 4, 8])
def test_kl_bound_by_enumeration(n: int) -> None:
    """Over m equally likely answers without ties, P(best is i) = (i^n - (i - 1)^n) / m^n: the KL to
    the uniform distribution nears the bound from below as m grows."""

    def divergence(m: int) -> float:
        chances = [((i + 1) / m) ** n - (i / m) ** n for i in range(m)]
        return math.fsum(p * math.log(p * m) for p in chances)

    bound = best_of.kl_bound(n)
    assert divergence(5) < divergence(50) < divergence(500) < bound
    assert divergence(5000) == pytest.approx(bound, abs=0.01)


def test_bad_input_is_refused() -> None:
    for n in (0, 3):
        with pytest.raises(DataError, match="1 <= n <= samples"):
            best_of.best_of([1.0, 2.0], [1.0, 2.0], n)
    with pytest.raises(DataError, match="one proxy and one gold"):
        best_of.best_of([1.0, 2.0], [1.0], 1)
    with pytest.raises(DataError, match="finite"):
        best_of.best_of([1.0, math.nan], [1.0, 2.0], 1)
    with pytest.raises(DataError, match="at least 1"):
        best_of.kl_bound(0)
