"""Log-probabilities of given tokens without ever making a `[tokens, vocabulary]` matrix.

Shape letters: M = targets; D = hidden size; V = vocabulary; W = words of one piece of it. The head
runs over pieces of the vocabulary, for all targets of a micro-batch, with running sums (Milakov and
Gimelshein 2018, arXiv:1805.02867; Wijmans et al. 2024, arXiv:2411.09009): with a thousand targets
or so a piece of logits is done with before it leaves the processor's cache, which is where the time
went.

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

from accord.core.errors import DataError

PIECE = 1024
"""Words a piece: its logits of 1,024 targets are 4 MB in float32, its weights 2.4 MB at D = 576."""


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
    """How log-probabilities are computed."""

    temperature: float
    mixed: bool
    entropy: bool
    pull: bool
    """Whether the gradient is taken in the forward pass."""


def _pieces(
    hidden_MD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, how: _How
) -> Iterator[tuple[slice, Tensor]]:
    """Logits `[M, W]` at the temperature, over the vocabulary; each may be written on."""
    for start in range(0, len(weight_VD), PIECE):
        words = slice(start, start + PIECE)
        bias_W = None if bias_V is None else bias_V[words]
        logits_MW = logits(hidden_MD, weight_VD[words], bias_W, mixed=how.mixed)
        yield words, logits_MW if how.temperature == 1 else logits_MW.div_(how.temperature)


def _among(words: slice, target_M: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Places of the targets in a piece, `[M, 1]`, and whether they are in it."""
    place_M1 = (target_M - words.start)[:, None]
    return place_M1.clamp(0, width - 1), (place_M1 >= 0) & (place_M1 < width)


class _Head(torch.autograd.Function):
    """Log-probability of every target, and the entropy where it is asked for.

    A frozen head's gradient is taken in the forward pass: a row's is one vector times whatever
    comes from above, and the logits are there. A head that trains runs over the pieces again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_MD: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        target_M: Tensor,
        how: _How,
    ) -> tuple[Tensor, Tensor | None]:
        top_M1 = hidden_MD.new_full((len(hidden_MD), 1), -torch.inf)
        total_M1, others_M1, said_M1, weighted_M1 = (torch.zeros_like(top_M1) for _ in range(4))
        mean_MD = torch.zeros_like(hidden_MD) if how.pull else None
        for words, logits_MW in _pieces(hidden_MD, weight_VD, bias_V, how):
            place_M1, inside_M1 = _among(words, target_M, logits_MW.shape[1])
            said_M1 = torch.where(inside_M1, logits_MW.gather(1, place_M1), said_M1)
            above_M1 = torch.maximum(top_M1, logits_MW.amax(1, keepdim=True))
            # Sums so far are of exp(logit - top); what that top was too low by comes off.
            shift_M1 = torch.where(total_M1 > 0, top_M1 - above_M1, 0.0)
            lower_M1, top_M1 = shift_M1.exp(), above_M1
            below_MW = logits_MW.sub_(top_M1)
            chance_MW = below_MW.exp() if how.entropy else below_MW.exp_()
            if how.entropy:
                more_M1 = below_MW.mul_(chance_MW).sum(1, keepdim=True)
                weighted_M1 = (weighted_M1 + total_M1 * shift_M1) * lower_M1 + more_M1
            total_M1 = total_M1 * lower_M1 + chance_MW.sum(1, keepdim=True)
            if mean_MD is not None:
                # All words but the target: what is not there need not cancel, rounded or not.
                own_M1 = torch.where(inside_M1, chance_MW.gather(1, place_M1), 0.0)
                chance_MW.scatter_add_(1, place_M1, -own_M1)
                others_M1 = others_M1 * lower_M1 + chance_MW.sum(1, keepdim=True)
                with _rounded_factors(hidden_MD.device, how.mixed):
                    mean_MD.mul_(lower_M1).addmm_(chance_MW, weight_VD[words])
        norm_M1 = top_M1 + total_M1.log()
        entropy_M1 = None
        if how.entropy:
            entropy_M1 = total_M1.log() - weighted_M1 / total_M1
            ctx.mark_non_differentiable(entropy_M1)
        ctx.how = how
        if mean_MD is not None:
            pull_MD = weight_VD[target_M] * others_M1 - mean_MD
            ctx.save_for_backward(pull_MD / (total_M1 * how.temperature))
        else:
            ctx.save_for_backward(hidden_MD, weight_VD, bias_V, target_M, norm_M1)
        return said_M1 - norm_M1, entropy_M1

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        how: _How = ctx.how
        if how.pull:
            (pull_MD,) = ctx.saved_tensors
            return pull_MD * gradients[0], None, None, None, None
        hidden_MD, weight_VD, bias_V, target_M, norm_M1 = ctx.saved_tensors
        slope_M1 = gradients[0] / how.temperature
        wants = ctx.needs_input_grad
        to_hidden = torch.zeros_like(hidden_MD) if wants[0] else None
        to_weight = torch.empty_like(weight_VD) if wants[1] else None
        to_bias = torch.empty_like(bias_V) if wants[2] else None
        for words, logits_MW in _pieces(hidden_MD, weight_VD, bias_V, how):
            # d logp / d logits = onehot(target) - softmax
            change_MW = logits_MW.sub_(norm_M1).exp_().mul_(-slope_M1)
            place_M1, inside_M1 = _among(words, target_M, change_MW.shape[1])
            change_MW.scatter_add_(1, place_M1, slope_M1 * inside_M1)
            plain = torch.autocast(hidden_MD.device.type, enabled=False)
            with plain, _rounded_factors(hidden_MD.device, how.mixed):
                if to_hidden is not None:
                    to_hidden.addmm_(change_MW, weight_VD[words])
                if to_weight is not None:
                    to_weight[words] = change_MW.T @ hidden_MD
            if to_bias is not None:
                to_bias[words] = change_MW.sum(0)
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
) -> tuple[Tensor, Tensor | None]:
    """`(logp_M, entropy_M)` in nats, float32: of the target and of the whole distribution.

    The entropy is None unless asked for: it takes longer.

    `hidden_MD` are the rows that predict the targets, `weight_VD` the head's weights (float32 ones
    are not copied); the logits are divided by `temperature` first. `mixed` rounds the factors of
    the head's product (to bfloat16; TF32 on CUDA), never its result. The entropy carries no
    gradient. Raises DataError for a target that is no word.
    """
    if len(target_M) and not 0 <= int(target_M.min()) <= int(target_M.max()) < len(weight_VD):
        raise DataError(
            "a target is no word of the vocabulary",
            got=f"{int(target_M.min())} to {int(target_M.max())}, {len(weight_VD)} words",
        )
    hidden_MD, weight_VD = hidden_MD.float(), weight_VD.float()
    bias_V = None if bias_V is None else bias_V.float()
    trains = weight_VD.requires_grad or (bias_V is not None and bias_V.requires_grad)
    pull = torch.is_grad_enabled() and hidden_MD.requires_grad and not trains
    how = _How(temperature, mixed, entropy, pull)
    if not len(target_M):
        empty = hidden_MD.sum(-1)  # a loss of nothing still has a gradient: zero
        return empty, empty.detach() if entropy else None
    logp_M1, entropy_M1 = cast(
        tuple[Tensor, Tensor | None],
        _Head.apply(hidden_MD, weight_VD, bias_V, target_M, how),  # type: ignore[no-untyped-call]
    )
    return logp_M1[:, 0], None if entropy_M1 is None else entropy_M1[:, 0]
