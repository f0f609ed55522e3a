"""Bradley-Terry: by hand, golden, as properties, by its gradient, and against a log-likelihood."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.objectives import pairs, reward
from accord.objectives.loss import Loss

scores = st.floats(-20, 20)
labels = st.floats(0, 1)


def loss_of(
    first: list[float],
    second: list[float],
    *,
    label: list[float] | None = None,
    weight: list[float] | None = None,
    margin: list[float] | None = None,
) -> Loss:
    """Loss of one whole batch in float64."""

    def vector(numbers: list[float] | None, default: float) -> torch.Tensor:
        return torch.tensor(numbers or [default] * len(first), dtype=torch.float64)

    label_B, weight_B = vector(label, 1.0), vector(weight, 1.0)
    totals = pairs.totals(label_B=label_B, weight_B=weight_B)
    return reward.bradley_terry(
        first_B=vector(first, 0),
        second_B=vector(second, 0),
        label_B=label_B,
        weight_B=weight_B,
        margin_B=vector(margin, 0.0),
        global_weight=totals.weight,
        global_clear=totals.clear,
    )


def test_bradley_terry_by_hand() -> None:
    """Lead 1: ln(1 + e^-1) = .3132617; lead -1 of the better side: ln(1 + e) = 1.3132617."""
    assert loss_of([1.0], [0.0]).value.item() == pytest.approx(0.3132616875, abs=1e-9)
    assert loss_of([1.0], [0.0], label=[0.0]).value.item() == pytest.approx(1.3132616875, abs=1e-9)


def test_bradley_terry_by_hand_of_a_soft_label() -> None:
    """p = .7, lead 1: .7 * .3132617 + .3 * 1.3132617 = .6132617."""
    assert loss_of([1.0], [0.0], label=[0.7]).value.item() == pytest.approx(0.6132616875, abs=1e-9)


def test_bradley_terry_by_hand_of_a_tie() -> None:
    """p = .5, lead 1: (.3132617 + 1.3132617) / 2 = .8132617; the margin does not count."""
    tie = loss_of([1.0], [0.0], label=[0.5], margin=[3.0])
    assert tie.value.item() == pytest.approx(0.8132616875, abs=1e-9)
    assert tie.metrics == {}


def test_bradley_terry_by_hand_with_a_margin() -> None:
    """Lead 1, margin 2/3: ln(1 + e^-(1/3)) = .5403056; the same from the other side."""
    first = loss_of([1.0], [0.0], margin=[2 / 3])
    second = loss_of([0.0], [1.0], label=[0.0], margin=[2 / 3])
    assert first.value.item() == pytest.approx(0.5403056, abs=1e-7)
    assert second.value.item() == pytest.approx(first.value.item(), abs=1e-12)


def test_bradley_terry_by_hand_with_weights() -> None:
    """(2 * .3132617 + .5 * 1.3132617) / 2.5 = .5132617; accuracy 2 / 2.5; margin (2 - .5) / 2.5."""
    loss = loss_of([1.0, 0.0], [0.0, 1.0], weight=[2.0, 0.5])
    assert loss.value.item() == pytest.approx(0.5132616875, abs=1e-9)
    assert loss.metrics["preference/accuracy"].item() == pytest.approx(0.8)
    assert loss.metrics["preference/margin"].item() == pytest.approx(0.6)


def test_bradley_terry_by_hand_of_three_in_order() -> None:
    """Scores 2, 1, 0: the mean over the 3 pairs is .2511505."""
    loss = loss_of([2.0, 2.0, 1.0], [1.0, 0.0, 0.0])
    assert loss.value.item() == pytest.approx(0.2511505, abs=1e-7)
    assert loss.metrics["preference/margin"].item() == pytest.approx(4 / 3)


def test_the_reported_lead_is_before_the_margin() -> None:
    loss = loss_of([1.0], [0.0], margin=[5.0])
    assert loss.metrics["preference/margin"].item() == pytest.approx(1.0)
    assert loss.metrics["preference/accuracy"].item() == 1.0


@given(scores, scores, labels, st.floats(0, 5), st.floats(-100, 100))
def test_bradley_terry_property_symmetric_and_blind_to_a_shift(
    first: float, second: float, label: float, margin: float, shift: float
) -> None:
    here = loss_of([first], [second], label=[label], margin=[margin]).value.item()
    swapped = loss_of([second], [first], label=[1 - label], margin=[margin]).value.item()
    shifted = loss_of([first + shift], [second + shift], label=[label], margin=[margin])
    # 1 - label rounds a label next to one half onto it, where the margin ends.
    if (label > 0.5) == (1 - label < 0.5):
        assert swapped == pytest.approx(here, abs=1e-9)
    assert shifted.value.item() == pytest.approx(here, abs=1e-9)


@given(st.floats(0.01, 0.99))
def test_bradley_terry_property_least_where_model_and_label_agree(label: float) -> None:
    best = math.log(label / (1 - label))
    entropy = -label * math.log(label) - (1 - label) * math.log(1 - label)
    assert loss_of([best], [0.0], label=[label]).value.item() == pytest.approx(entropy, abs=1e-9)
    for off in (-0.3, 0.3):
        assert loss_of([best + off], [0.0], label=[label]).value.item() > entropy


@given(scores, st.floats(-1e4, 1e4))
def test_bradley_terry_property_finite_at_any_lead(first: float, second: float) -> None:
    loss = loss_of([first], [second], label=[0.3])
    assert math.isfinite(loss.value.item())


@pytest.mark.parametrize("margin", [0.0, 0.8])
def test_bradley_terry_gradient(margin: float) -> None:
    torch.manual_seed(0)
    label_B = torch.tensor([1.0, 0.0, 0.3, 0.5], dtype=torch.float64)
    weight_B = torch.tensor([1.0, 2.0, 0.5, 1.5], dtype=torch.float64)
    first_B = torch.randn(4, dtype=torch.float64, requires_grad=True)
    second_B = torch.randn(4, dtype=torch.float64, requires_grad=True)

    def value(first_B: torch.Tensor, second_B: torch.Tensor) -> torch.Tensor:
        return reward.bradley_terry(
            first_B=first_B,
            second_B=second_B,
            label_B=label_B,
            weight_B=weight_B,
            margin_B=torch.full_like(weight_B, margin),
            global_weight=5.0,
            global_clear=3.5,
        ).value

    assert torch.autograd.gradcheck(value, (first_B, second_B))
    to_first, to_second = torch.autograd.grad(value(first_B, second_B), (first_B, second_B))
    toward = torch.tensor([1.0, -1.0, -1.0, 0.0], dtype=torch.float64) * margin
    closed = weight_B * (torch.sigmoid(first_B - second_B - toward) - label_B) / 5.0
    assert torch.allclose(to_first, closed)
    assert torch.allclose(to_second, -closed)


def test_bradley_terry_parity_with_the_logistic_distribution() -> None:
    """Independent implementation: scipy's log CDF of the standard logistic."""
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=50) * 3, rng.normal(size=50) * 3
    label, weight = rng.uniform(size=50), rng.uniform(size=50)
    logcdf: Any = scipy.stats.logistic.logcdf
    likelihood = label * logcdf(first - second) + (1 - label) * logcdf(second - first)
    loss = loss_of(first.tolist(), second.tolist(), label=label.tolist(), weight=weight.tolist())
    assert loss.value.item() == pytest.approx(-np.average(likelihood, weights=weight), rel=1e-12)
