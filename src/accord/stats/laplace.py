"""How unsure a linear model of paired comparisons is: a Gaussian around its fitted weights.

Laplace's approximation of the last layer (MacKay 1992; Kristiadi et al. 2020, arXiv:2002.10118):
features are taken as given, so that what training might have made of them is no part of it.

Shape letters:  P = pairs; D = features.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit

from accord.core.errors import DataError


def head_covariance(
    apart_PD: ArrayLike, lead_P: ArrayLike, weight_P: ArrayLike, *, precision: float
) -> NDArray[np.float64]:
    """`[D, D]` covariance of the weights w of P(first better) = sigmoid(w . apart).

    `apart_PD` are the first response's features less the second's, `lead_P` the fitted log-odds,
    `weight_P` how many observations a pair counts for, `precision` that of the Gaussian prior
    around 0. It is the inverse of precision I + sum weight p (1 - p) apart apart^T, with p =
    sigmoid(lead): the labels do not enter, because the logistic loss curves alike for both.
    Raises DataError for mixed shapes, numbers that are not finite, or a precision of 0 or less.
    """
    apart = np.asarray(apart_PD, dtype=np.float64)
    lead, weight = (np.asarray(one, dtype=np.float64) for one in (lead_P, weight_P))
    if apart.ndim != 2 or not len(apart) == len(lead) == len(weight):
        raise DataError(
            "a posterior needs features, a lead and a weight for each pair",
            got=f"{apart.shape}, {lead.shape}, {weight.shape}",
        )
    if not all(np.isfinite(one).all() for one in (apart, lead, weight)) or (weight < 0).any():
        raise DataError("features, leads and weights must be finite, and no weight below 0")
    if not (np.isfinite(precision) and precision > 0):
        raise DataError("the precision of a prior must be greater than 0", got=precision)
    chance = expit(lead)
    curve = weight * chance * (1 - chance)
    width = apart.shape[1]
    information = precision * np.eye(width) + (apart * curve[:, None]).T @ apart
    covariance = cho_solve(cho_factor(information), np.eye(width))
    symmetric: NDArray[np.float64] = (covariance + covariance.T) / 2
    return symmetric
