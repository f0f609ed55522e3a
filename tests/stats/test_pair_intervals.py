"""Intervals of what was measured on pairs of things, each thing in several pairs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats.intervals import Interval, bootstrap_pairs, mean, mean_of_pairs

METHODS = (bootstrap_pairs, mean_of_pairs)
Pairs = list[tuple[int, int]]


def drawn(rng: np.random.Generator, things: int, count: int) -> Pairs:
    """Different pairs of things."""
    every = [(a, b) for a in range(things) for b in range(a)]
    return [every[at] for at in rng.choice(len(every), count, replace=False)]


def test_by_hand() -> None:
    """Residuals -1, 1, 0; sums of the things 0 (-1 + 1), 1 (-1), 2 (1), 3 and 4 (0): 2 - 2, so that
    of independent pairs, 2, is taken.
    """
    found = mean_of_pairs([1.0, 3.0, 2.0], [(0, 1), (0, 2), (3, 4)])
    spread = math.sqrt(2 * 5 / 4) / 3
    assert found.estimate == 2.0
    assert found.high == pytest.approx(2 + scipy.stats.t.ppf(0.975, 4) * spread)
    found = mean_of_pairs([1.0, 1.0, 4.0], [(0, 1), (0, 2), (3, 4)])
    # residuals -1, -1, 2; sums -2, -1, -1, 2, 2: 14 - 6
    assert found.high == pytest.approx(2 + scipy.stats.t.ppf(0.975, 4) * math.sqrt(8 * 5 / 4) / 3)
    assert found.clusters == 5


@given(st.integers(0, 1000))
def test_pairs_that_share_a_thing_go_together(seed: int) -> None:
    """The same variance as a sum over all pairs of pairs that share a thing."""
    rng = np.random.default_rng(seed)
    pairs = drawn(rng, 6, 9)
    things = rng.normal(size=6)
    values = np.array([things[a] + things[b] for a, b in pairs]) + rng.normal(size=9)
    apart = values - values.mean()
    shared = sum(
        apart[p] * apart[q] * bool({*pairs[p]} & {*pairs[q]}) for p in range(9) for q in range(9)
    )
    found, draws = mean_of_pairs(values, pairs), len({thing for pair in pairs for thing in pair})
    variance = max(shared, float(np.square(apart).sum())) / 81 * draws / (draws - 1)
    reach = scipy.stats.t.ppf(0.975, draws - 1) * math.sqrt(variance)
    assert found.high - found.estimate == pytest.approx(reach)


@pytest.mark.parametrize("method", METHODS)
def test_many_pairs_of_their_own_are_independent_values(method: Callable[..., Interval]) -> None:
    """But for the bootstrap, which is wider by the square root of three."""
    values = np.random.default_rng(0).normal(size=500)
    pairs = [(2 * at, 2 * at + 1) for at in range(500)]
    plain, found = mean(values), method(values, pairs)
    assert found.estimate == pytest.approx(plain.estimate)
    wider = (found.high - found.low) / (plain.high - plain.low)
    assert wider == pytest.approx(math.sqrt(3) if method is bootstrap_pairs else 1, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize(("own", "most"), [(0.0, 0.99), (2.0, 1.0)])
@pytest.mark.parametrize("method", METHODS)
def test_coverage(method: Callable[..., Interval], own: float, most: float) -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        pairs, things = drawn(rng, 50, 150), rng.normal(size=50)
        values = [things[a] + things[b] + own * rng.normal() for a, b in pairs]
        found = method(values, pairs)
        held += found.low <= 0 <= found.high
    assert 0.92 <= held / 400 <= most


def test_ignoring_what_pairs_share_would_not_cover() -> None:
    rng, held = np.random.default_rng(1), 0
    for _ in range(400):
        pairs, things = drawn(rng, 50, 150), rng.normal(size=50)
        found = mean([things[a] + things[b] for a, b in pairs])
        held += found.low <= 0 <= found.high
    assert held / 400 < 0.8


def test_the_bootstrap_is_reproducible_and_stays_in_range() -> None:
    rng = np.random.default_rng(0)
    pairs = drawn(rng, 12, 30)
    values = (rng.random(30) < 0.9).astype(float)
    found = bootstrap_pairs(values, pairs, seed=3)
    assert found == bootstrap_pairs(values, pairs, seed=3)
    assert found != bootstrap_pairs(values, pairs, seed=4)
    assert 0 <= found.low < found.estimate < found.high <= 1
    turned = [(b + 100, a + 100) for a, b in pairs]
    assert bootstrap_pairs(values, turned, seed=3) == found


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("values", "pairs"),
    [
        ([], []),
        ([1.0], [(0, 1)]),
        ([1.0, 2.0], [(0, 1)]),
        ([1.0, 2.0], [(0, 1), (2, 2)]),
        ([1.0, math.nan], [(0, 1), (1, 2)]),
    ],
)
def test_what_has_no_interval_is_refused(
    method: Callable[..., Interval], values: list[float], pairs: Pairs
) -> None:
    with pytest.raises(DataError):
        method(values, pairs)
