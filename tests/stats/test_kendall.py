"""Kendall's tau-b: by hand, against scipy, and where it is undefined."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats import kendall
from accord.stats.intervals import bootstrap_mean

ranks = st.integers(2, 6).flatmap(
    lambda k: st.lists(
        st.lists(st.integers(1, 3).map(float), min_size=k, max_size=k), min_size=2, max_size=4
    )
)


def test_by_hand() -> None:
    """A > B = C against A > B > C: 2 concordant of 3 pairs, one tied in the first: 2 / sqrt 6."""
    assert kendall.tau_b([1, 2, 2], [1, 2, 3]) == pytest.approx(2 / math.sqrt(6))
    assert kendall.tau_b([1, 2, 3], [3, 2, 1]) == -1


@given(ranks)
def test_agrees_with_scipy(table: list[list[float]]) -> None:
    other = scipy.stats.kendalltau(table[0], table[1], variant="b").statistic
    assert kendall.tau_b(table[0], table[1]) == pytest.approx(other, abs=1e-8, nan_ok=True)


@given(ranks)
def test_mean_over_pairs_of_raters_is_scipys(table: list[list[float]]) -> None:
    pairs = [
        scipy.stats.kendalltau(table[a], table[b]).statistic
        for a in range(len(table))
        for b in range(a)
    ]
    defined = [tau for tau in pairs if not math.isnan(tau)]
    (found,) = kendall.item_taus([table])
    assert found == pytest.approx(np.mean(defined) if defined else math.nan, nan_ok=True)


def test_raters_who_ranked_nothing_and_rankings_without_order_are_left_out() -> None:
    nothing = [math.nan] * 3
    taus = kendall.item_taus(
        [[[1, 2, 3], nothing, [1, 2, 3], [1, 1, 1]], [[1, 1], [1, 2]], [[1, 2], [math.nan] * 2]]
    )
    assert taus[0] == 1
    assert np.isnan(taus[1:]).all()


def test_mean_with_its_interval() -> None:
    rng = np.random.default_rng(0)
    items = [np.argsort(rng.normal(size=(3, 4)) + np.arange(4)) for _ in range(30)]
    items[3] = np.ones((3, 4))
    clusters = np.repeat(np.arange(15), 2)
    found = kendall.mean_tau_b(items, clusters=clusters)
    taus = kendall.item_taus(items)
    there = np.arange(30) != 3
    assert found == bootstrap_mean(taus[there], clusters=clusters[there])
    assert 0 < found.low < found.estimate < found.high < 1


def test_bad_input_is_refused() -> None:
    for first, second, what in (
        ([1, 2], [1, 2, 3], "same responses"),
        ([1], [1], "at least two"),
        ([1, math.nan], [1, 2], "finite"),
    ):
        with pytest.raises(DataError, match=what):
            kendall.tau_b(first, second)
    with pytest.raises(DataError, match="finite"):
        kendall.item_taus([[[1, math.nan], [1, 2]]])
    with pytest.raises(DataError, match="row a rater"):
        kendall.item_taus([[1, 2]])
    with pytest.raises(DataError, match="one cluster an item"):
        kendall.mean_tau_b([[[1, 2], [1, 2]]], clusters=[1, 2])
    with pytest.raises(DataError, match="two independent draws"):
        kendall.mean_tau_b([[[1, 2], [1, 2]]])
