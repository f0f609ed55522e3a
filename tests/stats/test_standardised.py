"""Differences at a like trait."""

from __future__ import annotations

import numpy as np
import pytest

from accord.core.errors import DataError
from accord.stats.standardised import at_like_trait


def world(
    seed: int, *, gain: float, shift: float, prompts: int = 60
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Short answers are worth more whoever gives them; the second group is shorter, and better by
    `gain`. Answers to one prompt are alike."""
    rng = np.random.default_rng(seed)
    prompt = rng.normal(0, 0.7, size=(prompts, 1))

    def group(samples: int, mean: float, plus: float) -> tuple[np.ndarray, np.ndarray]:
        length = rng.binomial(10, mean, size=(prompts, samples)).astype(float)
        noise = rng.normal(0, 1, size=length.shape)
        return -0.3 * length + prompt + noise + plus, length

    before, had = group(4, 0.6, 0.0)
    after, has = group(2, 0.6 - shift, gain)
    return before, after, had, has


def test_by_hand() -> None:
    # Long answers of the first group are worth 1 (20 of them), short ones 3 (10 of them).
    had = np.array([[5.0, 5.0, 2.0]] * 10)
    before = np.where(had > 3, 1.0, 3.0)
    has = np.array([[2.0, 2.0, 2.0, 5.0]] * 10)  # three in four are short: 2.5 is expected
    after = np.full(has.shape, 2.75)
    found = at_like_trait(before, after, trait_before_PS=had, trait_after_PS=has)
    assert found.estimate == pytest.approx(0.25, abs=1e-4)
    assert (found.low, found.high) == pytest.approx((0.25, 0.25), abs=1e-4)  # no prompt differs
    assert found.clusters == 10


def test_what_is_only_shorter_is_not_better() -> None:
    before, after, had, has = world(0, gain=0.0, shift=0.3, prompts=2000)
    assert after.mean() - before.mean() > 0.8
    found = at_like_trait(before, after, trait_before_PS=had, trait_after_PS=has)
    assert abs(found.estimate) < 0.08
    assert found.high - found.low < 0.2


def test_the_same_trait_leaves_the_plain_difference() -> None:
    before, after, had, has = world(1, gain=0.4, shift=0.0)
    one = np.zeros_like
    found = at_like_trait(before, after, trait_before_PS=one(had), trait_after_PS=one(has))
    assert found.estimate == pytest.approx(after.mean() - before.mean())


@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_intervals_cover(shift: float) -> None:
    covered = 0
    for seed in range(300):
        before, after, had, has = world(seed, gain=0.5, shift=shift)
        found = at_like_trait(
            before, after, trait_before_PS=had, trait_after_PS=has, resamples=400, seed=seed
        )
        covered += found.low <= 0.5 <= found.high
    assert 0.92 <= covered / 300 <= 0.985


def test_beyond_the_traits_that_were_seen_the_line_stays_level() -> None:
    had = np.array([[1.0, 2.0]] * 10)
    found = at_like_trait(had, had + 5, trait_before_PS=had, trait_after_PS=had + 100)
    assert found.estimate == pytest.approx(6.5 - 2.0, abs=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "had", "has", "said"),
    [
        ([[1.0]], [[1.0]], [[1.0]], [[1.0]], "two prompts"),
        ([[1.0], [2.0]], [[1.0]], [[1.0], [1.0]], [[1.0]], "two prompts"),
        ([[1.0], [2.0]], [[1.0], [1.0]], [[1.0]], [[1.0], [1.0]], "needs its trait"),
        ([1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0], "needs its trait"),
        ([[1.0], [np.nan]], [[1.0], [1.0]], [[1.0], [1.0]], [[1.0], [1.0]], "finite"),
    ],
)
def test_what_cannot_be_compared(
    before: object, after: object, had: object, has: object, said: str
) -> None:
    with pytest.raises(DataError, match=said):
        at_like_trait(before, after, trait_before_PS=had, trait_after_PS=has)  # type: ignore[arg-type]
