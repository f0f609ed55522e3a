"""Exact tests of counts: by hand, and as scipy has them."""

from __future__ import annotations

import math

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from accord.stats.exact import Side, binomial, clopper_pearson, fisher

counts = st.one_of(st.integers(0, 12), st.integers(0, 400))
ALTERNATIVES = {Side.LESS: "less", Side.GREATER: "greater", Side.EITHER: "two-sided"}


def test_by_hand() -> None:
    """(9 + 1) / 2^9 twice; of C(8, 4) deals of four yes, one gives all and one none to a row."""
    assert binomial(8, 9) == pytest.approx(20 / 512)
    assert binomial(1, 2) == 1
    assert fisher([[4, 0], [0, 4]]) == pytest.approx(2 / math.comb(8, 4))
    assert fisher([[4, 0], [0, 4]], Side.GREATER) == pytest.approx(1 / math.comb(8, 4))
    assert fisher([[4, 0], [0, 4]], Side.LESS) == pytest.approx(1)
    # None of 10: above its upper end 1 - .025^(1/10), none at all is rarer than .025.
    assert clopper_pearson(0, 10, level=0.95) == (0, pytest.approx(1 - 0.025**0.1))


@given(counts, counts)
def test_of_a_share_as_scipy_has_it(yes: int, no: int) -> None:
    total = yes + no + 1
    test = scipy.stats.binomtest(yes, total)
    assert binomial(yes, total) == pytest.approx(test.pvalue, rel=1e-9)
    limits = test.proportion_ci(confidence_level=0.9)
    found = clopper_pearson(yes, total, level=0.9)
    assert found == pytest.approx((limits.low, limits.high), rel=1e-6, abs=1e-9)


@given(counts, counts, counts, counts, st.sampled_from(list(Side)))
def test_of_a_table_as_scipy_has_it(a: int, b: int, c: int, d: int, side: Side) -> None:
    table = [[a, b], [c, d]]
    other = scipy.stats.fisher_exact(table, alternative=ALTERNATIVES[side]).pvalue
    assert fisher(table, side) == pytest.approx(other, rel=1e-8, abs=1e-300)
