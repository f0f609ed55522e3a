"""PPO's clipped policy objective: by hand, as properties, by its gradient, and against a loop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.objectives import policy
from accord.objectives.loss import Loss


def loss_of(
    ratio: list[float], advantage: list[float], *, clip: float = 0.2, global_tokens: int = 0
) -> Loss:
    """Loss at given ratios: the new log-probability is log(ratio), the old one 0."""
    logp_M = torch.tensor(ratio, dtype=torch.float64).log()
    return policy.clipped(
        logp_M=logp_M,
        old_logp_M=torch.zeros_like(logp_M),
        advantage_M=torch.tensor(advantage, dtype=torch.float64),
        clip=clip,
        global_tokens=global_tokens or len(ratio),
    )


def test_by_hand() -> None:
    """Ratio 1.5, A 2: 1.2 * 2 = 2.4 gained. 1.5, -2: 3 lost, the clip does not excuse it.
    0.5, 2: 1 gained. 0.5, -2: 0.8 * 2 = 1.6 lost. 1.1, 1: 1.1 gained.
    Sum (-2.4 + 3 - 1 + 1.6 - 1.1) / 5 = .02; clipped are the first and the fourth."""
    loss = loss_of([1.5, 1.5, 0.5, 0.5, 1.1], [2.0, -2.0, 2.0, -2.0, 1.0])
    assert loss.value.item() == pytest.approx(0.02)
    assert loss.metrics["policy/loss"].item() == pytest.approx(0.02)
    assert loss.metrics["policy/clip_fraction"].item() == pytest.approx(0.4)


def test_approximate_kl_by_hand() -> None:
    """Log-ratios ln 2 and -ln 2 over 4 tokens: (2 * .4804530 / 2) / 4 = .1201133."""
    loss = loss_of([2.0, 0.5], [0.0, 0.0], global_tokens=4)
    assert loss.metrics["policy/approx_kl"].item() == pytest.approx(0.1201133, abs=1e-7)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=10), st.floats(0.01, 0.9))
def test_at_the_old_policy_nothing_is_clipped(advantage: list[float], clip: float) -> None:
    loss = loss_of([1.0] * len(advantage), advantage, clip=clip)
    assert loss.value.item() == pytest.approx(-sum(advantage) / len(advantage), abs=1e-12)
    assert loss.metrics["policy/clip_fraction"].item() == 0
    assert loss.metrics["policy/approx_kl"].item() == 0


@given(st.floats(0.01, 5), st.floats(-5, 5), st.floats(0.01, 0.9))
def test_is_never_below_the_plain_surrogate(ratio: float, advantage: float, clip: float) -> None:
    """The clip only takes gains away (Schulman et al. 2017, section 3)."""
    assert loss_of([ratio], [advantage], clip=clip).value.item() >= -advantage * ratio - 1e-12


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [
        (1.5, 1.0, False),
        (1.5, -1.0, True),
        (0.5, 1.0, True),
        (0.5, -1.0, False),
        (1.1, 1.0, True),
        (0.9, -1.0, True),
    ],
)
def test_gradient(ratio: float, advantage: float, moves: bool) -> None:
    """-A * ratio a token where the plain term counts, 0 where the clipped one does."""
    logp_M = torch.tensor([math.log(ratio)], dtype=torch.float64, requires_grad=True)
    advantage_M = torch.tensor([advantage], dtype=torch.float64)

    def value(logp_M: torch.Tensor) -> torch.Tensor:
        return policy.clipped(
            logp_M=logp_M,
            old_logp_M=torch.zeros(1, dtype=torch.float64),
            advantage_M=advantage_M,
            clip=0.2,
            global_tokens=2,
        ).value

    assert torch.autograd.gradcheck(value, logp_M)
    (gradient,) = torch.autograd.grad(value(logp_M), logp_M)
    assert gradient.item() == pytest.approx(-advantage * ratio / 2 if moves else 0.0)


def test_old_policy_and_advantages_get_no_gradient() -> None:
    tensors = {
        name: torch.full((2,), 0.1, requires_grad=True)
        for name in ("logp_M", "old_logp_M", "advantage_M")
    }
    policy.clipped(**tensors, clip=0.2, global_tokens=2).value.backward()
    assert tensors["logp_M"].grad is not None
    assert tensors["old_logp_M"].grad is None
    assert tensors["advantage_M"].grad is None


def test_overflow_is_not_hidden() -> None:
    """A log-ratio beyond float32 must reach the run's check for finite numbers."""
    loss = policy.clipped(
        logp_M=torch.tensor([0.0]),
        old_logp_M=torch.tensor([-100.0]),
        advantage_M=torch.tensor([-1.0]),
        clip=0.2,
        global_tokens=1,
    )
    assert not math.isfinite(loss.value.item())


def test_is_what_a_loop_over_tokens_computes() -> None:
    """Independent implementation, by the four cases of the paper's figure 1."""
    generator = torch.Generator().manual_seed(0)
    logp, old, advantage = torch.randn(3, 200, generator=generator, dtype=torch.float64)
    total, clipped = 0.0, 0
    for new, before, gain in zip(logp.tolist(), old.tolist(), advantage.tolist(), strict=True):
        ratio = math.exp(new - before)
        if gain > 0 and ratio > 1.3:
            total, clipped = total - 1.3 * gain, clipped + 1
        elif gain < 0 and ratio < 0.7:
            total, clipped = total - 0.7 * gain, clipped + 1
        else:
            total -= ratio * gain
    loss = policy.clipped(
        logp_M=logp, old_logp_M=old, advantage_M=advantage, clip=0.3, global_tokens=200
    )
    assert loss.value.item() == pytest.approx(total / 200, rel=1e-12)
    assert loss.metrics["policy/clip_fraction"].item() == pytest.approx(clipped / 200)
    assert 0.1 < clipped / 200 < 0.9
