"""Ratings: triples and tables, holes, names and scales."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats import ratings as module
from accord.stats.ratings import Ratings


def test_rows_become_a_table() -> None:
    found = Ratings.of_rows([("b", "ann", 2.0), ("a", "bob", 1.0), ("b", "bob", 3.0)])
    assert found.items == ("b", "a")
    assert found.raters == ("ann", "bob")
    assert np.array_equal(found.values, [[2.0, 3.0], [np.nan, 1.0]], equal_nan=True)
    assert found.scale == (1.0, 2.0, 3.0)
    assert found.codes().tolist() == [[1, 2], [-1, 0]]
    assert found.counts().tolist() == [[0, 1, 1], [1, 0, 0]]


def test_a_table_is_copied() -> None:
    table = np.array([[1.0, 2.0]])
    found = Ratings.of_table(table)
    table[0, 0] = 2.0
    assert found.values[0, 0] == 1.0


def test_the_scale_may_have_values_that_nobody_gave() -> None:
    found = Ratings.of_table([[1, 5]], scale=[1, 2, 3, 4, 5])
    assert found.counts().tolist() == [[1, 0, 0, 0, 1]]


def test_only_the_named_raters_in_their_order() -> None:
    found = Ratings.of_table([[1, 2, 3]], raters=["a", "b", "c"]).only("c", "a")
    assert (found.raters, found.values.tolist()) == (("c", "a"), [[3.0, 1.0]])


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 5), st.integers(0, 3)),
        st.sampled_from([1.0, 2.0, 4.0]),
        min_size=1,
    )
)
def test_rows_and_tables_hold_the_same(cells: dict[tuple[int, int], float]) -> None:
    found = Ratings.of_rows([(item, rater, value) for (item, rater), value in cells.items()])
    for row, item in enumerate(found.items):
        for column, rater in enumerate(found.raters):
            value = found.values[row, column]
            assert (item, rater) in cells or math.isnan(value)
            assert math.isnan(value) or cells[item, rater] == value
    assert found.counts().sum() == len(cells)


def test_bad_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="twice"):
        Ratings.of_rows([("a", "r", 1.0), ("a", "r", 1.0)])
    with pytest.raises(DataError, match="finite"):
        Ratings.of_rows([("a", "r", math.nan)])
    with pytest.raises(DataError, match="finite"):
        Ratings.of_table([[math.inf]])
    with pytest.raises(DataError, match="table"):
        Ratings.of_table([1.0, 2.0])
    with pytest.raises(DataError, match="row an item"):
        Ratings.of_table([[1.0]], items=["a", "b"])
    with pytest.raises(DataError, match="every rater"):
        Ratings.of_table([[1.0, 2.0]], raters=["a", "a"])
    with pytest.raises(DataError, match="not on the scale"):
        Ratings.of_table([[1.0, 2.5]], scale=[1, 2, 3])
    with pytest.raises(DataError, match="rising"):
        Ratings.of_table([[1.0]], scale=[2, 1])
    with pytest.raises(DataError, match="no such rater"):
        Ratings.of_table([[1.0]]).only(3)
    monkeypatch.setattr(module, "MOST_CELLS", 3)
    with pytest.raises(DataError, match="too many different values"):
        Ratings.of_table([[1.0, 2.0], [3.0, 4.0]]).counts()
