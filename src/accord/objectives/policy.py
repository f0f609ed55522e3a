"""Policy objectives of reinforcement learning.

Shape letters:  M = answer tokens of the local rows, pads already left out.
Log-probabilities are in nats, of the distribution that sampled.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape


def clipped(
    *,
    logp_M: Float[Tensor, " M"],
    old_logp_M: Float[Tensor, " M"],
    advantage_M: Float[Tensor, " M"],
    clip: float,
    global_tokens: int,
) -> Loss:
    """PPO's clipped surrogate (Schulman et al. 2017, arXiv:1707.06347, eq. 7), negated.

    With ratio = exp(logp - old_logp):
    L = sum max(-A * ratio, -A * clamp(ratio, 1 - clip, 1 + clip)) / global_tokens.

    Gradients flow through `logp_M` alone. The log-ratio is not clamped: one that overflows
    (above 88 in float32) makes the loss or its gradient non-finite, and the run stops there.
    Metrics: the loss, the share of tokens where the clipped term is the larger one, and half the
    mean squared log-ratio in nats (Ziegler et al. 2019), a second-order estimate of KL(old || new).
    Raises ConfigError for clip <= 0, DataError for a batch without tokens, InvariantError for mixed
    shapes or a local denominator.
    """
    same_shape(logp=logp_M, old_logp=old_logp_M, advantage=advantage_M)
    check_positive("clip", clip)
    check_denominator("global_tokens", global_tokens, least=logp_M.numel())
    old_logp_M, advantage_M = old_logp_M.detach(), advantage_M.detach()
    log_ratio_M = logp_M - old_logp_M
    ratio_M = log_ratio_M.exp()
    plain_M = -advantage_M * ratio_M
    held_M = -advantage_M * ratio_M.clamp(1 - clip, 1 + clip)
    value = torch.maximum(plain_M, held_M).sum() / global_tokens
    with torch.no_grad():
        metrics = {
            "policy/loss": value.detach(),
            "policy/clip_fraction": (held_M > plain_M).sum(dtype=value.dtype) / global_tokens,
            "policy/approx_kl": 0.5 * log_ratio_M.square().sum() / global_tokens,
        }
    return Loss(value, metrics)
