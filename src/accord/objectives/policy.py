"""Policy objectives of reinforcement learning.

A loss divides by the tokens of the whole batch. What kind of mean that is say the token weights,
whose mean over the batch is 1 where every token counts alike:

    token      1                                    every token alike (PPO)
    answer     global_tokens / (answers * length)   every answer alike (GRPO)
    constant   global_tokens / (answers * longest)  every token alike, whatever the lengths of the
                                                    batch's answers (Dr. GRPO)

`answer_weights` and `constant_weights` give the last two. `gspo`, whose ratio is one an answer, is
a mean over answers by itself.

Shape letters:  M = answer tokens of the local rows, pads already left out; B = answers.
Log-probabilities are in nats, of the distribution that sampled.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from accord.core.errors import ConfigError, InvariantError
from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape


def clipped(
    *,
    logp_M: Float[Tensor, " M"],
    old_logp_M: Float[Tensor, " M"],
    advantage_M: Float[Tensor, " M"],
    clip: float,
    global_tokens: int,
    weight_M: Float[Tensor, " M"] | None = None,
    clip_high: float | None = None,
    dual_clip: float | None = None,
) -> Loss:
    """PPO's clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, eq. 7), negated.

    With ratio = exp(logp - old_logp):
    L = sum weight * max(-A * ratio, -A * clamp(ratio, 1 - clip, 1 + clip_high)) / global_tokens.

    `clip_high` None is `clip`. One above it is DAPO's clip-higher (Yu et al. 2025,
    arXiv:2503.14476, section 3.1): a rare token may become likelier by more before it is held. The
    clip never holds a token of a bad answer that became likelier; with `dual_clip` c the term of a
    token with A < 0 is at most -c * A (Ye et al. 2020, arXiv:1912.09729, section "Dual-clip PPO").

    `weight_M` says what kind of mean this is and corrects for the sampler (`answer_weights`,
    `constant_weights`, `importance`); None weighs every token 1, which is the paper's mean.
    Gradients flow through `logp_M` alone. The log-ratio is not clamped: one that overflows
    (above 88 in float32) makes the loss or its gradient non-finite, and the run stops there.
    Metrics: the loss, the share of tokens where the clipped term is the larger one, half the mean
    squared log-ratio in nats (Ziegler et al. 2019), a second-order estimate of KL(old || new), and
    the share of tokens that `dual_clip` holds, where there is one; all but the loss are means over
    tokens whatever the weights.
    Raises ConfigError for a clip <= 0 or dual_clip <= 1, DataError for a batch without tokens,
    InvariantError for mixed shapes or a local denominator.
    """
    weight_M = torch.ones_like(logp_M) if weight_M is None else weight_M.detach()
    same_shape(logp=logp_M, old_logp=old_logp_M, advantage=advantage_M, weight=weight_M)
    check_denominator("global_tokens", global_tokens, least=logp_M.numel())
    log_ratio_M = logp_M - old_logp_M.detach()
    loss_M, held = _surrogate(log_ratio_M.exp(), advantage_M.detach(), clip, clip_high, dual_clip)
    value = (weight_M * loss_M).sum() / global_tokens
    with torch.no_grad():
        metrics = {
            "policy/loss": value.detach(),
            "policy/approx_kl": 0.5 * log_ratio_M.square().sum() / global_tokens,
        }
        for name, which_M in held.items():
            metrics[name] = which_M.sum(dtype=value.dtype) / global_tokens
    return Loss(value, metrics)


def gspo(
    *,
    logp_M: Float[Tensor, " M"],
    old_logp_M: Float[Tensor, " M"],
    advantage_B: Float[Tensor, " B"],
    length_B: Int[Tensor, " B"],
    clip: float,
    global_answers: int,
    global_tokens: int,
    clip_high: float | None = None,
    dual_clip: float | None = None,
) -> Loss:
    """GSPO: the clipped surrogate of one ratio an answer (Zheng et al. 2025, arXiv:2507.18071, eq.
    5 to 7), negated.

    With ratio = exp(mean over the answer's tokens of logp - old_logp):
    L = sum over answers of max(-A * ratio, -A * clamp(ratio, 1 - clip, 1 + clip_high))
        / global_answers.

    The ratio is what an answer is judged by as a whole, so that it is clipped as a whole: all its
    tokens keep their gradient or none does. A mean over tokens hardly leaves 1, and the clips are
    small with it: 3e-4 and 4e-4 in the paper. `length_B` has the tokens of each answer, in the
    order of `logp_M`; a whole answer is given at once. `clip_high` and `dual_clip` are those of
    `clipped`, and gradients flow as there. Metrics: the loss, the share of answers that a clip
    holds, and half the mean squared log-ratio of tokens in nats, a mean over `global_tokens`.
    Raises ConfigError for a clip <= 0 or dual_clip <= 1, DataError for a batch without answers or
    an empty answer, InvariantError for mixed shapes, lengths of other tokens or a local
    denominator.
    """
    same_shape(logp=logp_M, old_logp=old_logp_M)
    same_shape(advantage=advantage_B, length=length_B)
    check_denominator("global_answers", global_answers, least=length_B.numel())
    check_denominator("global_tokens", global_tokens, least=logp_M.numel())
    lengths: list[int] = length_B.tolist()
    check_denominator("the shortest answer's length", min(lengths, default=1))
    if sum(lengths) != logp_M.numel():
        raise InvariantError(
            "the answers' lengths are not those of their tokens",
            got=f"lengths of {sum(lengths)} tokens, {logp_M.numel()} log-probabilities",
        )
    log_ratio_M = logp_M - old_logp_M.detach()
    means = [part.mean() for part in log_ratio_M.split(lengths)] if lengths else []
    ratio_B = torch.stack(means).exp() if means else log_ratio_M
    loss_B, held = _surrogate(ratio_B, advantage_B.detach(), clip, clip_high, dual_clip)
    value = loss_B.sum() / global_answers
    with torch.no_grad():
        metrics = {
            "policy/loss": value.detach(),
            "policy/approx_kl": 0.5 * log_ratio_M.square().sum() / global_tokens,
        }
        for name, which_B in held.items():
            metrics[name] = which_B.sum(dtype=value.dtype) / global_answers
    return Loss(value, metrics)


def _surrogate(
    ratio: Tensor, advantage: Tensor, clip: float, clip_high: float | None, dual_clip: float | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """What PPO loses by each ratio, and which of them a clip holds."""
    check_positive("clip", clip)
    high = clip if clip_high is None else clip_high
    check_positive("clip_high", high)
    plain = -advantage * ratio
    clipped_to = -advantage * ratio.clamp(1 - clip, 1 + high)
    loss = torch.maximum(plain, clipped_to)
    held = {"policy/clip_fraction": clipped_to > plain}
    if dual_clip is not None:
        if not dual_clip > 1:
            raise ConfigError("dual_clip must be greater than 1", got=dual_clip, do="give 3")
        most = torch.where(advantage < 0, -dual_clip * advantage, torch.inf)
        held["policy/dual_clip_fraction"] = loss > most
        loss = torch.minimum(loss, most)
    return loss, held


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


def cispo(
    *,
    logp_M: Float[Tensor, " M"],
    old_logp_M: Float[Tensor, " M"],
    advantage_M: Float[Tensor, " M"],
    weight_M: Float[Tensor, " M"],
    bound: float,
    global_tokens: int,
) -> Loss:
    """CISPO: the score-function loss, each token weighed by its ratio (MiniMax 2025,
    arXiv:2506.13585, eq. 4 and 5).

    With ratio = exp(logp - old_logp), held fixed:
    L = -sum weight * min(ratio, bound) * A * logp / global_tokens.

    The ratio is a number that weighs, no path of the gradient: what `clipped` would hold (rare
    tokens on which an answer turns, once they have become likelier) goes on learning here. `bound`
    is the largest weight, of the order of 5, not a half width about 1; there is none from below, as
    in the paper. Its value means nothing. Gradients flow through `logp_M` alone. Metrics: the loss,
    the share of tokens whose ratio is above the bound, and half the mean squared log-ratio in nats
    as in `clipped`.
    Raises ConfigError for bound <= 1, which would weigh down tokens that did not move, DataError
    for a batch without tokens, InvariantError for mixed shapes or a local denominator.
    """
    same_shape(logp=logp_M, old_logp=old_logp_M, advantage=advantage_M, weight=weight_M)
    check_denominator("global_tokens", global_tokens, least=logp_M.numel())
    if not bound > 1:
        raise ConfigError(
            "ratio_bound must be greater than 1: it is the largest ratio, no half width about 1",
            got=bound,
            do="give 5",
        )
    log_ratio_M = (logp_M - old_logp_M).detach()
    ratio_M = log_ratio_M.exp()
    fixed_M = weight_M.detach() * ratio_M.clamp_max(bound) * advantage_M.detach()
    value = -(fixed_M * logp_M).sum() / global_tokens
    metrics = {
        "policy/loss": value.detach(),
        "policy/clip_fraction": (ratio_M > bound).sum(dtype=value.dtype) / global_tokens,
        "policy/approx_kl": 0.5 * log_ratio_M.square().sum() / global_tokens,
    }
    return Loss(value, metrics)


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
