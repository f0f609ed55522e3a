"""Token rows in flat arrays give back what was put in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.text.tokenized import Tokenized, TokenRows

rows = st.lists(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.booleans()), max_size=8).map(
        lambda pairs: Tokenized(tuple(i for i, _ in pairs), tuple(m for _, m in pairs))
    ),
    max_size=8,
)


@given(rows)
def test_rows_come_back_in_order(given_rows: list[Tokenized]) -> None:
    stored = TokenRows.build(iter(given_rows))
    assert len(stored) == len(given_rows)
    assert stored.lengths.tolist() == [len(row) for row in given_rows]
    for index, row in enumerate(given_rows):
        assert stored[index].ids.tolist() == list(row.ids)
        assert stored[index].mask.tolist() == list(row.mask)
        assert stored[index - len(given_rows)].ids.tolist() == list(row.ids)
    assert (stored.ids.dtype, stored.mask.dtype, stored.offsets.dtype) == (
        np.uint32,
        np.bool_,
        np.int64,
    )


def test_rows_can_be_iterated_and_end() -> None:
    stored = TokenRows.build([Tokenized((1, 2), (False, True))] * 3)
    assert [row.ids.tolist() for row in stored] == [[1, 2]] * 3
    for index in (3, -4):
        with pytest.raises(IndexError, match="of 3"):
            stored[index]


def test_a_row_is_a_view() -> None:
    stored = TokenRows.build([Tokenized((1, 2), (False, True))])
    assert stored[0].ids.base is not None
    assert np.shares_memory(stored[0].ids, stored.ids)


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(DataError, match="2 tokens, 1 mask"):
        Tokenized((1, 2), (True,))
    with pytest.raises(DataError, match="do not fit"):
        TokenRows(np.zeros(2, np.uint32), np.zeros(1, np.bool_), np.array([0, 2]))


def test_what_was_cut_is_read_as_a_text_that_ends() -> None:
    cut, whole = Tokenized.answered([1, 2], [3]), Tokenized.answered([1, 2], [3, 0])
    assert cut.ended(0) == whole == whole.ended(0)
    assert whole.mask == (False, False, True, True)
