"""Distinct and repeated runs of words, by hand and by their bounds."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats.diversity import distinct, repeated, runs

texts = st.lists(st.sampled_from(["a", "b", "C"]), max_size=9).map(" ".join)


def test_by_hand() -> None:
    # a b, b a, a b | A B: two different ones of four
    assert distinct(["a b a b", "A B"], 2) == 2 / 4
    # three runs of three: a b a, b a b, a b a
    assert repeated("a b a b a", 3) == pytest.approx(1 / 3)
    assert repeated("a b", 3) == 0
    assert distinct([], 2) == 0
    assert distinct(["one"], 2) == 0


def test_so_many_runs_as_drawn_in_every_way() -> None:
    """By enumeration: the mean share of different ones over all draws without replacement."""
    said = ["a b a b c", "b c d"]
    pairs = [("a", "b"), ("b", "a"), ("a", "b"), ("b", "c"), ("b", "c"), ("c", "d")]
    assert runs(said, 2) == len(pairs)
    for of in range(1, 7):
        shares = [len(set(some)) / of for some in combinations(pairs, of)]
        assert distinct(said, 2, of=of) == pytest.approx(sum(shares) / len(shares))
    assert distinct(said, 2, of=6) == distinct(said, 2) == 4 / 6
    for wrong in (0, 7):
        with pytest.raises(DataError, match="cannot be drawn"):
            distinct(said, 2, of=wrong)


def test_fewer_words_are_not_more_variety() -> None:
    """Half as many texts of one kind: the plain share rises, that of as many runs does not."""
    rng = Random(0)
    said = [" ".join(rng.choices("abcdefgh", k=12)) for _ in range(80)]
    assert distinct(said[:40], 2) > 1.5 * distinct(said, 2)
    of = runs(said[:40], 2)
    assert distinct(said[:40], 2, of=of) == pytest.approx(distinct(said, 2, of=of), rel=0.1)


@given(st.lists(texts, max_size=5), st.integers(1, 3))
def test_bounds(said: list[str], n: int) -> None:
    assert 0 <= distinct(said, n) <= 1
    for text in said:
        assert 0 <= repeated(text, n) < 1
        if len(text.split()) >= n:
            # Said twice over, at least the first time's runs are said before.
            assert repeated(f"{text} {text}", n) > 0
            assert distinct([text, text], n) == pytest.approx(distinct([text], n) / 2)
