"""The posterior of a linear model of pairs: its Hessian by differences, by hand, and its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_expit

from accord.core.errors import DataError
from accord.stats.laplace import head_covariance

RNG = np.random.default_rng(0)
APART, WEIGHT = RNG.normal(size=(12, 3)), RNG.uniform(0.2, 2, size=12)
HEAD = np.array([0.4, -0.7, 0.2])


def loss(head: NDArray[np.float64], label: NDArray[np.float64]) -> float:
    """Negative log-likelihood of the labels and the prior, as text books have it."""
    lead = APART @ head
    nll = -(WEIGHT * (label * log_expit(lead) + (1 - label) * log_expit(-lead))).sum()
    return float(nll + 0.5 * 4.0 * (head**2).sum())


def test_it_is_the_inverse_of_the_curvature_by_differences() -> None:
    """Of any labels: the logistic loss curves alike for a win, a loss and a soft label."""
    step = 1e-4
    for label in (np.ones(12), RNG.uniform(size=12)):
        hessian = np.zeros((3, 3))
        for i in range(3):
            for j in range(3):
                one, other = step * np.eye(3)[i], step * np.eye(3)[j]
                hessian[i, j] = (
                    loss(HEAD + one + other, label)
                    - loss(HEAD + one - other, label)
                    - loss(HEAD - one + other, label)
                    + loss(HEAD - one - other, label)
                ) / (4 * step**2)
        found = head_covariance(APART, APART @ HEAD, WEIGHT, precision=4.0)
        np.testing.assert_allclose(found, np.linalg.inv(hessian), rtol=1e-5)
        np.testing.assert_array_equal(found, found.T)


def test_by_hand() -> None:
    """One feature, lead 0: 1 / (2 + 3 * 1/4 * 4) = .2; nothing seen: the prior."""
    found = head_covariance([[2.0]], [0.0], [3.0], precision=2.0)
    assert found.item() == pytest.approx(0.2)
    unseen = head_covariance(np.zeros((0, 2)), [], [], precision=5.0)
    np.testing.assert_allclose(unseen, np.eye(2) / 5)


def test_more_pairs_leave_less_doubt_and_only_where_they_look() -> None:
    one = head_covariance([[1.0, 0.0]], [0.0], [1.0], precision=1.0)
    more = head_covariance([[1.0, 0.0]] * 50, [0.0] * 50, [1.0] * 50, precision=1.0)
    assert more[0, 0] < one[0, 0] / 10
    assert more[1, 1] == one[1, 1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("apart", "lead", "weight", "precision"),
    [
        ([[1.0]], [0.0, 1.0], [1.0], 1.0),
        ([1.0], [0.0], [1.0], 1.0),
        ([[math.nan]], [0.0], [1.0], 1.0),
        ([[1.0]], [math.inf], [1.0], 1.0),
        ([[1.0]], [0.0], [-1.0], 1.0),
        ([[1.0]], [0.0], [1.0], 0.0),
    ],
)
def test_what_has_no_posterior_is_refused(
    apart: object, lead: object, weight: object, precision: float
) -> None:
    with pytest.raises(DataError):
        head_covariance(apart, lead, weight, precision=precision)  # type: ignore[arg-type]
