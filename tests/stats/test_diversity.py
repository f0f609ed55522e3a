"""Distinct and repeated runs of words, by hand and by their bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.stats.diversity import distinct, repeated

texts = st.lists(st.sampled_from(["a", "b", "C"]), max_size=9).map(" ".join)


def test_by_hand() -> None:
    # a b, b a, a b | A B: two different ones of four
    assert distinct(["a b a b", "A B"], 2) == 2 / 4
    # three runs of three: a b a, b a b, a b a
    assert repeated("a b a b a", 3) == pytest.approx(1 / 3)
    assert repeated("a b", 3) == 0
    assert distinct([], 2) == 0
    assert distinct(["one"], 2) == 0


@given(st.lists(texts, max_size=5), st.integers(1, 3))
def test_bounds(said: list[str], n: int) -> None:
    assert 0 <= distinct(said, n) <= 1
    for text in said:
        assert 0 <= repeated(text, n) < 1
        if len(text.split()) >= n:
            # Said twice over, at least the first time's runs are said before.
            assert repeated(f"{text} {text}", n) > 0
            assert distinct([text, text], n) == pytest.approx(distinct([text], n) / 2)
