"""Checks that the values of a report share: finite numbers, shares, intervals the right way up."""

from __future__ import annotations

import math

from accord.core.errors import DataError


def finite(what: str, *values: float | None) -> None:
    """Raise DataError for a value that is no number; None is left out."""
    for value in values:
        if value is not None and not math.isfinite(value):
            raise DataError(f"{what} must be finite", got=value, do="leave the figure out instead")


def in_unit(what: str, *values: float | None) -> None:
    """Raise DataError for a share outside [0, 1]."""
    finite(what, *values)
    for value in values:
        if value is not None and not 0 <= value <= 1:
            raise DataError(f"{what} must lie in [0, 1]", got=value)


def ordered(what: str, low: float | None, high: float | None) -> None:
    """Raise DataError for half an interval, or one that is upside down."""
    if (low is None) != (high is None):
        raise DataError(f"{what} has one end of an interval only", do="give both ends or none")
    if low is not None and high is not None and low > high:
        raise DataError(f"{what} has its interval upside down", got=f"{low} to {high}")


def counted(what: str, *values: int) -> None:
    """Raise DataError for a number of things below 0."""
    for value in values:
        if value < 0:
            raise DataError(f"{what} cannot be less than none", got=value)
