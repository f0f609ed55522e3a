"""Linear models against scikit-learn, by hand, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression, Ridge

from accord.core.errors import DataError
from accord.stats.linear import (
    PENALTIES,
    RIDGE_PENALTIES,
    fit_logistic,
    fit_pairs,
    fit_pairs_by_folds,
    fit_ridge,
    fit_ridge_by_folds,
)


def drawn(seed: int, rows: int = 60, columns: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(rows, columns)) * rng.uniform(0.1, 9, columns) + 3
    return features, features @ rng.normal(size=columns) + rng.normal(size=rows)


def standard(features: np.ndarray) -> np.ndarray:
    return (features - features.mean(0)) / features.std(0)


@given(st.integers(0, 10_000), st.floats(1e-3, 10))
def test_ridge_is_that_of_scikit_learn(seed: int, penalty: float) -> None:
    features, target = drawn(seed)
    found = fit_ridge(features, target, penalty=penalty)
    oracle = Ridge(alpha=penalty * len(target)).fit(standard(features), target)
    assert found.weights_D == pytest.approx(oracle.coef_, rel=1e-8, abs=1e-10)
    assert found(features) == pytest.approx(oracle.predict(standard(features)), rel=1e-8)


@given(st.integers(0, 10_000), st.floats(1e-3, 1))
def test_logistic_is_that_of_scikit_learn(seed: int, penalty: float) -> None:
    features, target = drawn(seed)
    label = (target > np.median(target)).astype(float)
    weight = np.random.default_rng(seed).uniform(0.5, 2, len(label))
    found = fit_logistic(features, label, penalty=penalty, weight_I=weight)
    strength = 1 / (2 * penalty)
    oracle = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000)
    oracle.fit(standard(features), label, sample_weight=weight / weight.sum())
    assert found.weights_D == pytest.approx(oracle.coef_[0], rel=1e-3, abs=1e-5)
    assert found.bias == pytest.approx(oracle.intercept_[0], rel=1e-3, abs=1e-5)


@given(st.integers(0, 10_000))
def test_pairs_are_a_logistic_regression_of_differences(seed: int) -> None:
    """Each pair said both ways has no bias: then it is scikit-learn's."""
    first, target = drawn(seed)
    second = first[::-1]
    label = (target > target[::-1]).astype(float)
    found = fit_pairs(first, second, label, penalty=0.1)
    scale = np.concatenate([first, second]).std(0)
    difference = (first - second) / scale
    oracle = LogisticRegression(C=1 / 0.2, fit_intercept=False, tol=1e-10, max_iter=10_000)
    size = np.full(2 * len(label), 0.5 / len(label))
    oracle.fit(np.concatenate([difference, -difference]), np.r_[label, 1 - label], size)
    assert found.weights_D == pytest.approx(oracle.coef_[0], rel=1e-3, abs=1e-5)
    assert found(first) - found(second) == pytest.approx(difference @ found.weights_D)


def test_folds_choose_the_penalty_that_loses_least_elsewhere() -> None:
    """Noise alone wants the largest penalty, a clear signal a small one."""
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(2, 120, 30))
    clusters = [number // 2 for number in range(120)]

    def chosen(label: np.ndarray) -> float:
        found = fit_pairs_by_folds(first, second, label, clusters=clusters)
        made = [fit_pairs(first, second, label, penalty=p) for p in PENALTIES]
        same = [np.array_equal(found.weights_D, one.weights_D) for one in made]
        return PENALTIES[same.index(True)]

    assert chosen(rng.integers(0, 2, 120).astype(float)) == max(PENALTIES)
    clear = (first[:, 0] > second[:, 0]).astype(float)
    assert chosen(clear) < 0.05
    with pytest.raises(DataError, match="as many clusters as folds"):
        fit_pairs_by_folds(first, second, clear, clusters=["one"] * 120)


def test_ridge_by_folds_chooses_as_cross_validation_does() -> None:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(80, 20))
    for target, expected in (
        (features @ rng.normal(size=20), min(RIDGE_PENALTIES)),
        (rng.normal(size=80), max(RIDGE_PENALTIES)),
    ):
        found = fit_ridge_by_folds(features, target)
        same = fit_ridge(features, target, penalty=expected)
        assert np.array_equal(found.weights_D, same.weights_D)
    with pytest.raises(DataError, match="two rows each"):
        fit_ridge_by_folds(features[:7], target[:7])


def test_a_soft_label_by_hand() -> None:
    """One column, all rows alike: the log-odds are those of the mean label."""
    found = fit_logistic([[1.0]] * 4, [1, 0.5, 0.5, 1], penalty=0.1)
    assert found([[1.0]])[0] == pytest.approx(np.log(3), abs=1e-6)


def test_a_column_that_never_changes_says_nothing() -> None:
    features, target = drawn(1)
    wider = np.c_[features, np.full(len(features), 7.0)]
    found = fit_ridge(wider, target, penalty=0.1)
    assert found.weights_D[-1] == 0
    assert found(wider) == pytest.approx(fit_ridge(features, target, penalty=0.1)(features))


@pytest.mark.parametrize(
    ("features", "values", "penalty", "match"),
    [
        ([[1.0], [2.0]], [1.0], 1, "needs a number beside it"),
        ([[np.nan], [2.0]], [1.0, 2.0], 1, "finite"),
        ([1.0, 2.0], [1.0, 2.0], 1, "rows of finite"),
        ([[1.0], [2.0]], [1.0, np.inf], 1, "needs a number"),
        ([[1.0], [2.0]], [1.0, 2.0], 0, "above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    features: list[float], values: list[float], penalty: float, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        fit_ridge(features, values, penalty=penalty)


def test_labels_weights_and_columns_are_checked() -> None:
    with pytest.raises(DataError, match="probabilities"):
        fit_logistic([[1.0], [2.0]], [0, 2], penalty=1)
    with pytest.raises(DataError, match="weight"):
        fit_logistic([[1.0], [2.0]], [0, 1], penalty=1, weight_I=[-1, 1])
    with pytest.raises(DataError, match="same columns"):
        fit_pairs([[1.0]], [[1.0, 2.0]], [1], penalty=1)
    with pytest.raises(DataError, match="not those of the fit"):
        fit_ridge([[1.0], [2.0]], [1, 2], penalty=1)([[1.0, 2.0]])


def test_a_column_that_changes_by_rounding_alone_says_nothing() -> None:
    """The mean of 1,320 times .1 is not .1: what another value of it does must not be huge."""
    rng = np.random.default_rng(0)
    features = np.c_[rng.normal(size=1320), np.full((1320, 2), 0.1)]
    assert (features.std(axis=0) > 0).all()
    for linear in (
        fit_ridge(features, features[:, 0], penalty=0.01),
        fit_logistic(features, (features[:, 0] > 0).astype(float), penalty=0.01),
    ):
        usual, other = linear(np.array([[1.0, 0.1, 0.1], [1.0, 0.7, 0.1]]))
        assert other == pytest.approx(usual, abs=1e-6)
