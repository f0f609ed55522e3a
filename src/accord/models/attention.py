"""Attention over sequences that lie in one row, each by itself, and over a sampler's cache.

A row may hold once what all its sequences start with: see `accord.models.ragged.Folded`.

Shape letters: N = tokens of the row; T = tokens of one sequence; G = query heads; H = key heads;
D = head size; R = rows of the sampler's cache.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

from accord.core.errors import ModelError
from accord.models.ragged import Folded

RAGGED = "accord_ragged"
"""The name of `ragged_attention` among transformers' implementations."""
BEYOND = ("sliding_window", "softcap", "s_aux")
"""What transformers hands to attention that is not plain: a window, capped scores, sinks."""

SLOTS = 32
"""Keys that attention is given at a time. The processor's kernel takes what is left over of its
vectors one by one, with another exponential: what a token gets would depend on how many follow."""
QUERIES = 4
"""Fewest queries that the processor's kernel sums in the order in which it sums many."""


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
    ragged: Folded,
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
    start, *own = zip(
        *(x.split([ragged.prefix, *ragged.lengths], dim=2) for x in (query, key, value)),
        strict=True,
    )
    parts = [] if ragged.prefix else [start[0]]
    for part in own:
        # The common start's own attention comes out of the first sequence's.
        joined = (torch.cat(pair, dim=2) for pair in zip(start, part, strict=True))
        attended = causal(*joined, scaling=scaling)
        parts.append(attended[:, :, ragged.prefix if parts else 0 :])
    return torch.cat(parts, dim=2).transpose(1, 2), None


def _no_mask(*_: object, **__: object) -> None:
    """Ragged attention needs no mask: sequences never meet."""


def register_ragged() -> None:
    """Make `ragged_attention` known to transformers."""
    AttentionInterface.register(RAGGED, ragged_attention)
    AttentionMaskInterface.register(RAGGED, cast(Any, _no_mask))
