from __future__ import annotations

import math

import pytest

from accord.core.errors import DataError
from accord.evals.report.data import (
    Answer,
    Bin,
    Calibration,
    EvalFigure,
    KLSpent,
    Slice,
    StageReport,
)


def _figure(**values: float | None) -> EvalFigure:
    filled = {"value": 1.0, "low": 0.5, "high": 1.5, **values}
    return EvalFigure(name="gold", policy="ppo", unit="gold", meaning="", **filled)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match="gold of ppo must be finite"):
        _figure(value=bad)
    with pytest.raises(DataError, match="score must be finite"):
        Answer(policy="ppo", text="", score=bad)
    with pytest.raises(DataError, match="KL spent must be finite"):
        KLSpent(nats=bad)
    with pytest.raises(DataError, match="seconds of sft must be finite"):
        StageReport(name="sft", seconds=bad, peak_memory_gib=1, steps=1)


def test_intervals_have_both_ends_in_order() -> None:
    with pytest.raises(DataError, match="one end of an interval only"):
        _figure(low=None)
    with pytest.raises(DataError, match="upside down"):
        _figure(low=2.0, high=1.0)
    assert _figure(low=None, high=None).low is None


def test_shares_lie_between_0_and_1() -> None:
    with pytest.raises(DataError, match=r"lie in \[0, 1\]"):
        Bin(predicted=1.2, observed=0.5, count=3)
    with pytest.raises(DataError, match="must hold a pair"):
        Bin(predicted=0.2, observed=0.5, count=0)
    with pytest.raises(DataError, match="accuracy of long"):
        Slice(name="long", pairs=3, accuracy=74.1)
    with pytest.raises(DataError, match="baseline"):
        Calibration(
            bins=(), ece=0, brier=0, accuracy=0.5, interval=None, pairs=1, baselines={"a": 55.0}
        )


def test_row_steps_match_rows() -> None:
    with pytest.raises(DataError, match="one step a row"):
        StageReport(
            name="sft",
            seconds=1,
            peak_memory_gib=1,
            steps=2,
            rows=({"loss": 1.0},),
            row_steps=(1, 2),
        )
