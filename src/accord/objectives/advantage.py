"""Advantages: by how much each token did better than the critic expected.

Shape letters:  B = answers, T = slots of the longest answer, M = any flat selection of tokens.
Nothing here carries gradients: advantages and returns are constants of the losses that use them.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from accord.core.errors import ConfigError, DataError
from accord.objectives.loss import same_shape

EPSILON = 1e-8
"""Added to the variance in `whiten` (Ziegler et al. 2019's code)."""


@torch.no_grad()
def gae(
    *,
    reward_BT: Float[Tensor, "B T"],
    value_BT: Float[Tensor, "B T"],
    mask_BT: Bool[Tensor, "B T"],
    gamma: float,
    lam: float,
) -> tuple[Float[Tensor, "B T"], Float[Tensor, "B T"]]:
    """Generalised advantage estimation (Schulman et al. 2016, arXiv:1506.02438, eq. 16).

    Returns (advantage, return), both in score and 0 in masked slots, return = advantage + value:
    delta_t = r_t + gamma V_t+1 - V_t;  A_t = delta_t + gamma lam A_t+1.

    T actions have T values: V_t is the value before token t, and the value after the last token is
    0. The score belongs in the last token's reward. (The code of Huang et al. 2024 keeps one slot
    more and puts the score there; mixing the two would let an untrained value into the advantages.)
    Masked slots, wherever they lie, are stepped over: "t + 1" is the next slot that is not masked,
    and what a masked slot holds (NaN too) influences nothing.
    Raises ConfigError unless gamma and lam lie in [0, 1], InvariantError for mixed shapes.
    """
    same_shape(reward=reward_BT, value=value_BT, mask=mask_BT)
    for name, setting in (("gamma", gamma), ("lam", lam)):
        if not 0 <= setting <= 1:
            raise ConfigError(f"{name} must lie in [0, 1]", got=setting)
    value_BT = torch.where(mask_BT, value_BT, 0.0)
    advantage_BT = torch.zeros_like(value_BT)
    next_value_B = torch.zeros_like(value_BT[:, 0])
    next_advantage_B = torch.zeros_like(next_value_B)
    for t in reversed(range(value_BT.shape[1])):
        mask_B, value_B = mask_BT[:, t], value_BT[:, t]
        delta_B = reward_BT[:, t] + gamma * next_value_B - value_B
        advantage_B = delta_B + gamma * lam * next_advantage_B
        next_value_B = torch.where(mask_B, value_B, next_value_B)
        next_advantage_B = torch.where(mask_B, advantage_B, next_advantage_B)
        advantage_BT[:, t] = torch.where(mask_B, advantage_B, 0.0)
    return advantage_BT, advantage_BT + value_BT


@torch.no_grad()
def whiten(x_M: Float[Tensor, " M"], *, shift_mean: bool = True) -> Float[Tensor, " M"]:
    """`x_M` scaled to variance 1 and, with `shift_mean`, shifted to mean 0.

    (x - mean) / sqrt(variance + 1e-8), with the population variance (divided by M, not M - 1), as
    in Ziegler et al. 2019 and Huang et al. 2024. Without `shift_mean` the mean is added back.
    Give it the tokens of the whole minibatch at once: whitening parts changes what they weigh
    against each other. Equal values become 0 (or stay what they are without `shift_mean`).
    Raises DataError for an empty vector.
    """
    if x_M.numel() == 0:
        raise DataError("nothing to whiten: the minibatch has no answer token")
    mean = x_M.mean()
    scaled_M = (x_M - mean) * torch.rsqrt(x_M.var(correction=0) + EPSILON)
    return scaled_M if shift_mean else scaled_M + mean
