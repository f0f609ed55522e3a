"""Calibration: hand values, invariances, and what simulation and scikit-learn say."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit

from accord.core.errors import DataError
from accord.stats import calibration

unit = st.floats(0, 1)
rows = st.lists(st.tuples(unit, unit), min_size=1, max_size=40)


def test_ece_by_hand() -> None:
    """Groups {.1, .3} and {.6, .8}; said .2 and .7; happened .5 and 1: (.3 + .3) / 2 = .3."""
    said, happened = [0.8, 0.1, 0.6, 0.3], [1.0, 0.0, 1.0, 1.0]
    assert calibration.ece(said, happened, bins=2) == pytest.approx(0.3)
    low, high = calibration.reliability(said, happened, bins=2)
    assert (low.low, low.high, low.probability, low.outcome, low.count) == pytest.approx(
        (0.1, 0.3, 0.2, 0.5, 2)
    )
    assert (high.low, high.high, high.probability, high.outcome, high.count) == pytest.approx(
        (0.6, 0.8, 0.7, 1.0, 2)
    )


def test_ece_weighs_groups_by_size() -> None:
    """Three equal probabilities stay together: groups of 3 and 1, gaps .2 and .1: .7 / 4 = .175."""
    said, happened = [0.2, 0.2, 0.2, 0.9], [0.0, 0.0, 0.0, 1.0]
    assert [group.count for group in calibration.reliability(said, happened, bins=2)] == [3, 1]
    assert calibration.ece(said, happened, bins=2) == pytest.approx(0.175)


def test_brier_by_hand() -> None:
    """(.2^2 + .3^2 + .5^2) / 3 = .12667."""
    assert calibration.brier([0.8, 0.3, 0.5], [1, 0, 1]) == pytest.approx(0.38 / 3)


def test_groups_of_equal_size() -> None:
    said = np.linspace(0, 1, 103)
    counts = [group.count for group in calibration.reliability(said, said > 0.5)]
    assert sum(counts) == 103
    assert max(counts) - min(counts) <= 1
    assert len(counts) == 10


@given(rows, st.integers(1, 12))
def test_the_order_of_the_data_does_not_count(data: list[tuple[float, float]], bins: int) -> None:
    said, happened = zip(*data, strict=True)
    back = list(zip(*sorted(data, key=lambda row: (row[1], -row[0])), strict=True))
    table = calibration.reliability(said, happened, bins=bins)
    assert sum(group.count for group in table) == len(data)
    assert len(table) <= bins
    assert all(one.high < other.low for one, other in pairwise(table))
    assert calibration.ece(said, happened, bins=bins) == pytest.approx(
        calibration.ece(back[0], back[1], bins=bins), abs=1e-12
    )


@given(rows)
def test_one_group_is_the_mean_gap(data: list[tuple[float, float]]) -> None:
    said, happened = np.array(data).T
    gap = abs(said.mean() - happened.mean())
    assert calibration.ece(said, happened, bins=1) == pytest.approx(gap, abs=1e-12)


def test_groups_agree_with_scikit_learn() -> None:
    other = pytest.importorskip("sklearn.calibration", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    said = rng.random(200)
    happened = rng.random(200) < said
    outcome, probability = other.calibration_curve(happened, said, n_bins=10, strategy="quantile")
    table = calibration.reliability(said, happened)
    assert [group.probability for group in table] == pytest.approx(list(probability))
    assert [group.outcome for group in table] == pytest.approx(list(outcome))


def test_a_calibrated_model_has_a_small_error_and_a_confident_one_a_large() -> None:
    """Expected under calibration: mean .8 sqrt(p (1 - p) bins / n) = .0197 here."""
    rng = np.random.default_rng(1)
    logit = rng.normal(size=2000) * 1.5
    said, happened = expit(logit), rng.random(2000) < expit(logit)
    expected = 0.8 * np.sqrt(said * (1 - said) * 10 / 2000).mean()
    assert 0.3 * expected < calibration.ece(said, happened) < 2 * expected
    assert calibration.ece(expit(3 * logit), happened) > 0.1


def test_favourites_by_hand() -> None:
    confidence, came_true = calibration.favourites([0.8, 0.3, 0.5, 0.1], [1.0, 1.0, 1.0, 0.2])
    assert confidence.tolist() == pytest.approx([0.8, 0.7, 0.5, 0.9])
    assert came_true.tolist() == pytest.approx([1.0, 0.0, 0.5, 0.8])


@given(rows, st.lists(st.booleans(), min_size=40, max_size=40))
def test_favourites_do_not_depend_on_which_side_is_first(
    data: list[tuple[float, float]], swap: list[bool]
) -> None:
    said, happened = np.array(data).T
    flip = np.array(swap[: len(data)])
    here = calibration.favourites(said, happened)
    there = calibration.favourites(
        np.where(flip, 1 - said, said), np.where(flip, 1 - happened, happened)
    )
    # 1 - p rounds a probability next to one half onto it.
    firm = np.abs(said - 0.5) > 1e-9
    for one, other in zip(here, there, strict=True):
        assert np.allclose(one[firm], other[firm], atol=1e-12)


def test_better_side_first_would_mislead_without_favourites() -> None:
    """A calibrated model, pairs listed better first: every outcome is 1."""
    rng = np.random.default_rng(2)
    said = expit(rng.normal(size=3000))
    listed = np.where(rng.random(3000) < said, said, 1 - said)
    ones = np.ones(3000)
    assert calibration.ece(listed, ones) > 0.3
    assert calibration.ece(*calibration.favourites(listed, ones)) < 0.04


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_temperature_finds_the_factor(true: float) -> None:
    """Standard error about 5% at 4000 predictions."""
    rng = np.random.default_rng(3)
    logit = rng.normal(size=4000) * 2
    happened = rng.random(4000) < expit(logit)
    assert calibration.temperature(true * logit, happened) == pytest.approx(true, rel=0.15)


def test_temperature_is_the_minimum_of_the_loss() -> None:
    rng = np.random.default_rng(4)
    logit = rng.normal(size=50) * 3
    happened = 0.8 * expit(logit) + 0.2 * rng.random(50)

    def loss(log_t: float) -> float:
        scaled = logit / math.exp(log_t)
        return float((-happened * log_expit(scaled) - (1 - happened) * log_expit(-scaled)).sum())

    other = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    found = calibration.temperature(logit, happened)
    assert found == pytest.approx(math.exp(other.x), rel=1e-5)


def test_temperature_by_hand() -> None:
    """Logits +-2, right 3 times in 4: sigmoid(2 / T) = .75, T = 2 / ln 3 = 1.8205."""
    found = calibration.temperature([2.0, 2.0, 2.0, -2.0], [1, 1, 0, 0])
    assert found == pytest.approx(2 / math.log(3))
    swapped = calibration.temperature([2.0, -2.0, 2.0, -2.0], [1, 0, 0, 0])
    assert swapped == pytest.approx(found)


def test_temperature_at_its_bounds() -> None:
    assert calibration.temperature([1.0, -1.0], [1, 0]) == 0.01
    assert calibration.temperature([1.0, -1.0], [0, 1]) == 100
    assert calibration.temperature([0.0, 0.0], [0, 1]) == 1


def test_bad_input_is_refused() -> None:
    with pytest.raises(DataError, match="one outcome a probability"):
        calibration.brier([0.5], [1, 0])
    with pytest.raises(DataError, match="one outcome a probability"):
        calibration.ece([], [])
    with pytest.raises(DataError, match="every probability"):
        calibration.ece([1.2], [1])
    with pytest.raises(DataError, match="every probability"):
        calibration.ece([math.nan], [1])
    with pytest.raises(DataError, match="every outcome"):
        calibration.favourites([0.2], [-1])
    with pytest.raises(DataError, match="one bin"):
        calibration.reliability([0.2], [1], bins=0)
    with pytest.raises(DataError, match="finite"):
        calibration.temperature([math.inf], [1])
