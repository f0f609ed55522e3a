"""Accuracy of pairs and its upper bound: by hand, as properties, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from accord.core.errors import DataError
from accord.stats import ranking

LEAD, LABEL = [2.0, -1.0, 5.0, 0.0, -3.0], [1.0, 0.2, 0.5, 1.0, 0.9]


def test_credit_by_hand() -> None:
    """Right, right, a tie left out, no lead, wrong."""
    credit, clear = ranking.pair_credit(LEAD, LABEL)
    assert credit.tolist() == [1.0, 1.0, 0.5, 0.0]
    assert clear.tolist() == [True, True, False, True, True]


def test_accuracy_by_hand() -> None:
    assert ranking.pair_accuracy(LEAD, LABEL) == pytest.approx(2.5 / 4)
    weighted = ranking.pair_accuracy(LEAD, LABEL, weight=[1.0, 1.0, 9.0, 2.0, 4.0])
    assert weighted == pytest.approx(3 / 8)


@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0])),
        min_size=1,
        max_size=20,
    )
)
def test_reversing_every_pair_or_every_score(data: list[tuple[float, float]]) -> None:
    lead, label = np.array(data).T
    if (label == 0.5).all():
        with pytest.raises(DataError, match="not a tie"):
            ranking.pair_accuracy(lead, label)
        return
    found = ranking.pair_accuracy(lead, label)
    assert ranking.pair_accuracy(-lead, 1 - label) == pytest.approx(found)
    assert ranking.pair_accuracy(-lead, label) == pytest.approx(1 - found)


def test_bayes_bound_by_hand() -> None:
    assert ranking.bayes_accuracy([0.9, 0.4, 0.5, 1.0]) == pytest.approx((0.9 + 0.6 + 0.5 + 1) / 4)


def test_the_true_score_reaches_the_bound_and_no_other_passes_it() -> None:
    """20,000 pairs judged by a Bradley-Terry rater: standard error .0031."""
    rng = np.random.default_rng(0)
    lead = rng.normal(size=20_000) * 1.5
    label = (rng.random(20_000) < expit(lead)).astype(float)
    bound = ranking.bayes_accuracy(expit(lead))
    assert ranking.pair_accuracy(lead, label) == pytest.approx(bound, abs=0.01)
    noisy = lead + rng.normal(size=20_000)
    assert ranking.pair_accuracy(noisy, label) < bound - 0.03


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="a lead and a label"):
        ranking.pair_credit([1.0], [1.0, 0.0])
    with pytest.raises(DataError, match="finite"):
        ranking.pair_credit([math.nan], [1.0])
    with pytest.raises(DataError, match="finite"):
        ranking.pair_credit([1.0], [1.5])
    for weight in ([1.0], [1.0, -1.0]):
        with pytest.raises(DataError, match="weight"):
            ranking.pair_accuracy([1.0, 1.0], [1.0, 1.0], weight=weight)
    with pytest.raises(DataError, match="not a tie"):
        ranking.pair_accuracy([1.0], [1.0], weight=[0.0])
    for chances in ([], [1.1], [math.nan]):
        with pytest.raises(DataError, match="Bayes"):
            ranking.bayes_accuracy(chances)
