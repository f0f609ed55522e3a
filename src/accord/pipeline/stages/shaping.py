"""What is trained on in place of a reward model's score: less of what is doubted, or a preference.

Shape letters:  B = answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from accord.algorithms.rollouts import Rollout, held
from accord.algorithms.settings import Asking
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
    answer m). What holds a score (`missing_stop_score`, `score_clip`) is in its unit and comes
    before: behind it, an answer that was cut would earn less than any preference can be. Scores of
    reference answers are held alike, or a policy that is its reference would seem worse. These
    answers are sampled once a prompt, by a seed of its own: a run that was killed finds the same,
    whichever prompts it asks first.
    """

    config: Asking
    scorer: Scorer
    reference: Sampler
    """Of the reference policy."""
    prompts: Sequence[Sequence[int]]
    seed: int
    known: dict[int, Tensor] = field(default_factory=dict)
    """Held scores of the reference answers to the prompts asked so far, by prompt number."""

    def __call__(self, batch: Rollout) -> list[float]:
        """What is trained on, one number an answer."""
        score_B = self._doubted(batch.rows, batch.score_B.tolist())
        if not self.config.shaping.references:
            return score_B.tolist()
        score_B = held(self.config, score_B, batch.answers)
        return [
            float(torch.sigmoid(score - self._references(prompt)).mean())
            for prompt, score in zip(batch.asked, score_B, strict=True)
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
            score_B = self._doubted(rows, self.scorer(rows))
            self.known[prompt] = held(self.config, score_B, said)
        return self.known[prompt]
