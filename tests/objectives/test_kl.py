"""The KL estimator, by enumeration, and its controller, by golden value and properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives import kl

P = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
Q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def test_k1_by_hand() -> None:
    """ln(.5 / .25) = .6931472, and its negative: one token's estimate may be negative."""
    logp, ref = torch.tensor([0.5, 0.25]).log(), torch.tensor([0.25, 0.5]).log()
    assert kl.k1(logp, ref).tolist() == pytest.approx([0.6931472, -0.6931472], abs=1e-6)


def test_k1_is_unbiased() -> None:
    """KL([.7 .2 .1] || [.5 .3 .2]) = .0851228, and torch's own divergence agrees."""
    expected = (P * kl.k1(P.log(), Q.log())).sum()
    assert expected.item() == pytest.approx(0.0851228, abs=1e-7)
    other = torch.nn.functional.kl_div(Q.log(), P.log(), log_target=True, reduction="sum")
    assert expected.item() == pytest.approx(other.item(), abs=1e-12)


def test_k1_as_a_loss_moves_nothing_but_in_the_reward_it_does() -> None:
    """Samples held fixed: gradient 0. Through the score function: the true gradient of the KL,
    [.17594 -.09812 -.07783] in the logits."""
    logits = P.log().requires_grad_()
    logp = logits.log_softmax(0)
    estimate = kl.k1(logp, Q.log())
    (as_loss,) = torch.autograd.grad((P * estimate).sum(), logits, retain_graph=True)
    assert as_loss.tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    (as_reward,) = torch.autograd.grad((P * estimate.detach() * logp).sum(), logits)
    assert as_reward.tolist() == pytest.approx([0.17594, -0.09812, -0.07783], abs=1e-5)


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=8))
def test_k1_is_0_at_the_reference(logp: list[float]) -> None:
    x = torch.tensor(logp)
    assert kl.k1(x, x).tolist() == [0.0] * len(logp)


def test_k1_gradient() -> None:
    torch.manual_seed(0)
    logp, ref = torch.randn(2, 4, dtype=torch.float64).requires_grad_().unbind()
    assert torch.autograd.gradcheck(kl.k1, (logp, ref))


def test_k1_refuses_mixed_shapes() -> None:
    with pytest.raises(InvariantError):
        kl.k1(torch.zeros(2, 1), torch.zeros(2))


def test_adapt_golden() -> None:
    new = kl.adapt(0.2, observed=10, target=6, episodes=256, horizon=10_000)
    assert new == pytest.approx(0.201024, abs=1e-12)


def test_adapt_by_hand() -> None:
    """5 / 6 - 1 = -.16667, inside the bound: .1 * (1 - .16667 * .01) = .0998333."""
    new = kl.adapt(0.1, observed=5, target=6, episodes=100, horizon=10_000)
    assert new == pytest.approx(0.1 * (1 - 0.01 / 6), abs=1e-12)


@given(st.floats(1e-4, 10), st.floats(-10, 100), st.floats(0.1, 50), st.integers(1, 10**6))
def test_adapt_is_bounded_and_goes_the_right_way(
    coefficient: float, observed: float, target: float, episodes: int
) -> None:
    new = kl.adapt(coefficient, observed=observed, target=target, episodes=episodes, horizon=10_000)
    assert 0.8 * coefficient - 1e-12 <= new <= 1.2 * coefficient + 1e-12
    assert (new - coefficient) * (observed - target) >= 0


def test_adapt_rests_at_the_target() -> None:
    assert kl.adapt(0.3, observed=6, target=6, episodes=500, horizon=1000) == 0.3


def test_adapt_refuses_what_it_cannot_steer_by() -> None:
    with pytest.raises(ConfigError, match="target"):
        kl.adapt(0.1, observed=1, target=0, episodes=1, horizon=10)
    with pytest.raises(ConfigError, match="horizon"):
        kl.adapt(0.1, observed=1, target=1, episodes=1, horizon=0)
    with pytest.raises(DataError, match="finite"):
        kl.adapt(0.1, observed=math.nan, target=1, episodes=1, horizon=10)
