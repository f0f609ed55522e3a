"""Log-probabilities of given tokens without keeping a `[tokens, vocabulary]` matrix.

Shape letters: M = targets; D = hidden size; V = vocabulary. The head runs over pieces of M rows
and is run again in the backward pass, so that memory holds one piece of logits at a time.

Logits are float32 always, also where products run in bfloat16: a logit of 20 rounded to bfloat16 is
off by up to .06, which alone puts sampler and trainer .04 nats apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional as F

PIECE = 512
"""Rows a piece: 512 x 49,152 logits are 100 MB in float32."""


@contextmanager
def _rounded_factors(device: torch.device, mixed: bool) -> Iterator[None]:
    """Float32 products of rounded factors (bfloat16, TF32 on CUDA); their sums stay exact."""
    if not mixed:
        yield
        return
    backend: Any = torch.backends.cuda if device.type == "cuda" else torch.backends.mkldnn
    before = backend.matmul.fp32_precision
    backend.matmul.fp32_precision = "tf32" if device.type == "cuda" else "bf16"
    try:
        yield
    finally:
        backend.matmul.fp32_precision = before


def logits(hidden_MD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, *, mixed: bool) -> Tensor:
    """Float32 logits `[M, V]`; `mixed` rounds the factors of the product, never its result."""
    plain = torch.autocast(hidden_MD.device.type, enabled=False)
    with plain, _rounded_factors(hidden_MD.device, mixed):
        return F.linear(hidden_MD.float(), weight_VD, bias_V)


class _How(NamedTuple):
    """How a piece is computed."""

    temperature: float
    mixed: bool
    entropy: bool
    pull: bool
    """Whether the gradient is taken in the forward pass."""


class _Piece(torch.autograd.Function):
    """Log-probability of some rows, and the entropy where it is asked for, else zeros.

    A frozen head's gradient is taken in the forward pass: a row's is one vector times whatever
    comes from above, and the logits are there. A head that trains runs over the rows again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_MD: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        target_M: Tensor,
        how: _How,
    ) -> tuple[Tensor, Tensor]:
        logits_MV = logits(hidden_MD, weight_VD, bias_V, mixed=how.mixed).div_(how.temperature)
        norm_M = logits_MV.logsumexp(-1)
        logp_M = logits_MV.gather(-1, target_M[:, None])[:, 0] - norm_M
        entropy_M = torch.zeros_like(norm_M)
        if how.entropy:
            mean_M = ((logits_MV - norm_M[:, None]).exp_().mul_(logits_MV)).sum(-1)
            entropy_M = norm_M - mean_M
        ctx.how = how
        ctx.mark_non_differentiable(entropy_M)
        if how.pull:
            chance_MV = logits_MV.sub_(norm_M[:, None]).exp_()
            with _rounded_factors(hidden_MD.device, how.mixed):
                mean_MD = chance_MV @ weight_VD
            ctx.save_for_backward((weight_VD[target_M] - mean_MD).div_(how.temperature))
        else:
            ctx.save_for_backward(hidden_MD, weight_VD, bias_V, target_M, norm_M)
        return logp_M, entropy_M

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        how: _How = ctx.how
        if how.pull:
            (pull_MD,) = ctx.saved_tensors
            return pull_MD * gradients[0][:, None], None, None, None, None
        hidden_MD, weight_VD, bias_V, target_M, norm_M = ctx.saved_tensors
        slope_M = gradients[0] / how.temperature
        logits_MV = logits(hidden_MD, weight_VD, bias_V, mixed=how.mixed).div_(how.temperature)
        # d logp / d logits = onehot(target) - softmax
        change_MV = logits_MV.sub_(norm_M[:, None]).exp_().mul_(-slope_M[:, None])
        change_MV.scatter_add_(-1, target_M[:, None], slope_M[:, None])
        wants = ctx.needs_input_grad
        plain = torch.autocast(hidden_MD.device.type, enabled=False)
        with plain, _rounded_factors(hidden_MD.device, how.mixed):
            to_hidden = change_MV @ weight_VD if wants[0] else None
            to_weight = change_MV.T @ hidden_MD if wants[1] else None
        to_bias = change_MV.sum(0) if wants[2] else None
        return to_hidden, to_weight, to_bias, None, None


def token_logprobs(
    hidden_MD: Tensor,
    weight_VD: Tensor,
    target_M: Tensor,
    *,
    bias_V: Tensor | None = None,
    temperature: float = 1.0,
    mixed: bool = False,
    entropy: bool = False,
) -> tuple[Tensor, Tensor]:
    """`(logp_M, entropy_M)` in nats, float32: of the target and of the whole distribution.

    The entropy is 0 throughout unless asked for: it costs as much again as the log-probability.

    `hidden_MD` are the rows that predict the targets, `weight_VD` the head's weights (float32 ones
    are not copied); the logits are divided by `temperature` first. `mixed` rounds the factors of
    the head's product to bfloat16, never its result. The entropy carries no gradient.
    """
    hidden_MD, weight_VD = hidden_MD.float(), weight_VD.float()
    bias_V = None if bias_V is None else bias_V.float()
    trains = weight_VD.requires_grad or (bias_V is not None and bias_V.requires_grad)
    pull = torch.is_grad_enabled() and hidden_MD.requires_grad and not trains
    how = _How(temperature, mixed, entropy, pull)
    pieces = []
    for start in range(0, len(target_M), PIECE):
        rows = slice(start, start + PIECE)
        arguments = (hidden_MD[rows], weight_VD, bias_V, target_M[rows], how)
        found = _Piece.apply(*arguments)  # type: ignore[no-untyped-call]
        pieces.append(cast(tuple[Tensor, Tensor], found))
    if not pieces:
        empty = hidden_MD.sum(-1)  # a loss of nothing still has a gradient: zero
        return empty, empty.detach()
    logp, entropies = zip(*pieces, strict=True)
    return torch.cat(logp), torch.cat(entropies)
