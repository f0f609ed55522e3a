"""Next-token prediction: by hand, as a property, by its gradient, and against torch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.objectives import language


def test_next_token_by_hand() -> None:
    """-(ln .5 + ln .25) / 4 = 3 ln 2 / 4 = .5198603854."""
    loss = language.next_token(logp_M=torch.tensor([0.5, 0.25]).log(), global_tokens=4)
    assert loss.value.item() == pytest.approx(0.5198603854, abs=1e-6)
    assert loss.metrics["language/nll"].item() == loss.value.item()


@given(st.lists(st.floats(-50, 0), min_size=1, max_size=20), st.integers(0, 100))
def test_next_token_property_every_token_weighs_one_over_the_count(
    logp: list[float], others: int
) -> None:
    logp_M = torch.tensor(logp, dtype=torch.float64, requires_grad=True)
    count = len(logp) + others
    loss = language.next_token(logp_M=logp_M, global_tokens=count)
    loss.value.backward()
    assert loss.value.item() == pytest.approx(-sum(logp) / count, abs=1e-9)
    assert logp_M.grad is not None
    assert torch.allclose(logp_M.grad, torch.full_like(logp_M, -1 / count))


def test_next_token_gradient() -> None:
    torch.manual_seed(0)
    logp_M = (-torch.rand(5, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: language.next_token(logp_M=x, global_tokens=7).value, logp_M
    )


def test_the_metric_carries_no_graph() -> None:
    logp_M = torch.tensor([-1.0], requires_grad=True)
    loss = language.next_token(logp_M=logp_M, global_tokens=1)
    assert not loss.metrics["language/nll"].requires_grad


def test_next_token_parity_with_torchs_cross_entropy() -> None:
    torch.manual_seed(1)
    logits, labels = torch.randn(2, 5, 7), torch.randint(0, 7, (2, 5))
    labels[0, :2], labels[1, 4] = -100, -100
    trained = labels != -100
    logp = logits.log_softmax(-1)[trained].gather(-1, labels[trained][:, None]).squeeze(-1)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    loss = language.next_token(logp_M=logp, global_tokens=int(trained.sum()))
    assert loss.value.item() == pytest.approx(expected.item(), rel=1e-6)
