"""Bounds of settings, with one wording for all of them."""

from __future__ import annotations

import math

from accord.core.errors import ConfigError


def above(name: str, value: float, bound: float) -> None:
    """Raise ConfigError unless `value` is finite and greater than `bound`."""
    if not (math.isfinite(value) and value > bound):
        raise ConfigError(
            f"{name} must be greater than {bound:g}",
            got=value,
            do=f"give a number above {bound:g}",
        )


def at_least(name: str, value: float, bound: float) -> None:
    """Raise ConfigError unless `value` is finite and at least `bound`."""
    if not (math.isfinite(value) and value >= bound):
        raise ConfigError(
            f"{name} must be at least {bound:g}", got=value, do=f"give {bound:g} or more"
        )


def finite(name: str, value: float) -> None:
    """Raise ConfigError unless `value` is a finite number."""
    if not math.isfinite(value):
        raise ConfigError(
            f"{name} must be a finite number", got=value, do="give a number such as 0.1"
        )


def within(name: str, value: float, low: float, high: float) -> None:
    """Raise ConfigError unless `low <= value <= high`."""
    if not low <= value <= high:
        raise ConfigError(
            f"{name} must lie in [{low:g}, {high:g}]",
            got=value,
            do=f"give a number from {low:g} to {high:g}",
        )
