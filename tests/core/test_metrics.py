"""The metric table and the check of every row against it."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DivergenceError, InvariantError
from accord.core.metrics import BY_NAME, METRICS, check_row

NAMES = sorted(BY_NAME)


def test_names_are_unique_and_well_formed() -> None:
    assert len(NAMES) == len(METRICS)
    pattern = re.compile(r"[a-z]+(_[a-z0-9]+)*(/[a-z]+(_[a-z0-9]+)*)?")
    assert [name for name in NAMES if not pattern.fullmatch(name)] == []


def test_every_metric_has_a_unit_and_a_sentence() -> None:
    poor = [m.name for m in METRICS if not m.unit or not m.meaning.endswith(".")]
    assert poor == []


@given(st.dictionaries(st.sampled_from(NAMES), st.floats(allow_nan=False, allow_infinity=False)))
def test_declared_finite_figures_pass(row: dict[str, float]) -> None:
    check_row(row, where="step 1")


@given(st.sampled_from(NAMES), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_figure_that_is_not_finite_is_a_divergence(name: str, value: float) -> None:
    with pytest.raises(DivergenceError, match=f"{name} is no longer a finite number") as caught:
        check_row({"seconds": 1.0, name: value}, where="sft step 7")
    assert caught.value.exit_code == 2
    assert caught.value.where == "sft step 7"


def test_a_name_nobody_declared_is_a_defect() -> None:
    with pytest.raises(InvariantError, match="'los' is not declared") as caught:
        check_row({"los": 1.0}, where="step 1")
    assert caught.value.exit_code == 1
