"""Policy objectives: by hand, as properties, by their gradients, and against a loop."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import ConfigError, DataError, InvariantError
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


def test_policy_clipped_by_hand() -> None:
    """Ratio 1.5, A 2: 1.2 * 2 = 2.4 gained. 1.5, -2: 3 lost, the clip does not excuse it.
    0.5, 2: 1 gained. 0.5, -2: 0.8 * 2 = 1.6 lost. 1.1, 1: 1.1 gained.
    Sum (-2.4 + 3 - 1 + 1.6 - 1.1) / 5 = .02; clipped are the first and the fourth."""
    loss = loss_of([1.5, 1.5, 0.5, 0.5, 1.1], [2.0, -2.0, 2.0, -2.0, 1.0])
    assert loss.value.item() == pytest.approx(0.02)
    assert loss.metrics["policy/loss"].item() == pytest.approx(0.02)
    assert loss.metrics["policy/clip_fraction"].item() == pytest.approx(0.4)


def test_policy_clipped_by_hand_approximate_kl() -> None:
    """Log-ratios ln 2 and -ln 2 over 4 tokens: (2 * .4804530 / 2) / 4 = .1201133."""
    loss = loss_of([2.0, 0.5], [0.0, 0.0], global_tokens=4)
    assert loss.metrics["policy/approx_kl"].item() == pytest.approx(0.1201133, abs=1e-7)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=10), st.floats(0.01, 0.9))
def test_policy_clipped_property_nothing_is_at_the_old_policy(
    advantage: list[float], clip: float
) -> None:
    loss = loss_of([1.0] * len(advantage), advantage, clip=clip)
    assert loss.value.item() == pytest.approx(-sum(advantage) / len(advantage), abs=1e-12)
    assert loss.metrics["policy/clip_fraction"].item() == 0
    assert loss.metrics["policy/approx_kl"].item() == 0


@given(st.floats(0.01, 5), st.floats(-5, 5), st.floats(0.01, 0.9))
def test_policy_clipped_property_is_never_below_the_plain_surrogate(
    ratio: float, advantage: float, clip: float
) -> None:
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
def test_policy_clipped_gradient(ratio: float, advantage: float, moves: bool) -> None:
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


def test_policy_clipped_gradient_of_old_policy_and_advantages_is_none() -> None:
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


def test_policy_clipped_parity_with_a_loop_over_tokens() -> None:
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


def reinforced(logp_M: torch.Tensor, advantage_M: torch.Tensor, weight_M: torch.Tensor) -> Loss:
    return policy.reinforce(
        logp_M=logp_M,
        old_logp_M=logp_M.detach(),
        advantage_M=advantage_M,
        weight_M=weight_M,
        global_tokens=4,
    )


def column(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_reinforce_by_hand() -> None:
    """-(1 * 2 * -1 + 3 * -1 * -2) / 4 = -(-2 + 6) / 4 = -1."""
    loss = reinforced(column(-1.0, -2.0), column(2.0, -1.0), column(1.0, 3.0))
    assert loss.value.item() == pytest.approx(-1.0)
    assert loss.metrics["policy/loss"].item() == pytest.approx(-1.0)
    assert loss.metrics["policy/approx_kl"].item() == 0


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_reinforce_property_is_linear_in_the_advantage(one: float, other: float) -> None:
    logp_M, weight_M = column(-1.0, -2.0), column(1.0, 3.0)
    parts = [reinforced(logp_M, column(x, -x), weight_M).value.item() for x in (one, other)]
    both = reinforced(logp_M, column(one + other, -one - other), weight_M).value.item()
    assert both == pytest.approx(sum(parts), abs=1e-9)


def test_reinforce_gradient_is_that_of_the_clipped_surrogate_at_ratio_1() -> None:
    generator = torch.Generator().manual_seed(0)
    logp, advantage, weight = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    logp.requires_grad_()
    how = {"advantage_M": advantage, "weight_M": weight.abs(), "global_tokens": 9}
    assert torch.autograd.gradcheck(
        lambda x: policy.reinforce(logp_M=x, old_logp_M=logp.detach(), **how).value, logp
    )
    (score,) = torch.autograd.grad(
        policy.reinforce(logp_M=logp, old_logp_M=logp.detach(), **how).value, logp
    )
    (surrogate,) = torch.autograd.grad(
        policy.clipped(logp_M=logp, old_logp_M=logp.detach(), clip=0.2, **how).value, logp
    )
    assert score.tolist() == pytest.approx((-advantage * weight.abs() / 9).tolist())
    assert surrogate.tolist() == pytest.approx(score.tolist())


def test_reinforce_gradient_reaches_the_new_log_probabilities_alone() -> None:
    tensors = {
        name: torch.full((2,), 0.1, requires_grad=True)
        for name in ("logp_M", "old_logp_M", "advantage_M", "weight_M")
    }
    policy.reinforce(**tensors, global_tokens=2).value.backward()
    assert [name for name, x in tensors.items() if x.grad is not None] == ["logp_M"]


def test_reinforce_parity_with_the_expected_reward_by_enumeration() -> None:
    """Over all of three tokens, weighed by their probability: the gradient of the mean reward."""
    logits = column(0.3, -0.2, 0.9).requires_grad_()
    reward, logp = column(1.0, -2.0, 0.5), logits.log_softmax(0)
    loss = policy.reinforce(
        logp_M=logp,
        old_logp_M=logp.detach(),
        advantage_M=reward,
        weight_M=3 * logp.detach().exp(),
        global_tokens=3,
    )
    (ours,) = torch.autograd.grad(loss.value, logits, retain_graph=True)
    (true,) = torch.autograd.grad((logp.exp() * reward).sum(), logits)
    assert ours.tolist() == pytest.approx((-true).tolist())


LENGTHS = torch.tensor([1, 3])


def test_answer_weights_by_hand() -> None:
    """Two answers of 1 and 3 tokens of a batch of 10 tokens and 4 answers: 10 / 4, 10 / 12."""
    weight_M = policy.answer_weights(length_B=LENGTHS, global_answers=4, global_tokens=10)
    assert weight_M.tolist() == pytest.approx([2.5, 10 / 12, 10 / 12, 10 / 12])


def test_constant_weights_by_hand() -> None:
    """The same with answers of at most 5 tokens: 10 / (4 * 5) for every token."""
    weight_M = policy.constant_weights(
        length_B=LENGTHS, global_answers=4, global_tokens=10, longest=5
    )
    assert weight_M.tolist() == pytest.approx([0.5] * 4)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_answer_weights_property_every_answer_weighs_the_same(lengths: list[int]) -> None:
    length_B, tokens = torch.tensor(lengths), sum(lengths)
    weight_M = policy.answer_weights(
        length_B=length_B, global_answers=len(lengths), global_tokens=tokens
    )
    each = [part.sum().item() for part in weight_M.split(lengths)]
    assert each == pytest.approx([tokens / len(lengths)] * len(lengths))
    assert weight_M.mean().item() == pytest.approx(1, rel=1e-5)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_constant_weights_property_longest_answers_weigh_1_a_token(lengths: list[int]) -> None:
    longest = max(lengths)
    weight_M = policy.constant_weights(
        length_B=torch.tensor(lengths),
        global_answers=len(lengths),
        global_tokens=sum(lengths),
        longest=longest,
    )
    assert set(weight_M.tolist()) == {weight_M[0].item()}
    assert weight_M[0].item() == pytest.approx(sum(lengths) / len(lengths) / longest)
    assert weight_M[0].item() <= 1 + 1e-6


def mean_of(kind: str, loss_M: torch.Tensor, lengths: list[int], *, longest: int) -> float:
    """Float64 oracle written from the papers: GRPO eq. 3, Dr. GRPO section 3.2."""
    parts = [part.tolist() for part in loss_M.split(lengths)]
    if kind == "answer":
        return math.fsum(math.fsum(part) / len(part) for part in parts) / len(parts)
    return math.fsum(map(math.fsum, parts)) / (len(parts) * longest)


def weighed(kind: str) -> tuple[float, float, list[float], list[float]]:
    """A mean with these weights and the paper's; its gradient and the weights over the tokens."""
    lengths, longest = [2, 5, 1], 6
    how: dict[str, int] = {"global_answers": 3, "global_tokens": 8}
    if kind == "constant_weights":
        how["longest"] = longest
    weight_M = getattr(policy, kind)(length_B=torch.tensor(lengths), **how)
    logp_M = torch.randn(8, generator=torch.Generator().manual_seed(3)).double().requires_grad_()
    loss = reinforce_mean(logp_M, weight_M)
    oracle = mean_of(kind.partition("_")[0], -logp_M.detach(), lengths, longest=longest)
    (gradient,) = torch.autograd.grad(loss, logp_M)
    return loss.item(), oracle, gradient.tolist(), (-weight_M / 8).tolist()


def test_answer_weights_parity_with_the_papers_mean() -> None:
    ours, oracle, _, _ = weighed("answer_weights")
    assert ours == pytest.approx(oracle, rel=1e-6)


def test_answer_weights_gradient_is_the_weight_over_the_tokens() -> None:
    _, _, gradient, expected = weighed("answer_weights")
    assert gradient == pytest.approx(expected)


def test_constant_weights_parity_with_the_papers_mean() -> None:
    ours, oracle, _, _ = weighed("constant_weights")
    assert ours == pytest.approx(oracle, rel=1e-6)


def test_constant_weights_gradient_is_the_weight_over_the_tokens() -> None:
    _, _, gradient, expected = weighed("constant_weights")
    assert gradient == pytest.approx(expected)


def reinforce_mean(logp_M: torch.Tensor, weight_M: torch.Tensor) -> torch.Tensor:
    return policy.reinforce(
        logp_M=logp_M,
        old_logp_M=logp_M.detach(),
        advantage_M=torch.ones_like(logp_M),
        weight_M=weight_M,
        global_tokens=len(logp_M),
    ).value


def test_weights_refuse_what_has_no_mean() -> None:
    empty = torch.tensor([2, 0])
    with pytest.raises(DataError):
        policy.answer_weights(length_B=empty, global_answers=2, global_tokens=2)
    with pytest.raises(DataError):
        policy.constant_weights(length_B=empty, global_answers=2, global_tokens=2, longest=3)
    with pytest.raises(InvariantError, match="longest"):
        policy.constant_weights(length_B=LENGTHS, global_answers=2, global_tokens=4, longest=2)


def test_importance_by_hand() -> None:
    """Trainer .5 where the sampler said .25, .5 and .1: ratios 2, 1, 5 under a cap of 2."""
    weight_M, metrics = policy.importance(
        logp_M=column(0.5, 0.5, 0.5).log(), sampled_logp_M=column(0.25, 0.5, 0.1).log(), cap=2.0
    )
    assert weight_M.tolist() == pytest.approx([2, 1, 2])
    figures = {name: figure.item() for name, figure in metrics.items()}
    assert figures == pytest.approx(
        {"importance/max": 5, "importance/mean": 8 / 3, "importance/truncated": 1 / 3}
    )


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=9), st.floats(0.5, 5))
def test_importance_property_is_held_and_tells_what_it_was(drift: list[float], cap: float) -> None:
    logp_M = torch.zeros(len(drift), dtype=torch.float64)
    weight_M, metrics = policy.importance(logp_M=logp_M, sampled_logp_M=column(*drift), cap=cap)
    assert weight_M.max() <= cap
    assert metrics["importance/max"] >= weight_M.max()  # the raw ratio, not the cut one
    agreeing, same = policy.importance(logp_M=logp_M, sampled_logp_M=logp_M, cap=1.0)
    assert agreeing.tolist() == [1] * len(drift)
    assert same["importance/truncated"] == 0


def test_importance_gradient_is_that_of_the_trainers_policy() -> None:
    """Tokens that q drew, weighed by p / q: the expected gradient of p's mean reward. And the
    weights carry none of their own."""
    logits = column(0.3, -0.2, 0.9).requires_grad_()
    q, reward, logp = column(0.2, 0.5, 0.3), column(1.0, -2.0, 0.5), logits.log_softmax(0)
    weight_M, _ = policy.importance(logp_M=logp, sampled_logp_M=q.log(), cap=100.0)
    assert not weight_M.requires_grad
    loss = policy.reinforce(
        logp_M=logp,
        old_logp_M=logp.detach(),
        advantage_M=reward,
        weight_M=3 * q * weight_M,
        global_tokens=3,
    )
    (ours,) = torch.autograd.grad(loss.value, logits, retain_graph=True)
    (true,) = torch.autograd.grad((logp.exp() * reward).sum(), logits)
    assert ours.tolist() == pytest.approx((-true).tolist())


def test_importance_parity_with_a_loop_over_tokens() -> None:
    generator = torch.Generator().manual_seed(4)
    logp, sampled = -torch.rand(2, 60, generator=generator, dtype=torch.float64)
    raw = [math.exp(p) / math.exp(q) for p, q in zip(logp.tolist(), sampled.tolist(), strict=True)]
    weight_M, metrics = policy.importance(logp_M=logp, sampled_logp_M=sampled, cap=1.2)
    assert weight_M.tolist() == pytest.approx([min(r, 1.2) for r in raw])
    assert metrics["importance/max"].item() == pytest.approx(max(raw))
    assert metrics["importance/truncated"].item() == pytest.approx(sum(r > 1.2 for r in raw) / 60)


def test_importance_refuses_no_cap_and_no_token() -> None:
    with pytest.raises(ConfigError, match="correction"):
        policy.importance(logp_M=column(0.0), sampled_logp_M=column(0.0), cap=0.0)
    with pytest.raises(DataError):
        policy.importance(logp_M=column(), sampled_logp_M=column(), cap=1.0)
    with pytest.raises(InvariantError):
        policy.importance(logp_M=column(0.0), sampled_logp_M=column(0.0, 0.0), cap=1.0)
