"""Rules of trust: each by hand, what never leads to quarantine, the events, and planted raters."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from accord.collect.habits import Copy, Habit, RaterReport, rater_report
from accord.collect.sheet import RaterKind
from accord.collect.trust import Trust, TrustSettings, decide, quarantine, release
from accord.collect.votes import load
from accord.core.errors import ConfigError, DataError
from accord.stats import intervals
from accord.stats.intervals import Interval
from accord.stats.rater_bias import Finding
from accord.store.database import Database
from accord.store.log import parts_of, size
from accord.store.tables import raters
from bench.panel import Archetype, Design, hh_harmless, pandalm, simulate
from bench.raters import GROUPS
from tests.collect.ballots import Desk

DATA = os.environ.get("ACCORD_DATA")
real = pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")


def finding(hits: int, n: int, p: float) -> Finding:
    if not n:
        nothing = Interval(estimate=math.nan, low=math.nan, high=math.nan, level=0.95, clusters=0)
        return Finding(rater="a", interval=nothing, p=math.nan, q=math.nan, n=0)
    return Finding(rater="a", interval=intervals.proportion(hits, n), p=p, q=p, n=n)


def report(found: dict[Habit, tuple[int, int, float]] | None = None, **more: Any) -> RaterReport:
    """A rater with these findings (hits, n, p = q), the others silent."""
    silent = dict.fromkeys(Habit, (0, 0, math.nan))
    asked = silent | (found or {})
    values: dict[str, Any] = {
        "rater": "a",
        "kind": RaterKind.HUMAN,
        "state": "new",
        "judgements": 60,
        "skips": 0,
        "all_bad": 0,
        "late": 0,
        "seconds": None,
        "reliability": None,
        "guesses": 0.01,
        "trials": 12,
        "findings": {habit: finding(*asked[habit]) for habit in Habit},
        "copies": None,
    }
    return RaterReport(**values | more)


def one(**more: Any) -> Trust:
    (found,) = decide([report(**more)])
    return found


def test_a_rater_without_anything_is_trusted() -> None:
    found = one()
    assert (found.quarantined, found.look, found.why) == (False, False, ())
    assert found.weight == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({Habit.GOLD: (3, 10, 0.001)}, "few known answers right: 3 of 10"),
        ({Habit.CONSISTENCY: (1, 12, 0.001)}, "few repeats the same: 1 of 12"),
        ({Habit.POSITION: (55, 60, 1e-9)}, "takes what stands first: 92% of 60"),
        ({Habit.POSITION: (5, 60, 1e-9)}, "takes what stands last: 92% of 60"),
        ({Habit.FOLLOWING: (38, 40, 1e-4)}, "repeats the answer that is there: 38 of 40"),
    ],
)
def test_each_of_these_is_enough(found: dict[Habit, Any], words: str) -> None:
    told = one(found=found)
    assert (told.quarantined, told.look, told.weight) == (True, False, 0)
    assert told.why == (words,)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({Habit.CONSENSUS: (10, 60, 1e-12)}, "another taste, or less care: agrees on 10 of 60"),
        ({Habit.LENGTH: (30, 60, 1e-9)}, "takes the longer one 50% more often than others, of 60"),
        ({Habit.DRIFT: (6, 60, 1e-9)}, "changed: agreement +10% in the second half"),
        ({Habit.SKIPPING: (50, 60, 1e-9)}, "skips or rejects much: 50 of 60"),
        ({Habit.POSITION: (330, 600, 1e-3)}, "takes what stands first: 55% of 600"),
        ({Habit.GOLD: (160, 200, 1e-6)}, "few known answers right: 160 of 200"),
        ({Habit.CONSISTENCY: (8, 12, 0.01)}, "few repeats the same: 8 of 12"),
    ],
)
def test_each_of_these_is_a_reason_to_look(found: dict[Habit, Any], words: str) -> None:
    told = one(found=found)
    assert (told.quarantined, told.look) == (False, True)
    assert told.why == (words,)
    assert told.weight > 0.9


def test_what_may_be_chance_is_nothing() -> None:
    found = {habit: (55, 60, 0.2) for habit in Habit if habit is not Habit.GOLD}
    told = one(found=found)
    assert (told.quarantined, told.look, told.why) == (False, False, ())


def test_guessing_needs_enough_trials() -> None:
    found = {Habit.GOLD: (3, 6, 0.001), Habit.CONSISTENCY: (3, 6, 0.3)}
    told = one(found=found, guesses=0.93)
    assert told.why == (
        "guesses with probability 0.93: 3 of 6 known answers right, 3 of 6 repeats the same",
    )
    assert (told.quarantined, told.weight) == (True, 0)
    early = one(guesses=0.93, trials=7)
    assert (early.quarantined, early.weight) == (False, 1)
    unsure = one(guesses=0.4)
    assert (unsure.quarantined, unsure.weight) == (False, pytest.approx(0.6))


def test_a_copy_needs_a_direction() -> None:
    copy = Copy(whom="b", tasks=40, same=40, later=intervals.proportion(36, 40))
    found = {Habit.COPYING: (12, 12, 1e-6)}
    assert one(found=found, copies=copy).why == ("copies b: 40 of 40 the same",)
    both = replace(copy, later=intervals.proportion(20, 40))
    told = one(found=found, copies=both)
    assert (told.quarantined, told.look) == (False, True)
    assert told.why == ("answers like b: 40 of 40 the same; who was first is not clear",)


def test_accusations_allow_for_every_rater() -> None:
    """p = .02 alone is below .05; among ten raters it is not."""
    single = report({Habit.FOLLOWING: (38, 40, 0.02)})
    others = [report({Habit.FOLLOWING: (20, 40, 0.9)}, rater=f"r{n}") for n in range(9)]
    assert decide([single])[0].quarantined
    assert not decide([single, *others])[0].quarantined


def test_what_a_lead_decided_stands() -> None:
    bad = {Habit.POSITION: (60, 60, 1e-12)}
    trusted = one(found=bad, state="active")
    assert (trusted.quarantined, trusted.look, trusted.by_lead) == (False, True, True)
    assert trusted.why == ("trusted by a lead", "takes what stands first: 100% of 60")
    assert trusted.weight == 1
    out = one(state="quarantined")
    assert (out.quarantined, out.weight, out.by_lead) == (True, 0, True)
    assert out.why == ("put into quarantine by a lead",)


@pytest.mark.parametrize(
    "change",
    [
        {"guesses": 0},
        {"false_discovery": 1},
        {"most_share": -1},
        {"least_trials": 0},
        {"spread": 0.5},
    ],
)
def test_thresholds_are_checked(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TrustSettings(**change)


def test_decisions_are_events_with_their_reason(database: Database) -> None:
    with database.write() as connection:
        desk = Desk(connection)
        rater = desk.raters[0]
        desk.say(0, desk.task("Why?"))
        quarantine(connection, rater, why=" answers in two seconds ", actor=desk.raters[1])
        said = parts_of(connection, size(connection))
        votes = load(connection, desk.campaign)
        assert votes.states == {rater: "quarantined"}
        assert decide(rater_report(votes, resamples=0))[0].quarantined
        release(connection, rater, why="a test of the page")
        state = connection.execute(raters.select().where(raters.c.id == rater)).one().state
        with pytest.raises(ConfigError, match="reason"):
            quarantine(connection, rater, why=" ")
        with pytest.raises(DataError, match="no such rater"):
            release(connection, "nobody", why="a typing mistake")
    assert said == {"state": "quarantined", "why": {"words": "answers in two seconds"}}
    assert state == "active"


# ---- planted raters on real texts ----------------------------------------------------------------


@real
@pytest.mark.slow
@pytest.mark.parametrize("world", [pandalm, hh_harmless])
def test_planted_raters_are_found_and_honest_ones_left_alone(world: Any) -> None:
    """Forty campaigns of each pair, as in `bench/raters.py`; the bounds are two
    standard errors of 40 draws below a power of .8 and above a false-alarm rate of .05."""
    design = Design(overlap=3, gold=0.05, repeats=0.05)
    place, called = world(Path(str(DATA))), {kind: [] for kind in Archetype}
    for number in range(40):
        for group, pair in enumerate(GROUPS[:3]):
            kinds = [Archetype.HONEST] * 12
            kinds[5], kinds[11] = pair
            votes = simulate(place, kinds, design, 500_000 + number * 3 + group)
            found = decide(rater_report(votes, resamples=0))
            for kind, trust in zip(kinds, found, strict=True):
                called[kind].append(trust.quarantined)
    rate = {kind: sum(some) / len(some) for kind, some in called.items() if some}
    assert rate[Archetype.RANDOM] >= 0.7
    assert rate[Archetype.FIRST] >= 0.95
    assert rate[Archetype.PEEKER] >= 0.7
    assert rate[Archetype.HONEST] <= 0.02
    assert rate[Archetype.MINORITY] <= 0.12
