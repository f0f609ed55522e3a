"""Comparisons as tokens: what reward models and direct alignment are trained on.

Shape letters: P = pairs of all comparisons; B = pairs of one batch; G = rankings of one batch;
K = responses of the longest of them.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from accord.core.errors import InvariantError
from accord.core.types import Comparison, Conversation, Pair
from accord.models.ragged import micro_batches
from accord.text.tokenized import Tokenized, TokenRow, TokenRows

Tokenize = Callable[[Conversation, str], Tokenized]


@dataclass(frozen=True, slots=True)
class PairBatch:
    """Responses of some units with the pairs among them.

    `first_B` and `second_B` index `rows`; `response_ids` are the rows' numbers in the data set;
    `units` are those that were asked for and `unit_B` says which of them, by its place, a pair is
    of. `all_bad_B` is true of a pair whose rater called none of the responses acceptable, whichever
    is the better. `criterion_B` says which of the data set's criteria a pair is about.
    """

    units: list[int]
    unit_B: Tensor
    rows: list[TokenRow]
    response_ids: list[int]
    first_B: Tensor
    second_B: Tensor
    label_B: Tensor
    weight_B: Tensor
    margin_B: Tensor
    all_bad_B: Tensor
    criterion_B: Tensor


@dataclass(frozen=True, slots=True)
class Rankings:
    """The rankings of a `PairBatch`, padded to the longest.

    `row_GK` index its rows and `tier_GK` rank them from 0, the best; where a ranking is shorter the
    tier is -1. `unit_G` is the place of a ranking's unit among the batch's, `weight_G` its weight
    over the choices that it is made of (one less than its responses), so that a prompt weighs the
    same however many responses it has. `margin_G` is what a better tier should lead by, and
    `first_margin_G` what the best one should lead by beyond that. A soft label is two rankings, one
    for each side, that share the weight.
    """

    row_GK: Tensor
    tier_GK: Tensor
    weight_G: Tensor
    margin_G: Tensor
    first_margin_G: Tensor
    unit_G: Tensor
    criterion_G: Tensor


@dataclass(slots=True)
class _RankingColumns:
    """The same of whole rankings: those of unit u are `of_unit[u]:of_unit[u + 1]`, and of those g
    has the responses and tiers of `offsets[g]:offsets[g + 1]`."""

    response: array[int] = field(default_factory=lambda: array("q"))
    tier: array[int] = field(default_factory=lambda: array("q"))
    offsets: array[int] = field(default_factory=lambda: array("q", [0]))
    weight: array[float] = field(default_factory=lambda: array("d"))
    margin: array[float] = field(default_factory=lambda: array("d"))
    first_margin: array[float] = field(default_factory=lambda: array("d"))
    criterion: array[int] = field(default_factory=lambda: array("h"))
    of_unit: array[int] = field(default_factory=lambda: array("q", [0]))


@dataclass(slots=True)
class _Columns:
    """Pair columns while they grow: flat arrays, a tenth of what lists of numbers take."""

    strength_margin: float
    criteria: Mapping[str, int]
    first: array[int] = field(default_factory=lambda: array("q"))
    second: array[int] = field(default_factory=lambda: array("q"))
    label: array[float] = field(default_factory=lambda: array("d"))
    weight: array[float] = field(default_factory=lambda: array("d"))
    margin: array[float] = field(default_factory=lambda: array("d"))
    all_bad: array[int] = field(default_factory=lambda: array("b"))
    criterion: array[int] = field(default_factory=lambda: array("h"))
    pair_offsets: array[int] = field(default_factory=lambda: array("q", [0]))
    response_offsets: array[int] = field(default_factory=lambda: array("q", [0]))
    rankings: _RankingColumns = field(default_factory=_RankingColumns)
    kept: list[int] = field(default_factory=list)
    too_long: list[int] = field(default_factory=list)
    weightless: list[int] = field(default_factory=list)
    by_strength: Counter[int] = field(default_factory=Counter)
    by_criterion: Counter[str] = field(default_factory=Counter)


STRONGEST = 4
"""A comparison of this strength has the whole `strength_margin`."""

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
        self.by_strength = columns.by_strength
        """How many comparisons there are of each strength, of those whose strength can be a margin:
        they are no tie and bring no margin of their own."""
        self.by_criterion = columns.by_criterion
        """How many comparisons there are about each criterion."""
        self.first_P = np.array(columns.first, dtype=np.int64)
        self.second_P = np.array(columns.second, dtype=np.int64)
        self.label_P = np.array(columns.label, dtype=np.float32)
        self.weight_P = np.array(columns.weight, dtype=np.float32)
        self.margin_P = np.array(columns.margin, dtype=np.float32)
        self.all_bad_P = np.array(columns.all_bad, dtype=np.bool_)
        self.criteria = tuple(columns.criteria)
        """What the comparisons in here may be about; `criterion_P` are places in it."""
        self.criterion_P = np.array(columns.criterion, dtype=np.int64)
        self._pairs = columns.pair_offsets
        self._responses = columns.response_offsets
        self._rankings = columns.rankings

    @classmethod
    def build(
        cls,
        comparisons: Iterable[Comparison],
        tokenize: Tokenize,
        *,
        max_tokens: int,
        strength_margin: float = 0.0,
        criteria: Sequence[str] = ("",),
        on_left_out: Callable[[Comparison], None] = lambda comparison: None,
    ) -> TokenComparisons:
        """Tokenise comparisons, read once and not kept.

        One with a response over `max_tokens`, or of weight 0, is left out, its place noted and
        `on_left_out` called with it. `strength_margin` is the margin of one of strength 4 that has
        none of its own; strengths 3, 2 and 1 have 2/3, 1/3 and 0 of it (Touvron et al. 2023,
        arXiv:2307.09288, table 27). A strength is of the best answer: it says nothing of the pairs
        behind it. `criteria` are what comparisons may be about; those of one prompt are one unit
        whatever they are about. Raises InvariantError for one that is about something else.
        """
        columns = _Columns(strength_margin, {name: place for place, name in enumerate(criteria)})

        def rows() -> Iterator[Tokenized]:
            unit = _Unit(None)
            for place, one in enumerate(comparisons):
                if one.criterion not in columns.criteria:
                    raise InvariantError(
                        "comparisons of another criterion reached what learns from them",
                        got=one.criterion or "the whole answer",
                        do="leave them out before, by accord.pipeline.stages.fitting.Sieve",
                    )
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
        of = [(p, n) for n, u in enumerate(units) for p in range(*self._pairs[u : u + 2])]
        pairs = [p for p, _ in of]
        return PairBatch(
            units=list(units),
            unit_B=torch.tensor([n for _, n in of], dtype=torch.long),
            rows=[self.responses[i] for i in ids],
            response_ids=ids,
            first_B=torch.tensor([place[int(self.first_P[p])] for p in pairs]),
            second_B=torch.tensor([place[int(self.second_P[p])] for p in pairs]),
            label_B=torch.from_numpy(self.label_P[pairs]),
            weight_B=torch.from_numpy(self.weight_P[pairs]),
            margin_B=torch.from_numpy(self.margin_P[pairs]),
            all_bad_B=torch.from_numpy(self.all_bad_P[pairs]),
            criterion_B=torch.from_numpy(self.criterion_P[pairs]),
        )

    def rankings(self, batch: PairBatch) -> Rankings:
        """The whole rankings of a batch's units, as rows of the batch."""
        known, place = self._rankings, {id_: row for row, id_ in enumerate(batch.response_ids)}
        of = [(g, n) for n, u in enumerate(batch.units) for g in range(*known.of_unit[u : u + 2])]
        spans = [slice(*known.offsets[g : g + 2]) for g, _ in of]
        widest = max((span.stop - span.start for span in spans), default=0)
        row_GK = torch.zeros(len(of), widest, dtype=torch.long)
        tier_GK = torch.full_like(row_GK, -1)
        for g, span in enumerate(spans):
            here = slice(0, span.stop - span.start)
            row_GK[g, here] = torch.tensor([place[i] for i in known.response[span]])
            tier_GK[g, here] = torch.tensor(known.tier[span].tolist())
        return Rankings(
            row_GK=row_GK,
            tier_GK=tier_GK,
            weight_G=torch.tensor([known.weight[g] for g, _ in of], dtype=torch.float32),
            margin_G=torch.tensor([known.margin[g] for g, _ in of], dtype=torch.float32),
            first_margin_G=torch.tensor(
                [known.first_margin[g] for g, _ in of], dtype=torch.float32
            ),
            unit_G=torch.tensor([n for _, n in of], dtype=torch.long),
            criterion_G=torch.tensor([known.criterion[g] for g, _ in of], dtype=torch.long),
        )

    @property
    def most_tied(self) -> int:
        """Responses of the largest tier of all comparisons."""
        known = self._rankings
        return max(
            (max(Counter(known.tier[a:b]).values()) for a, b in pairwise(known.offsets)), default=0
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
            columns.by_criterion[one.criterion] += 1
            ahead = 0.0
            if one.strength is not None and _graded(one):
                columns.by_strength[one.strength] += 1
                ahead = columns.strength_margin * (one.strength - 1) / (STRONGEST - 1)
            for pair in pairs:
                columns.first.append(start + self._place[one.responses[pair.first]])
                columns.second.append(start + self._place[one.responses[pair.second]])
                columns.label.append(pair.label)
                columns.weight.append(one.training_weight / len(pairs))
                columns.margin.append(one.margin + (ahead if _of_best(one, pair) else 0.0))
                columns.all_bad.append(one.all_bad)
                columns.criterion.append(columns.criteria[one.criterion])
            self._rank(one, start, ahead, columns)
        columns.rankings.of_unit.append(len(columns.rankings.weight))
        columns.pair_offsets.append(len(columns.first))
        columns.response_offsets.append(start + len(self._answers))
        return self._answers

    def _rank(self, one: Comparison, start: int, ahead: float, whole: _Columns) -> None:
        """Write a comparison as a ranking, or a soft label as one ranking for each side."""
        columns, criterion = whole.rankings, whole.criteria[one.criterion]
        sides = [(one.tiers, 1.0, 1.0)]
        if one.label is not None and one.label != 0.5:
            toward = 1.0 if one.label > 0.5 else -1.0
            sides = [((0, 1), one.label, toward), ((1, 0), 1 - one.label, -toward)]
        elif one.label is not None:
            sides = [((0, 0), 1.0, 0.0)]
        for tiers, share, toward in sides:
            if share == 0:
                continue
            columns.response.extend(start + self._place[text] for text in one.responses)
            columns.tier.extend(tiers)
            columns.offsets.append(len(columns.response))
            columns.weight.append(one.training_weight * share / (len(tiers) - 1))
            columns.margin.append(toward * one.margin)
            columns.first_margin.append(toward * ahead)
            columns.criterion.append(criterion)


def _graded(one: Comparison) -> bool:
    """Whether a strength can be a margin: nothing else says it, and one answer is better."""
    tied = len(set(one.tiers)) == 1 if one.label is None else one.label == 0.5
    return one.margin == 0 and not tied


def _of_best(one: Comparison, pair: Pair) -> bool:
    """Whether a pair is one of the best tier's leads."""
    if one.label is not None:
        return pair.label != 0.5
    return one.tiers[pair.first] == 0 < one.tiers[pair.second]
