"""Direct alignment on single answers that were called good or bad.

Shape letters:  B = answers in this part of the batch.
Log-probabilities are in nats, summed over the answer's tokens, the stop token included.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from accord.core.errors import InvariantError
from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape
from accord.objectives.pairs import Sides


def kto(
    *,
    logp_B: Float[Tensor, " B"],
    ref_logp_B: Float[Tensor, " B"],
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    z0: float,
    beta: float,
    desirable: float,
    undesirable: float,
    global_weight: float,
    global_desirable: float,
    global_undesirable: float,
) -> Loss:
    """Kahneman-Tversky optimisation (Ethayarajh et al. 2024, arXiv:2402.01306, eq. 7).

    With p = P(desirable) and r = logp - ref_logp:
    L = sum weight * (p desirable (1 - sigmoid(beta (r - z0)))
        + (1 - p) undesirable (1 - sigmoid(beta (z0 - r)))) / global_weight.
    p = 1 and p = 0 are the paper's two cases. In between it is the expectation over the label; at
    p = .5 and equal weights both parts cancel, so that an answer of which nothing is known teaches
    nothing.

    `z0` is `reference_point` of the whole batch, a constant: no gradient flows into it. The three
    denominators are `sides` of the whole batch. Metrics: mean implicit reward (beta r) of desirable
    answers less that of undesirable ones, and the mean drift r of either, in nats; what a batch has
    none of is left out.
    Raises ConfigError for beta <= 0 or a weight <= 0, DataError for a batch without weight,
    InvariantError for mixed shapes or a z0 below 0.
    """
    same_shape(logp=logp_B, ref_logp=ref_logp_B, label=label_B, weight=weight_B)
    for name, setting in (("beta", beta), ("desirable", desirable), ("undesirable", undesirable)):
        check_positive(name, setting)
    check_denominator("global_weight", global_weight)
    if not z0 >= 0:
        raise InvariantError("KTO's reference point is a KL, and not below 0", got=z0)
    drift_B = logp_B - ref_logp_B
    good_B = torch.sigmoid(-beta * (drift_B - z0))
    bad_B = torch.sigmoid(-beta * (z0 - drift_B))
    loss_B = label_B * desirable * good_B + (1 - label_B) * undesirable * bad_B
    metrics = _figures(
        drift_B=drift_B.detach(),
        label_B=label_B,
        weight_B=weight_B,
        beta=beta,
        totals=Sides(global_weight, global_desirable, global_undesirable),
    )
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


@torch.no_grad()
def reference_point(*, logp_B: Float[Tensor, " B"], ref_logp_B: Float[Tensor, " B"]) -> float:
    """z0 = max(0, mean(logp - ref_logp)) over mismatched answers of a whole batch, in nats.

    Each is an answer to another prompt of the batch: a rough and cheap estimate of
    KL(policy || reference) (Ethayarajh et al. 2024). It is one number for the batch:
    that of a micro-batch would be another one. 0 where there is no mismatched answer.
    """
    same_shape(logp=logp_B, ref_logp=ref_logp_B)
    drift = (logp_B - ref_logp_B).double().tolist()
    return max(0.0, math.fsum(drift) / len(drift)) if drift else 0.0


def _figures(
    *,
    drift_B: Float[Tensor, " B"],
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    beta: float,
    totals: Sides,
) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    if totals.desirable > 0:
        good = (weight_B * label_B * drift_B).sum() / totals.desirable
        found["preference/chosen_drift"] = good
    if totals.undesirable > 0:
        bad = (weight_B * (1 - label_B) * drift_B).sum() / totals.undesirable
        found["preference/rejected_drift"] = bad
    if totals.desirable > 0 and totals.undesirable > 0:
        found["preference/margin"] = beta * (good - bad)
    return found
