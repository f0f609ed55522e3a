"""Attention of many short sequences at once on a processor, its gradient as a few large products.

The processor's kernel has a cost a call, and in bfloat16 a slow gradient for short sequences. Here
sequences of like length lie side by side for one call of it, and the gradient is computed as in
FlashAttention-2 (Dao 2023, arXiv:2307.08691, section 2.3), with whole rows of scores.

Shape letters: N = tokens of the row; B = sequences of a block; Q = queries; S = keys; G = query
heads; H = key heads; C = query heads a key head; D = head size; X = B times H; Y = C times Q.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from accord.models.ragged import Folded

SLOTS = 32
"""Keys that attention is given at a time. The processor's kernel takes what is left over of its
vectors one by one, with another exponential: what a token gets would depend on how many follow."""
QUERIES = 4
"""Fewest queries that the processor's kernel sums in the order in which it sums many."""
PIECE = 1 << 17
"""Scores a query head that a block has: .5 MB in float32, so that they stay in a cache."""
STEP = 32
"""Queries a sequence that a gradient is computed for at a time: keys behind them are left out."""
LONGEST = 512
"""Tokens of a sequence past which the kernel's own gradient is as fast."""


def whole_slots(tokens: int) -> int:
    """`tokens` rounded up to whole groups of `SLOTS`."""
    return -(-tokens // SLOTS) * SLOTS


def steady(value: Tensor) -> bool:
    """Whether attention over `value` must be laid out with care to give a token the same bits.

    In float32 what the order of sums changes is far below what is looked at; other devices' kernels
    follow other rules.
    """
    return value.dtype is torch.bfloat16 and value.device.type == "cpu"


@dataclass(frozen=True, slots=True)
class Block:
    """Sequences side by side: `queries_BQ` and `keys_BS` index into N, a last token where it ends.

    Each sees `before` keys of a common start before its own. `rows` are the real queries' places in
    N, `places` theirs in `B * Q`, `pads` those of the rest. The first `queries` and `keys` of Q and
    S hold all real ones; what follows them fills whole groups of `SLOTS`.
    """

    queries_BQ: Tensor
    keys_BS: Tensor
    before: int
    queries: int
    keys: int
    rows: Tensor
    places: Tensor
    pads: Tensor


def block(starts: Sequence[int], lengths: Sequence[int], before: int) -> Block:
    """Sequences of so many own tokens that start there in N, behind the first `before` of it."""
    longest = max(lengths)
    slots = whole_slots(before + longest)
    # Without keys before them queries and keys are the same, as the kernel's causal form asks.
    # Behind others their number is whole groups: no piece of them that it takes has fewer.
    width = -(-longest // QUERIES) * QUERIES if before else slots
    start_B, last_B = torch.tensor(starts)[:, None], torch.tensor(lengths)[:, None] - 1
    own_BQ = start_B + torch.arange(width).minimum(last_B)
    slot_S = torch.arange(slots)
    keys_BS = torch.where(slot_S < before, slot_S, start_B + (slot_S - before).minimum(last_B))
    real_BQ = (torch.arange(longest) <= last_B).flatten()
    return Block(
        queries_BQ=own_BQ,
        keys_BS=keys_BS,
        before=before,
        queries=longest,
        keys=before + longest,
        rows=own_BQ[:, :longest].flatten()[real_BQ],
        places=real_BQ.nonzero().flatten(),
        pads=(~real_BQ).nonzero().flatten(),
    )


def _start(prefix: int, length: int) -> Block:
    """The common start with the first sequence behind it, of which it takes nothing.

    The kernel may round a token past the first 128 otherwise where fewer follow it.
    """
    whole, empty = block([0], [prefix + length], 0), torch.zeros(0, dtype=torch.long)
    first = torch.arange(prefix)
    return replace(whole, queries=prefix, keys=prefix, rows=first, places=first, pads=empty)


def blocks(folded: Folded) -> list[Block]:
    """The common start, if there is one, then all sequences, those of as many slots together."""
    made = [_start(folded.prefix, folded.lengths[0])] if folded.prefix else []
    starts, place = [], folded.prefix
    for length in folded.lengths:
        starts.append(place)
        place += length

    def slots(i: int) -> int:
        return whole_slots(folded.prefix + folded.lengths[i])

    for used, group in groupby(sorted(range(len(starts)), key=slots), slots):
        these = list(group)
        most = max(1, PIECE // used // max(folded.lengths[i] for i in these))
        for few in (these[i : i + most] for i in range(0, len(these), most)):
            lengths = [folded.lengths[i] for i in few]
            made.append(block([starts[i] for i in few], lengths, folded.prefix))
    return made


def hidden_QS(queries: int, keys: int, before: int, dtype: torch.dtype) -> Tensor:
    """What is added to scores: minus infinity where a key comes after its query."""
    see = torch.arange(keys) <= before + torch.arange(queries)[:, None]
    return torch.zeros(queries, keys, dtype=dtype).masked_fill_(~see, float("-inf"))


def taken(x_NHD: Tensor, index_BQ: Tensor) -> Tensor:
    """Rows by index: `[B, Q, H, D]`."""
    return x_NHD.index_select(0, index_BQ.flatten()).view(*index_BQ.shape, *x_NHD.shape[1:])


class BlockAttention(torch.autograd.Function):
    """Causal attention inside each sequence: `[N, G, D]`, twice `[N, H, D]`, to `[N, G, D]`.

    In bfloat16: each token gets the bits of `accord.models.attention.causal`.
    """

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, parts: Sequence[Block], scaling: float
    ) -> Tensor:
        """One call of the kernel a block of `parts`; nothing but q, k and v is kept."""
        ctx.save_for_backward(q, k, v)
        ctx.parts, ctx.scaling = parts, scaling
        out = torch.empty_like(q, memory_format=torch.contiguous_format)
        for part in parts:
            Q, S, before = part.queries_BQ.shape[1], part.keys_BS.shape[1], part.before
            attended_BGQD = F.scaled_dot_product_attention(
                taken(q, part.queries_BQ).transpose(1, 2),
                taken(k, part.keys_BS).transpose(1, 2),
                taken(v, part.keys_BS).transpose(1, 2),
                attn_mask=hidden_QS(Q, S, before, v.dtype) if before else None,
                is_causal=not before,
                scale=scaling,
                enable_gqa=True,
            )
            found = attended_BGQD.transpose(1, 2)[:, : part.queries].flatten(0, 1)
            out.index_copy_(0, part.rows, found.index_select(0, part.places))
        return out

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of q, k and v in their dtype; a common start's are summed in float32."""
        q, k, v = ctx.saved_tensors
        to_q = torch.empty_like(q, memory_format=torch.contiguous_format)
        # A common start's keys get a sum over all blocks.
        to_k, to_v = (torch.zeros(x.shape) for x in (k, v))
        with torch.autocast("cpu", enabled=False):
            for part in ctx.parts:
                found = _gradients(part, ctx.scaling, q, k, v, slopes[0])
                real = (x.index_select(0, part.places) for x in found[:3])
                to_q.index_copy_(0, part.rows, next(real))
                to_k.index_copy_(0, part.rows, next(real))
                to_v.index_copy_(0, part.rows, next(real))
                to_k[: part.before] += found[3]
                to_v[: part.before] += found[4]
        return to_q, to_k.to(k.dtype), to_v.to(v.dtype), None, None


def _gradients(
    part: Block, scaling: float, q: Tensor, k: Tensor, v: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of own queries, keys and values, a row each of `B * Q`; of the keys and values before them.

    Scores and their gradients are float32; factors of the other products are rounded to the
    values' dtype, as the processor's kernel does.
    """
    B, H, before = len(part.queries_BQ), k.shape[1], part.before
    queries_BQ, keys_BS = part.queries_BQ[:, : part.queries], part.keys_BS[:, : part.keys]
    slope_BQGD = taken(slope, queries_BQ)
    slope_BQGD.flatten(0, 1).index_fill_(0, part.pads, 0.0)  # a pad is a copy of a real query
    q_XCQD, slope_XCQD = (
        x.unflatten(2, (H, -1)).permute(0, 2, 3, 1, 4).flatten(0, 1)
        for x in (taken(q, queries_BQ), slope_BQGD)
    )
    k_XSD, v_XSD = (taken(x, keys_BS).transpose(1, 2).flatten(0, 1) for x in (k, v))
    wide_k_XDS, wide_v_XDS = (x.float().transpose(1, 2) for x in (k_XSD, v_XSD))
    to_q_XCQD = torch.empty_like(q_XCQD)
    to_k_XSD, to_v_XSD = (torch.zeros(x.shape) for x in (k_XSD, v_XSD))
    for first in range(0, part.queries, STEP):
        here = slice(first, min(first + STEP, part.queries))
        seen, C = before + here.stop, q_XCQD.shape[1]
        q_XYD, slope_XYD = q_XCQD[:, :, here].flatten(1, 2), slope_XCQD[:, :, here].flatten(1, 2)
        hidden_YS = hidden_QS(here.stop - first, seen, before + first, torch.float32).repeat(C, 1)
        score_XYS = torch.baddbmm(hidden_YS, q_XYD.float(), wide_k_XDS[..., :seen], alpha=scaling)
        share_XYS = score_XYS.softmax(-1)
        to_v_XSD[:, :seen] += share_XYS.to(v.dtype).transpose(1, 2) @ slope_XYD
        wide_XYS = slope_XYD.float() @ wide_v_XDS[..., :seen]
        wide_XYS.sub_((wide_XYS * share_XYS).sum(-1, keepdim=True)).mul_(share_XYS)
        change_XYS = wide_XYS.to(v.dtype)
        to_q_XCQD[:, :, here] = (change_XYS @ k_XSD[:, :seen]).unflatten(1, (C, -1))
        to_k_XSD[:, :seen] += change_XYS.transpose(1, 2) @ q_XYD
    to_q = to_q_XCQD.unflatten(0, (B, H)).permute(0, 3, 1, 2, 4).flatten(2, 3).flatten(0, 1)
    to_k, to_v = (x.unflatten(0, (B, H)).transpose(1, 2) for x in (to_k_XSD * scaling, to_v_XSD))
    return (
        to_q * scaling,
        to_k[:, before:].flatten(0, 1),
        to_v[:, before:].flatten(0, 1),
        to_k[:, :before].sum(0),
        to_v[:, :before].sum(0),
    )
