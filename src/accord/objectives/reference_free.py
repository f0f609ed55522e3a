"""Direct alignment without a reference: the policy's own log-probabilities are the score.

ORPO and SimPO take them a token; CPO and SLiC an answer, beside the likelihood of the better one,
which is a term of its own for any objective on pairs.

Shape letters:  B = pairs in this part of the batch.
Log-probabilities are in nats, summed over the answer's tokens, the stop token included;
`..._tokens_B` are the numbers of those tokens. p = P(first better) is a pair's label, .5 a tie.
`global_weight` and `global_clear` are `pairs.totals` of the whole batch.
"""

from __future__ import annotations

from typing import TypedDict, Unpack

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from accord.core.errors import ConfigError
from accord.objectives import pair_losses, preference
from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape
from accord.objectives.pairs import Pairs, clear_mean, lead_metrics

SUREST = -1e-6
"""Mean log-probability a token, in nats, that a surer answer is taken to have: the odds of a
probability of 1 are infinite."""


class Lengths(TypedDict):
    """Columns of pairs with the length of each answer."""

    first_B: Float[Tensor, " B"]
    second_B: Float[Tensor, " B"]
    first_tokens_B: Float[Tensor, " B"]
    second_tokens_B: Float[Tensor, " B"]
    label_B: Float[Tensor, " B"]
    weight_B: Float[Tensor, " B"]


def orpo(
    *, lam: float, global_weight: float, global_clear: float, **pairs: Unpack[Lengths]
) -> Loss:
    """Odds-ratio preference optimisation (Hong et al. 2024, arXiv:2403.07691, eq. 6).

    With m(y) the mean log-probability of y a token, o(y) = m - log(1 - exp(m)) its log-odds and
    s = o(first) - o(second):
    L = sum weight * (p (-m(first) - lam log sigmoid(s))
        + (1 - p) (-m(second) - lam log sigmoid(-s))) / global_weight.
    p = 1 is the paper's loss: the better answer's negative log-likelihood, and the odds ratio
    beside it. A soft label is the expectation over which answer is the better one; of a tie both
    are imitated, half each, and their odds are drawn together. Margins have no place in it.

    The likelihood is a mean over answers of means over tokens, so that a long answer weighs what a
    short one does (TRL takes the mean over all tokens of the batch). Metrics: accuracy and mean
    lead of the better answer in log-odds, and its negative log-likelihood a token; ties left out.
    Raises ConfigError for lam < 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    same_shape(**pairs)
    if not lam >= 0:
        raise ConfigError("lam must be at least 0", got=lam)
    check_denominator("global_weight", global_weight)
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    first_B, second_B = _means(pairs)
    lead_B = _log_odds(first_B) - _log_odds(second_B)
    loss_B = label_B * (-first_B - lam * F.logsigmoid(lead_B))
    loss_B = loss_B + (1 - label_B) * (-second_B - lam * F.logsigmoid(-lead_B))
    metrics = _figures(pairs, lead_B=lead_B.detach(), global_clear=global_clear)
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


def simpo(
    *,
    beta: float,
    gamma: float,
    global_weight: float,
    global_clear: float,
    **pairs: Unpack[Lengths],
) -> Loss:
    """Simple preference optimisation (Meng et al. 2024, arXiv:2405.14734, eq. 6).

    With m(y) the mean log-probability of y a token and s = beta (m(first) - m(second)):
    L = sum weight * (-p log sigmoid(s - gamma) - (1 - p) log sigmoid(-s - gamma)) / global_weight.
    p = 1 is the paper's loss. A soft label is the expectation over which answer is the better one
    and has to lead by gamma; a tie draws the two together. `gamma`, the target lead in units of s,
    is one number for all pairs: a comparison's own margin has no place in it.

    Metrics: accuracy and mean lead of the better answer in s, and its negative log-likelihood a
    token; ties left out.
    Raises ConfigError for beta <= 0 or gamma < 0, DataError for a batch without weight,
    InvariantError for mixed shapes.
    """
    same_shape(**pairs)
    check_positive("beta", beta)
    if not gamma >= 0:
        raise ConfigError("gamma must be at least 0", got=gamma)
    check_denominator("global_weight", global_weight)
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    first_B, second_B = _means(pairs)
    lead_B = beta * (first_B - second_B)
    loss_B = -label_B * F.logsigmoid(lead_B - gamma)
    loss_B = loss_B - (1 - label_B) * F.logsigmoid(-lead_B - gamma)
    metrics = _figures(pairs, lead_B=lead_B.detach(), global_clear=global_clear)
    return Loss((weight_B * loss_B).sum() / global_weight, metrics)


def nll(
    *, alpha: float, global_weight: float, global_clear: float, **pairs: Unpack[Lengths]
) -> Loss:
    """The better answer's likelihood, as a term beside a loss on pairs (Pang et al. 2024,
    arXiv:2404.19733, eq. 1).

    With m(y) the mean log-probability of y a token:
    L = alpha * sum weight * (-p m(first) - (1 - p) m(second)) / global_weight.
    p = 1 is the term of the paper: a mean over tokens, here the answer's alone, as in `orpo`, so
    that a long answer weighs what a short one does. (The
    sum over tokens is CPO's formula; TRL takes the mean over all tokens of the batch for both.)
    `alpha` is in units of the other loss a nat a token. A soft label is the expectation over which
    answer is the better one: of a tie both are imitated, half each. The metric is the better
    answer's negative log-likelihood a token, before alpha; ties left out.
    Raises ConfigError for alpha < 0, DataError for a batch without weight, InvariantError for mixed
    shapes.
    """
    same_shape(**pairs)
    if not 0 <= alpha < torch.inf:
        raise ConfigError("alpha must be at least 0", got=alpha)
    check_denominator("global_weight", global_weight)
    first_B, second_B = _means(pairs)
    loss_B = -pairs["label_B"] * first_B - (1 - pairs["label_B"]) * second_B
    metrics = _likelihood(pairs, global_clear=global_clear)
    return Loss(alpha * (pairs["weight_B"] * loss_B).sum() / global_weight, metrics)


def cpo(
    *,
    beta: float,
    alpha: float,
    smoothing: float,
    global_weight: float,
    global_clear: float,
    margin_B: Float[Tensor, " B"] | None = None,
    **pairs: Unpack[Lengths],
) -> Loss:
    """Contrastive preference optimisation (Xu et al. 2024, arXiv:2401.08417, eq. 3, with its NLL).

    L = `preference.cdpo` with a reference to which all answers are alike, + `nll`:
    for p = 1 and smoothing 0, sum weight * (-log sigmoid(beta (first - second)) - alpha m(first))
    / global_weight. Sums over answers of unlike length differ for their length alone, and nothing
    but the likelihood holds the policy. It begins at what the start policy thinks, not at log 2.
    Metrics: accuracy and mean lead of the better answer in beta (first - second), and its negative
    log-likelihood a token; ties left out. Labels and margins as in `preference.cdpo`.
    Raises as `preference.cdpo` and `nll`.
    """
    likelihood = nll(alpha=alpha, global_weight=global_weight, global_clear=global_clear, **pairs)
    contrast = preference.cdpo(
        beta=beta,
        smoothing=smoothing,
        margin_B=margin_B,
        global_weight=global_weight,
        global_clear=global_clear,
        **_unanchored(pairs),
    )
    return Loss(contrast.value + likelihood.value, _shown(contrast, likelihood))


def slic(
    *,
    beta: float,
    alpha: float,
    global_weight: float,
    global_clear: float,
    margin_B: Float[Tensor, " B"] | None = None,
    **pairs: Unpack[Lengths],
) -> Loss:
    """Sequence likelihood calibration (Zhao et al. 2023, SLiC-HF, arXiv:2305.10425).

    L = `pair_losses.hinge` with a reference to which all answers are alike, + `nll`:
    for p = 1, sum weight * (max(0, 1 - beta (first - second)) - alpha m(first)) / global_weight.
    That is beta times the paper's max(0, delta - first + second) with delta = 1/beta nats, and its
    regulariser with the better answer as the target, here a mean over its tokens. Metrics, labels
    and margins as in `cpo`.
    Raises as `pair_losses.hinge` and `nll`.
    """
    likelihood = nll(alpha=alpha, global_weight=global_weight, global_clear=global_clear, **pairs)
    contrast = pair_losses.hinge(
        beta=beta,
        margin_B=margin_B,
        global_weight=global_weight,
        global_clear=global_clear,
        **_unanchored(pairs),
    )
    return Loss(contrast.value + likelihood.value, _shown(contrast, likelihood))


def _unanchored(pairs: Lengths) -> Pairs:
    """The same pairs beside a reference to which all answers are alike: it cancels."""
    nothing_B = torch.zeros_like(pairs["first_B"])
    return {
        "first_B": pairs["first_B"],
        "second_B": pairs["second_B"],
        "ref_first_B": nothing_B,
        "ref_second_B": nothing_B,
        "label_B": pairs["label_B"],
        "weight_B": pairs["weight_B"],
    }


def _shown(contrast: Loss, likelihood: Loss) -> dict[str, Tensor]:
    """Figures of both terms, less those called drift, which are log-probabilities here."""
    shown = ("preference/accuracy", "preference/margin")
    metrics = {name: contrast.metrics[name] for name in shown if name in contrast.metrics}
    return metrics | likelihood.metrics


def _means(pairs: Lengths) -> tuple[Float[Tensor, " B"], Float[Tensor, " B"]]:
    """Mean log-probability a token of each side."""
    return (
        pairs["first_B"] / pairs["first_tokens_B"],
        pairs["second_B"] / pairs["second_tokens_B"],
    )


def _log_odds(mean_B: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """log(q / (1 - q)) with q = exp(mean), without loss of digits at either end."""
    mean_B = mean_B.clamp(max=SUREST)
    return mean_B - torch.log(-torch.expm1(mean_B))


@torch.no_grad()
def _figures(
    pairs: Lengths, *, lead_B: Float[Tensor, " B"], global_clear: float
) -> dict[str, Tensor]:
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    metrics = lead_metrics(
        lead_B=lead_B, label_B=label_B, weight_B=weight_B, global_clear=global_clear
    )
    return metrics | _likelihood(pairs, global_clear=global_clear)


@torch.no_grad()
def _likelihood(pairs: Lengths, *, global_clear: float) -> dict[str, Tensor]:
    """The better answer's negative log-likelihood a token; empty where all are ties."""
    if global_clear == 0:
        return {}
    first_B, second_B = _means(pairs)
    mean = clear_mean(
        torch.where(pairs["label_B"] > 0.5, first_B, second_B),
        label_B=pairs["label_B"],
        weight_B=pairs["weight_B"],
        global_clear=global_clear,
    )
    return {"preference/chosen_nll": -mean}
