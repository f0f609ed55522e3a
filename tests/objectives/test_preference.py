"""DPO: golden, by hand, as properties, by its gradient, and against Bradley-Terry."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.objectives import pairs, preference, reward
from accord.objectives.loss import Loss

logps = st.floats(-200, 0)
betas = st.floats(0.01, 5)


def loss_of(
    first: list[float],
    second: list[float],
    ref_first: list[float],
    ref_second: list[float],
    *,
    beta: float = 0.1,
    label: list[float] | None = None,
) -> Loss:
    """Loss of one whole batch of equal weights in float64."""
    sums = [
        torch.tensor(numbers, dtype=torch.float64)
        for numbers in (first, second, ref_first, ref_second)
    ]
    label_B = torch.tensor(label or [1.0] * len(first), dtype=torch.float64)
    weight_B = torch.ones_like(label_B)
    totals = pairs.totals(label_B=label_B, weight_B=weight_B)
    return preference.dpo(
        first_B=sums[0],
        second_B=sums[1],
        ref_first_B=sums[2],
        ref_second_B=sums[3],
        label_B=label_B,
        weight_B=weight_B,
        beta=beta,
        global_weight=totals.weight,
        global_clear=totals.clear,
    )


GOLDEN = ([-10.0], [-12.0], [-11.0], [-11.5])
"""Log-ratios 1 and -.5, so h = 1.5."""


def test_dpo_by_hand_golden() -> None:
    """-log sigmoid(.15) = .6209570; label smoothing .1 gives .6359570."""
    assert loss_of(*GOLDEN).value.item() == pytest.approx(0.6209570, abs=5e-8)
    assert loss_of(*GOLDEN, label=[0.9]).value.item() == pytest.approx(0.6359570, abs=5e-8)


def test_dpo_by_hand_metrics() -> None:
    """Pair 1 as golden (beta h = .15); pair 2 the same with the second side better; 3 a tie."""
    loss = loss_of(
        [-10.0, -10.0, -1.0],
        [-12.0, -12.0, -9.0],
        [-11.0, -11.0, -5.0],
        [-11.5, -11.5, -5.0],
        label=[1.0, 0.4, 0.5],
    )
    metrics = {name: figure.item() for name, figure in loss.metrics.items()}
    assert metrics == pytest.approx(
        {
            "preference/accuracy": 0.5,
            "preference/margin": 0.0,
            "preference/chosen_drift": (1 - 0.5) / 2,
            "preference/rejected_drift": (-0.5 + 1) / 2,
        }
    )


def test_chosen_may_fall_while_the_margin_grows() -> None:
    loss = loss_of([-14.0], [-30.0], [-11.0], [-11.5])
    assert loss.metrics["preference/chosen_drift"].item() == pytest.approx(-3.0)
    assert loss.metrics["preference/rejected_drift"].item() == pytest.approx(-18.5)
    assert loss.metrics["preference/margin"].item() == pytest.approx(1.55)
    assert loss.metrics["preference/accuracy"].item() == 1


def test_dpo_by_hand_margin() -> None:
    """-log sigmoid(.15 - .5) for a margin of .5; turned over -log sigmoid(-.15 - .5); none at a
    tie."""
    sides = {"first_B": -10.0, "second_B": -12.0, "ref_first_B": -11.0, "ref_second_B": -11.5}
    for label, lead in ((1.0, 0.15 - 0.5), (0.0, -0.15 - 0.5), (0.5, 0.15)):
        columns = {name: torch.tensor([at], dtype=torch.float64) for name, at in sides.items()}
        loss = preference.dpo(
            **columns,
            label_B=torch.tensor([label], dtype=torch.float64),
            weight_B=torch.ones(1, dtype=torch.float64),
            margin_B=torch.tensor([0.5], dtype=torch.float64),
            beta=0.1,
            global_weight=1.0,
            global_clear=float(label != 0.5),
        )
        by_hand = math.log1p(math.exp(-lead))
        if label == 0.5:
            by_hand = (math.log1p(math.exp(-0.15)) + math.log1p(math.exp(0.15))) / 2
        assert loss.value.item() == pytest.approx(by_hand, abs=1e-12)


def test_ties_alone_have_no_figures() -> None:
    assert loss_of(*GOLDEN, label=[0.5]).metrics == {}


@given(logps, logps, betas, st.floats(0, 1))
def test_dpo_property_log_2_where_the_policy_is_the_reference(
    first: float, second: float, beta: float, label: float
) -> None:
    loss = loss_of([first], [second], [first], [second], beta=beta, label=[label])
    assert loss.value.item() == pytest.approx(math.log(2), abs=1e-12)


@given(betas, st.floats(0, 1))
def test_dpo_gradient_at_the_reference(beta: float, label: float) -> None:
    """dL/dh = beta (1/2 - p): -beta/2 for a clear win."""
    first = torch.tensor([-3.0], dtype=torch.float64, requires_grad=True)
    other = torch.tensor([-4.0], dtype=torch.float64)
    loss = preference.dpo(
        first_B=first,
        second_B=other,
        ref_first_B=first.detach(),
        ref_second_B=other,
        label_B=torch.tensor([label], dtype=torch.float64),
        weight_B=torch.ones(1, dtype=torch.float64),
        beta=beta,
        global_weight=1.0,
        global_clear=0.0,
    )
    (gradient,) = torch.autograd.grad(loss.value, first)
    assert gradient.item() == pytest.approx(beta * (0.5 - label), abs=1e-12)


@given(logps, logps, logps, logps, betas, st.floats(0, 1))
def test_dpo_property_swapping_the_sides_and_the_label_changes_nothing(
    first: float, second: float, ref_first: float, ref_second: float, beta: float, label: float
) -> None:
    here = loss_of([first], [second], [ref_first], [ref_second], beta=beta, label=[label])
    there = loss_of([second], [first], [ref_second], [ref_first], beta=beta, label=[1 - label])
    assert there.value.item() == pytest.approx(here.value.item(), rel=1e-9, abs=1e-9)


def test_dpo_gradient() -> None:
    torch.manual_seed(0)
    sums = [torch.randn(4, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    label_B = torch.tensor([1.0, 0.0, 0.3, 0.5], dtype=torch.float64)
    weight_B = torch.tensor([1.0, 2.0, 0.5, 1.5], dtype=torch.float64)

    def value(*sums: torch.Tensor) -> torch.Tensor:
        return preference.dpo(
            first_B=sums[0],
            second_B=sums[1],
            ref_first_B=sums[2],
            ref_second_B=sums[3],
            label_B=label_B,
            weight_B=weight_B,
            beta=0.7,
            global_weight=5.0,
            global_clear=3.5,
        ).value

    assert torch.autograd.gradcheck(value, tuple(sums))
    h_B = sums[0] - sums[2] - sums[1] + sums[3]
    closed = 0.7 * weight_B * (torch.sigmoid(0.7 * h_B) - label_B) / 5.0
    to_first, to_second = torch.autograd.grad(value(*sums), sums[:2])
    assert torch.allclose(to_first, closed)
    assert torch.allclose(to_second, -closed)
    assert to_first[0] < 0
    assert to_second[0] > 0


def test_dpo_property_is_bradley_terry_on_implicit_rewards() -> None:
    torch.manual_seed(1)
    first, second, ref_first, ref_second = torch.randn(4, 6, dtype=torch.float64)
    label_B, weight_B, margin_B = torch.rand(3, 6, dtype=torch.float64)
    label_B[2] = 0.5
    totals = pairs.totals(label_B=label_B, weight_B=weight_B)
    direct = preference.dpo(
        first_B=first,
        second_B=second,
        ref_first_B=ref_first,
        ref_second_B=ref_second,
        label_B=label_B,
        weight_B=weight_B,
        beta=0.4,
        margin_B=margin_B,
        global_weight=totals.weight,
        global_clear=totals.clear,
    )
    explicit = reward.bradley_terry(
        first_B=0.4 * (first - ref_first),
        second_B=0.4 * (second - ref_second),
        label_B=label_B,
        weight_B=weight_B,
        margin_B=margin_B,
        global_weight=totals.weight,
        global_clear=totals.clear,
    )
    assert torch.allclose(direct.value, explicit.value)
    for name, figure in explicit.metrics.items():
        assert torch.allclose(direct.metrics[name], figure)
