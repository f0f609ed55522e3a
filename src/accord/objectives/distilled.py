"""Direct alignment by distillation: the implicit reward learns to be an explicit one.

Shape letters:  B = pairs in this part of the batch; K = explicit reward models (heads).
Log-probabilities are in nats, summed over the answer's tokens, the stop token included.
"""

from __future__ import annotations

from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor

from accord.core.errors import ConfigError
from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape
from accord.objectives.pairs import Pairs, better_side, clear_mean, figures


def distilled(
    *,
    gap_B: Float[Tensor, " B"],
    beta: float,
    pessimism: float,
    global_weight: float,
    global_clear: float,
    **pairs: Unpack[Pairs],
) -> Loss:
    """Reward-model distillation (Fisch et al. 2024, arXiv:2405.19316).

    With d = logp - ref_logp of an answer, h = d(first) - d(second), and gap the explicit reward of
    the first answer less that of the second:
    L = sum weight * ((beta h - gap)^2 - pessimism * (d(first) + d(second)) / 2) / global_weight.
    Its first part is 0 for a policy pi_ref exp(reward / beta) / Z, and its gradient to h is
    2 beta (beta h - gap): the lead is bounded by the reward's, unlike DPO's.

    The second part is KL(reference || policy) up to a constant, in nats, with the answers of the
    data in the place of the reference's samples: of the policies that agree with a reward model, it
    prefers the one nearest to the reference. The pessimistic form of the paper is this loss with
    `pessimism` above 0, for the one of several reward models (`member`) for which it is least.

    The label decides nothing here but what is called better in the metrics, and ties are pairs like
    any other: the explicit reward already holds what the raters said. Margins have no place in it.
    `global_weight` and `global_clear` are `pairs.totals` of the whole batch. Metrics: those of
    `preference`, and the mean explicit lead of the better answer, which the margin should come to.
    Raises ConfigError for beta <= 0 or pessimism < 0, DataError for a batch without weight,
    InvariantError for mixed shapes.
    """
    same_shape(**pairs, gap=gap_B)
    check_positive("beta", beta)
    if not pessimism >= 0:
        raise ConfigError("pessimism must be at least 0", got=pessimism)
    check_denominator("global_weight", global_weight)
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    gap_B = gap_B.detach()
    first_B = pairs["first_B"] - pairs["ref_first_B"]
    second_B = pairs["second_B"] - pairs["ref_second_B"]
    loss_B = (beta * (first_B - second_B) - gap_B).square()
    if pessimism > 0:
        loss_B = loss_B - pessimism * (first_B + second_B) / 2
    metrics = figures(pairs, beta=beta, global_clear=global_clear)
    if global_clear > 0:
        metrics["preference/reward_margin"] = clear_mean(
            better_side(label_B) * gap_B,
            label_B=label_B,
            weight_B=weight_B,
            global_clear=global_clear,
        )
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


@torch.no_grad()
def member(
    *,
    lead_B: Float[Tensor, " B"],
    gap_BK: Float[Tensor, "B K"],
    weight_B: Float[Tensor, " B"],
    beta: float,
) -> int:
    """Which reward model's gaps the policy is nearest to, over a whole batch.

    argmin over k of sum weight * (beta h - gap_k)^2: the member that attains the least in
    min over k of `distilled`, as the other part of that loss is the same for all. One member is
    taken for the batch, not one a pair: the least is of the mean, as in the paper.
    `lead_B` is h in nats. Of equal ones the first.
    """
    error_BK = (beta * lead_B[:, None] - gap_BK).double().square()
    return int((weight_B[:, None].double() * error_BK).sum(0).argmin())
