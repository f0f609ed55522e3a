"""What objectives of judgements share: their denominators and the figures of pairs.

Shape letters:  B = pairs in this part of the batch, or answers in it.
A pair has a label P(first better) in [0, 1]; .5 is a tie. The better side of a pair is the one that
the label favours; a tie has none, and is left out of every figure here.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypedDict

import torch
from jaxtyping import Float
from torch import Tensor


class Totals(NamedTuple):
    """Denominators of a batch of pairs."""

    weight: float
    """Sum of the weights of all pairs: the loss's denominator."""
    clear: float
    """Sum of the weights of the pairs that are not ties: the figures' denominator."""


def totals(*, label_B: Float[Tensor, " B"], weight_B: Float[Tensor, " B"]) -> Totals:
    """Count the denominators of a whole batch, before it is cut into micro-batches."""
    weight = weight_B.double()
    return Totals(
        weight=math.fsum(weight.tolist()),
        clear=math.fsum(weight[label_B != 0.5].tolist()),
    )


def better_side(label_B: Float[Tensor, " B"]) -> Float[Tensor, " B"]:
    """1 where the first response is favoured, -1 where the second is, 0 at a tie."""
    return torch.sign(label_B - 0.5)


def clear_mean(
    x_B: Float[Tensor, " B"],
    *,
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    global_clear: float,
) -> Float[Tensor, ""]:
    """This part's share of the weighted mean of `x_B` over the batch's pairs that are not ties."""
    return torch.where(label_B != 0.5, x_B * weight_B, 0.0).sum() / global_clear


@torch.no_grad()
def lead_metrics(
    *,
    lead_B: Float[Tensor, " B"],
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    global_clear: float,
) -> dict[str, Tensor]:
    """Accuracy and mean lead of the better side; empty where the whole batch consists of ties.

    `lead_B` is the first side's score less the second's. A lead of exactly 0 decides nothing and
    earns half a point, so that a model that knows nothing has accuracy .5.
    """
    if global_clear == 0:
        return {}
    won_B = better_side(label_B) * lead_B
    accuracy_B = 0.5 * (1 + torch.sign(won_B))
    return {
        "preference/accuracy": clear_mean(
            accuracy_B, label_B=label_B, weight_B=weight_B, global_clear=global_clear
        ),
        "preference/margin": clear_mean(
            won_B, label_B=label_B, weight_B=weight_B, global_clear=global_clear
        ),
    }


@torch.no_grad()
def drift_metrics(
    *,
    first_B: Float[Tensor, " B"],
    second_B: Float[Tensor, " B"],
    label_B: Float[Tensor, " B"],
    weight_B: Float[Tensor, " B"],
    global_clear: float,
) -> dict[str, Tensor]:
    """Mean log-ratio to the reference of the better and the worse side, in nats; empty as above."""
    if global_clear == 0:
        return {}
    first_better_B = label_B > 0.5
    drifts = {
        "preference/chosen_drift": torch.where(first_better_B, first_B, second_B),
        "preference/rejected_drift": torch.where(first_better_B, second_B, first_B),
    }
    return {
        name: clear_mean(drift_B, label_B=label_B, weight_B=weight_B, global_clear=global_clear)
        for name, drift_B in drifts.items()
    }


class Pairs(TypedDict):
    """Columns of pairs beside a reference, as direct alignment reads them."""

    first_B: Float[Tensor, " B"]
    second_B: Float[Tensor, " B"]
    ref_first_B: Float[Tensor, " B"]
    ref_second_B: Float[Tensor, " B"]
    label_B: Float[Tensor, " B"]
    weight_B: Float[Tensor, " B"]


def drift(pairs: Pairs, side: Literal["first", "second"]) -> Float[Tensor, " B"]:
    """Log-ratio to the reference of one side, in nats."""
    if side == "first":
        return pairs["first_B"] - pairs["ref_first_B"]
    return pairs["second_B"] - pairs["ref_second_B"]


def figures(pairs: Pairs, *, beta: float, global_clear: float) -> dict[str, Tensor]:
    """Accuracy, mean lead in implicit reward (beta h), and drifts, of pairs beside a reference."""
    first_B, second_B = drift(pairs, "first").detach(), drift(pairs, "second").detach()
    label_B, weight_B = pairs["label_B"], pairs["weight_B"]
    metrics = lead_metrics(
        lead_B=beta * (first_B - second_B),
        label_B=label_B,
        weight_B=weight_B,
        global_clear=global_clear,
    )
    return metrics | drift_metrics(
        first_B=first_B,
        second_B=second_B,
        label_B=label_B,
        weight_B=weight_B,
        global_clear=global_clear,
    )


class Sides(NamedTuple):
    """Denominators of a batch of answers that were called good or bad, one by one."""

    weight: float
    """Sum of the weights of all answers: the loss's denominator."""
    desirable: float
    """The part of it that was called good."""
    undesirable: float
    """The part of it that was called bad."""


def sides(*, label_B: Float[Tensor, " B"], weight_B: Float[Tensor, " B"]) -> Sides:
    """`totals` of answers: the label is P(good)."""
    label, weight = label_B.double(), weight_B.double()
    return Sides(
        weight=math.fsum(weight.tolist()),
        desirable=math.fsum((label * weight).tolist()),
        undesirable=math.fsum(((1 - label) * weight).tolist()),
    )
