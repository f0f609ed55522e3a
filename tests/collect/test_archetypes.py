"""Archetypes: each does what its name says, as often as it says, and is made again from JSON."""

from __future__ import annotations

import json
from itertools import permutations

import pytest

from accord.collect.archetypes import (
    Colluder,
    Copycat,
    Inverter,
    always_first,
    colluders,
    honest_minority,
    longest,
    random_rater,
    simulated,
)
from accord.collect.persona import PersonSettings, Truth
from accord.collect.sheet import Opinion, Rater, RaterKind, Sheet
from accord.collect.synthetic import NOBODY, SimulatedPerson
from accord.core.errors import ConfigError
from accord.core.types import Conversation
from accord.stats.intervals import proportion
from accord.store.judgements import Verdict

N = 2000


def worth(_: Conversation, response: str) -> float:
    return float(response.split()[1])


WORTH = Truth(name="worth", score=worth)
HONEST = SimulatedPerson(
    settings=PersonSettings(weights={"worth": 1}, temperature=0), truths=(WORTH,)
)


def sheet(n: int, *responses: str, **more: object) -> Sheet:
    said = responses or ("ok 1", "ok 0")
    return Sheet(task=f"t{n}", prompt=Conversation.of(f"Question {n}?"), responses=said, **more)


def holds(count: int, expected: float) -> bool:
    found = proportion(count, N, level=0.9999)
    return found.low <= expected <= found.high


def turned(one: Sheet) -> Sheet:
    return Sheet(task="again", prompt=one.prompt, responses=one.responses[::-1])


def test_a_random_rater_gives_every_order_as_often() -> None:
    said = [random_rater().judge(sheet(n, "a", "b", "c")).tiers for n in range(N)]
    for order in permutations(range(3)):
        assert holds(said.count(order), 1 / 6)


def test_two_random_raters_agree_by_chance_and_repeat_themselves_by_chance() -> None:
    one, other = random_rater(seed=1), random_rater(seed=2)
    asked = [sheet(n) for n in range(N)]
    assert holds(sum(one.judge(s).tiers == other.judge(s).tiers for s in asked), 0.5)
    assert holds(sum(one.judge(s).tiers != one.judge(turned(s)).tiers for s in asked), 0.5)


def test_always_first_ranks_by_the_screen() -> None:
    for n in range(20):
        assert always_first().judge(sheet(n, "a", "bbb", "cc", "d")).tiers == (0, 1, 2, 3)


def test_longest_ranks_by_length_wherever_it_stands() -> None:
    assert longest().judge(sheet(0, "a", "bbb", "cc", "d")).tiers == (2, 0, 1, 2)
    assert longest().judge(sheet(0, "same", "size")).verdict is Verdict.TIE


def test_an_honest_minority_wants_something_else_and_keeps_to_it() -> None:
    rater = honest_minority({"worth": -1.0}, (WORTH,), seed=3)
    asked = [sheet(n) for n in range(N)]
    # logistic(1 / .25)
    assert holds(sum(rater.judge(s).tiers == (1, 0) for s in asked), 0.982014)
    assert all(rater.judge(s).tiers != rater.judge(turned(s)).tiers for s in asked[:300])


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_an_inverter_turns_its_share_round_and_does_so_again(share: float) -> None:
    rater = Inverter(rater=HONEST, share=share, seed=1)
    asked = [sheet(n) for n in range(N)]
    inverted = [rater.judge(s).tiers == (1, 0) for s in asked]
    assert holds(sum(inverted), share)
    assert inverted == [rater.judge(turned(s)).tiers == (0, 1) for s in asked]


def test_an_inverter_turns_whole_rankings_round_and_keeps_ties() -> None:
    rater = Inverter(rater=HONEST, share=1)
    assert rater.judge(sheet(0, "ok 1", "ok 3", "ok 3", "ok 2")).tiers == (0, 2, 2, 1)
    assert rater.judge(sheet(0, "ok 1", "yes 1")).verdict is Verdict.TIE


def test_a_copycat_repeats_and_judges_for_itself_where_nothing_was_said() -> None:
    def said(asked: Sheet) -> Opinion | None:
        if asked.task == "t1":
            return None
        return Opinion.ranked((1, 0), strength=4, seconds=99)

    rater = Copycat(of="r1", said=said, otherwise=HONEST)
    copied, own = rater.judge(sheet(0)), rater.judge(sheet(1))
    assert (copied.tiers, copied.strength) == ((1, 0), 4)
    assert own == HONEST.judge(sheet(1))
    assert copied.seconds == HONEST.judge(sheet(0)).seconds


def test_colluders_say_the_same_on_their_share_and_it_has_nothing_to_do_with_quality() -> None:
    a, b = colluders(random_rater(seed=1), random_rater(seed=2), secret="moon", share=0.3)
    honest = Colluder(rater=HONEST, secret="moon", share=0.3)
    same = wrong = 0
    for n in range(N):
        one, other = a.judge(sheet(n)).tiers, b.judge(turned(sheet(n))).tiers
        same += one != other
        wrong += honest.judge(sheet(n)).tiers == (1, 0)
    assert holds(same, 0.3 + 0.7 * 0.5)
    assert holds(wrong, 0.15)


def test_those_who_do_not_know_the_secret_say_other_things() -> None:
    one = Colluder(rater=HONEST, secret="moon", share=1)
    other = Colluder(rater=HONEST, secret="sun", share=1)
    assert holds(
        sum(one.judge(sheet(n)).tiers == other.judge(sheet(n)).tiers for n in range(N)), 0.5
    )


def nothing(_: Sheet) -> Opinion | None:
    return None


EVERYBODY: dict[str, Rater] = {
    "random": random_rater(seed=4),
    "always first": always_first(),
    "longest": longest(seed=2),
    "honest minority": honest_minority({"worth": -1, "brevity": 0.5}, (WORTH,)),
    "inverter": Inverter(rater=HONEST, share=0.1, seed=9),
    "copycat": Copycat(of="r1", said=nothing, otherwise=random_rater()),
    "colluder": colluders(HONEST, longest(), secret="moon")[0],
    "both": Inverter(rater=Colluder(rater=HONEST, secret="moon", share=1), share=1),
}


@pytest.mark.parametrize("name", EVERYBODY)
def test_a_definition_makes_the_same_rater_again(name: str) -> None:
    rater = EVERYBODY[name]
    definition = json.loads(json.dumps(dict(rater.definition), sort_keys=True))
    again = simulated(definition, (WORTH,), said=lambda _: nothing)
    assert again == rater
    assert again.definition == rater.definition
    assert rater.kind is RaterKind.SYNTHETIC
    assert definition["who"] == NOBODY
    for n in range(20):
        assert again.judge(sheet(n)) == rater.judge(sheet(n)) == rater.judge(sheet(n))


def test_what_is_missing_or_strange_is_named() -> None:
    copycat = EVERYBODY["copycat"].definition
    with pytest.raises(ConfigError, match="what others said"):
        simulated(copycat, (WORTH,))
    with pytest.raises(ConfigError, match="no simulated rater of this version"):
        simulated({"simulates": "parrot"}, (WORTH,))
    with pytest.raises(ConfigError, match="no simulated rater of this version"):
        simulated(dict(copycat) | {"form": 2}, (WORTH,), said=lambda _: nothing)
    with pytest.raises(ConfigError, match="share"):
        Inverter(rater=HONEST, share=1.1)
    with pytest.raises(ConfigError, match="share"):
        Colluder(rater=HONEST, secret="moon", share=-0.1)
