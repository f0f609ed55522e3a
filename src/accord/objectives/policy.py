"""Policy objectives of reinforcement learning.

A loss divides by the tokens of the whole batch. What kind of mean that is say the token weights,
whose mean over the batch is 1 where every token counts alike:

    token      1                                    every token alike (PPO)
    answer     global_tokens / (answers * length)   every answer alike (GRPO)
    constant   global_tokens / (answers * longest)  every token alike, whatever the lengths of the
                                                    batch's answers (Dr. GRPO)

`answer_weights` and `constant_weights` give the last two.

Shape letters:  M = answer tokens of the local rows, pads already left out; B = answers.
Log-probabilities are in nats, of the distribution that sampled.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape


def clipped(
    *,
    logp_M: Float[Tensor, " M"],
    old_logp_M: Float[Tensor, " M"],
    advantage_M: Float[Tensor, " M"],
    clip: float,
    global_tokens: int,
    weight_M: Float[Tensor, " M"] | None = None,
) -> Loss:
    """PPO's clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, eq. 7), negated.

    With ratio = exp(logp - old_logp):
    L = sum weight * max(-A * ratio, -A * clamp(ratio, 1 - clip, 1 + clip)) / global_tokens.

    `weight_M` says what kind of mean this is and corrects for the sampler (`answer_weights`,
    `constant_weights`, `importance`); None weighs every token 1, which is the paper's mean.
    Gradients flow through `logp_M` alone. The log-ratio is not clamped: one that overflows
    (above 88 in float32) makes the loss or its gradient non-finite, and the run stops there.
    Metrics: the loss, the share of tokens where the clipped term is the larger one, and half the
    mean squared log-ratio in nats (Ziegler et al. 2019), a second-order estimate of KL(old || new);
    the last two are means over tokens whatever the weights.
    Raises ConfigError for clip <= 0, DataError for a batch without tokens, InvariantError for mixed
    shapes or a local denominator.
    """
    weight_M = torch.ones_like(logp_M) if weight_M is None else weight_M.detach()
    same_shape(logp=logp_M, old_logp=old_logp_M, advantage=advantage_M, weight=weight_M)
    check_positive("clip", clip)
    check_denominator("global_tokens", global_tokens, least=logp_M.numel())
    old_logp_M, advantage_M = old_logp_M.detach(), advantage_M.detach()
    log_ratio_M = logp_M - old_logp_M
    ratio_M = log_ratio_M.exp()
    plain_M = -advantage_M * ratio_M
    held_M = -advantage_M * ratio_M.clamp(1 - clip, 1 + clip)
    value = (weight_M * torch.maximum(plain_M, held_M)).sum() / global_tokens
    with torch.no_grad():
        metrics = {
            "policy/loss": value.detach(),
            "policy/clip_fraction": (held_M > plain_M).sum(dtype=value.dtype) / global_tokens,
            "policy/approx_kl": 0.5 * log_ratio_M.square().sum() / global_tokens,
        }
    return Loss(value, metrics)


def reinforce(
    *,
    logp_M: Float[Tensor, " M"],
    old_logp_M: Float[Tensor, " M"],
    advantage_M: Float[Tensor, " M"],
    weight_M: Float[Tensor, " M"],
    global_tokens: int,
) -> Loss:
    """The score-function loss (REINFORCE, Williams 1992).

    L = -sum weight * A * logp / global_tokens.

    Its value means nothing, its gradient is that of the expected reward as long as the tokens are
    those of the policy that is trained: take one step a batch. At ratio 1 it is the gradient of
    `clipped`. Gradients flow through `logp_M` alone; `old_logp_M` is what the policy that sampled
    said of them, looked at and not used. Metrics: the loss, and half the mean squared log-ratio in
    nats as in `clipped`, which is 0 as long as the loss holds.
    Raises DataError for a batch without tokens, InvariantError for mixed shapes or a local
    denominator.
    """
    same_shape(logp=logp_M, old_logp=old_logp_M, advantage=advantage_M, weight=weight_M)
    check_denominator("global_tokens", global_tokens, least=logp_M.numel())
    value = -(weight_M.detach() * advantage_M.detach() * logp_M).sum() / global_tokens
    with torch.no_grad():
        moved = 0.5 * (logp_M - old_logp_M).square().sum() / global_tokens
    return Loss(value, {"policy/loss": value.detach(), "policy/approx_kl": moved})


@torch.no_grad()
def answer_weights(
    *, length_B: Int[Tensor, " B"], global_answers: int, global_tokens: int
) -> Float[Tensor, " M"]:
    """Token weights that make a loss the mean over answers of the mean over their tokens.

    global_tokens / (global_answers * length): GRPO's denominators (Shao et al. 2024,
    arXiv:2402.03300, eq. 3). A token of a long answer then counts less than one of a short answer,
    so that long bad answers are punished less a token. Raises DataError for an empty answer.
    """
    check_denominator("the shortest answer's length", int(length_B.min()))
    each_B = global_tokens / (global_answers * length_B.float())
    return each_B.repeat_interleave(length_B)


@torch.no_grad()
def constant_weights(
    *, length_B: Int[Tensor, " B"], global_answers: int, global_tokens: int, longest: int
) -> Float[Tensor, " M"]:
    """Token weights that make a loss a sum over tokens divided by a constant.

    global_tokens / (global_answers * longest), with `longest` the most tokens that an answer may
    have: Dr. GRPO's denominators (Liu et al. 2025, arXiv:2503.20783, section 3.2). Up to the factor
    1 / longest this is RLOO's and REINFORCE's mean over answers of the sum over their tokens.
    Raises DataError for an empty answer.
    """
    check_denominator("the shortest answer's length", int(length_B.min()))
    check_denominator("longest", longest, least=int(length_B.max()))
    weight = global_tokens / (global_answers * longest)
    return torch.full((int(length_B.sum()),), weight, device=length_B.device)


class Importance(NamedTuple):
    """What one token's loss is multiplied by where another program sampled it."""

    weight_M: Tensor
    metrics: dict[str, Tensor]
    """Of the ratios before they were cut: the largest, the mean, and the share that was cut."""


@torch.no_grad()
def importance(
    *, logp_M: Float[Tensor, " M"], sampled_logp_M: Float[Tensor, " M"], cap: float
) -> Importance:
    """Truncated importance weights (Ionides 2008) of tokens that the sampler drew.

    min(exp(logp - sampled_logp), cap): `logp_M` is what the trainer says of a token before any
    update, `sampled_logp_M` what the sampler said when it drew it. Both are the same policy; other
    kernels or numbers make them differ, and the gradient biased. The cap bounds the variance and
    leaves some bias. Give it the whole batch at once: its metrics are not shares of a batch's.
    Raises ConfigError for cap <= 0, DataError for no token, InvariantError for mixed shapes.
    """
    same_shape(logp=logp_M, sampled_logp=sampled_logp_M)
    check_positive("correction", cap)
    check_denominator("tokens to weigh", logp_M.numel())
    ratio_M = (logp_M - sampled_logp_M).exp()
    metrics = {
        "importance/max": ratio_M.max(),
        "importance/mean": ratio_M.mean(),
        "importance/truncated": (ratio_M > cap).to(ratio_M).mean(),
    }
    return Importance(ratio_M.clamp_max(cap), metrics)
