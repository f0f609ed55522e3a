"""Agreement between two groups of raters: by hand, against pairs counted one by one, coverage."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import DataError
from accord.stats.agreement import Coefficient, agreement
from accord.stats.agreement_between import Between, agreement_between
from accord.stats.agreement_intervals import interval_between
from accord.stats.ratings import Ratings

NAN = math.nan
TABLE = Ratings.of_table(
    [[1, 1, 1, 0], [0, 0, 0, 0], [1, NAN, 0, 1], [1, 1, NAN, NAN]], raters=["a", "b", "c", "d"]
)
"""Items by raters; a and b are one group, c and d the other. Nobody of the latter saw the last."""


def test_by_hand() -> None:
    """Items agree by 1/2, 1 and 1/2. Shares of 1: (1, 0, 1) of the first, (1/2, 0, 1/2) of the
    second; chance differs by 2/3 * 2/3 + 1/3 * 1/3."""
    found = {c: agreement_between(TABLE, ["a", "b"], ["c", "d"], c) for c in Between}
    assert found[Between.PERCENT] == pytest.approx(2 / 3)
    assert found[Between.KAPPA] == pytest.approx(1 - (1 / 3) / (2 / 3 * 2 / 3 + 1 / 3 * 1 / 3))
    # Two categories have one distance.
    assert found[Between.KAPPA_ORDINAL] == pytest.approx(found[Between.KAPPA])


def test_ordinal_distance_by_hand() -> None:
    """On 1 to 3 a step costs 1/3 and two steps 1: D = (1/3 + 1) / 2. The first says 1 and 1, the
    second 2 and 3: chance is the same."""
    table = Ratings.of_table([[1, 2], [1, 3]], raters=["a", "b"], scale=(1, 2, 3))
    assert agreement_between(table, ["a"], ["b"], Between.KAPPA_ORDINAL) == pytest.approx(0)


@given(seed=st.integers(0, 2**32 - 1), holes=st.floats(0, 0.6))
def test_percent_is_the_mean_of_pairs_counted_one_by_one(seed: int, holes: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, size=(12, 7)).astype(float)
    values[rng.random(values.shape) < holes] = NAN
    shares = []
    for row in values:
        pairs = [
            row[one] == row[other]
            for one, other in product(range(3), range(3, 7))
            if not (math.isnan(row[one]) or math.isnan(row[other]))
        ]
        if pairs:
            shares.append(np.mean(pairs))
    table = Ratings.of_table(values, scale=(0, 1, 2))
    if not shares:
        return
    found = agreement_between(table, [0, 1, 2], [3, 4, 5, 6], Between.PERCENT)
    assert found == pytest.approx(np.mean(shares))
    assert agreement_between(table, [3, 4, 5, 6], [2, 1, 0], Between.PERCENT) == pytest.approx(
        found
    )


def test_one_rater_a_group_is_cohens_question() -> None:
    rng = np.random.default_rng(0)
    table = Ratings.of_table(rng.integers(0, 3, size=(30, 2)).astype(float), raters=["a", "b"])
    kappa = agreement_between(table, ["a"], ["b"], Between.KAPPA)
    assert kappa == pytest.approx(agreement(table, Coefficient.COHEN))


def test_what_cannot_be_told() -> None:
    same = Ratings.of_table([[1, 1], [1, 1]], raters=["a", "b"])
    assert math.isnan(agreement_between(same, ["a"], ["b"], Between.KAPPA))
    with pytest.raises(DataError, match="share nobody"):
        agreement_between(TABLE, ["a", "b"], ["b", "c"], Between.PERCENT)
    apart = Ratings.of_table([[1, NAN], [NAN, 1]], raters=["a", "b"])
    with pytest.raises(DataError, match="rated by both"):
        agreement_between(apart, ["a"], ["b"], Between.PERCENT)
    with pytest.raises(DataError, match="at least 2 prompts"):
        interval_between(
            TABLE, ["a", "b"], ["c", "d"], Between.PERCENT, clusters=["p", "p", "p", "q"]
        )


def test_an_interval_draws_prompts_and_is_reproducible() -> None:
    rng = np.random.default_rng(1)
    table = Ratings.of_table(rng.integers(0, 2, size=(60, 6)).astype(float))
    sides = ([0, 1, 2], [3, 4, 5])
    one, again = (interval_between(table, *sides, Between.PERCENT, seed=3) for _ in range(2))
    assert one == again
    assert one.clusters == 60
    assert one.low < one.estimate < one.high
    wide = interval_between(table, *sides, Between.PERCENT, clusters=[n // 4 for n in range(60)])
    assert wide.clusters == 15


def test_groups_that_never_agree_have_an_interval_with_a_length() -> None:
    """As many as 1 - .025 ** (1 / 10) of prompts could agree where ten did not."""
    never = Ratings.of_table([[1, 0]] * 10, raters=["a", "b"])
    found = interval_between(never, ["a"], ["b"], Between.PERCENT)
    assert (found.estimate, found.low) == (0, 0)
    assert found.high == pytest.approx(1 - 0.025**0.1)
    always = Ratings.of_table([[1, 1]] * 5 + [[0, 0]] * 5, raters=["a", "b"])
    found = interval_between(always, ["a"], ["b"], Between.PERCENT)
    assert (found.low, found.estimate) == (pytest.approx(0.025**0.1), 1)


@pytest.mark.slow
@pytest.mark.parametrize("coefficient", [Between.PERCENT, Between.KAPPA])
def test_the_interval_holds_the_truth(coefficient: Between) -> None:
    """Of 400 simulated campaigns of 40 prompts: raters of a group say what the group thinks of an
    item four times in five; groups think the same of seven items in ten."""

    def campaign(rng: np.random.Generator, prompts: int) -> Ratings:
        first = rng.integers(0, 2, size=prompts)
        second = np.where(rng.random(prompts) < 0.7, first, 1 - first)
        taste = np.stack([first] * 5 + [second] * 5, axis=1)
        said = np.where(rng.random(taste.shape) < 0.8, taste, 1 - taste).astype(float)
        said[rng.random(taste.shape) < 0.4] = NAN
        return Ratings.of_table(said, scale=(0, 1))

    sides = (range(5), range(5, 10))
    truth = agreement_between(campaign(np.random.default_rng(99), 200_000), *sides, coefficient)
    rng, held = np.random.default_rng(7), 0
    for _ in range(400):
        found = interval_between(campaign(rng, 40), *sides, coefficient, resamples=1000)
        held += found.low <= truth <= found.high
    assert 0.92 <= held / 400 <= 0.98
