"""Attention over sequences that lie in one row, each by itself, and over a sampler's cache.

A row may hold once what all its sequences start with: see `accord.models.ragged.Folded`.

Shape letters: N = tokens of the row; T = tokens of one sequence; G = query heads; H = key heads;
D = head size; R = rows of the sampler's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from accord.core.errors import ModelError
from accord.models.blocks import (
    LONGEST,
    QUERIES,
    Block,
    BlockAttention,
    blocks,
    steady,
    whole_slots,
)
from accord.models.ragged import Folded

RAGGED = "accord_ragged"
"""The name of `ragged_attention` among transformers' implementations."""
BEYOND = ("sliding_window", "softcap", "s_aux")
"""What transformers hands to attention that is not plain: a window, capped scores, sinks."""


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


@dataclass(frozen=True, slots=True)
class Layout:
    """How sequences lie in one row, and in which blocks a processor attends to them.

    There are no blocks on other devices, nor where a sequence is too long to gain by them.
    """

    folded: Folded
    blocks: Sequence[Block] | None

    @classmethod
    def of(cls, folded: Folded) -> Layout:
        """The layout of a folded batch, made once for all layers."""
        short = folded.prefix + max(folded.lengths) <= LONGEST
        on_cpu = folded.ids_R.device.type == "cpu"
        return cls(folded, blocks(folded) if short and on_cpu else None)


def ragged_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    ragged: Layout,
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
    if ragged.blocks is None or not steady(value):
        return one_by_one(query, key, value, ragged.folded, scaling).transpose(1, 2), None
    given = (x[0].transpose(0, 1).to(value.dtype) for x in (query, key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    attended = BlockAttention.apply(*given, ragged.blocks, scale)  # type: ignore[no-untyped-call]
    return attended[None], None


def one_by_one(
    query: Tensor, key: Tensor, value: Tensor, folded: Folded, scaling: float | None = None
) -> Tensor:
    """Causal attention inside each sequence, one call each: `[1, G, N, D]` of such queries."""
    start, *own = zip(
        *(x.split([folded.prefix, *folded.lengths], dim=2) for x in (query, key, value)),
        strict=True,
    )
    parts = [] if folded.prefix else [start[0]]
    for part in own:
        # The common start's own attention comes out of the first sequence's.
        joined = (torch.cat(pair, dim=2) for pair in zip(start, part, strict=True))
        attended = causal(*joined, scaling=scaling)
        parts.append(attended[:, :, folded.prefix if parts else 0 :])
    return torch.cat(parts, dim=2)


def _no_mask(*_: object, **__: object) -> None:
    """Ragged attention needs no mask: sequences never meet."""


def register_ragged() -> None:
    """Make `ragged_attention` known to transformers."""
    AttentionInterface.register(RAGGED, ragged_attention)
    AttentionMaskInterface.register(RAGGED, cast(Any, _no_mask))
