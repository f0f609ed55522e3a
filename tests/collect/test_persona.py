"""Simulated people: exact probabilities, biases of the stated size, and what changes them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from itertools import combinations, permutations
from statistics import fmean
from typing import Any

import pytest

from accord.collect.persona import PersonSettings, Rule, Truth
from accord.collect.sheet import Opinion, Rater, RaterKind, Sheet
from accord.collect.synthetic import NOBODY, SimulatedPerson
from accord.core.errors import ConfigError, DataError
from accord.core.types import Conversation
from accord.stats.intervals import proportion
from accord.store.judgements import Verdict

N = 2000
LEVEL = 0.9999
"""Of the intervals that a stated probability must lie in: wrong by chance once in 10,000."""


def worth(_: Conversation, response: str) -> float:
    """A response says itself how good it is: `fine 1.5` is worth 1.5."""
    return float(response.split()[1].strip("!"))


def kindness(_: Conversation, response: str) -> float:
    return float(response.startswith("fine"))


WORTH = Truth(name="worth", score=worth)
KIND = Truth(name="kindness", score=kindness, centre=0.5, spread=0.25)


def person(**how: Any) -> SimulatedPerson:
    weights = how.pop("weights", {"worth": 1.0})
    return SimulatedPerson(settings=PersonSettings(weights=weights, **how), truths=(WORTH, KIND))


def sheet(n: int, *responses: str, **more: Any) -> Sheet:
    asked = Conversation.of(f"Question {n}?")
    return Sheet(task=more.pop("task", f"t{n}"), prompt=asked, responses=responses, **more)


def share(rater: Rater, of: Callable[[Opinion], float], *responses: str, **more: Any) -> int:
    """In how many of N sheets with other prompts `of` is true."""
    return sum(bool(of(rater.judge(sheet(n, *responses, **more)))) for n in range(N))


def first_wins(opinion: Opinion) -> bool:
    assert opinion.tiers is not None
    return opinion.tiers[0] < opinion.tiers[1]


def holds(count: int, probability: float) -> bool:
    found = proportion(count, N, level=LEVEL)
    return found.low <= probability <= found.high


CASES: dict[str, tuple[dict[str, Any], tuple[str, str], float]] = {
    # logistic(.5 / .5), by hand
    "worth": ({}, ("ok 1.0", "ok 0.5"), 0.731059),
    "lapse": ({"lapse": 0.4}, ("ok 1.0", "ok 0.5"), 0.6 * 0.731059 + 0.2),
    "first": ({"bias": {"first": 0.5}}, ("ok 1.0", "ok 1.1"), 1 / (1 + math.exp(-0.4 / 0.5))),
    "first, worse": ({"bias": {"first": 0.5}}, ("ok 1.0", "ok 2.0"), 1 / (1 + math.e)),
    "longer": ({"bias": {"longer": 0.7}}, ("ok 1.0", "ok 1.000"), 1 / (1 + math.exp(0.7 / 0.5))),
    "exclamations": (
        {"bias": {"exclamations": 0.2}},
        ("ok 1.0!!!", "ok 1.0"),
        1 / (1 + math.exp(-0.6 / 0.5)),
    ),
    "two biases": (
        {"bias": {"first": 0.5, "exclamations": -0.25}},
        ("ok 1.0!", "ok 1.0"),
        1 / (1 + math.exp(-0.25 / 0.5)),
    ),
    "persona": (
        {"weights": {"worth": 0.7, "kindness": 0.3}},
        ("ok 1.0", "fine 0.0"),
        1 / (1 + math.exp(-0.4 / 0.5)),
    ),
    "showing": ({"consistency": 0}, ("ok 1.0", "ok 0.5"), 0.731059),
    "rule": ({"rules": (Rule(by="worth", threshold=0.4),)}, ("ok 0.5", "ok 1.0"), 0.0),
    "too near for the rule": (
        {"rules": (Rule(by="worth", threshold=0.6),)},
        ("ok 1.0", "ok 0.5"),
        0.731059,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_two_responses_win_as_often_as_stated(case: str) -> None:
    how, responses, expected = CASES[case]
    rater = person(**how)
    assert rater.probability(sheet(0, *responses)) == pytest.approx(expected, abs=1e-6)
    assert holds(share(rater, first_wins, *responses), expected)


@pytest.mark.parametrize("case", CASES)
def test_a_place_turned_round_turns_the_probability_but_for_the_place(case: str) -> None:
    how, (a, b), _ = CASES[case]
    rater = person(**how)
    both = rater.probability(sheet(0, a, b)) + rater.probability(sheet(0, b, a))
    assert (both > 1.01) if "first" in how.get("bias", {}) else both == pytest.approx(1)


def test_every_pair_of_four_obeys_bradley_terry() -> None:
    rater = person(temperature=0.7, lapse=0.2)
    responses = ("ok 1.0", "ok 0.2", "ok 0.0", "ok -0.9")
    said = [rater.judge(sheet(n, *responses)).tiers for n in range(N)]
    for i, j in combinations(range(4), 2):
        expected = rater.probability(sheet(0, responses[i], responses[j]))
        assert holds(sum(tiers[i] < tiers[j] for tiers in said if tiers), expected)


def test_fatigue_raises_the_lapse_rate_to_one() -> None:
    rater = person(temperature=0, lapse=0.1, fatigue=0.3)
    assert rater.lapse_at(0) == 0.1
    assert rater.lapse_at(200) == pytest.approx(0.7)
    assert rater.lapse_at(1000) == 1
    wrong = share(rater, lambda said: not first_wins(said), "ok 2", "ok 1", number=200)
    assert holds(wrong, 0.35)


def test_a_person_is_as_consistent_as_stated() -> None:
    expected = {1.0: 1.0, 0.0: 0.731059**2 + 0.268941**2}
    # The old noise comes back where both showings have it; otherwise the two are independent.
    expected[0.6] = 0.36 + 0.64 * expected[0.0]
    for consistency, same in expected.items():
        rater = person(consistency=consistency)
        kept = sum(
            first_wins(rater.judge(sheet(n, "ok 1.0", "ok 0.5")))
            != first_wins(rater.judge(sheet(n, "ok 0.5", "ok 1.0", task=f"again {n}")))
            for n in range(N)
        )
        assert holds(kept, same)


def test_the_same_sheet_gives_the_same_opinion() -> None:
    how: dict[str, Any] = {"lapse": 0.3, "consistency": 0.5, "temperature": 2}
    for n in range(50):
        asked = sheet(n, "ok 1", "fine 2", "ok 3", criteria=("kindness",))
        assert person(**how).judge(asked) == person(**how).judge(asked)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_another_order_on_the_screen_gives_the_same_verdict(order: tuple[int, ...]) -> None:
    rater = person(temperature=1.5, bias={"longer": 0.3}, rules=(Rule(by="kindness"),))
    texts = ("ok 1.0", "fine 1.25", "ok 2.0")
    for n in range(40):
        said = rater.judge(sheet(n, *texts, criteria=("kindness",)))
        again = rater.judge(sheet(n, *(texts[k] for k in order), criteria=("kindness",)))
        assert said.tiers is not None
        assert again.tiers == tuple(said.tiers[k] for k in order)
        assert again.strength == said.strength
        assert again.ratings["kindness"] == tuple(said.ratings["kindness"][k] for k in order)


def test_a_bias_for_the_place_is_what_an_order_changes() -> None:
    rater = person(temperature=1.0, bias={"first": 4.0})
    turned = [
        (rater.judge(sheet(n, "ok 1", "ok 2")), rater.judge(sheet(n, "ok 2", "ok 1")))
        for n in range(200)
    ]
    assert fmean(first_wins(a) and first_wins(b) for a, b in turned) > 0.8


def test_people_err_independently_of_one_another() -> None:
    one, other = person(), person(temperature=0.5, seed=1)
    third = person(lapse=1e-9)
    for a, b in ((one, other), (one, third)):
        both = sum(
            first_wins(a.judge(s)) and first_wins(b.judge(s))
            for s in (sheet(n, "ok 1.0", "ok 0.5") for n in range(N))
        )
        assert holds(both, 0.731059**2)


def test_what_the_grain_hides_is_tied() -> None:
    rater = person(temperature=0, grain=0.5)
    assert rater.judge(sheet(0, "ok 1.1", "ok 0.9", "ok 0.6", "ok -2")).tiers == (0, 0, 1, 2)
    said = rater.judge(sheet(0, "ok 1.1", "ok 0.9"))
    assert (said.verdict, said.tiers, said.strength) == (Verdict.TIE, (0, 0), None)
    assert rater.probability(sheet(0, "ok 1.1", "ok 0.9")) == 0.5


def test_equal_responses_stay_tied_under_noise() -> None:
    rater = person(temperature=5)
    for n in range(50):
        tiers = rater.judge(sheet(n, "ok 1", "ok 2", "fine 1")).tiers
        assert tiers is not None
        assert tiers[0] == tiers[2] != tiers[1]


def test_the_first_rule_that_tells_two_apart_decides() -> None:
    rules = (Rule(by="kindness"), Rule(by="worth", threshold=1.0))
    rater = person(rules=rules, weights={"brevity": 1.0}, temperature=0)
    assert rater.judge(sheet(0, "ok 9", "fine 1")).tiers == (1, 0)
    assert rater.judge(sheet(0, "ok 9", "ok 1")).tiers == (0, 1)
    # Too near for both rules: what is weighed decides, and that is brevity.
    assert rater.judge(sheet(0, "ok 1.75", "ok 1")).tiers == (1, 0)


def test_rules_rank_more_than_two_by_how_many_they_beat() -> None:
    rater = person(rules=(Rule(by="worth", threshold=1.0),), weights={}, temperature=0)
    # 3 beats 1.5 and 1; 2.5 beats 1; the middle two are undecided with some
    assert rater.judge(sheet(0, "ok 3", "ok 2.5", "ok 1.5", "ok 1")).tiers == (0, 1, 2, 3)
    assert rater.judge(sheet(0, "ok 2.5", "ok 2", "ok 1.75")).tiers == (0, 0, 0)


def test_a_lapse_gives_every_order_as_often() -> None:
    rater = person(lapse=1, temperature=0)
    said = [rater.judge(sheet(n, "ok 9", "ok 9", "ok 0")).tiers for n in range(N)]
    for order in permutations(range(3)):
        assert holds(said.count(order), 1 / 6)


def test_strength_grows_with_the_gap() -> None:
    rater = person(temperature=0)
    for gap, strength in ((0.25, 1), (0.5, 2), (1, 3), (1.75, 3), (2, 4), (9, 4)):
        assert rater.judge(sheet(0, "ok 0", f"ok {gap}", "ok -5")).strength == strength
    ruled = person(temperature=0, rules=(Rule(by="kindness"),))
    assert ruled.judge(sheet(0, "fine 0", "ok 9")).strength == 3


def test_criteria_are_rated_where_their_truth_is_known() -> None:
    rater = person(temperature=0, criteria={"helpfulness": "worth"})
    asked = sheet(0, "fine 1", "ok -4", "ok 0", criteria=("helpfulness", "safety", "kindness"))
    said = rater.judge(asked)
    assert said.ratings == {"helpfulness": (4, 1, 3), "kindness": (5, 1, 1)}


def test_ratings_are_seen_with_noise_of_the_temperature() -> None:
    rater = person(temperature=0.5, criteria={"helpfulness": "worth"})
    given = [
        rater.judge(sheet(n, "fine 1", "ok 0", criteria=("helpfulness",))).ratings["helpfulness"]
        for n in range(N)
    ]
    # 4 where 1 + .5 * logistic noise rounds to 1: it lies within .5 of it, for logistic(1)
    right = 1 / (1 + math.exp(-1)) - 1 / (1 + math.e)
    assert holds(sum(one[0] == 4 for one in given), right)
    assert holds(sum(one[1] == 3 for one in given), right)


def test_reading_takes_longer_than_glancing() -> None:
    words = "word " * 200
    careful, careless = person(weights={"length": 1}), person(weights={}, lapse=1)

    def seconds(rater: Rater) -> Sequence[float]:
        said = (rater.judge(sheet(n, words + "a", words + "bb")) for n in range(300))
        return [opinion.seconds for opinion in said if opinion.seconds is not None]

    slow, fast = seconds(careful), seconds(careless)
    # 404 words at 4 a second and 4 seconds to decide, times a log-normal of mean e^(.25^2 / 2)
    assert fmean(slow) == pytest.approx(105 * math.exp(0.03125), rel=0.1)
    assert fmean(fast) == pytest.approx(2.5 * math.exp(0.08), rel=0.15)
    assert min(slow) > max(fast)


def test_a_definition_makes_the_same_person_again() -> None:
    rater = person(
        weights={"worth": 1, "length": 0.1},
        rules=(Rule(by="kindness", threshold=1), Rule(by="first")),
        bias={"longer": 0.25, "first": -1},
        temperature=2,
        lapse=0.125,
        fatigue=0.01,
        grain=0.1,
        consistency=0.75,
        criteria={"helpfulness": "worth"},
        seed=7,
    )
    text = json.dumps(dict(rater.definition), sort_keys=True)
    again = SimulatedPerson.of(json.loads(text), (WORTH, Truth(name="kindness", score=kindness)))
    assert again == rater
    assert json.dumps(dict(again.definition), sort_keys=True) == text
    for n in range(30):
        asked = sheet(n, "ok 1", "fine 1.5", "ok 2")
        assert again.judge(asked) == rater.judge(asked)


def test_whole_numbers_and_fractions_are_one_definition() -> None:
    one, other = person(temperature=1, weights={"worth": 1}), person(temperature=1.0)
    assert one == other
    assert repr(one.definition) == repr(other.definition)


def test_the_definition_says_that_it_is_nobody() -> None:
    rater = person()
    assert rater.kind is RaterKind.SYNTHETIC
    assert rater.definition["who"] == NOBODY
    assert "nobody's opinion" in NOBODY


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"lapse": 1.5}, "lapse"),
        ({"fatigue": -0.1}, "fatigue"),
        ({"grain": math.inf}, "grain"),
        ({"consistency": 2}, "consistency"),
        ({"weights": {"worth": math.nan}}, "weights"),
        ({"bias": {"first": math.inf}}, "bias"),
        ({"bias": {"frist": 1}}, "no such truth or feature"),
        ({"weights": {"beauty": 1}}, "no such truth or feature"),
        ({"criteria": {"safety": "first"}}, "a criterion needs a truth"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(how: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        person(**how)


def test_a_rule_and_a_truth_are_checked() -> None:
    with pytest.raises(ConfigError, match="threshold"):
        Rule(by="first", threshold=-1)
    with pytest.raises(ConfigError, match="no such truth or feature"):
        person(rules=(Rule(by="beauty"),))
    with pytest.raises(ConfigError, match="that no feature has"):
        Truth(name="length", score=worth)
    with pytest.raises(ConfigError, match="spread"):
        Truth(name="worth", score=worth, spread=0)
    with pytest.raises(ConfigError, match="one name"):
        SimulatedPerson(settings=PersonSettings(), truths=(WORTH, WORTH))


def test_definitions_of_something_else_are_refused() -> None:
    known = dict(person().definition)
    with pytest.raises(ConfigError, match="no simulated person of this version"):
        SimulatedPerson.of(known | {"form": 2}, (WORTH, KIND))
    with pytest.raises(ConfigError, match="truths that were not given"):
        SimulatedPerson.of(known, (WORTH,))


def test_scores_and_sheets_that_cannot_be_used_are_refused() -> None:
    broken = Truth(name="worth", score=lambda _, __: math.nan)
    rater = SimulatedPerson(settings=PersonSettings(weights={"worth": 1}), truths=(broken,))
    with pytest.raises(DataError, match="t0"):
        rater.judge(sheet(0, "a", "b"))
    with pytest.raises(DataError, match="of two responses"):
        person().probability(sheet(0, "ok 1", "ok 2", "ok 3"))
