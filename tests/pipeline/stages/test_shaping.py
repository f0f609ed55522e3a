"""What is trained on in place of a score: less of what is doubted, or a preference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

pytest.importorskip("torch")

import torch

from accord.algorithms.rollouts import Rollout
from accord.algorithms.settings import PPOConfig, ShapingSettings
from accord.core.errors import ConfigError
from accord.core.types import Completion, SamplingSettings, StopReason
from accord.pipeline.stages.shaping import Shaper
from accord.text.tokenized import Tokenized

PROMPTS = [[5, 6], [7, 8, 9]]


@dataclass
class Scores:
    """A scorer of rows by their last token, which doubts by a tenth of it."""

    asked: list[tuple[int, ...]] = field(default_factory=list)

    def __call__(self, rows: Sequence[Tokenized]) -> list[float]:
        self.asked += [row.ids for row in rows]
        return [float(row.ids[-1]) for row in rows]

    def each(self, rows: Sequence[Tokenized]) -> list[tuple[float, float]]:
        return [(float(row.ids[-1]), row.ids[-1] / 10) for row in rows]


@dataclass
class Says:
    """A sampler that says 1, 2, ... and remembers with which seed it was asked."""

    seeds: list[int] = field(default_factory=list)
    cut: tuple[int, ...] = ()
    """Of these answers, those that the length limit cut."""

    def sample(
        self, prompts: Sequence[Sequence[int]], *, n: int, settings: SamplingSettings, seed: int
    ) -> list[list[Completion]]:
        assert settings == SamplingSettings(temperature=0.7, max_tokens=3)
        self.seeds.append(seed)
        stops = [StopReason.LENGTH if i + 1 in self.cut else StopReason.STOP for i in range(n)]
        said = [
            Completion(tokens=(i + 1,), logprobs=(0.0,), stop=stop) for i, stop in enumerate(stops)
        ]
        return [said for _ in prompts]


def shaper(
    cut: tuple[int, ...] = (),
    missing_stop_score: float | None = None,
    score_clip: float | None = None,
    **settings: float,
) -> Shaper:
    config = PPOConfig(
        temperature=0.7,
        max_tokens=3,
        shaping=ShapingSettings(**settings),  # type: ignore[arg-type]
        missing_stop_score=missing_stop_score,
        score_clip=score_clip,
    )
    return Shaper(config, Scores(), Says(cut=cut), PROMPTS, seed=3)  # type: ignore[arg-type]


def answers(*said: tuple[int, int], cut: Sequence[int] = ()) -> Rollout:
    """One-token answers, (prompt number, token) each, that score their token; some were cut."""
    score_B = torch.tensor([float(token) for _, token in said])
    stops = [StopReason.LENGTH if n in cut else StopReason.STOP for n in range(len(said))]
    return Rollout(
        asked=[p for p, _ in said],
        answers=[
            Completion(tokens=(token,), logprobs=(0.0,), stop=stop)
            for (_, token), stop in zip(said, stops, strict=True)
        ],
        rows=[Tokenized.answered(PROMPTS[p], [token]) for p, token in said],
        score_B=score_B,
        shaped_B=score_B,
    )


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_a_preference_over_reference_answers_is_the_reward() -> None:
    """Reference answers score 1 and 2: an answer that scores 3 earns the mean of s(2) and s(1)."""
    found = shaper(references=2)(answers((0, 3), (1, 1)))
    assert found == pytest.approx([(sigmoid(2) + sigmoid(1)) / 2, (sigmoid(0) + sigmoid(-1)) / 2])


def test_reference_answers_are_sampled_once_a_prompt_by_a_seed_of_its_own() -> None:
    first, second = shaper(references=2), shaper(references=2)
    first(answers((0, 3), (1, 1), (0, 4)))
    first(answers((1, 1)))
    assert len(first.reference.seeds) == 2
    second(answers((1, 1), (0, 3)))  # whichever comes first
    assert second.reference.seeds == first.reference.seeds[::-1]


def test_pessimism_takes_off_what_is_doubted() -> None:
    """Doubts of a tenth: 3 - 2 * .3 = 2.4."""
    assert shaper(pessimism=2.0)(answers((0, 3), (1, 10))) == pytest.approx([2.4, 8.0])


def test_both_compare_doubted_scores() -> None:
    """References 1 - .2 and 2 - .4 beside an answer of 3 - .6."""
    (found,) = shaper(references=2, pessimism=2.0)(answers((0, 3)))
    assert found == pytest.approx((sigmoid(1.6) + sigmoid(0.8)) / 2)


def test_an_answer_that_was_cut_is_held_before_it_is_compared() -> None:
    """In the unit of the score, -1, and not of the preference: references of 1 and 2 beside 3 that
    was cut make the mean of s(-2) and s(-3); one that ends keeps s(2) and s(1)."""
    asked = answers((0, 3), (0, 3), cut=[0])
    found = shaper(references=2, missing_stop_score=-1.0)(asked)
    by_hand = [(sigmoid(-2) + sigmoid(-3)) / 2, (sigmoid(2) + sigmoid(1)) / 2]
    assert found == pytest.approx(by_hand)
    assert 0 < found[0] < found[1]


def test_a_cut_answer_that_doubt_takes_below_the_bound_keeps_its_score() -> None:
    """3 less 20 * .3 is -3, below -1; 1 less 20 * .1 is the reference's -1."""
    asked = answers((0, 3), cut=[0])
    (found,) = shaper(references=1, pessimism=20.0, missing_stop_score=-1.0)(asked)
    assert found == pytest.approx(sigmoid(-3 + 1))


def test_reference_answers_are_held_like_the_policys() -> None:
    """A policy that says what its reference says earns as much as it: one half on average, cut or
    not. The second reference answer was cut and scores -1 in place of 2; clipped at 1.5, 3 is 1.5
    and 1 stays."""
    ways = {"references": 2, "missing_stop_score": -1.0}
    found = shaper(cut=(2,), **ways)(answers((0, 1), (0, 2), cut=[1]))  # type: ignore[arg-type]
    assert sum(found) / 2 == pytest.approx(0.5)
    (clipped,) = shaper(cut=(2,), score_clip=1.5, **ways)(answers((0, 3)))  # type: ignore[arg-type]
    assert clipped == pytest.approx((sigmoid(0.5) + sigmoid(2.5)) / 2)


def test_scores_that_are_doubted_alone_are_held_where_they_are_paid() -> None:
    asked = answers((0, 3), cut=[0])
    assert shaper(pessimism=2.0, missing_stop_score=-1.0)(asked) == pytest.approx([2.4])


def test_shaping_is_off_by_default() -> None:
    assert not PPOConfig().shaping.shapes
    with pytest.raises(ConfigError, match="references"):
        ShapingSettings(references=-1)
