"""Answers that were called good or bad, as tokens: what KTO is trained on.

Shape letters: I = answers of a data set; B = answers of one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.settings import KTOConfig
from accord.core.errors import DataError
from accord.models.ragged import micro_batches
from accord.text.tokenized import Tokenized, TokenRow, TokenRows

MOST_TO_ONE = 4 / 3
"""Desirable weight over undesirable weight, at most (Ethayarajh et al. 2024)."""


class Thumb(NamedTuple):
    """One answer: P(desirable), and what it weighs."""

    row: Tokenized | TokenRow
    label: float
    weight: float


@dataclass(frozen=True, slots=True)
class ThumbBatch:
    """Answers to some prompts; `response_ids` are the rows' numbers in the data set."""

    rows: list[TokenRow]
    response_ids: list[int]
    label_B: Tensor
    weight_B: Tensor


class TokenThumbs:
    """Many answers in flat arrays, by unit: the answers to one prompt that are drawn together."""

    def __init__(self, units: Iterable[Sequence[Thumb]], *, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        labels: list[float] = []
        weights: list[float] = []
        self._offsets = [0]

        def rows() -> Iterator[Tokenized]:
            for unit in units:
                for one in unit:
                    labels.append(one.label)
                    weights.append(one.weight)
                    yield one.row  # type: ignore[misc]
                self._offsets.append(len(labels))

        self.responses = TokenRows.build(rows())
        self.label_I = np.array(labels, dtype=np.float32)
        self.weight_I = np.array(weights, dtype=np.float32)

    def __len__(self) -> int:
        """How many units there are."""
        return len(self._offsets) - 1

    @property
    def desirable(self) -> float:
        """Weight of all answers that were called good."""
        return float((self.label_I.astype(np.float64) * self.weight_I).sum())

    @property
    def undesirable(self) -> float:
        """Weight of all answers that were called bad."""
        return float(((1 - self.label_I.astype(np.float64)) * self.weight_I).sum())

    def batch(self, units: Sequence[int]) -> ThumbBatch:
        """The answers of these units, in their order."""
        ids = [i for u in units for i in self._ids(u)]
        return ThumbBatch(
            rows=[self.responses[i] for i in ids],
            response_ids=ids,
            label_B=torch.from_numpy(self.label_I[ids]),
            weight_B=torch.from_numpy(self.weight_I[ids]),
        )

    def micro_batches(self, units: Sequence[int], tokens: int) -> Iterator[ThumbBatch]:
        """Cut a batch between units."""
        lengths = [int(self.responses.lengths[list(self._ids(u))].sum()) for u in units]
        for group in micro_batches(lengths, tokens):
            yield self.batch([units[i] for i in group])

    def mismatched(self, units: Sequence[int]) -> list[Tokenized]:
        """The prompt of each unit with the answers of the next one: a rotation by one prompt.

        "Next" is the next unit of the batch, in a circle, that asks something else; where all ask
        the same, the next other unit. A unit is never its own next one: with nothing beside it, it
        has none. What exceeds the limit is left out, never cut.
        """
        prompts = [self._prompt(u) for u in units]
        asked: Sequence[object] = prompts if len(set(prompts)) > 1 else units
        made: list[Tokenized] = []
        for place, prompt in enumerate(prompts):
            ahead = ((place + step) % len(units) for step in range(1, len(units)))
            apart = next((p for p in ahead if asked[p] != asked[place]), None)
            for i in self._ids(units[apart]) if apart is not None else ():
                row = self.responses[i]
                start = int(row.mask.argmax())
                ids = (*prompt, *(int(token) for token in row.ids[start:]))
                if len(ids) <= self.max_tokens:
                    mask = (False,) * len(prompt) + tuple(bool(one) for one in row.mask[start:])
                    made.append(Tokenized(ids, mask))
        return made

    def _ids(self, unit: int) -> range:
        return range(self._offsets[unit], self._offsets[unit + 1])

    def _prompt(self, unit: int) -> tuple[int, ...]:
        row = self.responses[self._offsets[unit]]
        return tuple(int(token) for token in row.ids[: int(row.mask.argmax())])


class Called(NamedTuple):
    """Answers of comparisons by unit, with how many pairs did not say which is good."""

    units: list[list[Thumb]]
    ties: int
    """Pairs that called no answer good or bad, and were left out."""
    all_bad: int
    """Pairs of which both answers are undesirable."""


def from_pairs(data: TokenComparisons) -> Called:
    """Answers of comparisons as good and bad ones: of a pair the better one is desirable.

    Each side of a pair has half of the pair's weight, so that a prompt weighs what its comparison
    does. The first side is desirable with probability P(first better), the second with the rest of
    it; an answer of several pairs has their weighted mean. Where all answers were called bad both
    sides are undesirable, whichever is the better and in a tie too. Another tie calls no answer
    good or bad, and is left out.
    """
    units: list[list[Thumb]] = []
    ties = all_bad = 0
    for unit in range(len(data)):
        batch = data.batch([unit])
        good, all_ = [0.0] * len(batch.rows), [0.0] * len(batch.rows)
        columns = (batch.first_B, batch.second_B, batch.label_B, batch.weight_B, batch.all_bad_B)
        for first, second, label, weight, bad in zip(*(c.tolist() for c in columns), strict=True):
            all_bad += bad
            if label == 0.5 and not bad:
                ties += 1
                continue
            shares = (0.0, 0.0) if bad else (label, 1 - label)
            for side, share in zip((first, second), shares, strict=True):
                good[side] += share * weight / 2
                all_[side] += weight / 2
        thumbs = [
            Thumb(row, g / w, w) for row, g, w in zip(batch.rows, good, all_, strict=True) if w > 0
        ]
        if thumbs:
            units.append(thumbs)
    return Called(units, ties, all_bad)


def balanced(config: KTOConfig, data: TokenThumbs) -> KTOConfig:
    """`config` with both weights as numbers.

    Where the settings name none, the lighter side weighs as much more as brings
    (desirable weight) / (undesirable weight) into [1, 4/3]. Raises DataError where one side is
    missing: from thumbs in one direction alone, KTO would learn to say anything, or nothing.
    """
    good, bad = data.desirable, data.undesirable
    if not (good > 0 and bad > 0):
        raise DataError(
            "KTO needs answers that were called good and answers that were called bad",
            got=f"weight {good:g} of good ones, {bad:g} of bad ones, in {len(data)} prompts",
            do="import both, or use SFT on the good ones",
        )
    desirable, undesirable = config.desirable, config.undesirable
    if desirable is None:
        desirable = max(1.0, (undesirable or 1.0) * bad / good)
    if undesirable is None:
        undesirable = max(1.0, desirable * good / bad / MOST_TO_ONE)
    return replace(config, desirable=desirable, undesirable=undesirable)
