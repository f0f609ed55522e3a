"""Reward models: learning a score from comparisons.

Shape letters:  B = pairs in this part of the batch;  G = its rankings;  K = responses of the
longest ranking;  M = responses of one tier;  U = non-empty subsets of them.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives.loss import MOST_TIED as MOST_TIED
from accord.objectives.loss import Loss, check_denominator, check_tiers, same_shape
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
    side and so no margin. A tie pulls the two scores together; `rao_kupper` and `davidson` model it
    as an outcome of its own.

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


def rao_kupper(
    *,
    first_B: Float[Tensor, " B"],
    second_B: Float[Tensor, " B"],
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    margin_B: Float[Tensor, " B"],
    tie: Float[Tensor, ""],
    global_weight: float,
    global_clear: float,
) -> Loss:
    """Bradley-Terry with ties as an outcome: a lead below a threshold is a tie (Rao and Kupper
    1967, doi:10.1080/01621459.1967.10482901, eq. 2.5).

    With u = `tie` = log t >= 0 and s the lead less the margin as in `bradley_terry`:
    P(first) = sigmoid(s - u), P(second) = sigmoid(-s - u), P(tie) = (t^2 - 1) P(first) P(second);
    L = -sum weight * log P(what the label says) / global_weight, in nats a unit of weight.
    A label of one half is a tie; another soft label p is p of a win and 1 - p of a loss.

    `tie` is a parameter that may take a gradient, with the meaning that `accord.stats` gives it;
    0 is Bradley-Terry, under which a tie cannot happen. Denominators as in `bradley_terry`.
    Metrics: as there, and the weight of the ties, said and expected.
    Raises DataError for a batch without weight, or for a tie where `tie` is 0; InvariantError for
    mixed shapes or a negative `tie`.
    """
    same_shape(first=first_B, second=second_B, label=label_B, weight=weight_B, margin=margin_B)
    check_denominator("global_weight", global_weight)
    _check_threshold(tie, label_B)
    lead_B = first_B - second_B
    s_B, tied_B = lead_B - margin_B * better_side(label_B), label_B == 0.5
    win_B, loss_B = F.logsigmoid(s_B - tie), F.logsigmoid(-s_B - tie)
    known_B = torch.where(tied_B, win_B + loss_B, label_B * win_B + (1 - label_B) * loss_B)
    total = (weight_B * known_B).sum()
    if tied_B.any():  # log(t^2 - 1), which is not finite where there are none and t is 1
        total = total + weight_B[tied_B].sum() * (2 * tie + torch.log(-torch.expm1(-2 * tie)))
    even_B = 1 - torch.sigmoid(lead_B - tie) - torch.sigmoid(-lead_B - tie)
    metrics = lead_metrics(
        lead_B=lead_B.detach(), label_B=label_B, weight_B=weight_B, global_clear=global_clear
    )
    metrics |= _tie_metrics(
        even_B=even_B, label_B=label_B, weight_B=weight_B, global_weight=global_weight
    )
    return Loss(-total / global_weight, metrics)


def davidson(
    *,
    first_B: Float[Tensor, " B"],
    second_B: Float[Tensor, " B"],
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    margin_B: Float[Tensor, " B"],
    tie: Float[Tensor, ""],
    global_weight: float,
    global_clear: float,
) -> Loss:
    """Bradley-Terry with ties as an outcome that leaves the odds of the others alone (Davidson
    1970, doi:10.1080/01621459.1970.10481082, eq. 2.3).

    With v = exp(`tie`) and s the lead less the margin as in `bradley_terry`:
    P(first) : P(tie) : P(second) = exp(s / 2) : v : exp(-s / 2);
    L = -sum weight * log P(what the label says) / global_weight, in nats a unit of weight.
    A label of one half is a tie; another soft label p is p of a win and 1 - p of a loss.

    `tie` is a parameter that may take a gradient, with the meaning that `accord.stats` gives it;
    minus infinity is Bradley-Terry, under which a tie cannot happen. Denominators, metrics and
    errors as in `rao_kupper`, but that any `tie` is allowed.
    """
    same_shape(first=first_B, second=second_B, label=label_B, weight=weight_B, margin=margin_B)
    check_denominator("global_weight", global_weight)
    lead_B = first_B - second_B
    s_B, tied_B = lead_B - margin_B * better_side(label_B), label_B == 0.5
    if tied_B.any() and not torch.isfinite(tie):
        raise _no_tie()
    # At a tie the label's part is 0, and log v is added below, where it is finite.
    known_B = (label_B - 0.5) * s_B - _log_outcomes(s_B, tie)
    total = (weight_B * known_B).sum()
    if tied_B.any():
        total = total + weight_B[tied_B].sum() * tie
    even_B = torch.exp(tie - _log_outcomes(lead_B, tie))
    metrics = lead_metrics(
        lead_B=lead_B.detach(), label_B=label_B, weight_B=weight_B, global_clear=global_clear
    )
    metrics |= _tie_metrics(
        even_B=even_B, label_B=label_B, weight_B=weight_B, global_weight=global_weight
    )
    return Loss(-total / global_weight, metrics)


def plackett_luce(
    *,
    score_GK: Float[Tensor, "G K"],
    tier_GK: Int[Tensor, "G K"],
    weight_G: Float[Tensor, " G"],
    margin_G: Float[Tensor, " G"],
    first_margin_G: Float[Tensor, " G"] | None = None,
    global_weight: float,
    global_clear: float,
) -> Loss:
    """Negative log-likelihood of whole rankings, the best chosen first and so on (Plackett 1975,
    doi:10.2307/2346567; Luce 1959), in nats a unit of weight.

    Of an order r_1 ... r_n: nll = -sum_k (r_k - log sum_{j >= k} exp r_j), and
    L = sum weight * nll / global_weight. Responses of one tier were not told apart: nll is then the
    mean over the orders that the tiers allow. So two responses are `bradley_terry`, a tie included,
    and one tier alone pulls its scores together. The mean is exact: of m tied responses each
    subset of u is what is left to choose from in 1 of C(m, u) orders.

    `tier_GK` ranks from 0, the best; negative: no response there. `margin_G` (score units) is
    added to whatever ranks below, so that a better tier must lead by it; negative on the side of a
    soft label that is not favoured. `first_margin_G` is more of it, for the best tier alone.
    `global_weight` is the batch's weight, `global_clear` that of its rankings with two tiers or
    more. Metric: the weight of those in which the highest score belongs to the best tier.
    Raises DataError for a batch without weight or a tier of more than `MOST_TIED`, InvariantError
    for mixed shapes.
    """
    same_shape(score=score_GK, tier=tier_GK)
    first_G = torch.zeros_like(margin_G) if first_margin_G is None else first_margin_G
    same_shape(weight=weight_G, margin=margin_G, first_margin=first_G)
    check_denominator("global_weight", global_weight)
    nll = [
        _ranking_nll(score_K, tier_K, margin, first)
        for score_K, tier_K, margin, first in zip(score_GK, tier_GK, margin_G, first_G, strict=True)
    ]
    total = score_GK.sum() * 0.0  # a part without a ranking has a gradient too
    if nll:
        total = (weight_G * torch.stack(nll)).sum()
    metrics = _best_first(
        score_GK=score_GK.detach(), tier_GK=tier_GK, weight_G=weight_G, global_clear=global_clear
    )
    return Loss(total / global_weight, metrics)


def centring(
    *,
    first_B: Float[Tensor, " B"],
    second_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    coefficient: float,
    global_weight: float,
) -> Loss:
    """Auxiliary loss that holds scores around 0, which comparisons alone leave free (Eisenstein et
    al. 2023, arXiv:2312.09244, eq. 2).

    L = coefficient * sum weight * (first + second)^2 / global_weight.

    `global_weight` is `pairs.totals` of the whole batch. Metric: mean of the pairs' mean scores.
    Raises ConfigError for a negative coefficient, DataError for a batch without weight,
    InvariantError for mixed shapes.
    """
    same_shape(first=first_B, second=second_B, weight=weight_B)
    if not (math.isfinite(coefficient) and coefficient >= 0):
        raise ConfigError("centring must be at least 0", got=coefficient)
    check_denominator("global_weight", global_weight)
    sum_B = first_B + second_B
    value = coefficient * (weight_B * sum_B.square()).sum() / global_weight
    centre = (weight_B * sum_B.detach() / 2).sum() / global_weight
    return Loss(value, {"preference/centre": centre})


def _check_threshold(tie: Tensor, label_B: Tensor) -> None:
    if not tie >= 0:
        raise InvariantError("a threshold of ties is at least 0", got=float(tie.detach()))
    if tie == 0 and (label_B == 0.5).any():
        raise _no_tie()


def _no_tie() -> DataError:
    return DataError(
        "there is a tie, and the tie parameter says that there can be none",
        do="let the tie parameter be learned, or give it a value",
    )


def _log_outcomes(s_B: Tensor, tie: Tensor) -> Tensor:
    """log(exp(s / 2) + v + exp(-s / 2))."""
    return torch.logsumexp(torch.stack([s_B / 2, tie.to(s_B).expand_as(s_B), -s_B / 2]), dim=0)


@torch.no_grad()
def _tie_metrics(
    *, even_B: Tensor, label_B: Tensor, weight_B: Tensor, global_weight: float
) -> dict[str, Tensor]:
    tied_B = (label_B == 0.5).to(weight_B)
    return {
        "preference/ties": (weight_B * tied_B).sum() / global_weight,
        "preference/ties_expected": (weight_B * even_B).sum() / global_weight,
    }


def _ranking_nll(score_K: Tensor, tier_K: Tensor, margin: Tensor, first: Tensor) -> Tensor:
    """Of one ranking, from its worst tier up."""
    nll = score_K.new_zeros(())
    below: Tensor | None = None
    for tier in sorted({t for t in tier_K.tolist() if t >= 0}, reverse=True):
        tied_M = score_K[tier_K == tier]
        subset_UM, share_U = _subsets(len(tied_M))
        left_UM = tied_M.masked_fill(~subset_UM.to(tied_M.device), -math.inf)
        if below is not None:
            behind = margin + first if tier == 0 else margin
            left_UM = torch.cat([left_UM, (below + behind).expand(len(left_UM), 1)], dim=1)
        nll = nll + (share_U.to(tied_M) * torch.logsumexp(left_UM, dim=1)).sum() - tied_M.sum()
        here = torch.logsumexp(tied_M, dim=0)
        below = here if below is None else torch.logaddexp(here, below)
    return nll


@cache
def _subsets(m: int) -> tuple[Tensor, Tensor]:
    """(which of m are in each non-empty subset, in what share of all orders it is left at last)."""
    check_tiers(m)
    number_U = torch.arange(1, 2**m)
    subset_UM = (number_U[:, None] >> torch.arange(m)) & 1 == 1
    shares = [1 / math.comb(m, size) for size in subset_UM.sum(1).tolist()]
    return subset_UM, torch.tensor(shares, dtype=torch.float64)


@torch.no_grad()
def _best_first(
    *, score_GK: Tensor, tier_GK: Tensor, weight_G: Tensor, global_clear: float
) -> dict[str, Tensor]:
    """Equal highest scores share the point."""
    if global_clear == 0:
        return {}
    score_GK = score_GK.masked_fill(tier_GK < 0, -math.inf)
    highest_GK = score_GK == score_GK.amax(dim=1, keepdim=True)
    best_G = ((tier_GK == 0) & highest_GK).sum(1) / highest_GK.sum(1)
    told_G = (tier_GK > 0).any(dim=1)
    return {"preference/best_first": (weight_G * told_G * best_G).sum() / global_clear}
