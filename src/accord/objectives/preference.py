"""Direct alignment on pairs: learning a policy from comparisons without a reward model.

Shape letters:  B = pairs in this part of the batch.
Log-probabilities are in nats, summed over the answer's tokens, the stop token included.
In all of them p = P(first better) is a pair's label, .5 a tie, and
h = (first - ref_first) - (second - ref_second) is its lead in log-ratio. `global_weight` and
`global_clear` are `pairs.totals` of the whole batch. Metrics of all of them: accuracy and mean lead
of the better answer in implicit reward (beta h), and the mean drift of the better and the worse
answer's log-probability from the reference, in nats; ties left out of all four.
"""

from __future__ import annotations

from typing import Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from accord.core.errors import ConfigError
from accord.objectives.loss import (
    Loss,
    check_denominator,
    check_positive,
    check_smoothing,
    same_shape,
)
from accord.objectives.pairs import Pairs, better_side, drift, figures, lead_metrics


def dpo(
    *,
    beta: float,
    global_weight: float,
    global_clear: float,
    margin_B: Float[Tensor, " B"] | None = None,
    **pairs: Unpack[Pairs],
) -> Loss:
    """Direct Preference Optimization (Rafailov et al. 2023, arXiv:2305.18290, eq. 7).

    With s = beta h - margin * sign(p - .5):
    L = sum weight * (-p log sigmoid(s) - (1 - p) log sigmoid(-s)) / global_weight.
    p = 1 without margin is the paper's loss. Where the policy is the reference, and without margin,
    L = log 2 and dL/dh = -beta (p - 1/2).

    `margin_B` is the offset of ODPO (Amini et al. 2024, arXiv:2402.10571), in implicit reward: by
    how much the better side should lead. A tie has no better side and so no margin, as in
    `reward.bradley_terry`. The metrics are of beta h, before the margin.
    Raises ConfigError for beta <= 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    margin_B = torch.zeros_like(weight_B) if margin_B is None else margin_B
    same_shape(**pairs, margin=margin_B)
    check_positive("beta", beta)
    check_denominator("global_weight", global_weight)
    lead_B = beta * (drift(pairs, "first") - drift(pairs, "second"))
    logit_B = lead_B - margin_B * better_side(label_B)
    loss_B = -label_B * F.logsigmoid(logit_B) - (1 - label_B) * F.logsigmoid(-logit_B)
    metrics = figures(pairs, beta=beta, global_clear=global_clear)
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


def cdpo(
    *,
    beta: float,
    smoothing: float,
    global_weight: float,
    global_clear: float,
    margin_B: Float[Tensor, " B"] | None = None,
    **pairs: Unpack[Pairs],
) -> Loss:
    """Conservative DPO (Mitchell 2023): each label is turned over with probability `smoothing`.

    With e = smoothing, L = sum weight * ((1 - e) dpo(p) + e dpo(1 - p)) / global_weight: without
    margin that is `dpo` on the soft labels (1 - e) p + e (1 - p). The least of a clear pair is at
    beta h = log((1 - e) / e), and not at infinity.
    Raises ConfigError unless 0 <= smoothing < .5, and as `dpo`.
    """
    check_smoothing(smoothing)
    straight, turned = (
        dpo(
            beta=beta,
            global_weight=global_weight,
            global_clear=global_clear,
            margin_B=margin_B,
            **columns,
        )
        for columns in (pairs, _turned(pairs))
    )
    value = (1 - smoothing) * straight.value + smoothing * turned.value
    return Loss(value, straight.metrics)


def rdpo(
    *,
    beta: float,
    smoothing: float,
    global_weight: float,
    global_clear: float,
    margin_B: Float[Tensor, " B"] | None = None,
    **pairs: Unpack[Pairs],
) -> Loss:
    """Robust DPO (Chowdhury et al. 2024, arXiv:2403.00409): unbiased where labels were turned over.

    With e = smoothing,
    L = sum weight * ((1 - e) dpo(p) - e dpo(1 - p)) / (1 - 2e) / global_weight.
    Where each label was turned over with probability e, its expectation is `dpo` of the labels that
    were there before. It has no lower bound: a clear pair keeps pulling however far it leads, with
    a gradient of at least beta e / (1 - 2e). A tie costs what it costs `dpo`.
    Raises ConfigError unless 0 <= smoothing < .5, and as `dpo`.
    """
    check_smoothing(smoothing)
    straight, turned = (
        dpo(
            beta=beta,
            global_weight=global_weight,
            global_clear=global_clear,
            margin_B=margin_B,
            **columns,
        )
        for columns in (pairs, _turned(pairs))
    )
    value = ((1 - smoothing) * straight.value - smoothing * turned.value) / (1 - 2 * smoothing)
    return Loss(value, straight.metrics)


def dpop(
    *,
    beta: float,
    lam: float,
    global_weight: float,
    global_clear: float,
    margin_B: Float[Tensor, " B"] | None = None,
    **pairs: Unpack[Pairs],
) -> Loss:
    """DPO-Positive (Pal et al. 2024, arXiv:2402.13228): DPO with a fine on a better answer's fall.

    With fall(y) = max(0, ref_logp - logp) in nats and m = margin * sign(p - .5):
    L = sum weight * (-p log sigmoid(beta (h - lam fall(first)) - m)
        - (1 - p) log sigmoid(beta (-h - lam fall(second)) + m)) / global_weight.
    p = 1 without margin is the paper's loss. `lam` is in nats of lead a nat of fall: as long as the
    better answer is no less probable than under the reference, this is `dpo`; below, a nat of fall
    costs as much as lam nats of lead bring: falling pays only where the worse answer falls more
    than 1 + lam times as far.
    A soft label is the expectation over which answer is the better one; of a tie neither is to
    fall. Where the policy is the reference it is log 2 with the gradient of `dpo`: the fine's edge
    lies there and counts as none.
    Raises ConfigError for lam < 0, and as `dpo`.
    """
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    margin_B = torch.zeros_like(weight_B) if margin_B is None else margin_B
    same_shape(**pairs, margin=margin_B)
    check_positive("beta", beta)
    if not 0 <= lam < torch.inf:
        raise ConfigError("lam must be at least 0", got=lam)
    check_denominator("global_weight", global_weight)
    first_B, second_B = drift(pairs, "first"), drift(pairs, "second")
    asked_B = margin_B * better_side(label_B)
    if_first_B = beta * (first_B - second_B - lam * F.relu(-first_B)) - asked_B
    if_second_B = beta * (second_B - first_B - lam * F.relu(-second_B)) + asked_B
    loss_B = -label_B * F.logsigmoid(if_first_B) - (1 - label_B) * F.logsigmoid(if_second_B)
    metrics = figures(pairs, beta=beta, global_clear=global_clear)
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


def ipo(*, beta: float, global_weight: float, global_clear: float, **pairs: Unpack[Pairs]) -> Loss:
    """Identity Preference Optimization (Azar et al. 2023, arXiv:2310.12036, eq. 17), on sums.

    L = sum weight * (p (h - 1/(2 beta))^2 + (1 - p) (h + 1/(2 beta))^2) / global_weight, with beta
    the paper's tau. p = 1 is the paper's loss of one sampled label; in between it is the
    expectation over the label, (h - (2p - 1)/(2 beta))^2 and a constant. So with exact soft labels
    on all pairs of answers alike, the least is the paper's closed form,
    pi_ref exp(P(y beats another answer) / beta) / Z: a bounded lead, however clear the labels.
    A comparison's margin has no place in it.
    Raises ConfigError for beta <= 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    one_B = torch.ones_like(pairs["weight_B"])
    return ipo_tokens(
        first_tokens_B=one_B,
        second_tokens_B=one_B,
        beta=beta,
        global_weight=global_weight,
        global_clear=global_clear,
        **pairs,
    )


def ipo_tokens(
    *,
    first_tokens_B: Float[Tensor, " B"],
    second_tokens_B: Float[Tensor, " B"],
    beta: float,
    global_weight: float,
    global_clear: float,
    **pairs: Unpack[Pairs],
) -> Loss:
    """`ipo` on log-ratios averaged over the tokens of each answer, as TRL and its authors run it.

    With h = (first - ref_first) / first_tokens - (second - ref_second) / second_tokens:
    L = sum weight * (p (h - 1/(2 beta))^2 + (1 - p) (h + 1/(2 beta))^2) / global_weight.
    The target 1/(2 beta) is then a lead a token, not an answer, and no closed form is known.
    Accuracy and margin are of beta h with this h; the drifts stay sums.
    Raises as `ipo`.
    """
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    same_shape(**pairs, first_tokens=first_tokens_B, second_tokens=second_tokens_B)
    check_positive("beta", beta)
    check_denominator("global_weight", global_weight)
    h_B = drift(pairs, "first") / first_tokens_B - drift(pairs, "second") / second_tokens_B
    target = 1 / (2 * beta)
    loss_B = label_B * (h_B - target).square() + (1 - label_B) * (h_B + target).square()
    metrics = figures(pairs, beta=beta, global_clear=global_clear)
    metrics |= lead_metrics(
        lead_B=beta * h_B.detach(), label_B=label_B, weight_B=weight_B, global_clear=global_clear
    )
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


def _turned(pairs: Pairs) -> Pairs:
    """The same pairs with the other side said to be better."""
    return {**pairs, "label_B": 1 - pairs["label_B"]}
