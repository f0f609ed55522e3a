"""From numbers to places on a picture: linear scales with round ticks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from accord.evals.report.words import MINUS


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map of [low, high] to [start, end]; high > low."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)


def span(values: Iterable[float], *, pad: float = 0.06) -> tuple[float, float]:
    """Smallest and largest finite value with some air; a single value gets a range of its own.

    No value at all gives (0, 1).
    """
    found = [value for value in values if math.isfinite(value)]
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-12):
        room = abs(low) * 0.1 or 1.0
        return low - room, high + room
    room = (high - low) * pad
    return low - room, high + room


def step(low: float, high: float, wanted: int) -> float:
    """A round distance of ticks (1, 2 or 5 times a power of ten) giving about `wanted` of them."""
    raw = (high - low) / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers inside [low, high]."""
    width = step(low, high, wanted)
    first, last = math.ceil(low / width - 1e-9), math.floor(high / width + 1e-9)
    return [index * width for index in range(first, last + 1)]


def labels(values: list[float], *, unit: str = "") -> list[str]:
    """One label a tick with as many digits as tell the ticks apart; shares as per cent and
    their differences (unit `points`) in percentage points."""
    factor = 100.0 if unit in {"share", "points"} else 1.0
    scaled = [value * factor for value in values]
    gap = min((b - a for a, b in pairwise(scaled)), default=1.0)
    size = max((abs(value) for value in scaled), default=0.0)
    if size >= 1e6 or (0 < size < 1e-3):
        return [_power(value) for value in scaled]
    digits = max(0, -math.floor(math.log10(gap) + 1e-9)) if gap > 0 else 0
    tail = " %" if unit == "share" else ""
    return [f"{value:,.{digits}f}{tail}".replace("-", MINUS) for value in scaled]


def _power(value: float) -> str:
    if value == 0:
        return "0"
    head, tail = f"{value:.1e}".split("e")
    return f"{head.removesuffix('.0')}e{int(tail)}".replace("-", MINUS)
