"""What every objective returns, and the checks that all of them make.

Every objective sums over the rows it is given and divides by a denominator of the whole batch,
which the caller counts first. So the losses, gradients and metrics of micro-batches add up to those
of the batch, however it is cut.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

from torch import Tensor

from accord.core.errors import ConfigError, DataError, InvariantError

MOST_TIED = 12
"""Responses of one tier, at most: the mean over their orders takes 2^m sums."""


class Loss(NamedTuple):
    """An objective's value and the figures that come with it."""

    value: Tensor
    """Scalar to call `backward` on."""
    metrics: dict[str, Tensor]
    """Detached scalars by their declared names. Each is this part's share of the batch's figure:
    add the parts of a batch to get it."""

    def plus(self, term: Self) -> Self:
        """With another term of the same part beside it, and that term's figures."""
        return self._replace(value=self.value + term.value, metrics=self.metrics | term.metrics)


def same_shape(**tensors: Tensor) -> None:
    """Raise InvariantError unless all tensors have one shape: broadcasting would hide a mix-up."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        raise InvariantError("an objective was given tensors of different shapes", got=shapes)


def check_denominator(name: str, value: float, *, least: int = 0) -> None:
    """Refuse a denominator that cannot be the whole batch's.

    `least` is a count of local items that the batch contains. Raises DataError where the batch is
    empty (a mean over nothing) and InvariantError where it is smaller than its part.
    """
    if not (math.isfinite(value) and value > 0):
        raise DataError(
            f"{name} must be positive: a batch without trained items has no mean",
            got=value,
            do="leave out rows of which nothing is trained",
        )
    if value < least:
        raise InvariantError(f"{name} is smaller than this part of the batch ({least})", got=value)


def check_positive(name: str, value: float) -> None:
    """Raise ConfigError unless `value` is finite and greater than 0."""
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{name} must be greater than 0", got=value)


def check_smoothing(value: float) -> None:
    """Raise ConfigError unless `value`, the share of labels turned over, lies in [0, .5)."""
    if not 0 <= value < 0.5:
        raise ConfigError(
            "smoothing must lie in [0, 0.5): it is the share of labels that are wrong",
            got=value,
            do="give a number such as 0.1",
        )


def check_tiers(most_tied: int) -> None:
    """Raise DataError where a tier holds more responses than a mean over their orders can hold."""
    if most_tied > MOST_TIED:
        raise DataError(
            f"a tier holds more than {MOST_TIED} responses: its orders are too many to average",
            got=most_tied,
            do='split the tier, or set objective = "bradley-terry"',
        )
