from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.evals.report.charts import scales

NUMBERS = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(st.lists(NUMBERS, min_size=1))
def test_span_holds_every_value_and_is_never_empty(values: list[float]) -> None:
    low, high = scales.span(values)
    assert low < high
    assert low <= min(values)
    assert max(values) <= high


def test_span_of_nothing_and_of_gaps() -> None:
    assert scales.span([]) == (0.0, 1.0)
    assert scales.span([math.nan, math.inf]) == (0.0, 1.0)
    assert scales.span([0.0]) == (-1.0, 1.0)


@given(st.lists(NUMBERS, min_size=1), st.integers(2, 8))
def test_ticks_lie_inside_and_are_not_many(values: list[float], wanted: int) -> None:
    low, high = scales.span(values)
    found = scales.ticks(low, high, wanted)
    assert 1 <= len(found) <= wanted + 1
    room = 1e-6 * (high - low)
    assert all(low - room <= tick <= high + room for tick in found)


@pytest.mark.parametrize(
    ("low", "high", "found"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.3, 2.2, [0, 0.5, 1, 1.5, 2]),
        (3, 43, [10, 20, 30, 40]),
    ],
)
def test_ticks_are_round(low: float, high: float, found: list[float]) -> None:
    assert scales.ticks(low, high, 5) == pytest.approx(found)


@given(st.lists(NUMBERS, min_size=2, unique=True))
def test_labels_tell_ticks_apart(values: list[float]) -> None:
    low, high = scales.span(values)
    if high - low < 1e-5 * max(abs(low), abs(high)):
        return
    found = scales.labels(scales.ticks(low, high, 5))
    if max(abs(low), abs(high)) < 1e5:
        assert len(set(found)) == len(found)


def test_labels_of_shares_and_small_numbers() -> None:
    assert scales.labels([0.5, 0.75], unit="share") == ["50 %", "75 %"]
    assert scales.labels([-0.02, 0.0, 0.02], unit="points") == ["\u22122", "0", "2"]
    assert scales.labels([0.0, 2e-5, 4e-5]) == ["0", "2e\u22125", "4e\u22125"]
    assert scales.labels([]) == []
