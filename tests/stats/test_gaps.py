"""Accuracy on pairs of texts whose ratings are clearly apart."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats.gaps import gap_accuracy


def test_pairs_by_hand() -> None:
    """Of 0, 1, 3 with a gap of 2 the pairs are (3, 0) right and (3, 1) a draw: 3/4."""
    found = gap_accuracy([0, 5, 5], [0, 1, 3], gap=2)
    assert found.estimate == 0.75
    assert found.clusters == 3


@given(st.integers(0, 1000), st.floats(0.5, 2))
def test_it_is_the_share_of_all_pairs(seed: int, gap: float) -> None:
    rng = np.random.default_rng(seed)
    rating = rng.integers(-4, 5, 20).astype(float)
    score = np.round(rating + rng.normal(size=20) * 2)
    credit = [
        (np.sign(score[i] - score[j]) + 1) / 2
        for i, j in permutations(range(20), 2)
        if rating[i] - rating[j] >= gap
    ]
    found = gap_accuracy(score, rating, gap=gap, resamples=1000)
    assert found.estimate == pytest.approx(np.mean(credit))
    assert found.low <= found.high


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Pairs of one text are not independent: counting pairs would be far too narrow."""
    rng = np.random.default_rng(5)

    def draw(texts: int) -> tuple[np.ndarray, np.ndarray]:
        rating = rng.normal(size=texts) * 2
        return rating + rng.normal(size=texts) * 2, rating

    truth = float(
        np.mean([gap_accuracy(*draw(400), gap=1, resamples=1000).estimate for _ in "1234567890"])
    )
    held = 0
    for _ in range(120):
        found = gap_accuracy(*draw(60), gap=1, resamples=1000)
        held += found.low <= truth <= found.high
    assert 107 <= held <= 119


def test_it_is_reproducible_by_seed() -> None:
    rng = np.random.default_rng(1)
    score, rating = rng.normal(size=(2, 30))
    one = gap_accuracy(score, rating, gap=1)
    assert one == gap_accuracy(score, rating, gap=1)
    assert one != gap_accuracy(score, rating, gap=1, seed=1)


@pytest.mark.parametrize(
    ("score", "rating", "gap", "match"),
    [
        ([1, 2], [1, 2, 3], 1, "a score and a rating"),
        ([1, np.nan], [1, 2], 1, "finite"),
        ([1, 2], [1, 2], 0, "above 0"),
        ([1, 2], [1, 1.5], 1, "far apart"),
    ],
)
def test_what_has_no_accuracy_is_refused(
    score: list[float], rating: list[float], gap: float, match: str
) -> None:
    with pytest.raises(DataError, match=match):
        gap_accuracy(score, rating, gap=gap)
