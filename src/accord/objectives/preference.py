"""Direct alignment: learning a policy from comparisons without a reward model.

Shape letters:  B = pairs in this part of the batch.
Log-probabilities are in nats, summed over the answer's tokens, the stop token included.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape
from accord.objectives.pairs import clear_mean, lead_metrics


def dpo(
    *,
    first_B: Float[Tensor, " B"],
    second_B: Float[Tensor, " B"],
    ref_first_B: Float[Tensor, " B"],
    ref_second_B: Float[Tensor, " B"],
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    beta: float,
    global_weight: float,
    global_clear: float,
) -> Loss:
    """Direct Preference Optimization (Rafailov et al. 2023, arXiv:2305.18290, eq. 7).

    With p = P(first better), h = (first - ref_first) - (second - ref_second):
    L = sum weight * (-p log sigmoid(beta h) - (1 - p) log sigmoid(-beta h)) / global_weight.
    p = 1 is the paper's loss, p = 1 - e is cDPO with label smoothing e, p = .5 a tie.
    Where the policy is the reference, L = log 2 and dL/dh = -beta (p - 1/2).

    `global_weight` and `global_clear` are `pairs.totals` of the whole batch. Metrics: accuracy and
    mean lead of the better answer in implicit reward (beta h), and the mean drift of the better and
    the worse answer's log-probability from the reference, in nats; ties left out of all four.
    Raises ConfigError for beta <= 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    same_shape(
        first=first_B,
        second=second_B,
        ref_first=ref_first_B,
        ref_second=ref_second_B,
        label=label_B,
        weight=weight_B,
    )
    check_positive("beta", beta)
    check_denominator("global_weight", global_weight)
    drift_first_B, drift_second_B = first_B - ref_first_B, second_B - ref_second_B
    logit_B = beta * (drift_first_B - drift_second_B)
    loss_B = -label_B * F.logsigmoid(logit_B) - (1 - label_B) * F.logsigmoid(-logit_B)
    metrics = lead_metrics(
        lead_B=logit_B.detach(), label_B=label_B, weight_B=weight_B, global_clear=global_clear
    )
    metrics |= _drift_metrics(
        drift_first_B=drift_first_B,
        drift_second_B=drift_second_B,
        label_B=label_B,
        weight_B=weight_B,
        global_clear=global_clear,
    )
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


@torch.no_grad()
def _drift_metrics(
    *,
    drift_first_B: Float[Tensor, " B"],
    drift_second_B: Float[Tensor, " B"],
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    global_clear: float,
) -> dict[str, Tensor]:
    if global_clear == 0:
        return {}
    first_better_B = label_B > 0.5
    drifts = {
        "dpo/chosen_drift": torch.where(first_better_B, drift_first_B, drift_second_B),
        "dpo/rejected_drift": torch.where(first_better_B, drift_second_B, drift_first_B),
    }
    return {
        name: clear_mean(drift_B, label_B=label_B, weight_B=weight_B, global_clear=global_clear)
        for name, drift_B in drifts.items()
    }
