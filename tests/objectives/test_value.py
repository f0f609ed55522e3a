"""The critic's clipped error: by hand, as properties, by its gradient, and against a loop."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.objectives import value
from accord.objectives.loss import Loss

numbers = st.floats(-5, 5)


def loss_of(
    new: list[float], old: list[float], returns: list[float], *, global_tokens: int = 0
) -> Loss:
    """Loss with clip .2 in float64."""
    value_M, old_value_M, return_M = (
        torch.tensor(column, dtype=torch.float64) for column in (new, old, returns)
    )
    return value.clipped(
        value_M=value_M,
        old_value_M=old_value_M,
        return_M=return_M,
        clip=0.2,
        global_tokens=global_tokens or len(new),
    )


def test_value_clipped_by_hand() -> None:
    """Old 0. New .5, return 1: held .2, max(.25, .64) = .64. New .5, return 0: max(.25, .04) = .25.
    New .1, return 1: not held, .81. Half the sum over 4 tokens: 1.70 / 8 = .2125; one is held."""
    loss = loss_of([0.5, 0.5, 0.1], [0.0, 0.0, 0.0], [1.0, 0.0, 1.0], global_tokens=4)
    assert loss.value.item() == pytest.approx(0.2125)
    assert loss.metrics["value/loss"].item() == pytest.approx(0.2125)
    assert loss.metrics["value/clip_fraction"].item() == pytest.approx(0.25)


@given(numbers, numbers, numbers)
def test_value_clipped_property_is_never_below_the_plain_error(
    new: float, old: float, returns: float
) -> None:
    loss = loss_of([new], [old], [returns]).value.item()
    assert loss >= 0.5 * (new - returns) ** 2 - 1e-12


@given(numbers, st.floats(-0.2, 0.2), numbers)
def test_value_clipped_property_is_the_plain_error_near_the_old_value(
    old: float, step: float, returns: float
) -> None:
    loss = loss_of([old + step], [old], [returns])
    assert loss.value.item() == pytest.approx(0.5 * (old + step - returns) ** 2, abs=1e-9)


@pytest.mark.parametrize(
    ("new", "returns", "expected"),
    [
        (0.1, 1.0, -0.9),
        (0.5, 0.0, 0.5),
        (0.5, 1.0, 0.0),
        (-0.5, -1.0, 0.0),
        (-0.5, 0.0, -0.5),
    ],
)
def test_value_clipped_gradient(new: float, returns: float, expected: float) -> None:
    """value - return where the plain error counts; 0 where the held one does. Old value 0."""
    value_M = torch.tensor([new], dtype=torch.float64, requires_grad=True)
    return_M = torch.tensor([returns], dtype=torch.float64)

    def compute(value_M: torch.Tensor) -> torch.Tensor:
        return value.clipped(
            value_M=value_M,
            old_value_M=torch.zeros(1, dtype=torch.float64),
            return_M=return_M,
            clip=0.2,
            global_tokens=1,
        ).value

    assert torch.autograd.gradcheck(compute, value_M)
    (gradient,) = torch.autograd.grad(compute(value_M), value_M)
    assert gradient.item() == pytest.approx(expected)


def test_value_clipped_gradient_of_old_values_and_returns_is_none() -> None:
    tensors = {
        name: torch.full((2,), number, requires_grad=True)
        for name, number in {"value_M": 0.1, "old_value_M": 0.0, "return_M": 1.0}.items()
    }
    value.clipped(**tensors, clip=0.2, global_tokens=2).value.backward()
    assert tensors["value_M"].grad is not None
    assert tensors["old_value_M"].grad is None
    assert tensors["return_M"].grad is None


def test_value_clipped_parity_with_a_loop_over_tokens() -> None:
    generator = torch.Generator().manual_seed(0)
    new, old, returns = torch.randn(3, 100, generator=generator, dtype=torch.float64)
    total = 0.0
    for v, before, target in zip(new.tolist(), old.tolist(), returns.tolist(), strict=True):
        held = min(max(v, before - 0.2), before + 0.2)
        total += max((v - target) ** 2, (held - target) ** 2) / 2
    loss = loss_of(new.tolist(), old.tolist(), returns.tolist())
    assert loss.value.item() == pytest.approx(total / 100, rel=1e-12)
