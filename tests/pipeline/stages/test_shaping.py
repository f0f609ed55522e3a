"""What is trained on in place of a score: less of what is doubted, or a preference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

pytest.importorskip("torch")

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

    def sample(
        self, prompts: Sequence[Sequence[int]], *, n: int, settings: SamplingSettings, seed: int
    ) -> list[list[Completion]]:
        assert settings == SamplingSettings(temperature=0.7, max_tokens=3)
        self.seeds.append(seed)
        said = [
            Completion(tokens=(i + 1,), logprobs=(0.0,), stop=StopReason.STOP) for i in range(n)
        ]
        return [said for _ in prompts]


def shaper(**settings: float) -> Shaper:
    config = PPOConfig(temperature=0.7, max_tokens=3, shaping=ShapingSettings(**settings))  # type: ignore[arg-type]
    return Shaper(config, Scores(), Says(), PROMPTS, seed=3)  # type: ignore[arg-type]


def answers(*said: tuple[int, int]) -> tuple[list[int], list[Tokenized], list[float]]:
    """Prompt numbers, rows and scores of one-token answers."""
    rows = [Tokenized.answered(PROMPTS[p], [token]) for p, token in said]
    return [p for p, _ in said], rows, [float(token) for _, token in said]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_a_preference_over_reference_answers_is_the_reward() -> None:
    """Reference answers score 1 and 2: an answer that scores 3 earns the mean of s(2) and s(1)."""
    found = shaper(references=2)(*answers((0, 3), (1, 1)))
    assert found == pytest.approx([(sigmoid(2) + sigmoid(1)) / 2, (sigmoid(0) + sigmoid(-1)) / 2])


def test_reference_answers_are_sampled_once_a_prompt_by_a_seed_of_its_own() -> None:
    first, second = shaper(references=2), shaper(references=2)
    first(*answers((0, 3), (1, 1), (0, 4)))
    first(*answers((1, 1)))
    assert len(first.reference.seeds) == 2
    second(*answers((1, 1), (0, 3)))  # whichever comes first
    assert second.reference.seeds == first.reference.seeds[::-1]


def test_pessimism_takes_off_what_is_doubted() -> None:
    """Doubts of a tenth: 3 - 2 * .3 = 2.4."""
    assert shaper(pessimism=2.0)(*answers((0, 3), (1, 10))) == pytest.approx([2.4, 8.0])


def test_both_compare_doubted_scores() -> None:
    """References 1 - .2 and 2 - .4 beside an answer of 3 - .6."""
    (found,) = shaper(references=2, pessimism=2.0)(*answers((0, 3)))
    assert found == pytest.approx((sigmoid(1.6) + sigmoid(0.8)) / 2)


def test_shaping_is_off_by_default() -> None:
    assert not PPOConfig().shaping.shapes
    with pytest.raises(ConfigError, match="references"):
        ShapingSettings(references=-1)
