"""What is trained on in place of a reward model's score: less of what is doubted, or a preference.

Shape letters:  B = answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from accord.algorithms.settings import Rollouts
from accord.core.protocols import Sampler
from accord.core.types import SamplingSettings
from accord.pipeline.stages.scoring import Scorer
from accord.text.tokenized import Tokenized

SERIES = 1
"""Tells the seeds of reference answers from those of a run's own answers."""


@dataclass(frozen=True, slots=True)
class Shaper:
    """`rollouts.Shape` of a stage: pessimism first, then preference as reward (PAR).

    PAR (Fu et al. 2025, arXiv:2502.18770) trains on mean_m sigmoid(score - score of reference
    answer m). The reference answers to a prompt are sampled once, by a seed of its own: a run that
    was killed finds the same, whichever prompts it asks first.
    """

    config: Rollouts
    scorer: Scorer
    reference: Sampler
    """Of the reference policy."""
    prompts: Sequence[Sequence[int]]
    seed: int
    known: dict[int, Tensor] = field(default_factory=dict)
    """Scores of the reference answers to the prompts asked so far, by prompt number."""

    def __call__(
        self, asked: Sequence[int], rows: Sequence[Tokenized], scores: Sequence[float]
    ) -> list[float]:
        """What is trained on, one number an answer."""
        score_B = self._doubted(rows, scores)
        if not self.config.shaping.references:
            return score_B.tolist()
        return [
            float(torch.sigmoid(score - self._references(prompt)).mean())
            for prompt, score in zip(asked, score_B, strict=True)
        ]

    def _doubted(self, rows: Sequence[Tokenized], scores: Sequence[float]) -> Tensor:
        score_B = torch.tensor(scores, dtype=torch.float64)
        if not self.config.shaping.pessimism:
            return score_B
        said = self.scorer.each(rows)
        doubt_B = torch.tensor([doubt for _, doubt in said], dtype=torch.float64)
        return score_B - self.config.shaping.pessimism * doubt_B

    def _references(self, prompt: int) -> Tensor:
        if prompt not in self.known:
            config, ids = self.config, self.prompts[prompt]
            (said,) = self.reference.sample(
                [ids],
                n=config.shaping.references,
                settings=SamplingSettings(
                    temperature=config.temperature, max_tokens=config.max_tokens
                ),
                seed=int(np.random.SeedSequence((self.seed, prompt, SERIES)).generate_state(1)[0]),
            )
            rows = [Tokenized.answered(ids, answer.tokens) for answer in said]
            self.known[prompt] = self._doubted(rows, self.scorer(rows))
        return self.known[prompt]
