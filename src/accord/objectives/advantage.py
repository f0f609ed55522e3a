"""Advantages: by how much a token or an answer did better than what was to be expected.

What was to be expected is said by a critic (`gae`), by the other answers to the same prompt
(`group_relative`, `dr_grpo`, `rloo`), by the whole batch (`reinforce_pp`) or by both
(`reinforce_baseline`).

Shape letters:  B = answers, T = slots of the longest answer, M = any flat selection of tokens,
P = prompts, K = answers a prompt.
Nothing here carries gradients: advantages and returns are constants of the losses that use them.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives.loss import same_shape

EPSILON = 1e-8
"""Added to the variance in `whiten` (Ziegler et al. 2019's code)."""
GROUP_EPSILON = 1e-4
"""Added to a group's standard deviation in `group_relative` (as in TRL, where it is 1e-4 too)."""


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


@torch.no_grad()
def group_relative(*, score_PK: Float[Tensor, "P K"]) -> Float[Tensor, "P K"]:
    """GRPO: how far an answer stands above its group, in the group's standard deviations.

    (score - mean) / (std + 1e-4) over the K answers of a prompt (Shao et al. 2024,
    arXiv:2402.03300, section 4.1.2), with the unbiased deviation (divided by K - 1): the paper does
    not say which. Every group with a spread pulls alike, an easy prompt with one failure as much
    as a hard one; a group without spread gets 0. There is no closed form of what this converges
    to. Raises ConfigError for groups of one.
    """
    _check_group(score_PK)
    centred_PK = score_PK - score_PK.mean(1, keepdim=True)
    return centred_PK / (score_PK.std(1, keepdim=True) + GROUP_EPSILON)


@torch.no_grad()
def dr_grpo(*, score_PK: Float[Tensor, "P K"]) -> Float[Tensor, "P K"]:
    """Dr. GRPO: score less the mean of its group (Liu et al. 2025, arXiv:2503.20783, section 3.2).

    Without the division by the deviation, a prompt counts by how much its answers differ. The mean
    holds the answer's own score: this is (K - 1) / K of `rloo`, the same direction.
    Raises ConfigError for groups of one.
    """
    _check_group(score_PK)
    return score_PK - score_PK.mean(1, keepdim=True)


@torch.no_grad()
def rloo(*, score_PK: Float[Tensor, "P K"]) -> Float[Tensor, "P K"]:
    """RLOO: score less the mean of the other answers to the prompt (Kool et al. 2019; Ahmadian et
    al. 2024, arXiv:2402.14740).

    The baseline does not depend on the answer that it is taken from, so that the gradient is
    unbiased. Raises ConfigError for groups of one.
    """
    _check_group(score_PK)
    others = score_PK.shape[1] - 1
    return score_PK - (score_PK.sum(1, keepdim=True) - score_PK) / others


@torch.no_grad()
def reinforce_pp(
    *, reward_BT: Float[Tensor, "B T"], mask_BT: Bool[Tensor, "B T"]
) -> Float[Tensor, "B T"]:
    """REINFORCE++: what is still to be earned from a token on, normalised over the whole batch (Hu
    2025, arXiv:2501.03262).

    G_t = r_t + r_t+1 + ... to the answer's end; A = (G - mean) / sqrt(variance + 1e-8) over all
    tokens of the batch that are not masked (`whiten`). No group, no critic: one answer a prompt is
    enough, and a prompt that is hard for every answer pushes all of them down.
    The score belongs in the last token's reward; what a masked slot holds influences nothing.
    Raises DataError where everything is masked, InvariantError for mixed shapes.
    """
    same_shape(reward=reward_BT, mask=mask_BT)
    held_BT = torch.where(mask_BT, reward_BT, 0.0)
    return _normalised(held_BT.flip(1).cumsum(1).flip(1), mask_BT)


@torch.no_grad()
def reinforce_baseline(
    *, reward_BT: Float[Tensor, "B T"], mask_BT: Bool[Tensor, "B T"], samples: int
) -> Float[Tensor, "B T"]:
    """REINFORCE++-baseline: what is still to be earned, less the group's mean, normalised over the
    whole batch (Hu 2025, arXiv:2501.03262, the variant for several answers a prompt).

    With G_t as in `reinforce_pp` and b the mean, over the `samples` answers to the prompt, of all
    that each of them earned: A = (G - b - mean) / sqrt(variance + 1e-8), mean and variance over all
    tokens of the batch that are not masked. The prompt's difficulty is taken away by its group, the
    scale by the batch: an almost decided prompt weighs little here, and as much as any in
    `group_relative`. `samples` answers to one prompt lie side by side.
    In the paper the only reward is the score at the last token, and G - b is the answer's lead;
    KL, if it is paid in the reward, is part of what an answer earned, as in the other group
    methods.
    Raises ConfigError for groups of one, DataError where everything is masked, InvariantError for
    mixed shapes or answers that are not whole groups.
    """
    same_shape(reward=reward_BT, mask=mask_BT)
    if len(reward_BT) % samples:
        raise InvariantError(
            "answers are not whole groups", got=f"{len(reward_BT)} answers, {samples} a prompt"
        )
    held_BT = torch.where(mask_BT, reward_BT, 0.0)
    earned_PK = held_BT.sum(1).view(-1, samples)
    _check_group(earned_PK)
    baseline_B = earned_PK.mean(1).repeat_interleave(samples)
    return _normalised(held_BT.flip(1).cumsum(1).flip(1) - baseline_B[:, None], mask_BT)


def _normalised(to_come_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Whitened over all tokens that are not masked; 0 in the others."""
    advantage_BT = torch.zeros_like(to_come_BT)
    advantage_BT[mask_BT] = whiten(to_come_BT[mask_BT])
    return advantage_BT


def _check_group(score_PK: Tensor) -> None:
    if score_PK.ndim != 2 or score_PK.shape[1] < 2:
        raise ConfigError(
            "a group needs at least two answers a prompt: they are compared with each other",
            got=f"scores of shape {tuple(score_PK.shape)}",
            do="set samples to 2 or more, or use reinforce or ppo",
        )
