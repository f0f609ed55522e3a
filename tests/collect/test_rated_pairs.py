"""Pairs of rated texts: groups that share no text, gaps that are kept, one against all others."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.rated import Rated
from accord.collect.rated_pairs import gap_pairs, grouped_pairs, human_ceiling
from accord.core.errors import ConfigError, DataError


def spread(count: int) -> list[Rated]:
    """Texts of which half are liked and half are not."""
    return [Rated(f"text {i}", ((i % 2) * 4 - 2, i % 2)) for i in range(count)]


def apart(rated: list[Rated], one: int, other: int) -> float:
    means = [sum(rated[i].ratings) / len(rated[i].ratings) for i in (one, other)]
    return abs(means[0] - means[1])


@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 5))
def test_each_two_of_a_group_are_a_pair_and_groups_share_no_text(
    count: int, size: int, seed: int
) -> None:
    size = min(size, count)
    pairs = list(grouped_pairs(spread(count), size=size, seed=seed))
    each = size * (size - 1) // 2
    assert len(pairs) == count // size * each
    met: set[int] = set()
    for start in range(0, len(pairs), each):
        group = {place for pair in pairs[start : start + each] for place in pair}
        assert len(group) == size
        assert len({frozenset(pair) for pair in pairs[start : start + each]}) == each
        assert not group & met
        met |= group
    assert pairs == list(grouped_pairs(spread(count), size=size, seed=seed))


def test_the_first_of_a_pair_and_the_groups_are_drawn() -> None:
    pairs = list(grouped_pairs(spread(400), size=4, seed=0))
    assert 250 < sum(one < other for one, other in pairs) < 350
    assert pairs != list(grouped_pairs(spread(400), size=4, seed=1))


def test_one_text_is_no_pair_with_itself() -> None:
    rated = [Rated("A film.", (4,)), Rated("a FILM", (-4,)), Rated("b", (1, 2)), Rated("c", (2, 1))]
    pairs = {frozenset(pair) for pair in grouped_pairs(rated, size=4, seed=0)}
    assert len(pairs) == 5
    assert frozenset((0, 1)) not in pairs


@pytest.mark.parametrize(("count", "size"), [(0, 2), (4, 1), (4, 5)])
def test_groups_that_cannot_be_drawn_are_refused(count: int, size: int) -> None:
    with pytest.raises(ConfigError, match="groups are of two texts"):
        list(grouped_pairs(spread(count), size=size, seed=0))


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
