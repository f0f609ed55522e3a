"""Reward models: learning a score from comparisons.

Shape letters:  B = pairs in this part of the batch.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from accord.objectives.loss import Loss, check_denominator, same_shape
from accord.objectives.pairs import better_side, lead_metrics


def bradley_terry(
    *,
    first_B: Float[Tensor, " B"],
    second_B: Float[Tensor, " B"],
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    margin_B: Float[Tensor, " B"],
    global_weight: float,
    global_clear: float,
) -> Loss:
    """Negative log-likelihood of the labels under Bradley-Terry, in nats a unit of weight.

    With p = P(first better), s = (first - second) - margin * sign(p - .5):
    L = sum weight * (-p log sigmoid(s) - (1 - p) log sigmoid(-s)) / global_weight,
    so dL/ds = weight * (sigmoid(s) - p). p = 1 without margin is eq. 1 of Ouyang et al. 2022
    (arXiv:2203.02155), with margin eq. 2 of Touvron et al. 2023 (arXiv:2307.09288).

    The margin (score units) asks more of the side that the label favours, by moving the point where
    the model and the label agree from logit(p) to logit(p) + margin; a tie (p = .5) has no favoured
    side and so no margin. A tie pulls the two scores together (this is not Rao-Kupper or Davidson:
    those model the tie as an outcome of its own).

    `global_weight` and `global_clear` are `pairs.totals` of the whole batch. Metrics: accuracy and
    mean lead of the favoured side in score units, before the margin, ties left out.
    Raises DataError for a batch without weight, InvariantError for mixed shapes.
    """
    same_shape(first=first_B, second=second_B, label=label_B, weight=weight_B, margin=margin_B)
    check_denominator("global_weight", global_weight)
    lead_B = first_B - second_B
    logit_B = lead_B - margin_B * better_side(label_B)
    loss_B = -label_B * F.logsigmoid(logit_B) - (1 - label_B) * F.logsigmoid(-logit_B)
    metrics = lead_metrics(
        lead_B=lead_B.detach(), label_B=label_B, weight_B=weight_B, global_clear=global_clear
    )
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)
