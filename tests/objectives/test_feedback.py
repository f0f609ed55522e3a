"""KTO: golden, by hand, as properties, by its gradient."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives import feedback, pairs
from accord.objectives.loss import Loss

drifts = st.floats(-30, 30)


def loss_of(
    drift: list[float],
    label: list[float],
    *,
    weight: list[float] | None = None,
    z0: float = 0.3,
    beta: float = 0.1,
    desirable: float = 1.0,
    undesirable: float = 1.0,
) -> Loss:
    """Loss of one whole batch in float64, the reference at -11.5."""
    label_B = torch.tensor(label, dtype=torch.float64)
    weight_B = torch.tensor(weight or [1.0] * len(label), dtype=torch.float64)
    ref_B = torch.full_like(label_B, -11.5)
    whole = pairs.sides(label_B=label_B, weight_B=weight_B)
    return feedback.kto(
        logp_B=ref_B + torch.tensor(drift, dtype=torch.float64),
        ref_logp_B=ref_B,
        label_B=label_B,
        weight_B=weight_B,
        z0=z0,
        beta=beta,
        desirable=desirable,
        undesirable=undesirable,
        global_weight=whole.weight,
        global_desirable=whole.desirable,
        global_undesirable=whole.undesirable,
    )


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_kto_by_hand_golden() -> None:
    """1 - sigmoid(.1 * (1 - .3)) and 1 - sigmoid(.1 * (.3 + .5))."""
    good, bad = loss_of([1.0], [1.0]), loss_of([-0.5], [0.0])
    assert good.value.item() == pytest.approx(0.4825071, abs=5e-8)
    assert bad.value.item() == pytest.approx(0.4800107, abs=5e-8)
    assert good.value.item() == pytest.approx(1 - sigmoid(0.07), abs=1e-12)
    assert bad.value.item() == pytest.approx(1 - sigmoid(0.08), abs=1e-12)
    assert good.metrics.keys() == {"preference/chosen_drift"}


def test_kto_by_hand_of_a_batch() -> None:
    """Weights 2, 1 and 1; desirable answers count 1.2 and undesirable ones .5; one label is .7."""
    loss = loss_of(
        [1.0, -0.5, 2.0],
        [1.0, 0.0, 0.7],
        weight=[2.0, 1.0, 1.0],
        desirable=1.2,
        undesirable=0.5,
    )
    mixed = 0.7 * 1.2 * (1 - sigmoid(0.17)) + 0.3 * 0.5 * (1 - sigmoid(-0.17))
    expected = 2 * 1.2 * (1 - sigmoid(0.07)) + 0.5 * (1 - sigmoid(0.08)) + mixed
    assert loss.value.item() == pytest.approx(expected / 4, abs=1e-12)
    figures = {name: figure.item() for name, figure in loss.metrics.items()}
    good, bad = (2 + 0.7 * 2) / 2.7, (-0.5 + 0.3 * 2) / 1.3
    assert figures == pytest.approx(
        {
            "preference/chosen_drift": good,
            "preference/rejected_drift": bad,
            "preference/margin": 0.1 * (good - bad),
        }
    )


def test_kto_by_hand_reference_point() -> None:
    """The mean of 1, -.5 and 2.5 is 1; below 0 it is 0; of nothing it is 0."""
    ref = torch.zeros(3)
    rising = torch.tensor([1.0, -0.5, 2.5])
    assert feedback.reference_point(logp_B=rising, ref_logp_B=ref) == pytest.approx(1.0)
    assert feedback.reference_point(logp_B=-rising, ref_logp_B=ref) == 0
    assert feedback.reference_point(logp_B=ref[:0], ref_logp_B=ref[:0]) == 0


@given(drifts, st.floats(0, 20), st.floats(0, 1))
def test_kto_property_label_is_an_expectation(drift: float, z0: float, label: float) -> None:
    good, bad = (loss_of([drift], [one], z0=z0).value.item() for one in (1.0, 0.0))
    mixed = loss_of([drift], [label], z0=z0).value.item()
    assert mixed == pytest.approx(label * good + (1 - label) * bad, abs=1e-12)
    assert good + bad == pytest.approx(1, abs=1e-12)  # so a label of .5 teaches nothing


@given(drifts, st.floats(0, 20), st.floats(0.1, 5))
def test_kto_property_bounded_and_monotonous(drift: float, z0: float, weight: float) -> None:
    """Between 0 and its weight; a good answer costs less the more probable it becomes."""
    for label, step in ((1.0, 1.0), (0.0, -1.0)):
        here, further = (
            loss_of([r], [label], z0=z0, desirable=weight, undesirable=weight).value.item()
            for r in (drift, drift + step)
        )
        assert 0 <= further < here <= weight


def test_kto_gradient() -> None:
    """Finite differences, and the closed form: -+ weight beta sigma (1 - sigma)."""
    torch.manual_seed(0)
    logp, ref = torch.randn(2, 5, dtype=torch.float64)
    label = torch.tensor([1.0, 0.0, 0.3, 0.5, 1.0], dtype=torch.float64)
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0, 0.25], dtype=torch.float64)
    logp.requires_grad_()

    def value(logp: torch.Tensor) -> torch.Tensor:
        return feedback.kto(
            logp_B=logp,
            ref_logp_B=ref,
            label_B=label,
            weight_B=weight,
            z0=0.4,
            beta=0.7,
            desirable=1.5,
            undesirable=0.8,
            global_weight=4.75,
            global_desirable=1.0,
            global_undesirable=1.0,
        ).value

    assert torch.autograd.gradcheck(value, logp)
    (found,) = torch.autograd.grad(value(logp), logp)
    s = torch.sigmoid(0.7 * (logp - ref - 0.4))
    slope = 0.7 * s * (1 - s)
    closed = weight * slope * ((1 - label) * 0.8 - label * 1.5) / 4.75
    assert torch.allclose(found, closed)
    assert found[0] < 0 < found[1]


def test_kto_gradient_does_not_flow_into_the_reference_point() -> None:
    logp = torch.ones(2, requires_grad=True)
    assert isinstance(feedback.reference_point(logp_B=logp, ref_logp_B=torch.zeros(2)), float)


@pytest.mark.parametrize("setting", [{"beta": 0.0}, {"desirable": 0.0}, {"undesirable": -1.0}])
def test_settings_out_of_bounds_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        loss_of([1.0], [1.0], **setting)  # type: ignore[arg-type]


def test_what_has_no_weight_or_no_reference_point_is_refused() -> None:
    with pytest.raises(DataError, match="global_weight"):
        loss_of([1.0], [1.0], weight=[0.0])
    for z0 in (-0.1, math.nan):
        with pytest.raises(InvariantError, match="reference point"):
            loss_of([1.0], [1.0], z0=z0)
