"""Batches of sequences of different lengths, without a pad in them.

Shape letters: N = real tokens of all sequences, one after the other; R = tokens that are run;
B = sequences; T = longest length; P = tokens that all sequences start with; M = trained targets;
D = hidden size. A target is a token whose prediction is read one row before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from accord.core.errors import ModelError

LEAST = 8
"""Tokens that all sequences of a batch must start with, for these to be run once."""


class Masked(Protocol):
    """Token ids with a train mask of the same length (`accord.text.tokenized`)."""

    @property
    def ids(self) -> Any: ...
    @property
    def mask(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Ragged:
    """Token sequences laid end to end, with the rows that predict trained tokens.

    `ids_N` token ids; `positions_N` position inside the own sequence; `lengths` tokens a sequence;
    `rows_M` index into N of the row that predicts target m; `targets_M` the token it should
    predict; `counts` targets a sequence, in the order of the sequences.
    """

    ids_N: Tensor
    positions_N: Tensor
    lengths: tuple[int, ...]
    rows_M: Tensor
    targets_M: Tensor
    counts: tuple[int, ...]

    @classmethod
    def of(cls, sequences: Sequence[Masked], device: str = "cpu") -> Ragged:
        """Lay `sequences` end to end. The first token of a sequence can not be a target.

        Raises ModelError on an empty batch or an empty sequence.
        """
        if not sequences or any(len(s.ids) == 0 for s in sequences):
            raise ModelError("a batch needs sequences of at least one token")
        ids = [torch.as_tensor(s.ids).long() for s in sequences]
        masks = [torch.as_tensor(s.mask).bool() for s in sequences]
        lengths = tuple(len(row) for row in ids)
        starts = [0, *torch.tensor(lengths).cumsum(0).tolist()[:-1]]
        where = [mask[1:].nonzero().flatten() + 1 for mask in masks]
        return cls(
            ids_N=torch.cat(ids).to(device),
            positions_N=torch.cat([torch.arange(n) for n in lengths]).to(device),
            lengths=lengths,
            rows_M=torch.cat([w + s - 1 for w, s in zip(where, starts, strict=True)]).to(device),
            targets_M=torch.cat([i[w] for i, w in zip(ids, where, strict=True)]).to(device),
            counts=tuple(len(w) for w in where),
        )

    @property
    def tokens(self) -> int:
        """Real tokens, N."""
        return len(self.ids_N)

    @property
    def last_rows_B(self) -> Tensor:
        """Index into N of each sequence's last token."""
        return torch.tensor(self.lengths, device=self.ids_N.device).cumsum(0) - 1

    def shared_start(self) -> int:
        """Tokens that all sequences start with; each keeps at least one behind them."""
        most = min(self.lengths) - 1
        firsts_B = self.last_rows_B + 1 - torch.tensor(self.lengths, device=self.ids_N.device)
        ids_BP = self.ids_N[firsts_B[:, None] + torch.arange(most, device=firsts_B.device)]
        return int((ids_BP == ids_BP[0]).all(0).long().cumprod(0).sum())

    def padded(self, side: str = "right") -> tuple[Tensor, Tensor, Tensor]:
        """`(ids_BT, positions_BT, real_BT)` with zeros for pads on the named side."""
        B, T = len(self.lengths), max(self.lengths)
        ids_BT = self.ids_N.new_zeros(B, T)
        positions_BT = torch.zeros_like(ids_BT)
        index_T = torch.arange(T, device=ids_BT.device)
        lengths_B = torch.tensor(self.lengths, device=ids_BT.device)[:, None]
        real_BT = index_T < lengths_B if side == "right" else index_T >= T - lengths_B
        ids_BT[real_BT], positions_BT[real_BT] = self.ids_N, self.positions_N
        return ids_BT, positions_BT, real_BT


@dataclass(frozen=True, slots=True)
class Folded:
    """A batch as it is run: what all its sequences start with once, then what is each one's own.

    Causal attention makes the states of a common start the same in all sequences.
    `ids_R`, `positions_R` as in `Ragged`; `prefix` tokens of the common start, 0 where the batch
    has none of `LEAST`; `lengths` own tokens a sequence; `rows_N` index into R of each real token.
    """

    ids_R: Tensor
    positions_R: Tensor
    prefix: int
    lengths: tuple[int, ...]
    rows_N: Tensor

    @classmethod
    def of(cls, batch: Ragged) -> Folded:
        """Fold `batch`: as it is where its sequences have no start in common."""
        prefix = batch.shared_start() if len(batch.lengths) > 1 else 0
        if prefix < LEAST:
            prefix = 0
        run_N = batch.positions_N >= prefix
        run_N[:prefix] = True
        rows_N = run_N.cumsum(0) - 1
        return cls(
            ids_R=batch.ids_N[run_N],
            positions_R=batch.positions_N[run_N],
            prefix=prefix,
            lengths=tuple(length - prefix for length in batch.lengths),
            rows_N=torch.where(batch.positions_N < prefix, batch.positions_N, rows_N),
        )

    def unfolded(self, hidden_RD: Tensor) -> Tensor:
        """`[R, D]` of what was run as `[N, D]` of all real tokens."""
        if not self.prefix:
            return hidden_RD
        unfolded: Tensor = _Unfold.apply(hidden_RD, self)  # type: ignore[no-untyped-call]
        return unfolded


class _Unfold(torch.autograd.Function):
    """Rows by index, with a gradient that is added up in one order.

    That of plain indexing is added up by several threads in any order: weights that were trained
    twice from one seed would differ in their last bits.
    """

    @staticmethod
    def forward(ctx: Any, hidden_RD: Tensor, folded: Folded) -> Tensor:
        ctx.folded = folded
        return hidden_RD[folded.rows_N]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        folded, (slope_ND,) = ctx.folded, gradients
        first_N = folded.rows_N < folded.prefix
        first_BPD = slope_ND[first_N].view(len(folded.lengths), folded.prefix, -1)
        return torch.cat((first_BPD.sum(0), slope_ND[~first_N])), None


def micro_batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Group sequence indices, in order, so that no group has more than `tokens` real tokens.

    A single sequence longer than that is a group of its own.
    """
    group: list[int] = []
    used = 0
    for index, length in enumerate(lengths):
        if group and used + length > tokens:
            yield group
            group, used = [], 0
        group.append(index)
        used += length
    if group:
        yield group


def pad(flat_M: Tensor, counts: Sequence[int], fill: float = 0.0) -> Tensor:
    """Flat values of B sequences as `[B, T]`, T the largest count, `fill` behind the last."""
    return torch.nn.utils.rnn.pad_sequence(
        list(flat_M.split(list(counts))), batch_first=True, padding_value=fill
    )
