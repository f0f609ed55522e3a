"""The audit finds what was planted: a perfect scorer, a coin, a length lover, ties, one prompt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from accord.core.errors import DataError
from accord.core.types import Comparison, Conversation
from accord.evals.reward_model import LEAST_PAIRS, audit, fit_temperature
from accord.stats import intervals

GOOD, BAD = ["gentle", "warm", "bright", "kind"], ["foul", "mean", "lazy", "rude"]


def planted(
    count: int, *, seed: int = 0, source: str = "synthetic:planted", prompts: int = 10**9
) -> list[Comparison]:
    """The answer with the good word wins; lengths say nothing; the winner is listed anywhere."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        winner = f"the {rng.choice(GOOD)} fox " + "walks " * rng.integers(1, 9)
        loser = f"the {rng.choice(BAD)} fox " + "walks " * rng.integers(1, 9)
        first = bool(rng.integers(2))
        made.append(
            Comparison(
                prompt=Conversation.of(f"prompt {seed} {number % prompts}"),
                responses=(winner, loser) if first else (loser, winner),
                tiers=(0, 1) if first else (1, 0),
                source=source,
            )
        )
    return made


def leads(rows: Iterable[Comparison], size: float = 5.0) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of a scorer that is always right: the better one of a pair is listed first."""
    return np.array([size * (2 * pair.label - 1) for row in rows for pair in row.pairs()])


KNOWN, HELD = planted(200), planted(120, seed=1)


def test_a_perfect_scorer() -> None:
    found: dict[str, Any] = audit(KNOWN, HELD, leads(HELD))
    assert (found["pairs"], found["ties"], found["accuracy"]) == (120, 0, 1.0)
    assert found["interval"] == [pytest.approx(intervals.proportion(120, 120).low), 1.0]
    assert found["temperature"] == pytest.approx(0.01)  # as sure as it could be
    sure = expit(5.0)
    assert found["ece"] == pytest.approx(1 - sure)
    assert found["brier"] == pytest.approx((1 - sure) ** 2)
    assert sum(b["count"] for b in found["bins"]) == 120
    assert found["baselines"]["TF-IDF Bradley-Terry"] == pytest.approx(1.0)
    assert 0.3 < found["baselines"]["longer wins"] < 0.7
    assert all(part["accuracy"] == 1 for part in found["by_length_gap"])
    assert sum(part["pairs"] for part in found["by_length_gap"]) == 120
    assert [part["name"] for part in found["by_source"]] == ["synthetic"]


def test_a_scorer_that_is_always_wrong() -> None:
    found: dict[str, Any] = audit(KNOWN, HELD, -leads(HELD))
    assert found["accuracy"] == 0
    assert found["interval"] == [0.0, pytest.approx(intervals.proportion(0, 120).high)]
    assert found["ece"] == pytest.approx(expit(5.0))
    assert found["temperature"] == pytest.approx(100.0)


def test_a_coin() -> None:
    coins = np.random.default_rng(5).normal(size=(40, 120))
    found: list[Any] = [audit([], HELD, coin) for coin in coins]
    covered = sum(low < 0.5 < high for low, high in (one["interval"] for one in found))
    assert 34 <= covered <= 40  # intervals of 95%
    assert np.mean([one["accuracy"] for one in found]) == pytest.approx(0.5, abs=0.03)
    assert np.median([one["temperature"] for one in found]) > 3  # over-sure of nothing
    assert audit([], HELD, np.zeros(120))["accuracy"] == 0.5


def test_a_scorer_that_loves_length_is_shown_by_the_length_gap() -> None:
    gap = [
        len(row.responses[p.first]) - len(row.responses[p.second])
        for row in HELD
        for p in row.pairs()
    ]
    found: dict[str, Any] = audit(KNOWN, HELD, np.array(gap, dtype=float))
    slices = found["by_length_gap"]
    assert len(slices) == 4
    assert slices[0]["accuracy"] == 0
    assert slices[-1]["accuracy"] == 1
    assert found["accuracy"] == pytest.approx(found["baselines"]["longer wins"])


def test_ties_are_counted_and_left_out() -> None:
    tied = [
        Comparison(prompt=Conversation.of("t"), responses=("a cat", "a dog"), tiers=(0, 0)),
        Comparison(prompt=Conversation.of("u"), responses=("x", "y", "z"), tiers=(0, 1, 0)),
    ]
    rows = [*HELD[:20], *tied]
    lead = leads(rows)
    lead[lead == 0] = 9.0  # whatever is said of a tie
    found: dict[str, Any] = audit(KNOWN, rows, lead)
    assert (found["pairs"], found["ties"], found["accuracy"]) == (22, 2, 1.0)
    assert audit(KNOWN, tied[:1], np.array([1.0])) == {}
    assert audit(KNOWN, [], np.array([])) == {}


def test_pairs_of_one_prompt_are_one_draw() -> None:
    rng = np.random.default_rng(0)
    few = planted(120, seed=2, prompts=6)
    sign = {f"prompt 2 {i}": s for i, s in enumerate([1, 1, 1, -1, 1, -1])}
    lead = leads(few) * [sign[row.prompt.messages[0].content] for row in few]
    clustered: dict[str, Any] = audit(KNOWN, few, lead)
    free: dict[str, Any] = audit(KNOWN, HELD, leads(HELD) * rng.choice([1, 1, -1], 120))
    wide, narrow = (f["interval"][1] - f["interval"][0] for f in (clustered, free))
    assert clustered["accuracy"] == pytest.approx(4 / 6)
    assert wide > 3 * narrow


def test_where_all_have_one_prompt_the_comparisons_are_what_was_drawn() -> None:
    rows = [
        replace(row, responses=(f"{row.responses[0]} {i}", f"{row.responses[1]} {i}"))
        for i, row in enumerate(planted(40, seed=2, prompts=1))
    ]
    lead = leads(rows) * np.array([1, -1] * 20)
    found: dict[str, Any] = audit(KNOWN, rows, lead)
    want = intervals.share([1.0, 0.0] * 20)
    assert found["interval"] == pytest.approx([want.low, want.high])
    alone: dict[str, Any] = audit(KNOWN, rows[:1], np.ones(1))
    assert alone["interval"] is None


def test_several_judgements_of_the_same_answers_are_one_draw() -> None:
    rows = planted(40, seed=2, prompts=1)
    thrice = [row for row in rows for _ in range(3)]
    signs = np.array([1, -1] * 20)
    once: dict[str, Any] = audit(KNOWN, rows, leads(rows) * signs)
    found: dict[str, Any] = audit(KNOWN, thrice, leads(thrice) * np.repeat(signs, 3))
    assert found["pairs"] == 3 * once["pairs"]
    assert found["interval"] == pytest.approx(once["interval"])


def test_what_was_picked_on_purpose_does_not_count_for_more() -> None:
    """Forty hard prompts, all picked, stand for forty; forty easy ones, of 400, for all of them."""
    hard, easy = planted(40, seed=2), planted(40, seed=3)
    rows = [*hard, *(replace(row, inclusion=0.1) for row in easy)]
    lead = leads(rows) * np.repeat([-1, 1], 40)
    found: dict[str, Any] = audit(KNOWN, rows, lead)
    assert found["accuracy"] == pytest.approx(400 / 440)
    low, high = found["interval"]
    assert low < 400 / 440 < high
    assert found["by_source"][0]["accuracy"] == found["accuracy"]
    plain: dict[str, Any] = audit(
        KNOWN, [replace(row, weight=0.25) for row in rows[:40]], lead[:40]
    )
    assert plain["interval"] == audit(KNOWN, hard, lead[:40])["interval"]
    none = [*hard, *(replace(row, weight=0.0) for row in easy)]
    left: dict[str, Any] = audit(KNOWN, none, lead)
    assert (left["pairs"], left["ties"], left["accuracy"]) == (40, 0, 0.0)


def test_slices_know_that_pairs_of_one_prompt_go_together() -> None:
    """Many pairs a prompt that all fall out the same way are few draws."""
    rng = np.random.default_rng(1)
    rows = planted(200, seed=5, prompts=10)
    sign = {row.prompt.messages[0].content: 1 for row in rows}
    sign |= dict.fromkeys(list(sign)[:3], -1)
    lead = leads(rows) * [sign[row.prompt.messages[0].content] for row in rows]
    found: dict[str, Any] = audit(KNOWN, rows, lead)
    mixed: dict[str, Any] = audit(KNOWN, rows, leads(rows) * rng.permutation([-1] * 60 + [1] * 140))
    for part in ("by_length_gap", "by_source"):
        wide, narrow = (f[part][0]["high"] - f[part][0]["low"] for f in (found, mixed))
        assert wide > 1.3 * narrow, part


def test_sources_and_soft_labels() -> None:
    rows = [*planted(10, seed=3, source="human:ann"), *planted(6, seed=4, source="")]
    soft = Comparison(
        prompt=Conversation.of("soft"), responses=("p", "q"), tiers=(0, 1), label=0.2, source="a:b"
    )
    lead = np.append(leads(rows), 2.0)  # the label favours the second
    found: dict[str, Any] = audit(KNOWN, [*rows, soft], lead)
    by = {part["name"]: (part["pairs"], part["accuracy"]) for part in found["by_source"]}
    assert by == {"human": (10, 1.0), "unnamed": (6, 1.0), "a": (1, 0.0)}


def test_each_criterion_is_held_against_what_is_about_it() -> None:
    """Words that a criterion likes and another dislikes are a baseline for both."""
    both = [
        [
            row
            for one in rows
            for row in (
                replace(one, criterion="kind"),
                replace(one, criterion="", tiers=(one.tiers[1], one.tiers[0])),
            )
        ]
        for rows in (KNOWN, HELD)
    ]
    lead = leads(both[1]) * np.tile([1, -1], len(HELD))  # wrong about the whole answer
    found: dict[str, Any] = audit(both[0], both[1], lead)
    by = {part["name"]: (part["pairs"], part["accuracy"]) for part in found["by_criterion"]}
    assert by == {"kind": (120, 1.0), "overall": (120, 0.0)}
    assert found["baselines"]["TF-IDF Bradley-Terry"] == pytest.approx(1.0)
    assert audit(KNOWN, HELD, leads(HELD))["by_criterion"] == []


def test_the_better_answer_of_a_soft_label_may_be_listed_second() -> None:
    rows = [
        Comparison(
            prompt=Conversation.of(f"soft {label}"),
            responses=("x" * 15, "y" * 5),
            tiers=(0, 1),
            label=label,
        )
        for label in (0.2, 0.9)
    ]
    slices: Any = audit(KNOWN, rows, np.ones(2))["by_length_gap"]
    assert [(part["pairs"], part["accuracy"]) for part in slices] == [(1, 0.0), (1, 1.0)]
    assert "-10 to" in slices[0]["name"]
    assert "+10 characters" in slices[1]["name"]


def test_without_text_to_learn_from_there_is_no_word_baseline() -> None:
    found: dict[str, Any] = audit([], HELD, leads(HELD))
    assert set(found["baselines"]) == {"longer wins"}


def test_leads_of_other_pairs_are_refused() -> None:
    with pytest.raises(DataError, match="one lead a pair"):
        audit(KNOWN, HELD, np.zeros(3))


def test_a_probe_is_a_baseline_with_a_paired_lead() -> None:
    """Ten prompts; the model is always right, the probe on every other prompt: .5 ahead."""
    wrong = [number % 10 % 2 for number in range(len(HELD))]
    probe = leads(HELD) * np.where(np.array(wrong) == 1, -1, 1)
    rows = planted(len(HELD), seed=1, prompts=10)
    found: dict[str, Any] = audit(KNOWN, rows, leads(rows), probe_P=probe)
    assert found["baselines"]["linear probe"] == pytest.approx(0.5)
    expected = intervals.mean([float(one) for one in wrong], clusters=[n % 10 for n in range(120)])
    over = found["over_probe"]
    assert (over["value"], over["low"], over["high"]) == pytest.approx(
        (expected.estimate, expected.low, expected.high)
    )
    assert audit(KNOWN, HELD, leads(HELD))["over_probe"] is None
    assert "linear probe" not in audit(KNOWN, HELD, leads(HELD))["baselines"]
    with pytest.raises(DataError, match="one lead a pair"):
        audit(KNOWN, HELD, leads(HELD), probe_P=probe[:-1])


def test_where_responses_are_shared_they_are_what_was_drawn() -> None:
    """Pairs of 40 texts, each in many: pairs as draws would be far too sure."""
    rng = np.random.default_rng(0)
    asked = Conversation.of("Say something.")
    worth = rng.normal(size=40)
    heard = worth + rng.normal(size=40)
    texts = [f"text {i}" for i in range(40)]
    rows, lead = [], []
    for _ in range(400):
        i, j = rng.choice(40, size=2, replace=False)
        first = worth[i] > worth[j]
        rows.append(
            Comparison(
                prompt=asked,
                responses=(texts[i], texts[j]),
                tiers=(0, 1) if first else (1, 0),
            )
        )
        lead.append((heard[i] - heard[j]) * (1 if first else -1))
    found: dict[str, Any] = audit([], rows, np.array(lead), probe_P=np.array(lead) * 0 + 1.0)
    right = np.array(lead) > 0
    pairs = [[texts.index(t) for t in row.responses] for row in rows]
    whole = intervals.bootstrap_pairs(right.astype(float), pairs)
    assert found["accuracy"] == pytest.approx(right.mean())
    assert found["interval"] == [
        pytest.approx(whole.low, abs=0.02),  # texts are numbered, and so drawn, another way
        pytest.approx(min(1, whole.high), abs=0.02),
    ]
    apart = intervals.share(right.astype(float))
    assert whole.high - whole.low > 1.5 * (apart.high - apart.low)
    over = intervals.mean_of_pairs(right - 1.0, pairs)
    assert found["over_probe"]["low"] == pytest.approx(over.low)


def noisy(count: int, heat: float) -> tuple[list[Comparison], np.ndarray[Any, Any]]:
    """Pairs whose outcome follows log-odds that a scorer gives `heat` times too large."""
    rng = np.random.default_rng(7)
    rows, lead = [], []
    for number in range(count):
        odds = rng.normal() * 1.5
        first = bool(rng.random() < expit(odds))
        rows.append(
            Comparison(
                prompt=Conversation.of(f"prompt {number}"),
                responses=("one", "two") if first else ("two", "one"),
                tiers=(0, 1),
            )
        )
        lead.append(heat * (odds if first else -odds))
    return rows, np.array(lead)


@pytest.mark.parametrize("heat", [3.0, 0.4])
def test_a_planted_temperature_is_found(heat: float) -> None:
    rows, lead = noisy(3000, heat)
    found: dict[str, Any] = fit_temperature(rows, lead)
    assert found["fitted"]
    assert found["temperature"] == pytest.approx(heat, rel=0.1)
    assert found["ece_before"] > 0.05
    assert found["ece_after"] < 0.04
    assert found["pairs"] == 3000


def test_a_calibrated_scorer_keeps_its_leads() -> None:
    rows, lead = noisy(3000, 1.0)
    found: dict[str, Any] = fit_temperature(rows, lead)
    assert found["temperature"] == pytest.approx(1, abs=0.1)
    assert found["ece_after"] == pytest.approx(found["ece_before"], abs=0.02)


def test_too_few_or_perfect_pairs_have_no_temperature() -> None:
    plain = {"temperature": 1.0, "fitted": False}
    assert fit_temperature(HELD, leads(HELD)) == {**plain, "pairs": 120}  # would be certainty
    few, lead = noisy(LEAST_PAIRS - 1, 2.0)
    assert fit_temperature(few, lead) == {**plain, "pairs": LEAST_PAIRS - 1}
    tied = [replace(row, tiers=(0, 0)) for row in HELD]
    assert fit_temperature(tied, np.ones(120)) == {**plain, "pairs": 0}
    assert fit_temperature([], np.array([])) == {**plain, "pairs": 0}
    with pytest.raises(DataError, match="one lead a pair"):
        fit_temperature(HELD, np.ones(3))
