"""Drawing a token from logits, with its exact log-probability under the distribution it came from.

Shape letters: R = rows; V = vocabulary; C = blocks of the vocabulary.

Sampling is by inverse distribution function over blocks of the vocabulary: one uniform number a
token, given by the caller, so that a row's answer does not depend on the rows beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from accord.core.errors import DivergenceError
from accord.core.types import SamplingSettings

BLOCK = 256
"""Vocabulary entries whose probability is first summed: one short search finds the block, another
the token."""


def uniforms(rows: int, tokens: int, seed: int) -> Tensor:
    """`[rows, tokens]` numbers in [0, 1), float64: the whole randomness of a call."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(rows, tokens, generator=generator, dtype=torch.float64)


def truncated(logits_RV: Tensor, settings: SamplingSettings) -> Tensor:
    """Logits over temperature, with tokens outside top-k and top-p at minus infinity.

    Top-p keeps the smallest set whose probability reaches it (Holtzman et al. 2020), after top-k.
    """
    logits_RV = logits_RV / settings.temperature
    if settings.top_k:
        least_R1 = logits_RV.topk(min(settings.top_k, logits_RV.shape[-1])).values[:, -1:]
        logits_RV = logits_RV.masked_fill(logits_RV < least_R1, float("-inf"))
    if settings.top_p < 1:
        sorted_RV, order_RV = logits_RV.sort(descending=True)
        before_RV = sorted_RV.softmax(-1).cumsum(-1) - sorted_RV.softmax(-1)
        sorted_RV = sorted_RV.masked_fill(before_RV >= settings.top_p, float("-inf"))
        logits_RV = torch.full_like(logits_RV, float("-inf")).scatter(-1, order_RV, sorted_RV)
    return logits_RV


def draw(logits_RV: Tensor, uniform_R: Tensor) -> tuple[Tensor, Tensor]:
    """`(token_R, logp_R)`: one token a row from softmax(logits), and its log-probability."""
    top_R1 = logits_RV.amax(-1, keepdim=True)
    weight_RV = (logits_RV - top_R1).exp_()
    if weight_RV.shape[-1] % BLOCK:
        weight_RV = F.pad(weight_RV, (0, -weight_RV.shape[-1] % BLOCK))
    blocks_RCV = weight_RV.view(len(weight_RV), -1, BLOCK)
    upto_RC = blocks_RCV.sum(-1).double().cumsum(-1)
    total_R1 = upto_RC[:, -1:]
    goal_R1 = uniform_R[:, None].to(upto_RC) * total_R1
    block_R1 = torch.searchsorted(upto_RC, goal_R1, right=True)
    below_R1 = upto_RC.gather(-1, (block_R1 - 1).clamp_min(0)) * (block_R1 > 0)
    rows_R = torch.arange(len(weight_RV), device=weight_RV.device)
    inside_RV = blocks_RCV[rows_R, block_R1[:, 0]].double().cumsum(-1)
    # Block sums and running sums round apart: hold the goal inside the block, so that a token of
    # probability 0 is never drawn.
    goal_R1 = torch.minimum(goal_R1 - below_R1, inside_RV[:, -1:] * (1 - 1e-12)).clamp_min(0)
    offset_R1 = torch.searchsorted(inside_RV, goal_R1, right=True)
    token_R = (block_R1 * BLOCK + offset_R1)[:, 0]
    chosen_R = logits_RV.gather(-1, token_R[:, None])[:, 0]
    return token_R, chosen_R - top_R1[:, 0] - total_R1[:, 0].log().float()


def next_token(
    logits_RV: Tensor, uniform_R: Tensor, settings: SamplingSettings
) -> tuple[Tensor, Tensor]:
    """`(token_R, logp_R)` under `settings`. Temperature 0 takes the likeliest token.

    Raises DivergenceError where a row's logits are no numbers.
    """
    if not logits_RV.amax(-1).isfinite().all():
        raise DivergenceError(
            "the model's logits are not finite: it cannot be sampled",
            do="go back to weights from before the divergence, and lower the learning rate",
        )
    if settings.temperature == 0:
        token_R = logits_RV.argmax(-1)
        return token_R, torch.zeros_like(token_R, dtype=torch.float32)
    return draw(truncated(logits_RV.float(), settings), uniform_R)
