"""Raters against a population: by hand, what is hidden, and what weighing would cost."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.coverage import Coverage, coverage
from accord.collect.questions import NOT_TOLD, OTHERS, Population
from tests.collect.asked import answers, questions, votes_by


def covered(shares: dict[str, float], **sizes: int) -> Coverage:
    pool = answers("field", **sizes)
    told = {name: said for name, said in pool.items() if said["field"] != "none"}
    votes = votes_by(dict.fromkeys(pool, "A"), 3, overlap=len(pool))
    census = Population(source="census", shares={"field": shares})
    (found,) = coverage(votes, told, questions(), census)
    return found


THIRDS = {"law": 0.5, "art": 0.3, "trade": 0.2}


def test_by_hand() -> None:
    """Shares of .25 and .75 against .5 and .5: a quarter would have to change. Weighed by 2 and
    2/3, ten and thirty raters are worth 40^2 / (10 * 4 + 30 * 4 / 9)."""
    found = covered({"law": 0.5, "art": 0.5}, law=10, art=30)
    assert (found.distance, found.effective) == (0.25, 30.0)
    assert found.effective == pytest.approx(40**2 / (10 * 4 + 30 * 4 / 9))
    assert found.groups["law"].raters == 10
    assert (found.groups["law"].share, found.groups["law"].population) == (0.25, 0.5)
    assert (found.not_told, dict(found.unseen), found.why) == (None, {}, "")


def test_a_pool_like_the_population_loses_nothing() -> None:
    found = covered(THIRDS, law=25, art=15, trade=10)
    assert (found.distance, found.effective) == (0, 50)


def test_missing_and_small_groups_are_named_alike() -> None:
    """Nobody of trade: a fifth of the population cannot be reached. The two others are weighed to
    five eighths and three eighths."""
    none = covered(THIRDS, law=15, art=15)
    assert dict(none.unseen) == {"trade": 0.2}
    assert none.distance == pytest.approx(0.2)
    assert none.effective == pytest.approx(0.8**2 / (0.25 / 15 + 0.09 / 15), abs=0.05)
    few = covered(THIRDS, law=15, art=11, trade=4)
    # art is put together with trade, or trade would follow.
    assert set(few.unseen) == {"art", "trade"}
    assert few.groups[OTHERS].population == 0.5
    assert (few.distance, few.effective) == (0, 30)


def test_who_did_not_tell_is_in_no_share_where_they_are_enough() -> None:
    found = covered({"law": 0.5, "art": 0.5}, law=10, art=10, none=7)
    assert found.not_told == 7
    assert NOT_TOLD not in found.groups
    assert (found.distance, found.effective) == (0, 20)


def test_what_cannot_be_shown_has_no_figure() -> None:
    found = covered(THIRDS, law=30, art=4)
    assert (dict(found.groups), found.not_told) == ({}, None)
    assert math.isnan(found.distance)
    assert math.isnan(found.effective)
    assert dict(found.unseen) == THIRDS
    assert "fewer than 5" in found.why


def test_a_group_outside_of_the_population_weighs_nothing() -> None:
    found = covered({"law": 1.0}, law=10, art=10)
    assert (found.distance, found.effective) == (0.5, 10)


@given(sizes=st.tuples(*(st.integers(0, 14) for _ in range(4))))
def test_no_count_is_below_k_nor_follows_by_subtraction(sizes: tuple[int, ...]) -> None:
    names = ("law", "art", "trade", "none")
    found = covered(THIRDS, **dict(zip(names, sizes, strict=True)))
    counts = [one.raters for one in found.groups.values()]
    counts += [] if found.not_told is None else [found.not_told]
    assert min(counts, default=5) >= 5
    # All are in one of the groups: nobody is left over.
    assert not counts or sum(counts) == sum(sizes)
    assert len(counts) != 1


@given(total=st.integers(5, 9), law=st.integers(10, 20), data=st.data())
def test_what_the_pool_is_made_of_changes_nothing(
    total: int, law: int, data: st.DataObject
) -> None:
    """Five to nine others, however they are divided so that none is a group of five and no more
    than one answer is shown: the same figures."""
    art = data.draw(st.integers(max(0, total - 8), 4))
    trade = data.draw(st.integers(max(0, total - art - 4), min(4, total - art)))
    found = covered(THIRDS, law=law, art=art, trade=trade, none=total - art - trade)
    assert found == covered(THIRDS, law=law, art=min(4, total), trade=total - min(4, total))
