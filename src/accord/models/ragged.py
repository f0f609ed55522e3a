"""Batches of sequences of different lengths, without a pad in them, and attention over them.

Shape letters: N = real tokens of all sequences, one after the other; B = sequences; T = longest
length; M = trained targets. A target is a token whose prediction is read one row before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from accord.core.errors import ModelError

BEYOND = ("sliding_window", "softcap", "s_aux")
"""What transformers hands to attention that is not plain: a window, capped scores, sinks."""

SLOTS = 32
"""Keys that attention is given at a time. The processor's kernel takes what is left over of its
vectors one by one, with another exponential: what a token gets would depend on how many follow."""
QUERIES = 4
"""Fewest queries that the processor's kernel sums in the order in which it sums many."""


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


def whole_slots(tokens: int) -> int:
    """`tokens` rounded up to whole groups of `SLOTS`."""
    return -(-tokens // SLOTS) * SLOTS


def steady(value: Tensor) -> bool:
    """Whether attention over `value` must be laid out with care to give a token the same bits.

    In float32 what the order of sums changes is far below what is looked at; other devices' kernels
    follow other rules.
    """
    return value.dtype is torch.bfloat16 and value.device.type == "cpu"


def causal(query: Tensor, key: Tensor, value: Tensor, *, scaling: float | None = None) -> Tensor:
    """Causal attention of one sequence: `[1, G, T, D]` queries, `[1, H, T, D]` keys and values.

    In bfloat16 on a processor zeros that no token sees are laid behind them, up to whole groups of
    `SLOTS`: then a token gets the same bits whatever comes behind it, and in sampling.
    """
    tokens = query.shape[2]
    if steady(value):
        behind = (0, 0, 0, whole_slots(tokens) - tokens)
        query, key, value = (F.pad(x.to(value.dtype), behind) for x in (query, key, value))
    attended = F.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scaling, enable_gqa=True
    )
    return attended[:, :, :tokens]


def next_attention(query: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Attention of each row's newest token over its slots: `[R, H, G, D] -> [R, H, G, D]`.

    The G query heads of a key head are G rows of one attention: no key is repeated in memory.
    """
    heads = query.shape[2]
    if steady(values) and heads < QUERIES:
        query = F.pad(query, (0, 0, 0, QUERIES - heads))
    return F.scaled_dot_product_attention(query, keys, values, attn_mask=bias)[:, :, :heads]


def ragged_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    ragged_lengths: Sequence[int],
    scaling: float | None = None,
    **more: object,
) -> tuple[Tensor, None]:
    """Causal attention inside each sequence of one packed row: `[1, H, N, D] -> [1, N, H, D]`.

    Registered with transformers as an attention implementation; grouped key heads are never
    repeated in memory. Raises ModelError for a layer that asks for more than plain attention.
    """
    asked = [name for name in BEYOND if more.get(name) is not None]
    if asked:
        raise ModelError("packed attention does not compute this", got=", ".join(asked))
    parts = [
        causal(q, k, v, scaling=scaling)
        for q, k, v in zip(
            query.split(list(ragged_lengths), dim=2),
            key.split(list(ragged_lengths), dim=2),
            value.split(list(ragged_lengths), dim=2),
            strict=True,
        )
    ]
    return torch.cat(parts, dim=2).transpose(1, 2), None
