"""When a rater is checked: as often as the campaign says, at places that nobody can foresee.

Drawn one by one, known answers would miss some raters for long; at fixed places they would be
known. So each stretch of judgements has its number of them, one at a random place of each part.
"""

from __future__ import annotations

from random import Random

from accord.collect.campaign import CampaignSettings
from accord.collect.tasks import Purpose
from accord.core.hashing import digest

STRETCH = 60
"""Judgements that are planned together. In a rater's first stretch checks come twice as often:
nothing is known of them yet, and a rater who guesses is found within it (`bench/raters.py`)."""
MOST = 0.5
"""Largest share of a stretch that either check may have."""


def due(settings: CampaignSettings, rater: str, number: int) -> Purpose:
    """What a rater's task is for who gave `number` judgements: work, gold or repeat."""
    stretch, place = divmod(number, STRETCH)
    rng = Random(digest([settings.seed, rater, stretch, "checks"]))
    often = 1 if stretch else 2
    # Before that there is nothing old enough to repeat.
    begin = 0 if stretch else min(settings.repeat_after + 1, STRETCH)
    planned: dict[int, Purpose] = {}
    _plan(planned, Purpose.GOLD, often * settings.gold_share, 0, rng)
    _plan(planned, Purpose.REPEAT, often * settings.repeat_share, begin, rng)
    return planned.get(place, Purpose.WORK)


def _plan(
    planned: dict[int, Purpose], purpose: Purpose, share: float, begin: int, rng: Random
) -> None:
    """Put checks at free places from `begin` on: one in each of as many parts as there are."""
    wanted = STRETCH * min(share, MOST)
    count = int(wanted) + (rng.random() < wanted - int(wanted))
    length = STRETCH - begin
    for part in range(count):
        low, high = (begin + length * end // count for end in (part, part + 1))
        free = [place for place in range(low, high) if place not in planned]
        if free:
            planned[rng.choice(free)] = purpose
