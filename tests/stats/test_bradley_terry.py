"""Strengths with ties: by hand, published fits, another optimiser, and what has no fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from accord.core.errors import DataError
from accord.stats.bradley_terry import Strengths, Ties, bradley_terry
from accord.stats.ratings import Floats

PUDDING = """
1 2 19 22 16, 1 3 16 19 12, 2 3 19 19 10, 1 4 18 23 13, 2 4 23 19 9, 3 4 19 20 15, 1 5 13 19 18,
2 5 16 20 12, 3 5 16 15 17, 4 5 17 14 16, 1 6 18 21 12, 2 6 22 20 12, 3 6 13 18 10, 4 6 14 19 18,
5 6 11 21 12"""
"""Brands i, j of chocolate pudding; how often i won, j won, neither (Davidson 1970, example 2)."""

Rows = tuple[list[int], list[int], list[float], list[float]]


def pudding() -> Rows:
    first, second, outcome, weight = [], [], [], []
    for row in PUDDING.strip().split(","):
        i, j, *counts = (int(word) for word in row.split())
        first += [i] * 3
        second += [j] * 3
        outcome += [1.0, 0.0, 0.5]
        weight += [float(n) for n in counts]
    return first, second, outcome, weight


def test_davidson_1970() -> None:
    """Worths of six brands and the tie parameter as R's PlackettLuce 0.4 prints them in its
    vignette (which stops early, hence 3e-5), and their errors against brand 1."""
    first, second, outcome, weight = pudding()
    found = bradley_terry(first, second, outcome, weight=weight)
    assert found.players == (1, 2, 3, 4, 5, 6)
    worth = np.exp(found.strength)
    published = [0.1388005, 0.1729985, 0.1617420, 0.1653930, 0.1586805, 0.2023855]
    assert worth / worth.sum() == pytest.approx(published, abs=3e-5)
    assert math.exp(found.tie) == pytest.approx(0.7468147, abs=2e-5)
    against = np.sqrt(np.diag(found.covariance) + found.covariance[0, 0] - 2 * found.covariance[0])
    assert against[1:] == pytest.approx(
        [0.1872168, 0.1935181, 0.1882110, 0.1927043, 0.1924059], abs=2e-5
    )
    assert found.standard_error == pytest.approx(
        [0.121949, 0.121818, 0.126823, 0.122003, 0.127054, 0.126594], abs=2e-5
    )
    assert found.tie_error == pytest.approx(0.082499, abs=2e-5)
    assert -2 * found.log_likelihood == pytest.approx(1619.4, abs=0.05)


def probabilities(gap: Floats, tie: float, ties: Ties) -> Floats:
    """[win, tie, loss] straight from the papers, in worths."""
    a, b = np.exp(gap), np.ones_like(gap)
    if ties is Ties.DAVIDSON:
        middle = math.exp(tie) * np.sqrt(a * b)
        return np.stack([a, middle, b]) / (a + b + middle)
    t = math.exp(tie)
    return np.stack(
        [a / (a + t * b), (t * t - 1) * a * b / ((a + t * b) * (b + t * a)), b / (b + t * a)]
    )


@pytest.mark.parametrize("ties", list(Ties))
def test_agrees_with_a_general_optimiser(ties: Ties) -> None:
    """scipy's BFGS without derivatives, on the probabilities as printed; errors from its own second
    differences."""
    first, second, outcome, weight = pudding()
    found = bradley_terry(first, second, outcome, ties=ties, weight=weight)
    column = np.array([{1.0: 0, 0.5: 1, 0.0: 2}[value] for value in outcome])

    def loss(free: Floats) -> float:
        strength = np.concatenate([[0.0], free[:5]])
        gap = strength[np.array(first) - 1] - strength[np.array(second) - 1]
        chances = probabilities(gap, free[5], ties)[column, np.arange(len(column))]
        return -float(np.array(weight) @ np.log(chances))

    best = minimize(loss, np.array([0.0] * 5 + [0.5]), method="BFGS", options={"gtol": 1e-4})
    assert -found.log_likelihood == pytest.approx(best.fun, abs=1e-6)
    assert found.strength[1:] - found.strength[0] == pytest.approx(best.x[:5], abs=2e-4)
    assert found.tie == pytest.approx(best.x[5], abs=2e-4)
    step, size = 1e-3 * np.eye(6), 1e-3
    here = np.append(found.strength[1:] - found.strength[0], found.tie)
    curve = np.array(
        [
            [
                loss(here + a + b) - loss(here + a - b) - loss(here - a + b) + loss(here - a - b)
                for b in step
            ]
            for a in step
        ]
    )
    inverse = np.linalg.inv(curve / (4 * size * size))
    covariance = found.covariance
    against = np.diag(covariance) + covariance[0, 0] - 2 * covariance[0]
    assert against[1:] == pytest.approx(np.diag(inverse)[:5], rel=1e-4)
    assert found.tie_error**2 == pytest.approx(inverse[5, 5], rel=1e-4)


@pytest.mark.parametrize("ties", list(Ties))
def test_two_players_by_hand(ties: Ties) -> None:
    """6 wins, 3 losses, 3 ties. Davidson: d = log 2, v = 3 / sqrt 18. Rao-Kupper fits the shares
    1/2, 1/4, 1/4 exactly: t exp(-d) = 1 and t exp(d) = 3, so d = log 3 / 2 = log t."""
    found = bradley_terry(["a"] * 3, ["b"] * 3, [1, 0, 0.5], weight=[6, 3, 3], ties=ties)
    gap, tie = {
        Ties.DAVIDSON: (math.log(2), math.log(3 / math.sqrt(18))),
        Ties.RAO_KUPPER: (math.log(3) / 2, math.log(3) / 2),
    }[ties]
    assert found.strength == pytest.approx([gap / 2, -gap / 2])
    assert found.tie == pytest.approx(tie)
    assert found.log_likelihood == pytest.approx(6 * math.log(0.5) + 6 * math.log(0.25))


@pytest.mark.parametrize("ties", list(Ties))
def test_without_ties_by_hand(ties: Ties) -> None:
    """3 wins of 4: d = log 3 with variance 1/3 + 1/1."""
    found = bradley_terry([1] * 4, [2] * 4, [1, 1, 0, 1], ties=ties)
    assert found.strength[0] - found.strength[1] == pytest.approx(math.log(3))
    assert 4 * found.standard_error[0] ** 2 == pytest.approx(4 / 3)
    assert found.tie == (-math.inf if ties is Ties.DAVIDSON else 0)
    assert math.isnan(found.tie_error)


comparisons = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, 0.5, 1.0])).filter(
        lambda row: row[0] != row[1]
    ),
    max_size=12,
)
CIRCLE = [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0), (3, 0, 1.0), (0, 2, 0.5)]


def fitted(rows: list[tuple[int, int, float]], ties: Ties) -> Strengths:
    first, second, outcome = zip(*rows, strict=True)
    return bradley_terry(first, second, outcome, ties=ties)


@given(comparisons, st.sampled_from(list(Ties)), st.integers(0, 100))
def test_order_and_sides_do_not_count(
    rows: list[tuple[int, int, float]], ties: Ties, seed: int
) -> None:
    rows = [*CIRCLE, *rows]
    rng = np.random.default_rng(seed)
    turned = [(b, a, 1 - o) if rng.random() < 0.5 else (a, b, o) for a, b, o in rows]
    mixed = [turned[place] for place in rng.permutation(len(rows))]
    one, two = fitted(rows, ties), fitted(mixed, ties)
    for place, player in enumerate(one.players):
        there = two.players.index(player)
        assert two.strength[there] == pytest.approx(one.strength[place], abs=1e-6)
        assert two.standard_error[there] == pytest.approx(one.standard_error[place], abs=1e-5)
    assert two.tie == pytest.approx(one.tie, abs=1e-6)


@pytest.mark.parametrize("ties", list(Ties))
def test_recovers_planted_strengths_within_its_errors(ties: Ties) -> None:
    rng = np.random.default_rng(0)
    true, tie = np.array([0.8, 0.2, -0.3, -0.7]), 0.4
    first, second = rng.integers(0, 4, size=(2, 6000))
    first, second = first[first != second], second[first != second]
    chances = probabilities(true[first] - true[second], tie, ties)
    draw = (rng.random(len(first)) > np.cumsum(chances, axis=0)).sum(axis=0)
    found = bradley_terry(first.tolist(), second.tolist(), 1 - draw / 2, ties=ties)
    order = [found.players.index(player) for player in range(4)]
    off = (found.strength[order] - true) / found.standard_error[order]
    assert np.abs(off).max() < 3.5
    assert abs(found.tie - tie) < 3.5 * found.tie_error
    assert found.standard_error.max() < 0.05


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="two players"):
        bradley_terry([1], [2], [1, 0])
    with pytest.raises(DataError, match="himself"):
        bradley_terry([1], [1], [1])
    with pytest.raises(DataError, match=r"0, \.5 or 1"):
        bradley_terry([1], [2], [0.7])
    with pytest.raises(DataError, match="weight"):
        bradley_terry([1], [2], [1], weight=[-1])
    with pytest.raises(DataError, match="somebody won"):
        bradley_terry([1], [2], [0.5])
    with pytest.raises(DataError, match="always won or lost") as caught:
        bradley_terry([1, 2, 1, "x"], [2, 1, 2, 2], [1, 1, 1, 1])
    assert caught.value.got == "x"
