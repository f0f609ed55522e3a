"""Checks come as often as asked for, twice as often at first, at places nobody can foresee."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.campaign import CampaignSettings
from accord.collect.pacing import STRETCH, due
from accord.collect.tasks import Purpose

SHARES = st.floats(0, 0.5)


def plan(settings: CampaignSettings, rater: str, stretch: int) -> list[Purpose]:
    return [due(settings, rater, stretch * STRETCH + place) for place in range(STRETCH)]


@given(gold=SHARES, repeat=SHARES, after=st.integers(1, 80), stretch=st.integers(0, 3))
def test_every_stretch_has_its_number(gold: float, repeat: float, after: int, stretch: int) -> None:
    settings = CampaignSettings(
        name="c", guideline="v", gold_share=gold, repeat_share=repeat, repeat_after=after
    )
    often = 1 if stretch else 2
    counts = Counter(plan(settings, "r", stretch))
    assert abs(counts[Purpose.GOLD] - STRETCH * min(0.5, often * gold)) < 1
    wanted = STRETCH * min(0.5, often * repeat)
    assert counts[Purpose.REPEAT] <= wanted + 1
    if stretch and gold + repeat <= 0.5:
        assert abs(counts[Purpose.REPEAT] - wanted) <= 2
    assert set(counts) <= {Purpose.WORK, Purpose.GOLD, Purpose.REPEAT}


def test_the_default_is_six_of_each_and_then_three() -> None:
    settings = CampaignSettings(name="c", guideline="v")
    for rater in ("ada", "bea", "cyd"):
        for stretch, each in ((0, 6), (1, 3), (5, 3)):
            counts = Counter(plan(settings, rater, stretch))
            assert (counts[Purpose.GOLD], counts[Purpose.REPEAT]) == (each, each)


def test_nothing_is_repeated_before_it_is_old_enough() -> None:
    settings = CampaignSettings(name="c", guideline="v", repeat_share=0.25, repeat_after=20)
    for rater in "abcdefgh":
        assert Purpose.REPEAT not in plan(settings, rater, 0)[:21]
    # 30 in the 39 places that are left, but for parts that a known answer fills.
    assert 24 <= Counter(plan(settings, "a", 0))[Purpose.REPEAT] <= 30


@pytest.mark.parametrize("purpose", [Purpose.GOLD, Purpose.REPEAT])
def test_no_place_is_safe_from_a_check(purpose: Purpose) -> None:
    """Over many raters every place has one about as often as any other."""
    settings = CampaignSettings(name="c", guideline="v")
    found = Counter(
        place
        for rater in range(2000)
        for place, what in enumerate(plan(settings, str(rater), 1))
        if what is purpose
    )
    # 3 of 60 places for each of 2,000 raters: 100 a place, sd 10.
    assert len(found) == STRETCH
    assert min(found.values()) > 50
    assert max(found.values()) < 150
