"""Figures of pairs: which side is better, what a tie counts, and the batch's denominators."""

from __future__ import annotations

import pytest
import torch

from accord.objectives import pairs

LABEL = torch.tensor([1.0, 0.0, 0.5, 0.7])
WEIGHT = torch.tensor([1.0, 0.5, 9.0, 2.0])


def test_totals_by_hand() -> None:
    totals = pairs.totals(label_B=LABEL, weight_B=WEIGHT)
    assert totals.weight == 12.5
    assert totals.clear == 3.5


def test_totals_are_exact_sums() -> None:
    """0.1 in float32 added a million times would drift by hundreds in float32."""
    weight = torch.full((1_000_000,), 0.1)
    totals = pairs.totals(label_B=torch.ones_like(weight), weight_B=weight)
    assert totals.weight == pytest.approx(weight[0].item() * 1_000_000, rel=1e-12)


def test_better_side() -> None:
    assert pairs.better_side(LABEL).tolist() == [1, -1, 0, 1]


def test_lead_metrics_by_hand() -> None:
    """The better side leads by 2, 1 and -3 (the third pair is a tie).

    Accuracy (1*1 + .5*1 + 2*0) / 3.5; margin (1*2 + .5*1 + 2*-3) / 3.5.
    """
    metrics = pairs.lead_metrics(
        lead_B=torch.tensor([2.0, -1.0, 100.0, -3.0]),
        label_B=LABEL,
        weight_B=WEIGHT,
        global_clear=3.5,
    )
    assert metrics["preference/accuracy"].item() == pytest.approx(1.5 / 3.5)
    assert metrics["preference/margin"].item() == pytest.approx(-3.5 / 3.5)


def test_no_lead_earns_half() -> None:
    metrics = pairs.lead_metrics(
        lead_B=torch.zeros(4), label_B=LABEL, weight_B=WEIGHT, global_clear=3.5
    )
    assert metrics["preference/accuracy"].item() == pytest.approx(0.5)


def test_a_batch_of_ties_has_no_accuracy() -> None:
    ties, ones = torch.full((2,), 0.5), torch.ones(2)
    totals = pairs.totals(label_B=ties, weight_B=ones)
    assert totals.clear == 0
    metrics = pairs.lead_metrics(
        lead_B=ones, label_B=ties, weight_B=ones, global_clear=totals.clear
    )
    assert metrics == {}
