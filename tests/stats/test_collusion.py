"""Pairs who answer alike: by hand, against enumeration, by property, false alarms and power."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from accord.stats.collusion import SPREAD, Alike, adjusted, alike, log_odds
from accord.stats.ratings import Floats, Ratings

NAN = math.nan


def by_pair(votes: Ratings) -> dict[tuple[object, object], Alike]:
    return {(one.one, one.other): one for one in alike(votes)}


def test_three_voters_by_hand() -> None:
    """Who stands apart of three is drawn evenly: b, c and d each depart as often as a."""
    votes = Ratings.of_table(
        [[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1], [NAN, 1, 0]], raters=["a", "b", "c"]
    )
    found = by_pair(votes)[("a", "b")]
    assert (found.shared, found.open, found.same) == (4, 3, 1)
    assert found.expected == pytest.approx(1)
    assert found.p == pytest.approx(1 - (2 / 3) ** 3)
    # The last task has two voters who differ: it says nothing of difficulty, and nothing at all.
    assert by_pair(votes)[("b", "c")].open == 3


def test_one_pair_that_never_parts() -> None:
    """Two who are always together while the third is of three others, each apart five times."""
    rows: list[list[float]] = []
    for number in range(15):
        row = [1.0, 1.0, NAN, NAN, NAN]
        row[2 + number % 3] = 0
        rows.append(row)
    (found,) = (one for one in alike(Ratings.of_table(rows)) if (one.one, one.other) == (0, 1))
    assert (found.open, found.same) == (15, 15)
    odds = {name: math.exp(value) for name, value in log_odds(Ratings.of_table(rows)).items()}
    chance = odds[2] / (odds[0] + odds[1] + odds[2])
    assert found.expected == pytest.approx(15 * chance)
    assert found.p == pytest.approx(chance**15)


def orders(row: Floats, logs: Floats) -> Iterator[tuple[tuple[float, ...], float]]:
    """Every way to hand out the votes of a task, with its weight: the definition, word for word."""
    values, counts = np.unique(row, return_counts=True)
    led = (counts == counts.max()).sum() == 1
    lead = values[counts.argmax()]
    for order in permutations(row):
        away = [log for value, log in zip(order, logs, strict=True) if led and value != lead]
        yield order, math.exp(sum(away))


@given(
    st.lists(
        st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4), min_size=1, max_size=4
    )
)
def test_it_is_what_enumeration_finds(rows: list[list[float]]) -> None:
    """Chances of each task by all its permutations, and the tail by all outcomes."""
    votes = Ratings.of_table(rows, scale=(0, 0.5, 1))
    logs = np.array(list(log_odds(votes).values()))
    for (one, other), found in by_pair(votes).items():
        law, expected = {0: 1.0}, 0.0
        places = votes.raters.index(one), votes.raters.index(other)
        open_tasks = same = 0
        for row in votes.values:
            ways = list(orders(row, logs))
            whole = sum(weight for _, weight in ways)
            equal = [weight for way, weight in ways if way[places[0]] == way[places[1]]]
            chance = sum(equal) / whole
            if not 1e-9 < chance < 1 - 1e-9:
                continue
            open_tasks += 1
            same += row[places[0]] == row[places[1]]
            expected += chance
            grown = {count: weight * (1 - chance) for count, weight in law.items()}
            for count, weight in law.items():
                grown[count + 1] = grown.get(count + 1, 0) + weight * chance
            law = grown
        assert (found.open, found.same) == (open_tasks, same)
        assert found.expected == pytest.approx(expected)
        if open_tasks:
            assert found.p == pytest.approx(sum(w for n, w in law.items() if n >= same))
        else:
            assert math.isnan(found.p)


def test_odds_are_the_largest_posterior() -> None:
    """Against a search over the definition: three raters, the first departs most."""
    rows = [[0, 1, 1]] * 5 + [[1, 0, 1]] * 2 + [[1, 1, 0]] * 1
    found = np.array(list(log_odds(Ratings.of_table(rows)).values()))

    def value(logs: Floats) -> float:
        apart = 5 * logs[0] + 2 * logs[1] + logs[2] - 8 * math.log(np.exp(logs).sum())
        return float(apart - logs @ logs / (2 * SPREAD**2))

    best = value(found)
    rng = np.random.default_rng(1)
    for step in (1.0, 0.1, 0.01, 0.001):
        assert all(value(found + step * rng.normal(size=3)) < best for _ in range(200))
    assert found[0] > found[1] > found[2]


@given(st.permutations(range(5)), st.integers(0, 50))
def test_names_and_labels_do_not_matter(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.choice([0.0, 0.5, 1.0, NAN], size=(12, 5))
    before = by_pair(Ratings.of_table(values, scale=(0, 0.5, 1)))
    turned = Ratings.of_table(1 - values[:, order], raters=order, scale=(0, 0.5, 1))
    after = by_pair(turned)
    for pair, one in before.items():
        other = after.get(pair) or after[pair[::-1]]
        assert (one.shared, one.open, one.same) == (other.shared, other.open, other.same)
        assert other.p == pytest.approx(one.p, rel=1e-4, nan_ok=True)
        assert other.q == pytest.approx(one.q, rel=1e-3, nan_ok=True)


def test_adjusting_by_hand() -> None:
    """Two tests that can be .01, .2, 1 or .04, 1. At .01 only the first can be reached:
    (.01 / .99) / 1; at .04 both: (.01 / .99 + .04 / .96) / 2. NaN is no test."""
    possible = [np.array([0.01, 0.2, 1]), np.array([0.04, 1]), np.array([1.0])]
    found = adjusted([0.01, 0.04, NAN], possible)
    assert found == pytest.approx([0.01 / 0.99, (0.01 / 0.99 + 0.04 / 0.96) / 2, NAN], nan_ok=True)
    assert adjusted([1.0, 1.0], possible[:2]).tolist() == [1, 1]
    assert adjusted([], []).size == 0


def test_tests_that_cannot_reach_cost_nothing() -> None:
    alone = adjusted([0.001], [np.array([0.001, 1.0])])
    beside = adjusted([0.001, 1.0], [np.array([0.001, 1.0]), np.array([0.5, 1.0])])
    assert beside[0] == alone[0] == pytest.approx(0.001 / 0.999)


@given(st.lists(st.integers(1, 99), min_size=1, max_size=30))
def test_with_many_steps_it_is_near_benjamini_hochberg(percent: list[int]) -> None:
    """Step-down charges p / (1 - p) for p, and is never below the step-up value."""
    p, steps = np.array(percent) / 100, np.arange(1, 101) / 100
    found = adjusted(p.tolist(), [steps] * len(p))
    assert (found >= stats.false_discovery_control(p) - 1e-9).all()
    if len(p) == 1 and p[0] < 0.5:
        assert found[0] == pytest.approx(p[0] / (1 - p[0]))


# ---- simulated panels ----------------------------------------------------------------------------


def panel(seed: int, right: list[float], *, tasks: int = 200, overlap: int = 3) -> Floats:
    """[tasks, raters] answers. Tasks go from plain to a coin's toss for everybody; none misleads:
    who sees what misleads most others has a taste of their own, as far as votes can tell."""
    rng = np.random.default_rng(seed)
    plain = np.abs(rng.normal(size=(tasks, 1))) * 1.5
    chance = stats.norm.cdf(plain * stats.norm.ppf(np.array(right)))
    truth = rng.integers(0, 2, size=(tasks, 1))
    values = np.where(rng.random(chance.shape) < chance, truth, 1.0 - truth)
    for row in values:
        row[rng.permutation(len(right))[overlap:]] = NAN
    return values


PANELS = {
    "alike": [0.8] * 12,
    "two experts": [0.97] * 2 + [0.7] * 10,
    "two who guess": [0.5] * 2 + [0.85] * 10,
    "mixed": [0.5, 0.6, 0.7, 0.8, 0.9, 0.95] * 2,
}


@pytest.mark.parametrize("right", PANELS.values(), ids=PANELS.keys())
@pytest.mark.parametrize("overlap", [3, 5])
def test_honest_pairs_are_left_alone(right: list[float], overlap: int) -> None:
    """30 panels whose tasks differ much in difficulty: p holds its level, q names next to nobody.

    30 * 66 pairs: 5% +- 3 * .5%; of 30 panels at a rate of 5%, 6 or more would be one in 300."""
    low, named = [], 0
    for seed in range(30):
        votes = Ratings.of_table(panel(seed, right, overlap=overlap), scale=(0, 1))
        found = alike(votes)
        low += [one.p <= 0.05 for one in found if not math.isnan(one.p)]
        named += any(one.q <= 0.05 for one in found)
    assert np.mean(low) <= 0.065
    assert named <= 5


def test_that_experts_agree_is_expected() -> None:
    """Two experts among ten poor raters agree on three of four open tasks, where two of twelve
    equals would on half: their odds explain most of it, and they are not named."""
    found = [
        by_pair(Ratings.of_table(panel(seed, PANELS["two experts"], overlap=5), scale=(0, 1)))[0, 1]
        for seed in range(10)
    ]
    tasks = sum(one.open for one in found)
    assert sum(one.same for one in found) / tasks > 0.7
    assert sum(one.expected for one in found) / tasks > 0.6
    assert sum(one.q <= 0.05 for one in found) <= 1


def test_a_secret_is_found() -> None:
    """Half of the answers of two of twelve follow a secret: 400 tasks, five answers each."""
    hits, others = 0, 0
    for seed in range(10):
        values = panel(seed, [0.8] * 12, tasks=400, overlap=5)
        rng = np.random.default_rng(1000 + seed)
        agreed = rng.random(400) < 0.5
        secret = rng.integers(0, 2, size=400)
        for column in (3, 8):
            there = agreed & ~np.isnan(values[:, column])
            values[there, column] = secret[there]
        found = alike(Ratings.of_table(values, scale=(0, 1)))
        called = {(one.one, one.other) for one in found if one.q <= 0.05}
        hits += (3, 8) in called
        others += len(called - {(3, 8)})
    assert hits >= 9
    assert others <= 3


def test_nobody_and_nothing() -> None:
    assert alike(Ratings.of_table(np.zeros((0, 0)))) == ()
    assert alike(Ratings.of_table([[1.0], [0.0]])) == ()
    (found,) = alike(Ratings.of_table([[1.0, 0.0]]))
    assert (found.shared, found.open) == (1, 0)
    assert math.isnan(found.p)
    assert math.isnan(found.q)
    every = {(one.one, one.other) for one in alike(Ratings.of_table([[1.0, 0.0, 1.0]]))}
    assert every == set(combinations(range(3), 2))
