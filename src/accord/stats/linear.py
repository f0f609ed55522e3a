"""Linear models of features: ridge regression, logistic regression, and Bradley-Terry on pairs.

Columns are brought to mean 0 and variance 1 first, so that one penalty fits them all.

Shape letters:  I = rows;  D = columns.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, log_expit

from accord.core.errors import DataError

Floats = NDArray[np.float64]
PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""What `fit_pairs_by_folds` chooses from."""
NEWTON_STEPS, FLAT, TINY = 100, 1e-9, 1e-12
"""Most steps of a fit, the slope at which it ends, and what keeps a curvature above 0."""
RIDGE_PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""What `fit_ridge_by_folds` chooses from."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Linear:
    """`(features - mean) / scale @ weights + bias`."""

    mean_D: Floats
    scale_D: Floats
    weights_D: Floats
    bias: float

    def __call__(self, features_ID: ArrayLike) -> Floats:
        """`[I]` values. Raises DataError for another number of columns."""
        features = _table(features_ID)
        if features.shape[1] != len(self.weights_D):
            raise DataError(
                "these features are not those of the fit",
                got=f"{features.shape[1]} columns, fitted on {len(self.weights_D)}",
            )
        values: Floats = (features - self.mean_D) / self.scale_D @ self.weights_D + self.bias
        return values


def fit_ridge(features_ID: ArrayLike, target_I: ArrayLike, *, penalty: float) -> Linear:
    """Least squares with `penalty * I * |weights|^2` added (Hoerl and Kennard 1970).

    Raises DataError for lengths that differ, a value that is no number, or a penalty not above 0.
    """
    features, target = _checked(features_ID, target_I, penalty)
    mean, scale = _spread(features)
    z, middle = (features - mean) / scale, float(target.mean())
    gram = z.T @ z + penalty * len(z) * np.eye(z.shape[1])
    weights = cho_solve(cho_factor(gram), z.T @ (target - middle))
    return Linear(mean_D=mean, scale_D=scale, weights_D=weights, bias=middle)


def fit_ridge_by_folds(
    features_ID: ArrayLike,
    target_I: ArrayLike,
    *,
    penalties: Sequence[float] = RIDGE_PENALTIES,
    folds: int = 4,
) -> Linear:
    """`fit_ridge` under the penalty of least squared error on rows it was not fitted on.

    Row i is in fold i modulo `folds`. Raises DataError as `fit_ridge`, and for fewer than two rows
    a fold.
    """
    features, target = _checked(features_ID, target_I, min(penalties))
    if len(target) < 2 * folds:
        raise DataError("folds need two rows each", got=f"{len(target)} rows, {folds} folds")
    fold = np.arange(len(target)) % folds

    def lost(penalty: float) -> float:
        total = 0.0
        for number in range(folds):
            out = fold == number
            made = fit_ridge(features[~out], target[~out], penalty=penalty)
            total += float(np.square(made(features[out]) - target[out]).sum())
        return total

    return fit_ridge(features, target, penalty=min(penalties, key=lost))


def fit_logistic(
    features_ID: ArrayLike,
    label_I: ArrayLike,
    *,
    penalty: float,
    weight_I: ArrayLike | None = None,
) -> Linear:
    """Log-odds of label 1: minimises the weighted mean log-loss + `penalty * |weights|^2`.

    Labels are probabilities in [0, 1]. Raises DataError as `fit_ridge`, and for other labels.
    """
    features, label = _checked(features_ID, label_I, penalty)
    _check_labels(label)
    mean, scale = _spread(features)
    weights, bias = _descend((features - mean) / scale, label, weight_I, penalty, biased=True)
    return Linear(mean_D=mean, scale_D=scale, weights_D=weights, bias=bias)


def fit_pairs(
    first_ID: ArrayLike,
    second_ID: ArrayLike,
    label_I: ArrayLike,
    *,
    penalty: float,
    weight_I: ArrayLike | None = None,
) -> Linear:
    """A score whose difference is the log-odds that the first of a pair wins (Bradley and Terry
    1952): a linear probe where the columns are a frozen model's hidden states.

    Minimises the weighted mean log-loss + `penalty * |weights|^2`; there is no bias, as a score
    has no zero. Labels are P(first wins). Raises DataError as `fit_logistic`.
    """
    first, label = _checked(first_ID, label_I, penalty)
    second, _ = _checked(second_ID, label_I, penalty)
    _check_labels(label)
    if first.shape != second.shape:
        raise DataError("both of a pair have the same columns", got=(first.shape, second.shape))
    mean, scale = _spread(np.concatenate([first, second]))
    weights, _ = _descend((first - second) / scale, label, weight_I, penalty, biased=False)
    return Linear(mean_D=mean, scale_D=scale, weights_D=weights, bias=0.0)


def fit_pairs_by_folds(
    first_ID: ArrayLike,
    second_ID: ArrayLike,
    label_I: ArrayLike,
    *,
    clusters: Sequence[Hashable],
    weight_I: ArrayLike | None = None,
    penalties: Sequence[float] = PENALTIES,
    folds: int = 4,
) -> Linear:
    """`fit_pairs` under the penalty that loses least on clusters it was not fitted on.

    `clusters` names what each pair belongs to (its prompt, say): a cluster is in one fold, the
    first in the first, the second in the second and so on. Raises DataError as `fit_pairs`, and for
    fewer clusters than folds.
    """
    first, label = _checked(first_ID, label_I, min(penalties))
    second, _ = _checked(second_ID, label_I, min(penalties))
    order = {name: number for number, name in enumerate(dict.fromkeys(clusters))}
    if len(clusters) != len(label) or len(order) < folds:
        raise DataError(
            "folds need a cluster a pair, and as many clusters as folds",
            got=f"{len(clusters)} clusters for {len(label)} pairs, {len(order)} of them different",
        )
    fold = np.array([order[name] % folds for name in clusters])
    weight = np.ones_like(label) if weight_I is None else np.asarray(weight_I, dtype=np.float64)

    def lost(penalty: float) -> float:
        total = 0.0
        for number in range(folds):
            out = fold == number
            made = fit_pairs(
                first[~out], second[~out], label[~out], penalty=penalty, weight_I=weight[~out]
            )
            lead = made(first[out]) - made(second[out])
            losses = -label[out] * log_expit(lead) - (1 - label[out]) * log_expit(-lead)
            total += float(weight[out] @ losses)
        return total

    best = min(penalties, key=lost)
    return fit_pairs(first, second, label, penalty=best, weight_I=weight)


def _descend(
    z_ID: Floats, label: Floats, weight_I: ArrayLike | None, penalty: float, *, biased: bool
) -> tuple[Floats, float]:
    """Newton's steps, halved until the loss falls enough: the loss is convex, and the columns are
    few enough to solve for."""
    weight = np.ones_like(label) if weight_I is None else np.asarray(weight_I, dtype=np.float64)
    if weight.shape != label.shape or not (weight >= 0).all() or not weight.sum() > 0:
        raise DataError("every row needs a weight of at least 0", got=weight.shape)
    weight = weight / weight.sum()
    table = np.concatenate([z_ID, np.ones((len(z_ID), 1))], axis=1) if biased else z_ID
    price = np.full(table.shape[1], 2 * penalty)
    if biased:
        price[-1] = 0.0  # a bias costs nothing

    def loss(c: Floats) -> float:
        d = table @ c
        told = weight @ (-label * log_expit(d) - (1 - label) * log_expit(-d))
        return float(told + price @ (c * c) / 2)

    found = np.zeros(table.shape[1])
    now = loss(found)
    for _ in range(NEWTON_STEPS):
        chance = expit(table @ found)
        slope = table.T @ (weight * (chance - label)) + price * found
        if np.abs(slope).max() < FLAT:
            break
        bend = (table * (weight * chance * (1 - chance))[:, None]).T @ table
        bend[np.diag_indices_from(bend)] += price + TINY
        step = cho_solve(cho_factor(bend), slope)
        share = 1.0
        while (then := loss(found - share * step)) > now - 1e-4 * share * (slope @ step):
            share /= 2
            if share < TINY:
                break
        if share < TINY:
            break
        found, now = found - share * step, then
    return (found[:-1], float(found[-1])) if biased else (found, 0.0)


def _table(features_ID: ArrayLike) -> Floats:
    features = np.asarray(features_ID, dtype=np.float64)
    if features.ndim != 2 or not np.isfinite(features).all():
        raise DataError("features are rows of finite numbers", got=features.shape)
    return features


def _checked(features_ID: ArrayLike, values_I: ArrayLike, penalty: float) -> tuple[Floats, Floats]:
    features, values = _table(features_ID), np.asarray(values_I, dtype=np.float64)
    if values.shape != features.shape[:1] or not len(values) or not np.isfinite(values).all():
        raise DataError(
            "every row of features needs a number beside it",
            got=f"{features.shape[0]} rows, {values.shape} numbers",
        )
    if not penalty > 0:
        raise DataError("a penalty is above 0", got=penalty)
    return features, values


def _check_labels(label: Floats) -> None:
    if not ((label >= 0) & (label <= 1)).all():
        raise DataError("labels are probabilities", got=(float(label.min()), float(label.max())))


def _spread(features: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation a column; 1 for one that never changes but by rounding."""
    scale = features.std(axis=0)
    changes = scale > 1e-9 * np.abs(features).max(axis=0)
    return features.mean(axis=0), np.where(changes, scale, 1.0)
