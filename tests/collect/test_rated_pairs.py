"""Pairs of rated texts: matchings that never repeat, gaps that are kept, one against all others."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.rated import Rated, soft_label
from accord.collect.rated_pairs import gap_pairs, human_ceiling, paired_snippets
from accord.core.errors import ConfigError, DataError


def spread(count: int) -> list[Rated]:
    """Texts of which half are liked and half are not."""
    return [Rated(f"text {i}", ((i % 2) * 4 - 2, i % 2)) for i in range(count)]


def apart(rated: list[Rated], one: int, other: int) -> float:
    means = [sum(rated[i].ratings) / len(rated[i].ratings) for i in (one, other)]
    return abs(means[0] - means[1])


@given(st.integers(2, 15), st.integers(0, 5), st.data())
def test_each_text_stands_in_one_pair_a_round_and_no_two_meet_twice(
    count: int, seed: int, data: st.DataObject
) -> None:
    rated = spread(count)
    rounds = data.draw(st.integers(1, count - 1 + count % 2))
    pairs = list(paired_snippets(rated, seed=seed, rounds=rounds))
    size = count // 2
    assert len(pairs) == rounds * size
    for start in range(0, len(pairs), size):
        assert len({place for pair in pairs[start : start + size] for place in pair}) == 2 * size
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    assert pairs == list(paired_snippets(rated, seed=seed, rounds=rounds))


def test_all_rounds_are_all_pairs_in_a_drawn_order() -> None:
    pairs = list(paired_snippets(spread(20), seed=0, rounds=19))
    assert sorted(tuple(sorted(pair)) for pair in pairs) == list(combinations(range(20), 2))
    assert 60 < sum(one < other for one, other in pairs) < 130
    assert pairs != list(paired_snippets(spread(20), seed=1, rounds=19))


def test_one_text_and_undecided_pairs_are_passed_over() -> None:
    rated = [Rated("A film.", (4,)), Rated("a FILM", (-4,)), Rated("b", (1, 2)), Rated("c", (2, 1))]
    everything = {frozenset(pair) for pair in paired_snippets(rated, seed=0, rounds=3)}
    assert len(everything) == 5
    assert frozenset((0, 1)) not in everything
    decided = {frozenset(pair) for pair in paired_snippets(rated, seed=0, rounds=3, undecided=0.02)}
    assert soft_label(rated[2].ratings, rated[3].ratings) == 0.5
    assert everything - decided == {frozenset((2, 3))}


@pytest.mark.parametrize(("count", "rounds"), [(0, 1), (1, 1), (4, 4), (5, 6), (4, 0)])
def test_rounds_that_cannot_be_drawn_are_refused(count: int, rounds: int) -> None:
    with pytest.raises(ConfigError, match="rounds of pairs"):
        paired_snippets(spread(count), seed=0, rounds=rounds)


mixed = st.lists(st.integers(-4, 4), min_size=1, max_size=3).map(tuple)


@given(st.lists(mixed, min_size=2, max_size=9), st.floats(0, 3), st.integers(0, 3))
def test_gap_pairs_keep_the_gap_and_are_all_found(
    ratings: list[tuple[int, ...]], least: float, seed: int
) -> None:
    rated = [Rated(f"text {i // 2}", given) for i, given in enumerate(ratings)]
    may = {
        frozenset(pair)
        for pair in combinations(range(len(rated)), 2)
        if apart(rated, *pair) >= least - 1e-9 and rated[pair[0]].text != rated[pair[1]].text
    }
    pairs = gap_pairs(rated, least=least, count=len(may), seed=seed)
    assert {frozenset(pair) for pair in pairs} == may
    assert len(pairs) == len(may)
    with pytest.raises(DataError, match="too few pairs"):
        gap_pairs(rated, least=least, count=len(may) + 1, seed=seed)


@given(st.integers(10, 40), st.integers(1, 80), st.integers(0, 3))
def test_gap_pairs_use_each_text_about_as_often(count: int, wanted: int, seed: int) -> None:
    rated = spread(count - count % 2)
    wanted = min(wanted, count * count // 8)
    pairs = gap_pairs(rated, count=wanted, seed=seed)
    used = Counter(place for pair in pairs for place in pair)
    times = [used[place] for place in range(len(rated))]
    assert max(times) - min(times) <= 2
    assert all(apart(rated, *pair) >= 1 for pair in pairs)


def test_the_first_of_a_gap_pair_is_drawn() -> None:
    rated = spread(60)
    pairs = gap_pairs(rated, count=400, seed=0)
    assert 150 < sum(one % 2 for one, _ in pairs) < 250
    assert pairs != gap_pairs(rated, count=400, seed=1)


def test_the_ceiling_of_one_rater_by_hand() -> None:
    """(0, 3) against (1, 1): of four comparisons the truth is that of what is left over.

    0 and 1, rest 3 and 1: wrong. 3 and 1, rest 0 and 1: wrong. Each twice. (4, 4) against (0, 0) is
    always right, (1, 1) against (1, 1) a tie.
    """
    rated = [Rated(str(i), ratings) for i, ratings in enumerate([(0, 3), (1, 1), (4, 4), (0, 0)])]
    rated += [Rated("a", (1, 1))]
    found = human_ceiling(rated, [(0, 1), (2, 3), (1, 4)])
    assert found.estimate == pytest.approx((0 + 1 + 0.5) / 3)
    assert found.clusters == 5
    assert found.low <= found.estimate <= found.high


def test_the_ceiling_of_a_panel_by_hand() -> None:
    """Of 4, 4, -4 a panel of two says 4 (the rest -4) in one of three, else 0 (the rest 4)."""
    rated = [Rated("a", (4, 4, -4)), Rated("b", (1, 1, 1)), Rated("c", (1, 1, 1))]
    found = human_ceiling(rated, [(0, 1), (2, 0)], panel=2, draws=500)
    assert found.estimate == pytest.approx(0.0)
    sure = [Rated("a", (3, 4, 4)), Rated("b", (1, 1, 0)), Rated("c", (1, 1, 0))]
    assert human_ceiling(sure, [(0, 1), (2, 0)], panel=2).estimate == 1.0
    with pytest.raises(DataError, match="leaves no rating"):
        human_ceiling(sure, [(0, 1), (2, 0)], panel=3)


@given(st.lists(mixed.filter(lambda r: len(r) > 1), min_size=3, max_size=6), st.integers(1, 2))
def test_turning_pairs_round_changes_nothing(ratings: list[tuple[int, ...]], panel: int) -> None:
    rated = [Rated(str(i), given + given[:1]) for i, given in enumerate(ratings)]
    pairs = list(combinations(range(len(rated)), 2))
    found = human_ceiling(rated, pairs, panel=panel)
    turned = human_ceiling(rated, [(b, a) for a, b in pairs], panel=panel)
    assert found.estimate == pytest.approx(turned.estimate)
    assert 0 <= found.low <= found.high <= 1
