"""Comparisons as tokens: what reward models and direct alignment are trained on.

Shape letters: C = comparisons; P = pairs of all comparisons; B = pairs of one batch.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from accord.core.types import Comparison, Conversation
from accord.models.ragged import micro_batches
from accord.text.tokenized import Tokenized, TokenRow, TokenRows

Tokenize = Callable[[Conversation, str], Tokenized]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Responses of some comparisons with the pairs among them.

    `first_B` and `second_B` index `rows`; `response_ids` are the rows' numbers in the data set.
    """

    rows: list[TokenRow]
    response_ids: list[int]
    first_B: Tensor
    second_B: Tensor
    label_B: Tensor
    weight_B: Tensor
    margin_B: Tensor


@dataclass(slots=True)
class _Columns:
    """Pair columns while they grow: flat arrays, a tenth of what lists of numbers take."""

    first: array[int] = field(default_factory=lambda: array("q"))
    second: array[int] = field(default_factory=lambda: array("q"))
    label: array[float] = field(default_factory=lambda: array("d"))
    weight: array[float] = field(default_factory=lambda: array("d"))
    margin: array[float] = field(default_factory=lambda: array("d"))
    pair_offsets: array[int] = field(default_factory=lambda: array("q", [0]))
    response_offsets: array[int] = field(default_factory=lambda: array("q", [0]))
    kept: list[int] = field(default_factory=list)
    too_long: list[int] = field(default_factory=list)
    weightless: list[int] = field(default_factory=list)


class TokenComparisons:
    """Many comparisons in flat arrays. A pair weighs its comparison's weight over its pairs.

    So each prompt weighs the same, however many responses it has (Ouyang et al. 2022, 3.5).
    """

    def __init__(self, responses: TokenRows, columns: _Columns) -> None:
        self.responses = responses
        self.kept = columns.kept
        """Places, among what was read, of the comparisons that are in here."""
        self.too_long = columns.too_long
        """Places of those left out because a response exceeds the limit."""
        self.weightless = columns.weightless
        """Places of those left out because they weigh nothing."""
        self.first_P = np.array(columns.first, dtype=np.int64)
        self.second_P = np.array(columns.second, dtype=np.int64)
        self.label_P = np.array(columns.label, dtype=np.float32)
        self.weight_P = np.array(columns.weight, dtype=np.float32)
        self.margin_P = np.array(columns.margin, dtype=np.float32)
        self._pairs = columns.pair_offsets
        self._responses = columns.response_offsets

    @classmethod
    def build(
        cls,
        comparisons: Iterable[Comparison],
        tokenize: Tokenize,
        *,
        max_tokens: int,
        on_left_out: Callable[[Comparison], None] = lambda comparison: None,
    ) -> TokenComparisons:
        """Tokenise comparisons, read once and not kept.

        One with a response over `max_tokens`, or of weight 0, is left out, its place noted and
        `on_left_out` called with it.
        """
        columns = _Columns()

        def rows() -> Iterator[Tokenized]:
            for place, comparison in enumerate(comparisons):
                answers = [tokenize(comparison.prompt, text) for text in comparison.responses]
                if max(len(row) for row in answers) > max_tokens:
                    columns.too_long.append(place)
                    on_left_out(comparison)
                    continue
                if comparison.weight == 0:
                    columns.weightless.append(place)
                    on_left_out(comparison)
                    continue
                columns.kept.append(place)
                _append(columns, comparison)
                yield from answers

        return cls(TokenRows.build(rows()), columns)

    def __len__(self) -> int:
        return len(self._pairs) - 1

    @property
    def pairs(self) -> int:
        """Pairs of all comparisons, P."""
        return len(self.first_P)

    def tokens(self, comparison: int) -> int:
        """Tokens of all responses of one comparison, prompts included."""
        here = slice(self._responses[comparison], self._responses[comparison + 1])
        return int(self.responses.lengths[here].sum())

    def batch(self, comparisons: Sequence[int]) -> PairBatch:
        """The responses and pairs of these comparisons, in their order."""
        ids = [i for c in comparisons for i in range(self._responses[c], self._responses[c + 1])]
        place = {response: row for row, response in enumerate(ids)}
        pairs = [p for c in comparisons for p in range(self._pairs[c], self._pairs[c + 1])]
        return PairBatch(
            rows=[self.responses[i] for i in ids],
            response_ids=ids,
            first_B=torch.tensor([place[int(self.first_P[p])] for p in pairs]),
            second_B=torch.tensor([place[int(self.second_P[p])] for p in pairs]),
            label_B=torch.from_numpy(self.label_P[pairs]),
            weight_B=torch.from_numpy(self.weight_P[pairs]),
            margin_B=torch.from_numpy(self.margin_P[pairs]),
        )

    def micro_batches(self, comparisons: Sequence[int], tokens: int) -> Iterator[PairBatch]:
        """Cut a batch between comparisons, so that all pairs of a prompt stay together."""
        for group in micro_batches([self.tokens(c) for c in comparisons], tokens):
            yield self.batch([comparisons[i] for i in group])


def _append(columns: _Columns, comparison: Comparison) -> None:
    start = columns.response_offsets[-1]
    pairs = list(comparison.pairs())
    for pair in pairs:
        columns.first.append(start + pair.first)
        columns.second.append(start + pair.second)
        columns.label.append(pair.label)
        columns.weight.append(comparison.weight / len(pairs))
        columns.margin.append(comparison.margin)
    columns.pair_offsets.append(len(columns.first))
    columns.response_offsets.append(start + len(comparison.responses))
