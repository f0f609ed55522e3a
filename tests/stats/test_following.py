"""Repeating the answer that was there, by hand and on planted raters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from accord.core.errors import DataError
from accord.stats.rater_bias import Finding, following
from accord.stats.ratings import Ratings

NAN = math.nan


def found(table: list[list[float]], order: list[list[float]], column: int) -> Finding:
    votes = Ratings.of_table(table, scale=[0, 0.5, 1])
    return following(votes, order)[column]


def test_by_the_votes_by_hand() -> None:
    """Three items on which the others are split and the rater repeats the later: (1/2)^3, doubled
    for two tests; the rater never came first."""
    one = found([[0, 1, 1], [1, 0, 0], [0, 1, 1]], [[1, 2, 3]] * 3, column=2)
    assert (one.n, one.interval.estimate) == (3, 1)
    assert one.p == pytest.approx(2 * 0.5**3)
    other = found([[0, 1, 1], [1, 0, 0], [0, 1, 1]], [[2, 1, 3]] * 3, column=2)
    assert (other.interval.estimate, other.p) == (0, 1)


def test_by_the_turn_by_hand() -> None:
    """One other vote an item: the same four times behind it, never before it: 1 / C(8, 4)."""
    table = [[1, 1]] * 4 + [[1, 0]] * 4
    one = found(table, [[1, 2]] * 4 + [[2, 1]] * 4, column=1)
    assert (one.n, one.interval.estimate) == (4, 1)
    assert one.p == pytest.approx(2 / math.comb(8, 4))


def test_whoever_is_alone_or_first_is_not_asked() -> None:
    one = found([[1, NAN], [0, 1]], [[1, NAN], [1, 2]], column=0)
    assert (one.n, math.isnan(one.p), math.isnan(one.q)) == (0, True, True)


def test_an_unanimous_pair_says_nothing() -> None:
    one = found([[1, 1, 1]] * 5, [[1, 2, 3]] * 5, column=2)
    assert one.p == 1


def test_votes_need_a_time() -> None:
    votes = Ratings.of_table([[1, 0]])
    with pytest.raises(DataError, match="time"):
        following(votes, [[1, NAN]])
    with pytest.raises(DataError, match="time"):
        following(votes, [[1]])


def test_honest_raters_are_seldom_called() -> None:
    """p below .05 in at most about 5% of 600 honest raters who agree on 74%."""
    rng = np.random.default_rng(5)
    small = []
    for _ in range(60):
        truth = rng.random(120) < 0.5
        votes = np.where(rng.random((120, 10)) < 0.85, truth[:, None], ~truth[:, None])
        seats = np.argsort(rng.random((120, 10)), axis=1) < 3
        values = np.where(seats, votes.astype(float), NAN)
        ratings = Ratings.of_table(values, scale=[0, 1])
        small += [one.p <= 0.05 for one in following(ratings, rng.random((120, 10)))]
    assert np.mean(small) < 0.06
