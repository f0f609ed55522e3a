"""Comparisons as tokens: what reward models and direct alignment are trained on.

Shape letters: P = pairs of all comparisons; B = pairs of one batch.
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
    """Responses of some units with the pairs among them.

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


MOST_RESPONSES = 16
"""That comparisons of others may grow a unit to. Without an end, a data set in which one response
stands in every comparison would be a single step, and a batch that no machine holds."""


class TokenComparisons:
    """Many comparisons in flat arrays, by unit: what is drawn, cut and counted as one.

    Comparisons that follow one another, with the same prompt and a response of those before
    (judgements of one task, say), are one unit of at most `MOST_RESPONSES`: each response is there
    once, and computed once, with the pairs of all of them. A pair weighs its comparison's training
    weight over the comparison's pairs, so that a prompt weighs the same however many responses it
    has (Ouyang et al. 2022, 3.5).
    """

    def __init__(self, responses: TokenRows, columns: _Columns) -> None:
        self.responses = responses
        self.kept = columns.kept
        """Places, among what was read, of the comparisons that are in here; one for each, however
        many make a unit. `pairs` has theirs in this order."""
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
            unit = _Unit(None)
            for place, one in enumerate(comparisons):
                if not unit.takes(one):
                    yield from unit.end(columns)
                    unit = _Unit(one.prompt)
                answers = [unit.known(text) or tokenize(one.prompt, text) for text in one.responses]
                if max(len(row) for row in answers) > max_tokens:
                    columns.too_long.append(place)
                    on_left_out(one)
                elif one.weight == 0:
                    columns.weightless.append(place)
                    on_left_out(one)
                else:
                    columns.kept.append(place)
                    unit.add(one, answers)
            yield from unit.end(columns)

        return cls(TokenRows.build(rows()), columns)

    def __len__(self) -> int:
        """How many units there are."""
        return len(self._pairs) - 1

    @property
    def pairs(self) -> int:
        """Pairs of all comparisons, P."""
        return len(self.first_P)

    def tokens(self, unit: int) -> int:
        """Tokens of all responses of one unit, prompts included."""
        here = slice(self._responses[unit], self._responses[unit + 1])
        return int(self.responses.lengths[here].sum())

    def batch(self, units: Sequence[int]) -> PairBatch:
        """The responses and pairs of these units, in their order."""
        ids = [i for u in units for i in range(self._responses[u], self._responses[u + 1])]
        place = {response: row for row, response in enumerate(ids)}
        pairs = [p for u in units for p in range(self._pairs[u], self._pairs[u + 1])]
        return PairBatch(
            rows=[self.responses[i] for i in ids],
            response_ids=ids,
            first_B=torch.tensor([place[int(self.first_P[p])] for p in pairs]),
            second_B=torch.tensor([place[int(self.second_P[p])] for p in pairs]),
            label_B=torch.from_numpy(self.label_P[pairs]),
            weight_B=torch.from_numpy(self.weight_P[pairs]),
            margin_B=torch.from_numpy(self.margin_P[pairs]),
        )

    def micro_batches(self, units: Sequence[int], tokens: int) -> Iterator[PairBatch]:
        """Cut a batch between units, so that all pairs of a unit stay together."""
        for group in micro_batches([self.tokens(u) for u in units], tokens):
            yield self.batch([units[i] for i in group])


class _Unit:
    """Comparisons of one prompt that share responses, while they come in."""

    def __init__(self, prompt: Conversation | None) -> None:
        self.prompt = prompt
        self._place: dict[str, int] = {}
        self._answers: list[Tokenized] = []
        self._judged: list[Comparison] = []

    def takes(self, one: Comparison) -> bool:
        """Whether a comparison is about responses of this unit."""
        if one.prompt != self.prompt:
            return False
        new = set(one.responses) - self._place.keys()
        shares = len(new) < len(set(one.responses))
        return not self._place or (
            shares and (not new or len(self._place) + len(new) <= MOST_RESPONSES)
        )

    def known(self, text: str) -> Tokenized | None:
        """Tokens of a response that is in the unit."""
        return self._answers[self._place[text]] if text in self._place else None

    def add(self, one: Comparison, answers: Sequence[Tokenized]) -> None:
        """Take a comparison in, and those of its responses that are new."""
        self._judged.append(one)
        for text, row in zip(one.responses, answers, strict=True):
            if text not in self._place:
                self._place[text] = len(self._answers)
                self._answers.append(row)

    def end(self, columns: _Columns) -> list[Tokenized]:
        """Write the unit's pairs; its responses."""
        start = columns.response_offsets[-1]
        if not self._judged:
            return []
        for one in self._judged:
            pairs = list(one.pairs())
            for pair in pairs:
                columns.first.append(start + self._place[one.responses[pair.first]])
                columns.second.append(start + self._place[one.responses[pair.second]])
                columns.label.append(pair.label)
                columns.weight.append(one.training_weight / len(pairs))
                columns.margin.append(one.margin)
        columns.pair_offsets.append(len(columns.first))
        columns.response_offsets.append(start + len(self._answers))
        return self._answers
