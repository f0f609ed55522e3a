"""How a reward model scores answers, while a policy trains and when policies are compared.

Shape letters:  B = rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from accord.models.ragged import Ragged, micro_batches
from accord.models.role import Role
from accord.text.tokenized import Tokenized


@dataclass(frozen=True, slots=True)
class Scorer:
    """A reward model that scores prompt + answer rows of the policy's tokens, in its own unit.

    Answers that the limit cut are read as texts that end there: behind any other token the model
    was never asked for a score, and what it says there, high or low, is about nothing.
    """

    reward: Role
    stop: int
    """The stop token."""
    micro_batch_tokens: int

    @torch.no_grad()
    def __call__(self, rows: Sequence[Tokenized]) -> list[float]:
        """One score a row."""
        return [
            score for part in self._batches(rows) for score in self.reward.scores(part).tolist()
        ]

    @torch.no_grad()
    def each(self, rows: Sequence[Tokenized]) -> list[tuple[float, float]]:
        """(score, doubt) of each row: the doubt is the score's standard deviation, in its unit.

        Raises ModelError where the reward model knows no doubt.
        """
        found: list[tuple[float, float]] = []
        for part in self._batches(rows):
            score_B, doubt_B = self.reward.scores_and_doubts(part)
            found += zip(score_B.tolist(), doubt_B.tolist(), strict=True)
        return found

    def _batches(self, rows: Sequence[Tokenized]) -> Iterator[Ragged]:
        ended = [row.ended(self.stop) for row in rows]
        for group in micro_batches([len(row) for row in ended], self.micro_batch_tokens):
            yield Ragged.of([ended[i] for i in group], self.reward.backbone.machine.device)
