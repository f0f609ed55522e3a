"""Log-probabilities of given tokens without keeping a `[tokens, vocabulary]` matrix.

Shape letters: M = targets; D = hidden size; V = vocabulary. The head runs over pieces of M rows
and is run again in the backward pass, so that memory holds one piece of logits at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

PIECE = 512
"""Rows a piece: 512 x 49,152 logits are 100 MB in float32."""


def _piece(
    hidden_MD: Tensor,
    weight_VD: Tensor,
    bias_V: Tensor | None,
    target_M: Tensor,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    logits_MV = F.linear(hidden_MD, weight_VD, bias_V).float()
    if temperature != 1.0:
        logits_MV = logits_MV / temperature
    norm_M = logits_MV.logsumexp(-1)
    logp_M = logits_MV.gather(-1, target_M[:, None]).squeeze(-1) - norm_M
    with torch.no_grad():
        entropy_M = norm_M - ((logits_MV - norm_M[:, None]).exp() * logits_MV).sum(-1)
    return logp_M, entropy_M


def token_logprobs(
    hidden_MD: Tensor,
    weight_VD: Tensor,
    target_M: Tensor,
    *,
    bias_V: Tensor | None = None,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """`(logp_M, entropy_M)` in nats, float32: of the target and of the whole distribution.

    `hidden_MD` are the rows that predict the targets; the logits are divided by `temperature`
    first. The entropy carries no gradient.
    """
    pieces = []
    for start in range(0, len(target_M), PIECE):
        rows = slice(start, start + PIECE)
        arguments = (hidden_MD[rows], weight_VD, bias_V, target_M[rows], temperature)
        if torch.is_grad_enabled():
            pieces.append(checkpoint(_piece, *arguments, use_reentrant=False))
        else:
            pieces.append(_piece(*arguments))
    if not pieces:
        empty = hidden_MD.float().sum(-1)  # a loss of nothing still has a gradient: zero
        return empty, empty.detach()
    logp, entropy = zip(*pieces, strict=True)
    return torch.cat(logp), torch.cat(entropy)
