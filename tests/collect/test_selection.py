"""Selection: probabilities that are what they say, estimates that are unbiased by them."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.selection import (
    METHODS,
    Candidate,
    Score,
    coverage,
    gap,
    inclusion,
    pivotal,
    predicted,
    probabilities,
    select,
    uncertainty,
)
from accord.core.errors import ConfigError, DataError

RUNS = 4000


def candidates(count: int, *, seed: int = 0, unscored: int = 0) -> list[Candidate]:
    """Candidates with gaps and deviations of very different sizes; the last few have no scores."""
    rng = Random(seed)
    made = []
    for i in range(count):
        scores = tuple(Score(rng.gauss(0, 2), rng.expovariate(1)) for _ in range(2))
        made.append(
            Candidate(
                prompt=f"p{i:03}",
                responses=(f"a{i}", f"b{i}"),
                stratum=rng.choice(["rare", *["usual"] * 4]),
                cluster=f"c{rng.randrange(count // 2)}",
                scores=None if i >= count - unscored else scores,
            )
        )
    return made


def scored(*means: float, deviation: float = 0.0) -> Candidate:
    scores = tuple(Score(mean, deviation) for mean in means)
    name = f"{means} {deviation}"
    return Candidate(
        prompt=name, responses=tuple(f"{name}{i}" for i in range(len(means))), scores=scores
    )


# ---- the draw ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_candidates_are_drawn_as_often_as_their_inclusion_says(method: str) -> None:
    pool = candidates(30, unscored=4)
    known: dict[str, float] = {}
    seen: Counter[str] = Counter()
    random: Counter[str] = Counter()
    pairs = 0
    for seed in range(RUNS):
        chosen = select(pool, 11, method=method, random_share=0.3, seed=seed)
        assert len(chosen) == 11
        for one in chosen:
            name = one.candidate.prompt
            seen[name] += 1
            assert known.setdefault(name, one.inclusion) == one.inclusion
        sample = {one.candidate.prompt for one in chosen if one.selected_by == "random"}
        random.update(sample)
        pairs += {"p000", "p001"} <= sample
        assert len(sample) == (11 if method == "random" else 4)
    assert len(known) == 30
    assert math.fsum(known.values()) == pytest.approx(11)
    if method != "random":
        assert max(known.values()) > 2 * min(known.values())
    for name, probability in known.items():
        deviation = math.sqrt(probability * (1 - probability) / RUNS)
        assert abs(seen[name] / RUNS - probability) <= 4.5 * deviation + 1e-12
    # The random stream is a simple random sample of all candidates: singles and pairs alike.
    size = 11 if method == "random" else 4
    for name in known:
        expected = size / 30
        assert abs(random[name] / RUNS - expected) < 4.5 * math.sqrt(expected / RUNS)
    both = size * (size - 1) / (30 * 29)
    assert abs(pairs / RUNS - both) < 4.5 * math.sqrt(both / RUNS)


@pytest.mark.parametrize("method", ["uncertainty", "gap", "coverage"])
def test_weights_remove_the_bias_that_the_method_has(method: str) -> None:
    """A quantity that follows what the method looks for, over 400 candidates and 400 draws."""
    pool = candidates(400, seed=1)
    sizes = np.array(METHODS[method](pool), dtype=float)  # type: ignore[misc]
    noise = np.random.default_rng(2).standard_normal(len(pool))
    value = {
        one.prompt: float(size / sizes.std() + 0.3 * e)
        for one, size, e in zip(pool, sizes, noise, strict=True)
    }
    truth = float(np.mean(list(value.values())))
    weighted, plain = [], []
    for seed in range(400):
        chosen = select(pool, 80, method=method, seed=seed)
        x = np.array([value[one.candidate.prompt] for one in chosen])
        w = np.array([1 / one.inclusion for one in chosen])
        weighted.append(float(w @ x / w.sum()))
        plain.append(float(x.mean()))
    error = float(np.std(weighted)) / math.sqrt(len(weighted))
    assert abs(np.mean(weighted) - truth) < 4 * error
    assert abs(np.mean(plain) - truth) > 20 * float(np.std(plain)) / math.sqrt(len(plain))


@given(
    st.lists(st.floats(0.01, 50), min_size=3, max_size=40),
    st.integers(0, 10_000),
    st.data(),
)
def test_probabilities_sum_to_whole_numbers_and_so_does_the_draw(
    sizes: list[float], seed: int, data: st.DataObject
) -> None:
    m = data.draw(st.integers(0, len(sizes) - 1))
    n = data.draw(st.integers(m, len(sizes) - 1))
    p = probabilities(np.array(sizes), m)
    assert p.min() >= 0
    assert p.max() <= 1
    assert p.sum() == pytest.approx(m)
    free = p[p < 1]
    if len(free) and m:
        assert np.allclose(free / free.sum(), np.array(sizes)[p < 1] / np.array(sizes)[p < 1].sum())
    assert len(pivotal(p, range(len(p)), np.random.default_rng(seed))) == m
    pi = inclusion(p, n)
    assert pi.sum() == pytest.approx(n)
    assert (pi.min() > 0) == (n > m or p.min() > 0)


def test_the_same_seed_chooses_the_same_in_any_order() -> None:
    pool = candidates(50)
    first = select(pool, 20, method="gap", seed=7)
    assert select(list(reversed(pool)), 20, method="gap", seed=7) == first
    assert select(pool, 20, method="gap", seed=8) != first


def test_all_are_taken_where_there_are_no_more() -> None:
    pool = candidates(5, unscored=5)
    for n in (5, 9):
        chosen = select(pool, n, method="uncertainty", seed=0)
        assert [one.inclusion for one in chosen] == [1.0] * 5
        assert {one.selected_by for one in chosen} == {"random"}
    assert select(pool, 0, seed=0) == []
    assert select([], 3, seed=0) == []


def test_candidates_without_scores_come_by_the_random_sample_alone() -> None:
    pool = candidates(40, unscored=37)
    chosen = select(pool, 20, method="gap", random_share=0.25, seed=1)
    by = Counter(one.selected_by for one in chosen)
    # Three candidates have scores: they are taken surely, and the random sample fills the rest.
    assert by["random"] >= 17
    assert {one.candidate.prompt for one in chosen if one.candidate.scores} == {
        "p000",
        "p001",
        "p002",
    }
    assert {one.inclusion for one in chosen if one.candidate.scores} == {1.0}
    for one in chosen:
        assert one.candidate.scores or one.inclusion == pytest.approx(17 / 37)


def test_what_cannot_be_chosen_by_is_refused() -> None:
    pool = candidates(10, unscored=10)
    with pytest.raises(DataError, match="nothing to choose by"):
        select(pool, 5, method="gap", seed=0)
    with pytest.raises(DataError, match="nothing to choose by"):
        # One model alone never disagrees.
        select([scored(i, 0) for i in range(9)], 5, method="uncertainty", seed=0)
    with pytest.raises(ConfigError, match="no such selection"):
        select(pool, 5, method="best", seed=0)
    with pytest.raises(ConfigError, match="random_share"):
        select(pool, 5, random_share=0.1, seed=0)
    with pytest.raises(DataError, match="twice"):
        select([*pool, pool[0]], 5, seed=0)
    for mean, deviation in ((math.nan, 0), (0, math.nan), (math.inf, 0), (0, -1)):
        with pytest.raises(DataError, match="finite"):
            Score(mean, deviation)
    with pytest.raises(DataError, match="one score a response"):
        Candidate(prompt="p", responses=("a", "b"), scores=(Score(0),))


# ---- the methods ---------------------------------------------------------------------------------


def test_uncertainty_is_the_variance_of_the_vote_over_the_ensemble() -> None:
    draws = np.random.default_rng(0).normal(1.0, math.hypot(0.5, 0.5), 400_000)
    expected = float(np.var(1 / (1 + np.exp(-draws))))
    (found,) = uncertainty([scored(1, 0, deviation=0.5)])
    assert found == pytest.approx(expected, rel=0.01)
    agreed, doubted, sure = uncertainty([scored(0, 0), scored(0, 0, deviation=2), scored(9, 0)])
    assert agreed == pytest.approx(0)
    assert sure == pytest.approx(0)
    assert doubted is not None
    assert doubted > 0.05


def test_predictions_of_several_models_keep_the_deviation_of_a_difference() -> None:
    # Two models agree on the lead of the first, whatever else they think of both; a third does not.
    rewards = np.array([[3.0, 1.0], [103.0, 101.0], [0.0, 4.0]])
    a, b = predicted(rewards)
    lead = rewards[:, 0] - rewards[:, 1]
    assert a.mean - b.mean == pytest.approx(lead.mean())
    assert math.hypot(a.deviation, b.deviation) == pytest.approx(lead.std(ddof=1))


def test_models_that_agree_on_every_lead_leave_nothing_uncertain() -> None:
    common = predicted(np.array([[0.5, 2.0, 1.0], [7.5, 9.0, 8.0]]))
    assert [one.deviation for one in common] == pytest.approx([0, 0, 0])
    assert [one.deviation for one in predicted(np.array([[0.5, 2.0]]))] == [0, 0]


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_deviation_of_a_difference_is_right_on_average(k: int) -> None:
    rewards = np.random.default_rng(k).normal(size=(7, k)) * np.arange(1, k + 1)
    scores = predicted(rewards)
    pairs = [(i, j) for i in range(k) for j in range(i)]
    said = [scores[i].deviation ** 2 + scores[j].deviation ** 2 for i, j in pairs]
    true = [(rewards[:, i] - rewards[:, j]).var(ddof=1) for i, j in pairs]
    assert np.mean(said) == pytest.approx(np.mean(true))


def test_gap_is_the_largest_plausible_difference() -> None:
    assert gap([scored(1, 4, 2)]) == [3]
    assert gap([scored(1, 1, deviation=3)]) == [pytest.approx(math.hypot(3, 3))]
    assert gap([Candidate(prompt="p", responses=("a", "b"))]) == [None]


def test_coverage_shares_evenly_over_strata_and_clusters() -> None:
    def at(name: str, stratum: str | None, cluster: str | None) -> Candidate:
        return Candidate(prompt=name, responses=("a",), stratum=stratum, cluster=cluster)

    sizes = coverage([at("1", "s", "x"), at("2", "s", "x"), at("3", "s", None), at("4", None, "x")])
    assert sizes == [1 / 8, 1 / 8, 1 / 4, 1 / 2]


def test_coverage_draws_one_of_many_near_duplicates() -> None:
    """Ten clusters, one of them with 91 members: by chance it would have nine places in ten."""
    pool = [
        Candidate(prompt=f"p{i:03}", responses=("a",), cluster=f"c{max(0, i - 90)}")
        for i in range(100)
    ]
    found = []
    for seed in range(50):
        chosen = select(pool, 10, method="coverage", seed=seed)
        # Eight places are the method's: at most one a cluster, as each holds at most one of them.
        looked = [one.candidate.cluster for one in chosen if one.selected_by == "coverage"]
        found.append(len(set(looked)))
    assert np.mean(found) > 7
