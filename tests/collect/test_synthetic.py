"""Simulated raters: exact probabilities, ties, lapses, and independence of every order."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.synthetic import SyntheticRater
from accord.core.errors import ConfigError, DataError
from accord.core.types import Conversation

PROMPT = Conversation.of("Tell me about the fox and the lake.")
NAMES = ("a", "b", "c", "d")
scores = st.floats(-6, 3)


def prompts(n: int) -> list[Conversation]:
    return [Conversation.of(f"Question {i}?") for i in range(n)]


def test_probability_by_hand() -> None:
    rater = SyntheticRater(temperature=0.5, lapse=0.2)
    # odds e^(1 / .5): .880797; a fifth of the time a coin is thrown: .8 * .880797 + .1
    assert rater.probability(1.5, 0.5) == pytest.approx(0.804638, abs=1e-6)
    assert rater.probability(0.7, 0.7) == 0.5


@given(first=scores, second=scores, lapse=st.floats(0, 1), grain=st.sampled_from([0.0, 0.1, 1.0]))
def test_probabilities_of_both_orders_sum_to_one(
    first: float, second: float, lapse: float, grain: float
) -> None:
    rater = SyntheticRater(lapse=lapse, grain=grain)
    there, back = rater.probability(first, second), rater.probability(second, first)
    assert there + back == pytest.approx(1)
    assert 0 <= there <= 1


def test_probability_does_not_overflow_far_apart() -> None:
    rater = SyntheticRater(temperature=1e-3)
    assert rater.probability(1e3, -1e3) == 1
    assert rater.probability(-1e3, 1e3) == 0


@pytest.mark.parametrize("lapse", [0.0, 0.3])
def test_every_pair_of_a_ranking_wins_as_often_as_stated(lapse: float) -> None:
    rater = SyntheticRater(temperature=0.7, lapse=lapse)
    gold = (1.0, 0.2, 0.0, -0.9)
    n = 4000
    judged = [rater.judge(prompt, NAMES, gold).tiers for prompt in prompts(n)]
    for i, j in permutations(range(4), 2):
        won = sum(tiers[i] < tiers[j] for tiers in judged) / n
        p = rater.probability(gold[i], gold[j])
        assert abs(won - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_whole_rankings_follow_plackett_luce() -> None:
    rater = SyntheticRater(temperature=1.0)
    gold = (1.0, 0.0, -1.0)
    weight = [math.exp(score) for score in gold]
    n = 4000
    seen = Counter(rater.judge(p, NAMES[:3], gold).tiers for p in prompts(n))
    for order in permutations(range(3)):
        p, left = 1.0, sum(weight)
        for k in order:
            p *= weight[k] / left
            left -= weight[k]
        tiers = tuple(order.index(k) for k in range(3))
        assert abs(seen[tiers] / n - p) < 4 * math.sqrt(p * (1 - p) / n)


def test_without_noise_the_order_is_that_of_gold() -> None:
    judged = SyntheticRater(temperature=0).judge(PROMPT, NAMES, (0.1, 2.0, -1.0, 0.1))
    assert judged.tiers == (1, 0, 2, 1)


def test_what_the_grain_hides_is_tied_and_nothing_else() -> None:
    rater = SyntheticRater(temperature=0, grain=0.5)
    assert rater.judge(PROMPT, NAMES, (1.1, 0.9, 0.6, -2.0)).tiers == (0, 0, 1, 2)
    assert rater.probability(1.1, 0.9) == 0.5
    assert rater.probability(0.9, 0.6) == 1


def test_equal_answers_always_share_a_tier() -> None:
    rater = SyntheticRater(temperature=5.0, lapse=0.5)
    for prompt in prompts(50):
        tiers = rater.judge(prompt, ("same", "other", "same"), (0.3, 0.1, 0.3)).tiers
        assert tiers[0] == tiers[2] != tiers[1]


def test_a_rater_who_always_lapses_throws_a_coin() -> None:
    rater = SyntheticRater(temperature=0, lapse=1)
    won = sum(rater.judge(p, ("a", "b"), (9.0, 0.0)).tiers == (0, 1) for p in prompts(2000)) / 2000
    assert abs(won - 0.5) < 4 * math.sqrt(0.25 / 2000)


def test_the_order_of_answers_does_not_change_the_judgement() -> None:
    rater, gold = SyntheticRater(temperature=2.0), (0.4, 0.3, 0.2, 0.1)
    tier = dict(zip(NAMES, rater.judge(PROMPT, NAMES, gold).tiers, strict=True))
    for order in permutations(range(4)):
        turned = rater.judge(PROMPT, [NAMES[k] for k in order], [gold[k] for k in order])
        assert turned.tiers == tuple(tier[NAMES[k]] for k in order)


def test_the_order_of_comparisons_does_not_change_the_judgement() -> None:
    rater = SyntheticRater(temperature=2.0)
    asked = prompts(20)
    forward = [rater.judge(p, NAMES, (0.4, 0.3, 0.2, 0.1)) for p in asked]
    backward = [rater.judge(p, NAMES, (0.4, 0.3, 0.2, 0.1)) for p in reversed(asked)]
    assert forward == backward[::-1]


def test_raters_of_other_seeds_and_other_prompts_disagree() -> None:
    gold = (0.4, 0.3, 0.2, 0.1)
    by_seed = {
        SyntheticRater(temperature=2, seed=s).judge(PROMPT, NAMES, gold).tiers for s in range(20)
    }
    by_prompt = {SyntheticRater(temperature=2).judge(p, NAMES, gold).tiers for p in prompts(20)}
    assert len(by_seed) > 5
    assert len(by_prompt) > 5


def test_the_source_says_synthetic_and_how() -> None:
    rater = SyntheticRater(temperature=0.5, lapse=0.05, grain=0.1, seed=3)
    judged = rater.judge(PROMPT, ("a", "b"), (1.0, 0.0))
    assert judged.source == "synthetic:temperature=0.5,lapse=0.05,grain=0.1,seed=3"


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"lapse": 1.5}, "lapse"),
        ({"grain": -0.1}, "grain"),
    ],
)
def test_a_setting_out_of_bounds_is_named(setting: dict[str, float], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        SyntheticRater(**setting)  # type: ignore[arg-type]


def test_scores_that_are_missing_or_not_finite_are_refused() -> None:
    rater = SyntheticRater()
    with pytest.raises(DataError, match="one gold score"):
        rater.judge(PROMPT, ("a", "b"), (1.0,))
    with pytest.raises(DataError, match="finite"):
        rater.judge(PROMPT, ("a", "b"), (1.0, math.nan))
