"""Intervals of agreement: by hand, by other ways to the same number, and by how often they hold."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from accord.core.errors import DataError
from accord.stats import agreement_intervals as module
from accord.stats.agreement import OF_TWO, Coefficient, agreement
from accord.stats.agreement_intervals import agreement_interval, agreement_interval_for_raters
from accord.stats.intervals import Interval, unpaired_difference
from accord.stats.ratings import Floats, Ratings

Sampler = Callable[[np.random.Generator, int], tuple[Floats, NDArray[np.intp]]]
"""(ratings, prompt of each item) of a number of prompts."""

FOR_MANY = [c for c in Coefficient if c not in OF_TWO]


def labels(*, raters: int, knows: float, shares: tuple[float, ...]) -> Sampler:
    """A rater knows the label with probability `knows` and else guesses by `shares`.

    Two raters then agree with probability knows^2 + (1 - knows^2) * sum(shares^2): alpha and
    Fleiss's kappa are knows^2 in the population, whatever the shares.
    """

    def draw(rng: np.random.Generator, prompts: int) -> tuple[Floats, NDArray[np.intp]]:
        truth = rng.choice(len(shares), p=shares, size=(prompts, 1))
        guess = rng.choice(len(shares), p=shares, size=(prompts, raters))
        known = rng.random((prompts, raters)) < knows
        return np.where(known, truth, guess).astype(np.float64), np.arange(prompts)

    return draw


def stars(*, raters: int, per_prompt: int, noise: float, holes: float = 0.0) -> Sampler:
    """Five stars, cut from a normal quality that prompts share, with the raters' noise."""

    def draw(rng: np.random.Generator, prompts: int) -> tuple[Floats, NDArray[np.intp]]:
        prompt = np.repeat(np.arange(prompts), per_prompt)
        quality = rng.normal(size=prompts)[prompt] + 0.5 * rng.normal(size=len(prompt))
        felt = quality[:, None] + noise * rng.normal(size=(len(prompt), raters))
        values = np.clip(np.round(felt + 2), 0, 4)
        values[rng.random(values.shape) < holes] = np.nan
        return values, prompt

    return draw


def truth(sampler: Sampler, coefficient: Coefficient) -> float:
    values, _ = sampler(np.random.default_rng(12345), 100_000)
    return agreement(Ratings.of_table(values), coefficient)


def coverage(
    sampler: Sampler, coefficient: Coefficient, true: float, *, prompts: int, repeats: int
) -> float:
    held = 0
    for seed in range(repeats):
        values, clusters = sampler(np.random.default_rng([7, seed]), prompts)
        found = agreement_interval(
            Ratings.of_table(values), coefficient, clusters=clusters, resamples=1000, seed=seed
        )
        held += found.low <= true <= found.high
    return held / repeats


EASY = labels(raters=5, knows=0.7, shares=(1 / 3, 1 / 3, 1 / 3))
SKEWED = labels(raters=3, knows=0.7, shares=(0.2, 0.8))
CLOSE = labels(raters=2, knows=0.93, shares=(1 / 3, 1 / 3, 1 / 3))
GUESSED = labels(raters=3, knows=0.0, shares=(0.5, 0.5))
RATED = stars(raters=3, per_prompt=3, noise=1.0)
HOLED = stars(raters=5, per_prompt=1, noise=0.7, holes=0.5)
ALPHA = Coefficient.ALPHA_NOMINAL


def test_coverage_quickly() -> None:
    """200 studies: .95 +- 3 * .0154. The slow test is the proof."""
    assert 0.9 <= coverage(EASY, ALPHA, 0.49, prompts=40, repeats=200) < 1
    ordinal = Coefficient.ALPHA_ORDINAL
    assert 0.9 <= coverage(RATED, ordinal, truth(RATED, ordinal), prompts=40, repeats=200) < 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "coefficient"),
    [
        *[(EASY, c) for c in (ALPHA, Coefficient.AC1, Coefficient.FLEISS, Coefficient.PERCENT)],
        *[(SKEWED, c) for c in (ALPHA, Coefficient.AC1, Coefficient.PERCENT)],
        *[(CLOSE, c) for c in (ALPHA, Coefficient.AC1, Coefficient.COHEN)],
        *[(GUESSED, c) for c in (ALPHA, Coefficient.AC1)],
        *[(RATED, c) for c in (Coefficient.ALPHA_ORDINAL, Coefficient.ALPHA_INTERVAL)],
        *[(RATED, c) for c in (Coefficient.AC2_QUADRATIC, Coefficient.AC2_ORDINAL)],
        *[(HOLED, c) for c in (Coefficient.ALPHA_ORDINAL, Coefficient.AC2_LINEAR)],
    ],
)
def test_coverage(sampler: Sampler, coefficient: Coefficient) -> None:
    """1000 studies of 40 prompts: a true .89 is seen as .92 once in a thousand such tests."""
    found = coverage(sampler, coefficient, truth(sampler, coefficient), prompts=40, repeats=1000)
    print(f"{coefficient}: {found:.4f}")
    assert 0.92 <= found <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "coefficient"),
    [
        (SKEWED, ALPHA),
        pytest.param(RATED, Coefficient.ALPHA_ORDINAL, marks=pytest.mark.study),
        pytest.param(HOLED, Coefficient.AC2_LINEAR, marks=pytest.mark.study),
    ],
)
def test_coverage_of_many_prompts(sampler: Sampler, coefficient: Coefficient) -> None:
    found = coverage(sampler, coefficient, truth(sampler, coefficient), prompts=150, repeats=1000)
    print(f"{coefficient}, 150 prompts: {found:.4f}")
    assert 0.92 <= found <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("coefficient", [Coefficient.PERCENT, ALPHA, Coefficient.AC1])
def test_coverage_of_a_change_between_rounds(coefficient: Coefficient) -> None:
    """The same raters, other prompts, and raters who learnt: 500 times."""
    rounds = [labels(raters=5, knows=knows, shares=(0.4, 0.6)) for knows in (0.6, 0.75)]
    true = truth(rounds[1], coefficient) - truth(rounds[0], coefficient)
    held = 0
    for seed in range(500):
        rng = np.random.default_rng([11, seed])
        before, after = (
            agreement_interval(
                Ratings.of_table(values),
                coefficient,
                clusters=clusters,
                resamples=1000,
                seed=seed,
            )
            for values, clusters in (draw(rng, 40) for draw in rounds)
        )
        found = unpaired_difference(after, before)
        held += found.low <= true <= found.high
    print(f"{coefficient}: {held / 500:.4f}")
    assert 0.92 <= held / 500 <= 0.98


@pytest.mark.slow
def test_the_usual_ways_do_not_cover() -> None:
    """The test above can fail: ignoring prompts, or too rare a category, holds too rarely."""

    def alone(rng: np.random.Generator, prompts: int) -> tuple[Floats, NDArray[np.intp]]:
        values, _ = stars(raters=3, per_prompt=6, noise=1.0)(rng, prompts)
        return values, np.arange(len(values))

    ordinal = Coefficient.ALPHA_ORDINAL
    assert coverage(alone, ordinal, truth(alone, ordinal), prompts=40, repeats=500) < 0.85
    rare = labels(raters=3, knows=0.6, shares=(0.1, 0.9))
    assert 0.85 < coverage(rare, ALPHA, 0.36, prompts=40, repeats=1000) < 0.93
    assert coverage(rare, ALPHA, 0.36, prompts=200, repeats=500) > 0.92


@pytest.mark.slow
def test_evalicas_interval_does_not_cover() -> None:
    """What the usual library gives, at the same nominal 95%: 60 items, 5 raters."""
    evalica = pytest.importorskip("evalica", reason="evalica is not installed")
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    sampler = stars(raters=5, per_prompt=1, noise=1.0)
    true, held, ours = truth(sampler, Coefficient.ALPHA_ORDINAL), 0, 0
    for seed in range(150):
        values, _ = sampler(np.random.default_rng([8, seed]), 60)
        other = evalica.alpha_bootstrap(
            pandas.DataFrame(values.T), distance="ordinal", random_state=seed
        )
        held += other.low <= true <= other.high
        found = agreement_interval(Ratings.of_table(values), Coefficient.ALPHA_ORDINAL, seed=seed)
        ours += found.low <= true <= found.high
    print(f"evalica {held / 150:.3f}, here {ours / 150:.3f}")
    assert held / 150 < 0.8
    assert ours / 150 > 0.9


# ---- other raters --------------------------------------------------------------------------------


def crowd(rng: np.random.Generator, prompts: int, raters: int) -> Floats:
    """Labels by raters of unequal skill: each knows with his own probability."""
    skill = rng.beta(3, 1.5, size=raters)
    truth = rng.integers(0, 3, size=(prompts, 1))
    known = rng.random((prompts, raters)) < skill
    return np.where(known, truth, rng.integers(0, 3, size=(prompts, raters))).astype(np.float64)


CROWD_ALPHA = (3 / 4.5) ** 2
"""Two raters of the crowd both know with probability E[skill]^2."""


@pytest.mark.slow
@pytest.mark.parametrize("raters", [5, 12])
def test_coverage_for_other_raters(raters: int) -> None:
    """1000 studies of 40 prompts; the interval for the same raters holds the crowd too rarely."""
    held = same = 0
    for seed in range(1000):
        values = crowd(np.random.default_rng([9, seed]), 40, raters)
        ratings = Ratings.of_table(values)
        wide = agreement_interval_for_raters(ratings, ALPHA, resamples=1000, seed=seed)
        held += wide.low <= CROWD_ALPHA <= wide.high
        narrow = agreement_interval(ratings, ALPHA, resamples=1000, seed=seed)
        same += narrow.low <= CROWD_ALPHA <= narrow.high
    print(f"{raters} raters: {held / 1000:.3f}; as if they were all: {same / 1000:.3f}")
    assert 0.92 <= held / 1000 <= 0.99
    assert same / 1000 < 0.85


def test_other_raters_widen_the_interval() -> None:
    ratings = Ratings.of_table(crowd(np.random.default_rng(1), 60, 6))
    for coefficient in FOR_MANY:
        narrow = agreement_interval(ratings, coefficient)
        wide = agreement_interval_for_raters(ratings, coefficient)
        assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
        assert narrow.estimate == wide.estimate == agreement(ratings, coefficient)
        assert (narrow.clusters, wide.clusters) == (60, 6)


def test_a_rater_drawn_twice_is_not_compared_with_himself() -> None:
    """Without that, resamples of guessing raters would agree far beyond chance."""
    ratings = Ratings.of_table(np.random.default_rng(2).integers(0, 2, size=(300, 6)))
    for coefficient in (ALPHA, Coefficient.FLEISS, Coefficient.AC1):
        found = agreement_interval_for_raters(ratings, coefficient)
        assert found.low < 0 < found.high < 0.15


# ---- the machinery -------------------------------------------------------------------------------


def naive(values: Floats, coefficient: Coefficient, seed: int) -> Interval:
    """The same bootstrap the slow way: rows are copied, and the jackknife drops them."""
    rng, items = np.random.default_rng(seed), len(values)
    scale = np.unique(values)
    counts = rng.multinomial(items, np.full(items, 1 / items), size=1000)

    def value(rows: Floats) -> float:
        return agreement(Ratings.of_table(rows, scale=scale), coefficient)

    resampled = np.array([value(np.repeat(values, row, axis=0)) for row in counts])
    left_out = np.array([value(np.delete(values, row, axis=0)) for row in range(items)])
    estimate = value(values)
    low, high = np.quantile(
        resampled,
        module._tails(module._bias(resampled, estimate), [left_out], 0.95),
    )
    return Interval(estimate=estimate, low=float(low), high=float(high), level=0.95, clusters=items)


@pytest.mark.parametrize("coefficient", list(Coefficient))
def test_counting_draws_is_copying_rows(coefficient: Coefficient) -> None:
    values, _ = stars(raters=2, per_prompt=1, noise=0.7)(np.random.default_rng(3), 25)
    found = agreement_interval(Ratings.of_table(values), coefficient, resamples=1000, seed=5)
    other = naive(values, coefficient, 5)
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (other.estimate, other.low, other.high), abs=1e-9
    )


def test_repeating_every_item_adds_no_certainty() -> None:
    values, prompt = stars(raters=3, per_prompt=1, noise=1.0)(np.random.default_rng(4), 50)
    for coefficient in (Coefficient.PERCENT, Coefficient.AC1, Coefficient.FLEISS):
        once = agreement_interval(Ratings.of_table(values), coefficient)
        again = agreement_interval(
            Ratings.of_table(np.repeat(values, 5, axis=0)),
            coefficient,
            clusters=np.repeat(prompt, 5),
        )
        assert (again.low, again.high) == pytest.approx((once.low, once.high), rel=1e-9)


@pytest.mark.parametrize("method", [agreement_interval, agreement_interval_for_raters])
def test_pieces_do_not_count_and_seeds_do(
    method: Callable[..., Interval], monkeypatch: pytest.MonkeyPatch
) -> None:
    values, clusters = stars(raters=4, per_prompt=2, noise=1.0)(np.random.default_rng(5), 20)
    ratings = Ratings.of_table(values)
    found = method(ratings, Coefficient.ALPHA_ORDINAL, clusters=clusters, seed=3)
    assert found == method(ratings, Coefficient.ALPHA_ORDINAL, clusters=clusters, seed=3)
    assert found != method(ratings, Coefficient.ALPHA_ORDINAL, clusters=clusters, seed=4)
    narrower = method(ratings, Coefficient.ALPHA_ORDINAL, clusters=clusters, seed=3, level=0.8)
    assert found.low < narrower.low < narrower.high < found.high
    if method is agreement_interval:
        monkeypatch.setattr(module, "CHUNK", 40 * 7)
        small = method(ratings, Coefficient.ALPHA_ORDINAL, clusters=clusters, seed=3)
        assert (small.low, small.high) == pytest.approx((found.low, found.high), abs=1e-9)


def test_no_disagreement_is_not_certainty() -> None:
    """40 items without a disagreement: u = 1 - .025^(1/40) = .0881 of the prompts may have one."""
    ratings = Ratings.of_table([[1, 1], [2, 2]] * 20)
    found = agreement_interval(ratings, Coefficient.PERCENT)
    assert (found.estimate, found.high) == (1, 1)
    assert found.low == pytest.approx(1 - 0.0881, abs=5e-5)
    kappa = agreement_interval(ratings, Coefficient.COHEN)
    assert kappa.low == pytest.approx(1 - 0.0881 / 0.5, abs=1e-4)


def test_what_is_undefined_has_no_limits() -> None:
    for values in ([[1, 1]] * 10, [[1, 1]] * 30 + [[1, 2]]):
        found = agreement_interval(Ratings.of_table(values), ALPHA)
        assert math.isnan(found.low)
        assert math.isnan(found.high)
    assert found.estimate == pytest.approx(0)
    assert found.clusters == 31


def test_bad_input_is_refused() -> None:
    ratings = Ratings.of_table([[1, 2], [1, 1], [2, 2]])
    with pytest.raises(DataError, match="one cluster an item"):
        agreement_interval(ratings, ALPHA, clusters=[1, 2])
    with pytest.raises(DataError, match="at least 2 prompts"):
        agreement_interval(ratings, ALPHA, clusters=[1, 1, 1])
    with pytest.raises(DataError, match="at least 3 raters"):
        agreement_interval_for_raters(ratings, ALPHA)
    with pytest.raises(DataError, match="at least 1000"):
        agreement_interval(ratings, ALPHA, resamples=100)
    with pytest.raises(DataError, match="level"):
        agreement_interval(ratings, ALPHA, level=95)
    with pytest.raises(DataError, match="other raters"):
        agreement_interval_for_raters(ratings, Coefficient.COHEN)
    with pytest.raises(DataError, match="about two raters"):
        agreement_interval(Ratings.of_table([[1, 2, 3]]), Coefficient.COHEN)
