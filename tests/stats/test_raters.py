"""Dawid-Skene: by hand, against loops and another optimiser, and what it recovers."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from accord.core.errors import DataError
from accord.stats.raters import Form, dawid_skene, majority, reliability_intervals
from accord.stats.ratings import Floats, Ratings

NAN = math.nan
COLLUDERS = np.array([0.8] * 10 + [0.1] * 2)
"""Ten honest raters and two who say the opposite of what they see."""


def panel(
    seed: int, items: int, accuracy: Floats, *, votes: int, categories: int = 2
) -> tuple[Ratings, NDArray[np.intp]]:
    """Each item rated by `votes` random raters, right with their accuracy, else any other label."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, categories, size=items)
    seat = rng.permuted(np.tile(np.arange(len(accuracy)), (items, 1)), axis=1) < votes
    off = rng.integers(1, categories, size=seat.shape)
    right = rng.random(seat.shape) < accuracy
    said = np.where(right, truth[:, None], (truth[:, None] + off) % categories)
    return Ratings.of_table(np.where(seat, said, NAN), scale=range(categories)), truth


tables = st.integers(2, 4).flatmap(
    lambda raters: st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 2.0, NAN]), min_size=raters, max_size=raters),
        min_size=2,
        max_size=12,
    )
)


def rated(table: list[list[float]]) -> Ratings:
    """The table and one more item, so that there is a rating."""
    return Ratings.of_table([*table, [0.0] * len(table[0])], scale=[0, 1, 2])


def test_majority_by_hand() -> None:
    found = majority(Ratings.of_table([[1, 1, 0], [1, 0, NAN], [NAN, NAN, NAN]]))
    assert np.array_equal(found.label, [1, NAN, NAN], equal_nan=True)
    assert found.share[:2] == pytest.approx(np.array([[1 / 3, 2 / 3], [1 / 2, 1 / 2]]))
    assert np.isnan(found.share[2]).all()


@pytest.mark.parametrize("form", list(Form))
def test_one_round_by_hand(form: Form) -> None:
    """Two raters, items (0, 0), (1, 1), (0, 1), no smoothing. Start: the shares of votes.

    Truth 0 has weights 1, 0, 1/2: prevalence 1/2. The first rater says 0, 1, 0: right on
    1 + 1 + 1/2 of 3. Full: P(0 | 0) = 1.5 / 1.5, P(0 | 1) = .5 / 1.5. The second says 0, 1, 1:
    P(0 | 0) = 1 / 1.5, P(0 | 1) = 0.
    """
    found = dawid_skene(
        Ratings.of_table([[0, 0], [1, 1], [0, 1]]), form=form, smoothing=0, rounds=1
    )
    assert found.prevalence == pytest.approx(np.array([0.5, 0.5]))
    right = 2.5 / 3
    coin = [[right, 1 - right], [1 - right, right]]
    table = {
        Form.ONE_COIN: [coin, coin],
        Form.FULL: [[[1, 0], [1 / 3, 2 / 3]], [[2 / 3, 1 / 3], [0, 1]]],
    }
    assert found.confusion == pytest.approx(np.array(table[form]))
    if form is Form.ONE_COIN:
        odds = (right / (1 - right)) ** 2
        assert found.posterior[:, 0] == pytest.approx([odds / (1 + odds), 1 / (1 + odds), 0.5])
        each = 0.5 * (right**2 + (1 - right) ** 2), right * (1 - right)
        assert found.objective == pytest.approx([2 * math.log(each[0]) + math.log(each[1])])
    assert not found.converged


def by_loops(ratings: Ratings, smoothing: float, rounds: int) -> Floats:
    """Posterior of the full form, written out rating by rating."""
    values, width = ratings.values, len(ratings.scale)
    posterior = []
    for row in values:
        said = [int(v) for v in row if not math.isnan(v)]
        votes = np.bincount(said, minlength=width)
        posterior.append(votes / len(said) if said else np.full(width, 1 / width))
    for _ in range(rounds):
        prevalence = (
            np.array([sum(p[k] for p in posterior) for k in range(width)]) + smoothing / width
        )
        prevalence /= prevalence.sum()
        tables = np.full((values.shape[1], width, width), smoothing / width)
        for item, row in enumerate(values):
            for rater, value in enumerate(row):
                if not math.isnan(value):
                    for truth in range(width):
                        tables[rater, truth, int(value)] += posterior[item][truth]
        tables /= tables.sum(axis=2, keepdims=True)
        for item, row in enumerate(values):
            chance = prevalence.copy()
            for rater, value in enumerate(row):
                if not math.isnan(value):
                    chance *= tables[rater, :, int(value)]
            posterior[item] = chance / chance.sum()
    return np.array(posterior)


@given(tables)
def test_agrees_with_loops(table: list[list[float]]) -> None:
    ratings = rated(table)
    found = dawid_skene(ratings, form=Form.FULL, smoothing=0.5, rounds=7, tolerance=1e-300)
    assert found.posterior == pytest.approx(by_loops(ratings, 0.5, len(found.objective)), abs=1e-9)


def test_one_coin_is_the_likelihoods_maximum() -> None:
    """Against a general optimiser of the likelihood, which knows nothing of EM."""
    ratings, _ = panel(0, 150, np.array([0.9, 0.8, 0.7, 0.6]), votes=4)
    values = ratings.values

    def loss(free: Floats) -> float:
        accuracy, share = expit(free[:-1]), expit(free[-1])
        one = np.where(values == 1, accuracy, 1 - accuracy).prod(axis=1) * share
        zero = np.where(values == 0, accuracy, 1 - accuracy).prod(axis=1) * (1 - share)
        return -float(np.log(one + zero).sum())

    best = minimize(
        loss, np.array([1.0, 1.0, 1.0, 1.0, 0.0]), method="BFGS", options={"gtol": 1e-6}
    )
    found = dawid_skene(ratings, smoothing=0, tolerance=1e-11)
    assert found.objective[-1] == pytest.approx(-best.fun, abs=1e-6)
    assert found.reliability() == pytest.approx(expit(best.x[:-1]), abs=1e-4)
    assert found.prevalence[1] == pytest.approx(expit(best.x[-1]), abs=1e-4)


@given(tables, st.sampled_from(list(Form)), st.sampled_from([0.0, 0.5, 3.0]))
def test_no_round_is_worse(table: list[list[float]], form: Form, smoothing: float) -> None:
    found = dawid_skene(rated(table), form=form, smoothing=smoothing, rounds=60)
    assert all(later >= before - 1e-9 for before, later in pairwise(found.objective))
    assert found.posterior.sum(axis=1) == pytest.approx(1)
    assert found.confusion.sum(axis=2) == pytest.approx(1)


@given(tables, st.integers(0, 1000))
def test_order_does_not_count(table: list[list[float]], seed: int) -> None:
    ratings, rng = rated(table), np.random.default_rng(seed)
    rows = rng.permutation(len(ratings.items))
    columns = rng.permutation(len(ratings.raters))
    other = Ratings.of_table(ratings.values[rows][:, columns], scale=ratings.scale)
    for form in Form:
        one, two = (dawid_skene(r, form=form, rounds=5) for r in (ratings, other))
        assert two.posterior == pytest.approx(one.posterior[rows], abs=1e-9)
        assert two.confusion == pytest.approx(one.confusion[columns], abs=1e-9)


@pytest.mark.parametrize("form", list(Form))
def test_colluders_are_seen_through(form: Form) -> None:
    """12 raters, 3 votes an item, two of them flip 90%: a majority is right on about 78%."""
    ours, votes = [], []
    for seed in range(3):
        ratings, truth = panel(seed, 400, COLLUDERS, votes=3)
        found = dawid_skene(ratings, form=form)
        assert found.converged
        assert (found.reliability()[:10] > 0.6).all()
        assert (found.reliability()[10:] < 0.3).all()
        ours.append((found.posterior.argmax(axis=1) == truth).mean())
        votes.append((majority(ratings).label == truth).mean())
    assert np.mean(ours) > 0.88
    assert np.mean(votes) < 0.81


def test_many_categories() -> None:
    accuracy = np.linspace(0.5, 0.95, 8)
    ratings, truth = panel(4, 600, accuracy, votes=4, categories=5)
    found = dawid_skene(ratings)
    assert (found.posterior.argmax(axis=1) == truth).mean() > 0.93
    assert found.reliability() == pytest.approx(accuracy, abs=0.09)
    assert found.confusion[0, 0, 1] == pytest.approx((1 - found.confusion[0, 0, 0]) / 4)


def test_full_tells_leniency() -> None:
    """A rater who always passes what is good, and passes half of what is not."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, size=800)
    values = np.where(rng.random((800, 5)) < 0.85, truth[:, None], 1 - truth[:, None])
    values[:, 0] = np.where(truth == 1, 1, rng.integers(0, 2, size=800))
    found = dawid_skene(Ratings.of_table(values), form=Form.FULL)
    assert found.confusion[0] == pytest.approx(np.array([[0.5, 0.5], [0, 1]]), abs=0.06)


def test_unrated_items_and_silent_raters() -> None:
    ratings = Ratings.of_table([[1, 1, NAN], [0, 0, NAN], [NAN, NAN, NAN]], scale=[0, 1])
    for form in Form:
        found = dawid_skene(ratings, form=form)
        assert found.posterior[2] == pytest.approx(found.prevalence)
        assert found.reliability()[2] == pytest.approx(0.5)


@pytest.mark.slow
@pytest.mark.parametrize("form", list(Form))
def test_intervals_hold_the_planted_accuracy(form: Form) -> None:
    """60 studies of 12 raters and 240 items with 3 votes each: 720 intervals."""
    accuracy = np.linspace(0.55, 0.95, 12)
    held = []
    for seed in range(60):
        ratings, _ = panel(100 + seed, 240, accuracy, votes=3)
        found = reliability_intervals(ratings, form=form, seed=seed, resamples=100)
        held += [found[r].low <= accuracy[r] <= found[r].high for r in range(12)]
    print(f"{form}: {np.mean(held):.3f}")
    assert 0.92 <= np.mean(held) <= 0.995


def test_intervals_are_by_name_and_reproducible() -> None:
    ratings, _ = panel(6, 120, COLLUDERS, votes=3)
    named = Ratings.of_table(ratings.values, raters=[f"r{n}" for n in range(12)])
    found = reliability_intervals(named, resamples=100)
    assert list(found) == [f"r{n}" for n in range(12)]
    assert found == reliability_intervals(named, resamples=100)
    reliability = dawid_skene(named).reliability()
    for place, interval in enumerate(found.values()):
        assert 0 < interval.low < interval.estimate < interval.high < 1
        assert interval.estimate == reliability[place]
        assert interval.clusters == (~np.isnan(ratings.values[:, place])).sum()
    doubled = Ratings.of_table(np.repeat(ratings.values, 2, axis=0))
    prompts = np.repeat(np.arange(120), 2)
    honest = reliability_intervals(doubled, clusters=prompts, resamples=100)[0]
    careless = reliability_intervals(doubled, resamples=100)[0]
    assert honest.clusters * 2 == careless.clusters
    assert careless.high - careless.low < honest.high - honest.low


def test_bad_input_is_refused() -> None:
    ratings = Ratings.of_table([[0, 1], [1, 1]])
    with pytest.raises(DataError, match="two categories"):
        dawid_skene(Ratings.of_table([[1, 1]]))
    with pytest.raises(DataError, match="two categories"):
        dawid_skene(Ratings.of_table([[NAN, NAN]], scale=[0, 1]))
    with pytest.raises(DataError, match="smoothing"):
        dawid_skene(ratings, smoothing=-1)
    with pytest.raises(DataError, match="100 resamples"):
        reliability_intervals(ratings, resamples=10)
    with pytest.raises(DataError, match="one cluster an item"):
        reliability_intervals(ratings, clusters=[1])
    with pytest.raises(DataError, match="needs ratings"):
        majority(Ratings.of_rows([]))
