"""The critic's objective.

Shape letters:  M = answer tokens of the local rows, pads already left out.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape


def clipped(
    *,
    value_M: Float[Tensor, " M"],
    old_value_M: Float[Tensor, " M"],
    return_M: Float[Tensor, " M"],
    clip: float,
    global_tokens: int,
) -> Loss:
    """PPO's clipped squared error, in score^2 a token (as in Ziegler et al. 2019's code).

    With held = clamp(value, old_value - clip, old_value + clip):
    L = sum 1/2 max((value - return)^2, (held - return)^2) / global_tokens.

    Gradients flow through `value_M` alone. The coefficient that weighs it against the policy's loss
    is the caller's. Metrics: the loss, and the share of tokens where the held term is the larger
    one.
    Raises ConfigError for clip <= 0, DataError for a batch without tokens, InvariantError for mixed
    shapes or a local denominator.
    """
    same_shape(value=value_M, old_value=old_value_M, returns=return_M)
    check_positive("clip", clip)
    check_denominator("global_tokens", global_tokens, least=value_M.numel())
    old_value_M, return_M = old_value_M.detach(), return_M.detach()
    held_M = old_value_M + (value_M - old_value_M).clamp(-clip, clip)
    plain_error_M = (value_M - return_M).square()
    held_error_M = (held_M - return_M).square()
    value = 0.5 * torch.maximum(plain_error_M, held_error_M).sum() / global_tokens
    with torch.no_grad():
        metrics = {
            "value/loss": value.detach(),
            "value/clip_fraction": (held_error_M > plain_error_M).sum(dtype=value.dtype)
            / global_tokens,
        }
    return Loss(value, metrics)
