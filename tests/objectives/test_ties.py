"""Ties as an outcome (Rao-Kupper, Davidson): by hand, as properties, by gradient, by an oracle."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from accord.core.errors import DataError, InvariantError
from accord.objectives import pairs, reward
from accord.objectives.loss import Loss
from accord.stats.bradley_terry import Ties
from accord.stats.bradley_terry import bradley_terry as strengths_of

MODELS: dict[str, Callable[..., Loss]] = {
    "rao_kupper": reward.rao_kupper,
    "davidson": reward.davidson,
}
both = pytest.mark.parametrize("name", MODELS)
scores = st.floats(-20, 20)


def loss_of(
    name: str,
    first: list[float],
    second: list[float],
    label: list[float],
    *,
    tie: float | Tensor,
    weight: list[float] | None = None,
    margin: list[float] | None = None,
) -> Loss:
    """Loss of one whole batch in float64."""

    def vector(numbers: list[float] | None, default: float) -> Tensor:
        return torch.tensor(numbers or [default] * len(first), dtype=torch.float64)

    label_B, weight_B = vector(label, 1.0), vector(weight, 1.0)
    totals = pairs.totals(label_B=label_B, weight_B=weight_B)
    return MODELS[name](
        first_B=vector(first, 0.0),
        second_B=vector(second, 0.0),
        label_B=label_B,
        weight_B=weight_B,
        margin_B=vector(margin, 0.0),
        tie=torch.as_tensor(tie, dtype=torch.float64),
        global_weight=totals.weight,
        global_clear=totals.clear,
    )


def outcomes(name: str, first: float, second: float, tie: float) -> tuple[float, float, float]:
    """Oracle written from the papers, in worths pi = exp(score): P(first), P(tie), P(second)."""
    a, b = math.exp(first), math.exp(second)
    if name == "rao_kupper":
        t = math.exp(tie)
        win, lose = a / (a + t * b), b / (b + t * a)
        return win, a * b * (t * t - 1) / ((a + t * b) * (b + t * a)), lose
    v = math.exp(tie)
    whole = a + b + v * math.sqrt(a * b)
    return a / whole, v * math.sqrt(a * b) / whole, b / whole


def test_rao_kupper_by_hand() -> None:
    """Lead 1, t = 2: P(win) = 1 / (1 + 2 / e) = .5760, P(loss) = 1 / (1 + 2 e) = .1554, P(tie) =
    3 * .5760 * .1554 = .2685."""
    tie = math.log(2)
    win = loss_of("rao_kupper", [1.0], [0.0], [1.0], tie=tie).value.item()
    lose = loss_of("rao_kupper", [1.0], [0.0], [0.0], tie=tie).value.item()
    even = loss_of("rao_kupper", [1.0], [0.0], [0.5], tie=tie).value.item()
    assert win == pytest.approx(math.log(1 + 2 / math.e), abs=1e-12)
    assert lose == pytest.approx(math.log(1 + 2 * math.e), abs=1e-12)
    assert even == pytest.approx(win + lose - math.log(3), abs=1e-12)
    assert math.exp(-even) == pytest.approx(0.26855, abs=1e-4)


def test_davidson_by_hand() -> None:
    """Scores 2 log 2 and 0, v = 2: 2 : 2 : 1/2, so that P = 4/9, 4/9, 1/9."""
    first, tie = 2 * math.log(2), math.log(2)
    for label, chance in ((1.0, 4 / 9), (0.5, 4 / 9), (0.0, 1 / 9)):
        loss = loss_of("davidson", [first], [0.0], [label], tie=tie)
        assert loss.value.item() == pytest.approx(-math.log(chance), abs=1e-12)


def test_davidson_by_hand_of_weights_and_figures() -> None:
    """Equal scores, v = 1: each outcome has chance 1/3; the ties weigh 1 of 4."""
    loss = loss_of("davidson", [0.0, 1.0], [0.0, 1.0], [0.5, 1.0], tie=0.0, weight=[1.0, 3.0])
    assert loss.value.item() == pytest.approx(math.log(3), abs=1e-12)
    assert loss.metrics["preference/ties"].item() == pytest.approx(0.25)
    assert loss.metrics["preference/ties_expected"].item() == pytest.approx(1 / 3)
    assert loss.metrics["preference/accuracy"].item() == 0.5


@both
def test_a_margin_asks_more_of_the_better_side(name: str) -> None:
    """As in Bradley-Terry: a lead of 1 with margin .4 is as good as one of .6; a tie has none."""
    held = loss_of(name, [1.0], [0.0], [1.0], tie=0.3, margin=[0.4]).value.item()
    other = loss_of(name, [0.0], [1.0], [0.0], tie=0.3, margin=[0.4]).value.item()
    assert held == pytest.approx(other, abs=1e-12)
    assert held == pytest.approx(loss_of(name, [0.6], [0.0], [1.0], tie=0.3).value.item())
    even = loss_of(name, [1.0], [0.0], [0.5], tie=0.3, margin=[0.4]).value.item()
    assert even == pytest.approx(loss_of(name, [1.0], [0.0], [0.5], tie=0.3).value.item())


@pytest.mark.parametrize("name", MODELS)
@given(scores, scores, st.floats(0.001, 4), st.floats(-50, 50))
def test_property_of_ties(name: str, first: float, second: float, tie: float, shift: float) -> None:
    """Outcomes have probability 1 in all; sides can be swapped; a shift of scores is not seen."""
    chances = [
        math.exp(-loss_of(name, [first], [second], [label], tie=tie).value.item())
        for label in (1.0, 0.5, 0.0)
    ]
    assert sum(chances) == pytest.approx(1, abs=1e-9)
    swapped = loss_of(name, [second], [first], [0.0], tie=tie).value.item()
    moved = loss_of(name, [first + shift], [second + shift], [1.0], tie=tie).value.item()
    here = loss_of(name, [first], [second], [1.0], tie=tie).value.item()
    assert swapped == pytest.approx(here, abs=1e-9)
    assert moved == pytest.approx(here, abs=1e-9)


@given(scores, scores, st.floats(0, 1).filter(lambda label: label != 0.5))
def test_rao_kupper_property_without_ties(first: float, second: float, label: float) -> None:
    """t = 1 is Bradley-Terry."""
    check_plain("rao_kupper", 0.0, first, second, label)


@given(scores, scores, st.floats(0, 1).filter(lambda label: label != 0.5))
def test_davidson_property_without_ties(first: float, second: float, label: float) -> None:
    """v = 0 is Bradley-Terry."""
    check_plain("davidson", -math.inf, first, second, label)


def check_plain(name: str, tie: float, first: float, second: float, label: float) -> None:
    one = torch.ones(1, dtype=torch.float64)
    plain = reward.bradley_terry(
        first_B=one * first,
        second_B=one * second,
        label_B=one * label,
        weight_B=one,
        margin_B=0 * one,
        global_weight=1.0,
        global_clear=1.0,
    )
    loss = loss_of(name, [first], [second], [label], tie=tie)
    assert loss.value.item() == pytest.approx(plain.value.item(), abs=1e-9)


def gradient_of(name: str) -> None:
    """By finite differences, at wins, losses, soft labels and ties, and for the tie parameter."""
    torch.manual_seed(0)
    label_B = torch.tensor([1.0, 0.0, 0.5, 0.3, 0.5], dtype=torch.float64)
    weight_B = torch.tensor([1.0, 2.0, 0.5, 1.5, 1.0], dtype=torch.float64)
    first_B, second_B = (torch.randn(5, dtype=torch.float64, requires_grad=True) for _ in "ab")
    tie = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)

    def value(first_B: Tensor, second_B: Tensor, tie: Tensor) -> Tensor:
        return MODELS[name](
            first_B=first_B,
            second_B=second_B,
            label_B=label_B,
            weight_B=weight_B,
            margin_B=torch.full_like(weight_B, 0.2),
            tie=tie,
            global_weight=6.0,
            global_clear=4.5,
        ).value

    assert torch.autograd.gradcheck(value, (first_B, second_B, tie))
    to_first, to_second, _ = torch.autograd.grad(
        value(first_B, second_B, tie), (first_B, second_B, tie)
    )
    assert torch.allclose(to_first, -to_second)  # the lead alone counts


def test_rao_kupper_gradient() -> None:
    gradient_of("rao_kupper")


def test_davidson_gradient() -> None:
    gradient_of("davidson")
    # dL/ds = E[s's part] - label's part: with v = 1 and a lead of 0 the two sides cancel.
    first_B = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, dtype=torch.float64)
    loss = reward.davidson(
        first_B=first_B,
        second_B=0 * one,
        label_B=one,
        weight_B=one,
        margin_B=0 * one,
        tie=torch.tensor(0.0, dtype=torch.float64),
        global_weight=1.0,
        global_clear=1.0,
    )
    assert torch.autograd.grad(loss.value, first_B)[0].item() == pytest.approx(-0.5)


def parity_of(name: str, ties: Ties) -> None:
    """The papers' probabilities; and at the maximum that `accord.stats` finds by Newton's method
    the loss is its log-likelihood and has no slope."""
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=30) * 2, rng.normal(size=30) * 2
    label = rng.choice([0.0, 0.5, 1.0], size=30)
    expected = [
        -math.log(outcomes(name, a, b, 0.8)[{1.0: 0, 0.5: 1, 0.0: 2}[c]])
        for a, b, c in zip(first, second, label, strict=True)
    ]
    loss = loss_of(name, first.tolist(), second.tolist(), label.tolist(), tie=0.8)
    assert loss.value.item() == pytest.approx(float(np.mean(expected)), rel=1e-12)

    one, other = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    kept = one != other
    one, other = one[kept], other[kept]
    said = rng.choice([0.0, 0.5, 1.0], size=len(one))
    fit = strengths_of(one.tolist(), other.tolist(), said, ties=ties)
    strength = dict(zip(fit.players, fit.strength.tolist(), strict=True))
    found = torch.tensor([strength[i] for i in range(4)], dtype=torch.float64, requires_grad=True)
    tie = torch.tensor(fit.tie, dtype=torch.float64, requires_grad=True)
    label_B = torch.tensor(said)
    loss = MODELS[name](
        first_B=found[torch.tensor(one)],
        second_B=found[torch.tensor(other)],
        label_B=label_B,
        weight_B=torch.ones_like(label_B),
        margin_B=torch.zeros_like(label_B),
        tie=tie,
        global_weight=float(len(one)),
        global_clear=float((said != 0.5).sum()),
    )
    assert loss.value.item() * len(one) == pytest.approx(-fit.log_likelihood, rel=1e-9)
    slopes = torch.autograd.grad(loss.value, (found, tie))
    assert max(float(slope.abs().max()) for slope in slopes) < 1e-6
    # There as many ties are expected as there are.
    figures = loss.metrics
    if name == "davidson":
        assert figures["preference/ties_expected"].item() == pytest.approx(
            figures["preference/ties"].item(), abs=1e-6
        )


def test_rao_kupper_parity_with_an_oracle_and_a_fit() -> None:
    parity_of("rao_kupper", Ties.RAO_KUPPER)


def test_davidson_parity_with_an_oracle_and_a_fit() -> None:
    parity_of("davidson", Ties.DAVIDSON)


@pytest.mark.parametrize(("name", "tie"), [("rao_kupper", 0.0), ("davidson", -math.inf)])
def test_a_tie_that_cannot_happen_is_refused(name: str, tie: float) -> None:
    with pytest.raises(DataError, match="there can be none"):
        loss_of(name, [1.0], [0.0], [0.5], tie=tie)


@pytest.mark.parametrize("tie", [-0.1, math.nan])
def test_a_negative_threshold_is_refused(tie: float) -> None:
    with pytest.raises(InvariantError, match="threshold"):
        loss_of("rao_kupper", [1.0], [0.0], [1.0], tie=tie)


@both
def test_a_score_that_is_no_number_shows(name: str) -> None:
    assert math.isnan(loss_of(name, [math.nan], [0.0], [1.0], tie=0.5).value.item())
