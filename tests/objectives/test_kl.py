"""The KL estimators, by enumeration, and their controller, by golden value and properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives import kl
from accord.objectives.loss import Loss

P = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
Q = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def test_k1_by_hand() -> None:
    """ln(.5 / .25) = .6931472, and its negative: one token's estimate may be negative."""
    logp, ref = torch.tensor([0.5, 0.25]).log(), torch.tensor([0.25, 0.5]).log()
    assert kl.k1(logp, ref).tolist() == pytest.approx([0.6931472, -0.6931472], abs=1e-6)


def test_k1_parity_with_torchs_divergence() -> None:
    """KL([.7 .2 .1] || [.5 .3 .2]) = .0851228, and torch's own divergence agrees."""
    expected = (P * kl.k1(P.log(), Q.log())).sum()
    assert expected.item() == pytest.approx(0.0851228, abs=1e-7)
    other = torch.nn.functional.kl_div(Q.log(), P.log(), log_target=True, reduction="sum")
    assert expected.item() == pytest.approx(other.item(), abs=1e-12)


def test_k1_gradient_as_a_loss_moves_nothing_but_in_the_reward_it_does() -> None:
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
def test_k1_property_is_0_at_the_reference(logp: list[float]) -> None:
    x = torch.tensor(logp)
    assert kl.k1(x, x).tolist() == [0.0] * len(logp)


def test_k1_gradient_by_differences() -> None:
    torch.manual_seed(0)
    logp, ref = torch.randn(2, 4, dtype=torch.float64).requires_grad_().unbind()
    assert torch.autograd.gradcheck(kl.k1, (logp, ref))


def test_k1_refuses_mixed_shapes() -> None:
    with pytest.raises(InvariantError):
        kl.k1(torch.zeros(2, 1), torch.zeros(2))


REVERSE = [0.1759446, -0.0981176, -0.0778270]
"""d KL(p || q) in the logits of p: p (u - KL)."""
FORWARD = [0.2, -0.1, -0.1]
"""d KL(q || p) in the logits of p: p - q."""


def expected(estimator: kl.Estimator) -> float:
    """Its mean over what p samples."""
    return float((P * estimator(P.log(), Q.log())).sum())


def gradient_of(estimator: kl.Estimator, *, place: str) -> list[float]:
    """The expected gradient in the logits of p over what p samples: of the estimate as a loss, or
    of the score function weighed by the estimate as a reward."""
    logits = P.log().requires_grad_()
    logp = logits.log_softmax(0)
    estimate = estimator(logp, Q.log())
    value = (P * estimate).sum() if place == "loss" else (P * estimate.detach() * logp).sum()
    return torch.autograd.grad(value, logits)[0].tolist()


def test_k2_by_hand() -> None:
    """u = ln 2: half its square is .2402265, whichever side is the likelier one."""
    logp, ref = torch.tensor([0.5, 0.25]).log(), torch.tensor([0.25, 0.5]).log()
    assert kl.k2(logp, ref).tolist() == pytest.approx([0.2402265, 0.2402265], abs=1e-6)


def test_k3_by_hand() -> None:
    """r = .5: .5 - 1 + ln 2 = .1931472. r = 2: 2 - 1 - ln 2 = .3068528."""
    logp, ref = torch.tensor([0.5, 0.25]).log(), torch.tensor([0.25, 0.5]).log()
    assert kl.k3(logp, ref).tolist() == pytest.approx([0.1931472, 0.3068528], abs=1e-6)


@pytest.mark.parametrize(
    ("name", "mean"), [("k1", 0.0851228), ("k2", 0.0800876), ("k3", 0.0851228)]
)
def test_what_the_estimators_expect(name: str, mean: float) -> None:
    """k1 and k3 are unbiased, k2 is not."""
    assert expected(kl.ESTIMATORS[name]) == pytest.approx(mean, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "place", "gradient"),
    [
        pytest.param("k1", "reward", REVERSE, id="k1 in the reward: the true gradient"),
        pytest.param("k1", "loss", [0, 0, 0], id="k1 as a loss: none"),
        pytest.param("k2", "loss", REVERSE, id="k2 as a loss: the true gradient"),
        pytest.param("k3", "loss", FORWARD, id="k3 as a loss: that of the forward KL"),
        pytest.param(
            "k3",
            "reward",
            [r - f for r, f in zip(REVERSE, FORWARD, strict=True)],
            id="k3 in the reward: the difference of the two",
        ),
    ],
)
def test_known_gradients_by_enumeration(name: str, place: str, gradient: list[float]) -> None:
    found = gradient_of(kl.ESTIMATORS[name], place=place)
    assert found == pytest.approx(gradient, abs=1e-7)


def test_k2_gradient_is_the_true_one_by_torch() -> None:
    """d KL(p || q), differentiated through the whole sum and not through samples."""
    logits = P.log().requires_grad_()
    logp = logits.log_softmax(0)
    (true,) = torch.autograd.grad((logp.exp() * (logp - Q.log())).sum(), logits)
    assert true.tolist() == pytest.approx([0.17594, -0.09812, -0.07783], abs=1e-5)
    assert gradient_of(kl.k2, place="loss") == pytest.approx(true.tolist(), abs=1e-12)
    in_reward = gradient_of(kl.k2, place="reward")
    (biased,) = torch.autograd.grad(
        (logits.softmax(0) * kl.k2(logits.log_softmax(0), Q.log())).sum(), logits
    )
    assert in_reward == pytest.approx((biased - true).tolist(), abs=1e-12)


def test_k3_gradient_is_the_forward_one_by_torch() -> None:
    """d KL(q || p) = -sum q d log p."""
    logits = P.log().requires_grad_()
    (true,) = torch.autograd.grad(-(Q * logits.log_softmax(0)).sum(), logits)
    assert gradient_of(kl.k3, place="loss") == pytest.approx(true.tolist(), abs=1e-12)


@pytest.mark.parametrize("name", ["k2", "k3"])
def test_gradient_by_differences(name: str) -> None:
    torch.manual_seed(0)
    logp, ref = torch.randn(2, 4, dtype=torch.float64).requires_grad_().unbind()
    assert torch.autograd.gradcheck(kl.ESTIMATORS[name], (logp, ref))


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=8), st.floats(-5, 5))
def test_k2_property_is_the_same_either_way_and_never_negative(
    logp: list[float], drift: float
) -> None:
    x = torch.tensor(logp, dtype=torch.float64)
    assert torch.equal(kl.k2(x, x), torch.zeros_like(x))
    assert kl.k2(x, x + drift).tolist() == pytest.approx(kl.k2(x + drift, x).tolist(), abs=1e-9)
    assert (kl.k2(x, x + drift) >= 0).all()


@given(st.lists(st.floats(-20, 0), min_size=1, max_size=8), st.floats(-5, 5))
def test_k3_property_is_never_negative_and_0_at_the_reference(
    logp: list[float], drift: float
) -> None:
    x = torch.tensor(logp, dtype=torch.float64)
    assert torch.equal(kl.k3(x, x), torch.zeros_like(x))
    assert (kl.k3(x, x + drift) >= 0).all()


def test_k2_parity_with_a_float64_oracle() -> None:
    """Written from Schulman's note: (log r)^2 / 2 with r = reference / policy."""
    torch.manual_seed(1)
    logp, ref = -torch.rand(2, 50, dtype=torch.float64) * 5
    oracle = [math.log(math.exp(q) / math.exp(p)) ** 2 / 2 for p, q in zip(logp, ref, strict=True)]
    assert kl.k2(logp, ref).tolist() == pytest.approx(oracle, rel=1e-9)


def test_k3_parity_with_a_float64_oracle() -> None:
    """Written from the same: (r - 1) - log r; TRL's is in the records of GRPO."""
    torch.manual_seed(1)
    logp, ref = -torch.rand(2, 50, dtype=torch.float64) * 5
    ratios = [math.exp(q) / math.exp(p) for p, q in zip(logp, ref, strict=True)]
    oracle = [r - 1 - math.log(r) for r in ratios]
    assert kl.k3(logp, ref).tolist() == pytest.approx(oracle, rel=1e-9)


def test_k3_near_the_reference_keeps_its_digits() -> None:
    """In float32 exp(x) - 1 - x would be 0 or worse at a drift of 1e-4; it is 5e-9."""
    logp = torch.tensor([-1.0])
    drift = (logp + 1e-4 - logp).item()
    assert kl.k3(logp, logp + 1e-4).item() == pytest.approx(drift**2 / 2, rel=0.02)


@pytest.mark.parametrize("name", ["k2", "k3"])
def test_estimators_refuse_mixed_shapes(name: str) -> None:
    with pytest.raises(InvariantError):
        kl.ESTIMATORS[name](torch.zeros(2, 1), torch.zeros(2))


def penalty(logp: torch.Tensor, *, estimator: str = "k2", tokens: int = 4) -> Loss:
    """Of two tokens with reference -1 each, weighing 1 and 3."""
    return kl.penalty(
        logp_M=logp,
        ref_logp_M=torch.tensor([-1.0, -1.0], dtype=torch.float64),
        weight_M=torch.tensor([1.0, 3.0], dtype=torch.float64),
        estimator=kl.ESTIMATORS[estimator],
        global_tokens=tokens,
    )


def test_penalty_by_hand() -> None:
    """Log-ratios 1 and -2 by k2: (1 * .5 + 3 * 2) / 4 = 1.625."""
    loss = penalty(torch.tensor([0.0, -3.0], dtype=torch.float64))
    assert loss.value.item() == pytest.approx(1.625)
    assert loss.metrics["kl/loss"].item() == pytest.approx(1.625)


@given(st.floats(-10, 0), st.floats(-10, 0))
def test_penalty_property_is_never_negative_by_k2_and_k3(one: float, other: float) -> None:
    logp = torch.tensor([one, other], dtype=torch.float64)
    assert penalty(logp, estimator="k2").value >= 0
    assert penalty(logp, estimator="k3").value >= 0
    assert penalty(torch.full_like(logp, -1.0), estimator="k3").value == 0


def test_penalty_gradient() -> None:
    """By k2 weight * u / tokens, and none for the reference or the weights."""
    logp = torch.tensor([0.0, -3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: penalty(x).value, logp)
    (gradient,) = torch.autograd.grad(penalty(logp).value, logp)
    assert gradient.tolist() == pytest.approx([1 * 1 / 4, 3 * -2 / 4])
    others = {
        name: torch.zeros(2, requires_grad=True) for name in ("logp_M", "ref_logp_M", "weight_M")
    }
    kl.penalty(**others, estimator=kl.k2, global_tokens=2).value.backward()
    assert [name for name, x in others.items() if x.grad is not None] == ["logp_M"]


def test_penalty_parity_with_a_loop_over_tokens() -> None:
    torch.manual_seed(2)
    logp, ref, weight = -torch.rand(3, 40, dtype=torch.float64)
    oracle = math.fsum(
        w * (math.exp(q - p) - 1 - (q - p))
        for p, q, w in zip(logp.tolist(), ref.tolist(), weight.tolist(), strict=True)
    )
    loss = kl.penalty(
        logp_M=logp, ref_logp_M=ref, weight_M=weight, estimator=kl.k3, global_tokens=50
    )
    assert loss.value.item() == pytest.approx(oracle / 50, rel=1e-12)


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
