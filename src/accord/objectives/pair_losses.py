"""Direct alignment on pairs by other losses than DPO's: what is asked of two answers' rewards.

Shape letters:  B = pairs in this part of the batch.
Log-probabilities are in nats, summed over the answer's tokens, the stop token included.
In all of them p = P(first better) is a pair's label, .5 a tie; d(y) = logp(y) - ref_logp(y) is an
answer's log-ratio, r(y) = beta d(y) its implicit reward and h = d(first) - d(second) the lead.
`global_weight` and `global_clear` are `pairs.totals` of the whole batch; metrics are those of
`preference`, of beta h whatever the loss asks for.

`hinge` and `exo` look at the lead alone, as DPO does. In the others each answer's reward has a
place of its own, so that they say what becomes of the better answer, and not of the lead alone.
"""

from __future__ import annotations

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from accord.core.errors import ConfigError, InvariantError
from accord.objectives.loss import (
    Loss,
    check_denominator,
    check_positive,
    check_smoothing,
    same_shape,
)
from accord.objectives.pairs import Pairs, better_side, drift, figures


def hinge(
    *,
    beta: float,
    global_weight: float,
    global_clear: float,
    margin_B: Float[Tensor, " B"] | None = None,
    **pairs: Unpack[Pairs],
) -> Loss:
    """Hinge on the lead (Zhao et al. 2023, arXiv:2305.10425; on log-ratios as in Liu et al. 2023,
    RSO, arXiv:2309.06657).

    With s = beta h - margin * sign(p - .5):
    L = sum weight * (p max(0, 1 - s) + (1 - p) max(0, 1 + s)) / global_weight.
    p = 1 without margin is the paper's loss. Where the policy is the reference, and without margin,
    it is 1. It is 0, and teaches nothing more, once the better answer leads by 1/beta nats and the
    margin; a tie is least wherever -1 <= s <= 1. `margin_B` is as in `preference.dpo`.
    Raises ConfigError for beta <= 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    margin_B = torch.zeros_like(pairs["weight_B"]) if margin_B is None else margin_B
    same_shape(**pairs, margin=margin_B)
    first_B, second_B = _rewards(pairs, beta=beta, global_weight=global_weight)
    lead_B = first_B - second_B - margin_B * better_side(pairs["label_B"])
    total = _expected(pairs, F.relu(1 - lead_B), F.relu(1 + lead_B))
    return Loss(total / global_weight, figures(pairs, beta=beta, global_clear=global_clear))


def exo(
    *,
    beta: float,
    smoothing: float,
    global_weight: float,
    global_clear: float,
    **pairs: Unpack[Pairs],
) -> Loss:
    """Efficient exact optimisation on pairs (Ji et al. 2024, arXiv:2402.00856, eq. 16).

    With e = smoothing, q = sigmoid(beta h) and the smoothed label t = (1 - e) p + e (1 - p):
    L = sum weight * (q log(q / t) + (1 - q) log((1 - q) / (1 - t))) / global_weight,
    which is KL(q || t), the reverse of DPO's KL(t || q) + const. p = 1 is the paper's loss of a
    clear label; in between t is the label itself, smoothed, and the loss 0 where q = t (an
    expectation over the label would have its least elsewhere). So with exact soft labels on all
    pairs of answers the least is that of DPO; where no policy can have it, this loss gives up what
    is improbable, and DPO's spreads out.

    Where the policy is the reference and labels are clear it is -log 2 - (log e + log(1 - e)) / 2.
    It flattens out at both ends: a pair that is far on the wrong side pulls little.
    Raises ConfigError for beta <= 0 or unless 0 < smoothing < .5 (a clear label would make it
    infinite), DataError for a batch without weight, InvariantError for mixed shapes.
    """
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    check_smoothing(smoothing)
    if smoothing == 0:
        raise ConfigError(
            "EXO's smoothing must be above 0: the logarithm of a clear label is infinite",
            got=smoothing,
            do="give a number such as 0.001",
        )
    first_B, second_B = _rewards(pairs, beta=beta, global_weight=global_weight)
    lead_B = first_B - second_B
    first_wins_B = (1 - smoothing) * label_B + smoothing * (1 - label_B)
    second_wins_B = (1 - smoothing) * (1 - label_B) + smoothing * label_B
    loss_B = torch.sigmoid(lead_B) * (F.logsigmoid(lead_B) - first_wins_B.log())
    loss_B = loss_B + torch.sigmoid(-lead_B) * (F.logsigmoid(-lead_B) - second_wins_B.log())
    metrics = figures(pairs, beta=beta, global_clear=global_clear)
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


def nca(*, beta: float, global_weight: float, global_clear: float, **pairs: Unpack[Pairs]) -> Loss:
    """Noise contrastive alignment of two answers (Chen et al. 2024, arXiv:2402.05369).

    L = sum weight * (-p log sigmoid(r(first)) - (1 - p) log sigmoid(r(second))
        - (log sigmoid(-r(first)) + log sigmoid(-r(second))) / 2) / global_weight.
    Each answer is told from noise of the reference on its own. With p and 1 - p as the weights that
    the paper makes of two explicit rewards this is its loss of soft labels, and p = 1 that of
    preferences. Where the policy is the reference it is 2 log 2. The least is at r(first) =
    log(2p), r(second) = log(2 - 2p): a clear winner comes to rest log(2)/beta nats above the
    reference and does not fall below, a clear loser falls without end, a tie stays where it was.
    Raises ConfigError for beta <= 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    first_B, second_B = _rewards(pairs, beta=beta, global_weight=global_weight)
    noise_B = -(F.logsigmoid(-first_B) + F.logsigmoid(-second_B)) / 2
    total = _expected(pairs, noise_B - F.logsigmoid(first_B), noise_B - F.logsigmoid(second_B))
    return Loss(total / global_weight, figures(pairs, beta=beta, global_clear=global_clear))


def bco(
    *,
    beta: float,
    shift: float,
    global_weight: float,
    global_clear: float,
    **pairs: Unpack[Pairs],
) -> Loss:
    """Binary classifier optimisation (Jung et al. 2024, arXiv:2404.04656), on both sides of pairs.

    With g(y) = r(y) - shift:
    L = sum weight * (p (-log sigmoid(g(first)) - log sigmoid(-g(second)))
        + (1 - p) (-log sigmoid(g(second)) - log sigmoid(-g(first)))) / global_weight.
    p = 1 is the paper's loss: the better answer is told from the worse one by a classifier whose
    logit is g. `shift` is the mean reward of good and bad answers (`centre`), a constant: no
    gradient flows into it. Without it the loss would hold each answer to the reference itself.
    Where the policy is the reference, and shift = 0, it is 2 log 2. The least is at g(first) =
    log(p / (1 - p)) = -g(second): without end for a clear label.
    Raises ConfigError for beta <= 0, DataError for a batch without weight, InvariantError for mixed
    shapes or a shift that is not finite.
    """
    if not math.isfinite(shift):
        raise InvariantError("BCO's shift is a mean of rewards, and finite", got=shift)
    first_B, second_B = _rewards(pairs, beta=beta, global_weight=global_weight)
    first_B, second_B = first_B - shift, second_B - shift
    total = _expected(
        pairs,
        -F.logsigmoid(first_B) - F.logsigmoid(-second_B),
        -F.logsigmoid(second_B) - F.logsigmoid(-first_B),
    )
    return Loss(total / global_weight, figures(pairs, beta=beta, global_clear=global_clear))


@torch.no_grad()
def centre(
    *,
    first_B: Float[Tensor, " B"],
    second_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
) -> float:
    """Weighted mean of what both sides of a batch's pairs have, whatever the labels: for BCO's
    shift, of implicit rewards. 0 where nothing weighs anything."""
    same_shape(first=first_B, second=second_B, weight=weight_B)
    weight = weight_B.double()
    total = math.fsum(weight.tolist())
    both = (weight * (first_B.double() + second_B.double()) / 2).tolist()
    return math.fsum(both) / total if total > 0 else 0.0


def sppo(*, beta: float, global_weight: float, global_clear: float, **pairs: Unpack[Pairs]) -> Loss:
    """Self-play preference optimisation (Wu et al. 2024, arXiv:2405.00675, eq. 4.7), on pairs.

    L = sum weight * ((d(first) - (p - 1/2) / beta)^2 + (d(second) + (p - 1/2) / beta)^2)
        / global_weight, with beta = 1/eta of the paper and p for the chance to win.
    p = 1 is its form with hard labels. A soft label is that chance as the paper has it, and not an
    expectation, which has the same gradient and a constant more: 0 is reached. Where an answer
    stands in several pairs, its pull is to the mean of its chances, as in the paper. Where the
    policy is the reference it is 2 (p - 1/2)^2 / beta^2: 50 for clear labels at beta .1. Each
    answer has a target in nats, 1/(2 beta) above the reference for a clear winner and below it for
    a clear loser; a tie's is the reference.
    Raises ConfigError for beta <= 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    first_B, second_B = _rewards(pairs, beta=beta, global_weight=global_weight)
    loss_B = ((first_B - label_B + 0.5) / beta).square()
    loss_B = loss_B + ((second_B + label_B - 0.5) / beta).square()
    metrics = figures(pairs, beta=beta, global_clear=global_clear)
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


def apo_zero(
    *, beta: float, global_weight: float, global_clear: float, **pairs: Unpack[Pairs]
) -> Loss:
    """Anchored preference optimisation, zero (D'Oosterlinck et al. 2024, arXiv:2408.06266, eq. 7).

    L = sum weight * (p (1 - sigmoid(r(first)) + sigmoid(r(second)))
        + (1 - p) (1 - sigmoid(r(second)) + sigmoid(r(first)))) / global_weight.
    The better answer rises above the reference and the worse one falls below it: for answers that
    are better than what the policy says. Where the policy is the reference it is 1, with slopes of
    -beta/4 and beta/4; it lies between 0 and 2, and either slope fades as its answer gets away from
    the reference. A tie costs 1 wherever it stands and teaches nothing.
    Raises ConfigError for beta <= 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    first_B, second_B = _rewards(pairs, beta=beta, global_weight=global_weight)
    apart_B = torch.sigmoid(first_B) - torch.sigmoid(second_B)
    total = _expected(pairs, 1 - apart_B, 1 + apart_B)
    return Loss(total / global_weight, figures(pairs, beta=beta, global_clear=global_clear))


def apo_down(
    *, beta: float, global_weight: float, global_clear: float, **pairs: Unpack[Pairs]
) -> Loss:
    """Anchored preference optimisation, down (D'Oosterlinck et al. 2024, arXiv:2408.06266, eq. 8).

    L = sum weight * (p (sigmoid(r(first)) + 1 - sigmoid(beta h))
        + (1 - p) (sigmoid(r(second)) + 1 - sigmoid(-beta h))) / global_weight.
    Both answers fall and the worse one falls faster: for answers that are worse than what the
    policy says. Where the policy is the reference it is 1; there the better answer has no slope and
    the worse one has beta/4, so that a lead comes first and the fall of both after it. It lies
    between 0 and 2. A tie lets both fall alike.
    Raises ConfigError for beta <= 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    first_B, second_B = _rewards(pairs, beta=beta, global_weight=global_weight)
    won_B = torch.sigmoid(first_B - second_B)
    total = _expected(pairs, torch.sigmoid(first_B) + 1 - won_B, torch.sigmoid(second_B) + won_B)
    return Loss(total / global_weight, figures(pairs, beta=beta, global_clear=global_clear))


def _rewards(
    pairs: Pairs, *, beta: float, global_weight: float
) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Implicit reward of either side, of columns and settings that were checked."""
    same_shape(**pairs)
    check_positive("beta", beta)
    check_denominator("global_weight", global_weight)
    return beta * drift(pairs, "first"), beta * drift(pairs, "second")


def _expected(
    pairs: Pairs, if_first_B: Float[Tensor, " B"], if_second_B: Float[Tensor, " B"]
) -> Float[Tensor, ""]:
    """Weighted sum of the expectations over which answer is the better one."""
    label_B = pairs["label_B"]
    loss_B = label_B * if_first_B + (1 - label_B) * if_second_B
    return (pairs["weight_B"] * loss_B).sum()
