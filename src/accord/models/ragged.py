"""Batches of sequences of different lengths, without a pad in them.

Shape letters: N = real tokens of all sequences, one after the other; B = sequences; T = longest
length; M = trained targets. A target is a token whose prediction is read one row before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from accord.core.errors import ModelError


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
