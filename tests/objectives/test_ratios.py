"""What is done with the policy's ratio: clip-higher, dual clip, one ratio an answer (GSPO), a ratio
that only weighs (CISPO). By hand, as properties, by their gradients, against oracles and TRL."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives import policy
from accord.objectives.loss import Loss
from tests.objectives.test_parity_trl import RECORD, check

ratios = st.lists(st.floats(0.1, 8), min_size=1, max_size=8)
advantages = st.lists(st.floats(-5, 5), min_size=8, max_size=8)


def column(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def clipped(ratio: list[float], advantage: list[float], **clips: float) -> Loss:
    """Loss at given ratios: the new log-probability is log(ratio), the old one 0."""
    return policy.clipped(
        logp_M=column(*ratio).log(),
        old_logp_M=torch.zeros(len(ratio), dtype=torch.float64),
        advantage_M=column(*advantage),
        clip=0.2,
        global_tokens=len(ratio),
        **clips,
    )


def test_policy_clipped_by_hand_clip_higher() -> None:
    """1.25 of A 2 is not held by .28: 2.5. 1.5 is: 1.28 * 2 = 2.56. Below it is .8 still, so .5 of
    A -2 loses 1.6. (-2.5 - 2.56 + 1.6) / 3."""
    loss = clipped([1.25, 1.5, 0.5], [2.0, 2.0, -2.0], clip_high=0.28)
    assert loss.value.item() == pytest.approx(-3.46 / 3)
    assert loss.metrics["policy/clip_fraction"].item() == pytest.approx(2 / 3)


def test_policy_clipped_by_hand_dual_clip() -> None:
    """c 3: ratio 5 of A -2 loses 10 without it, 6 with; 2 of A -2 loses 4; 5 of A 2 gains 2.4; .5
    of A -2 loses 1.6. (6 + 4 - 2.4 + 1.6) / 4 = 2.3, and 3.3 without."""
    given_ = [5.0, 2.0, 5.0, 0.5], [-2.0, -2.0, 2.0, -2.0]
    loss = clipped(*given_, dual_clip=3.0)
    assert loss.value.item() == pytest.approx(2.3)
    assert clipped(*given_).value.item() == pytest.approx(3.3)
    assert loss.metrics["policy/dual_clip_fraction"].item() == pytest.approx(0.25)
    assert loss.metrics["policy/clip_fraction"].item() == pytest.approx(0.5)
    assert "policy/dual_clip_fraction" not in clipped(*given_).metrics


@given(ratios, advantages, st.floats(1.01, 5))
def test_policy_clipped_property_dual_clip_bounds_bad_tokens_alone(
    ratio: list[float], advantage: list[float], c: float
) -> None:
    for r, a in zip(ratio, advantage, strict=False):
        plain, held = clipped([r], [a]).value.item(), clipped([r], [a], dual_clip=c).value.item()
        assert held == pytest.approx(min(plain, -c * a) if a < 0 else plain, abs=1e-12)


@given(ratios, advantages)
def test_policy_clipped_property_clip_higher_at_clip_is_the_clip(
    ratio: list[float], advantage: list[float]
) -> None:
    advantage = advantage[: len(ratio)]
    one = clipped(ratio, advantage, clip_high=0.2)
    assert one.value.item() == clipped(ratio, advantage).value.item()
    wide = clipped(ratio, advantage, clip_high=0.28).value.item()
    assert wide <= one.value.item() + 1e-12  # a gain is held later


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"),
    [(5.0, -1.0, False), (2.0, -1.0, True), (1.25, 1.0, True), (1.3, 1.0, False)],
)
def test_policy_clipped_gradient_of_the_further_bounds(
    ratio: float, advantage: float, moves: bool
) -> None:
    logp_M = column(math.log(ratio)).requires_grad_()
    value = partial(
        policy.clipped,
        old_logp_M=column(0.0),
        advantage_M=column(advantage),
        clip=0.2,
        clip_high=0.28,
        dual_clip=3.0,
        global_tokens=2,
    )
    assert torch.autograd.gradcheck(lambda x: value(logp_M=x).value, logp_M)
    (gradient,) = torch.autograd.grad(value(logp_M=logp_M).value, logp_M)
    assert gradient.item() == pytest.approx(-advantage * ratio / 2 if moves else 0.0)


def test_policy_clipped_parity_with_an_oracle_of_the_further_bounds() -> None:
    """Float64 oracle written from Yu et al. 2025 (eq. 10) and Ye et al. 2020: the gain that is
    maximised, by cases."""
    generator = torch.Generator().manual_seed(0)
    logp, old, advantage = torch.randn(3, 200, generator=generator, dtype=torch.float64)
    gains = []
    for new, before, a in zip(logp.tolist(), old.tolist(), advantage.tolist(), strict=True):
        r = math.exp(new - before)
        gain = min(r * a, max(min(r, 1.28), 0.8) * a)
        gains.append(max(gain, 3 * a) if a < 0 else gain)
    loss = policy.clipped(
        logp_M=logp,
        old_logp_M=old,
        advantage_M=advantage,
        clip=0.2,
        clip_high=0.28,
        dual_clip=3.0,
        global_tokens=200,
    )
    assert loss.value.item() == pytest.approx(-math.fsum(gains) / 200, rel=1e-12)
    assert loss.metrics["policy/dual_clip_fraction"] > 0.05


@pytest.mark.parametrize("name", ["clip-higher", "dual clip"])
def test_policy_clipped_parity_with_trl(name: str) -> None:
    """TRL's `epsilon_high` and `delta`; it holds the ratio where the paper holds the objective,
    which is the same for a c above 1 + clip."""
    check(name, RECORD["cases"][name])
    with pytest.raises(AssertionError):
        check("grpo/token", RECORD["cases"][name])  # without the bound it is another loss


LENGTHS = torch.tensor([2, 1])
HAND: dict[str, Any] = {
    "logp_M": column(math.log(1.21), 0.0, math.log(0.9)),
    "old_logp_M": column(0.0, 0.0, 0.0),
    "length_B": LENGTHS,
    "clip": 0.05,
    "global_answers": 2,
    "global_tokens": 3,
}


def test_gspo_by_hand() -> None:
    """Ratios sqrt(1.21 * 1) = 1.1 and .9. A 2 and 1: 1.08 * 2 = 2.16 and .9, half of -3.06. A -2
    and -1: 1.1 * 2 and .95, half of 3.15. Log-ratios .1906204, 0, -.1053605: .0474369 / 2 / 3."""
    loss = policy.gspo(**HAND, advantage_B=column(2.0, 1.0), clip_high=0.08)
    assert loss.value.item() == pytest.approx(-1.53)
    assert loss.metrics["policy/loss"].item() == pytest.approx(-1.53)
    assert loss.metrics["policy/clip_fraction"].item() == pytest.approx(0.5)
    assert loss.metrics["policy/approx_kl"].item() == pytest.approx(0.0079062, abs=1e-7)
    bad = policy.gspo(**HAND, advantage_B=column(-2.0, -1.0))
    assert bad.value.item() == pytest.approx(3.15 / 2)
    held = policy.gspo(**HAND, advantage_B=column(-2.0, -1.0), dual_clip=1.06)
    assert held.value.item() == pytest.approx((2.12 + 0.95) / 2)
    assert held.metrics["policy/dual_clip_fraction"].item() == pytest.approx(0.5)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.floats(-0.3, 0.3), st.integers(0, 9))
def test_gspo_property_length_and_order_of_tokens_do_not_count(
    lengths: list[int], drift: float, seed: int
) -> None:
    """Answers whose tokens all moved alike have one ratio, however long; shuffled tokens too."""
    generator = torch.Generator().manual_seed(seed)
    gain_B = torch.randn(len(lengths), generator=generator, dtype=torch.float64)
    moved_M = drift + torch.randn(sum(lengths), generator=generator, dtype=torch.float64) / 10
    how: dict[str, Any] = {
        "advantage_B": gain_B,
        "clip": 0.1,
        "global_answers": len(lengths),
        "global_tokens": sum(lengths),
    }

    def value(logp_M: Tensor, lengths: list[int]) -> float:
        old_M, length_B = torch.zeros_like(logp_M), torch.tensor(lengths)
        told = how | {"global_tokens": len(logp_M)}
        return policy.gspo(logp_M=logp_M, old_logp_M=old_M, length_B=length_B, **told).value.item()

    even = value(torch.full((sum(lengths),), drift, dtype=torch.float64), lengths)
    short = value(torch.full((len(lengths),), drift, dtype=torch.float64), [1] * len(lengths))
    assert even == pytest.approx(short, abs=1e-12)
    turned_M = torch.cat([part.flip(0) for part in moved_M.split(lengths)])
    assert value(moved_M, lengths) == pytest.approx(value(turned_M, lengths), abs=1e-12)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=6), st.integers(0, 9))
def test_gspo_property_is_ppos_surrogate_of_answers_of_one_token(
    drift: list[float], seed: int
) -> None:
    n = len(drift)
    gain = torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    both: dict[str, Any] = {
        "logp_M": column(*drift),
        "old_logp_M": torch.zeros(n, dtype=torch.float64),
        "clip": 0.2,
        "global_tokens": n,
    }
    ones = torch.ones(n, dtype=torch.int64)
    answers = policy.gspo(**both, advantage_B=gain, length_B=ones, global_answers=n)
    tokens = policy.clipped(**both, advantage_M=gain)
    assert answers.value.item() == pytest.approx(tokens.value.item(), abs=1e-12)


def test_gspo_gradient_is_the_answers_ratio_over_its_length() -> None:
    """-A ratio / (length answers) for each token of an answer that is not held, 0 for all tokens of
    one that is (Zheng et al. 2025, eq. 10)."""
    how = HAND | {"advantage_B": column(2.0, 1.0)}
    logp_M = how.pop("logp_M").clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: policy.gspo(logp_M=x, **how).value, logp_M)
    (gradient,) = torch.autograd.grad(policy.gspo(logp_M=logp_M, **how).value, logp_M)
    assert gradient.tolist() == pytest.approx([0, 0, -0.9 / 2])
    free = how | {"clip": 0.2}
    (gradient,) = torch.autograd.grad(policy.gspo(logp_M=logp_M, **free).value, logp_M)
    assert gradient.tolist() == pytest.approx([-2 * 1.1 / 4, -2 * 1.1 / 4, -0.9 / 2])


def test_gspo_gradient_of_old_policy_and_advantages_is_none() -> None:
    tensors = {
        name: torch.full((3 if name.endswith("M") else 2,), 0.1, requires_grad=True)
        for name in ("logp_M", "old_logp_M", "advantage_B")
    }
    how = {"length_B": LENGTHS, "clip": 0.1, "global_answers": 2, "global_tokens": 3}
    policy.gspo(**tensors, **how).value.backward()
    assert [name for name, x in tensors.items() if x.grad is not None] == ["logp_M"]


def test_gspo_parity_with_a_float64_oracle() -> None:
    """Written from Zheng et al. 2025, eq. 5 and 7: likelihoods of whole answers, their root."""
    generator = torch.Generator().manual_seed(1)
    lengths = [3, 1, 5, 2, 4]
    logp, old = -torch.rand(2, sum(lengths), generator=generator, dtype=torch.float64)
    gain = torch.randn(len(lengths), generator=generator, dtype=torch.float64)
    total, held = 0.0, 0
    parts = zip(logp.split(lengths), old.split(lengths), gain.tolist(), strict=True)
    for new, before, a in parts:
        likelihood = math.prod(p.exp().item() for p in new)
        s = (likelihood / math.prod(p.exp().item() for p in before)) ** (1 / len(new))
        total += min(s * a, min(max(s, 0.9), 1.15) * a)
        held += (a > 0 and s > 1.15) or (a < 0 and s < 0.9)
    loss = policy.gspo(
        logp_M=logp,
        old_logp_M=old,
        advantage_B=gain,
        length_B=torch.tensor(lengths),
        clip=0.1,
        clip_high=0.15,
        global_answers=len(lengths),
        global_tokens=sum(lengths),
    )
    assert loss.value.item() == pytest.approx(-total / len(lengths), rel=1e-12)
    assert loss.metrics["policy/clip_fraction"].item() == pytest.approx(held / len(lengths))
    assert 0 < held < len(lengths)


def test_gspo_parity_with_trl() -> None:
    """`importance_sampling_level="sequence"` with the loss type `grpo`, KL included."""
    check("gspo", RECORD["cases"]["gspo"])
    with pytest.raises(AssertionError):
        check("grpo/answer", RECORD["cases"]["gspo"])


def test_gspo_refuses_answers_that_are_not_their_tokens() -> None:
    how = HAND | {"advantage_B": column(1.0, 1.0)}
    with pytest.raises(InvariantError, match="lengths"):
        policy.gspo(**how | {"length_B": torch.tensor([1, 1])})
    with pytest.raises(DataError, match="shortest"):
        policy.gspo(**how | {"length_B": torch.tensor([3, 0])})
    with pytest.raises(InvariantError, match="global_answers"):
        policy.gspo(**how | {"global_answers": 1})


def detached(ratio: list[float], advantage: list[float], *, bound: float = 5.0) -> Loss:
    """CISPO's loss where the old log-probabilities are -1 and the new ones follow."""
    old_M = torch.full((len(ratio),), -1.0, dtype=torch.float64)
    return policy.cispo(
        logp_M=old_M + column(*ratio).log(),
        old_logp_M=old_M,
        advantage_M=column(*advantage),
        weight_M=torch.ones(len(ratio), dtype=torch.float64),
        bound=bound,
        global_tokens=len(ratio),
    )


def test_cispo_by_hand() -> None:
    """Log-probabilities -1 + ln 8, -1 and -1 + ln .5 = 1.0794415, -1, -1.6931472; weights 5, 1 and
    .5 (there is no bound from below); A 1, 2, -3:
    -(5 * 1.0794415 + 2 * -1 + .5 * -3 * -1.6931472) / 3 = -(5.3972077 - 2 + 2.5397208) / 3."""
    loss = detached([8.0, 1.0, 0.5], [1.0, 2.0, -3.0])
    assert loss.value.item() == pytest.approx(-5.9369285 / 3, abs=1e-7)
    assert loss.metrics["policy/clip_fraction"].item() == pytest.approx(1 / 3)
    # ln 8 squared 4.3240771, ln .5 squared .4804530
    assert loss.metrics["policy/approx_kl"].item() == pytest.approx(4.8045301 / 6, abs=1e-7)


@given(ratios, advantages, st.floats(1.01, 9))
def test_cispo_property_every_token_keeps_a_gradient(
    ratio: list[float], advantage: list[float], bound: float
) -> None:
    """-min(ratio, bound) * A over the tokens, where PPO's clip would leave none."""
    n = len(ratio)
    logp_M = column(*ratio).log().requires_grad_()
    loss = policy.cispo(
        logp_M=logp_M,
        old_logp_M=torch.zeros(n, dtype=torch.float64),
        advantage_M=column(*advantage[:n]),
        weight_M=torch.ones(n, dtype=torch.float64),
        bound=bound,
        global_tokens=n,
    )
    (gradient,) = torch.autograd.grad(loss.value, logp_M)
    pairs = zip(ratio, advantage, strict=False)
    assert gradient.tolist() == pytest.approx([-min(r, bound) * a / n for r, a in pairs])


def test_cispo_gradient_by_finite_differences_with_the_weights_held_fixed() -> None:
    generator = torch.Generator().manual_seed(0)
    logp, old, gain, weight = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    logp.requires_grad_()
    how = {"old_logp_M": old, "advantage_M": gain, "weight_M": weight, "bound": 1.5}
    loss = policy.cispo(logp_M=logp, global_tokens=9, **how)
    (gradient,) = torch.autograd.grad(loss.value, logp)
    fixed = weight * (logp.detach() - old).exp().clamp_max(1.5) * gain

    def held(x: Tensor) -> float:
        return -(fixed * x).sum().item() / 9

    for i in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[i] = 1e-4
        slope = (held(logp.detach() + step) - held(logp.detach() - step)) / 2e-4
        assert gradient[i].item() == pytest.approx(slope, abs=1e-9)
    assert 0 < (fixed == weight * 1.5 * gain).sum() < 6


def test_cispo_gradient_reaches_the_new_log_probabilities_alone() -> None:
    names = ("logp_M", "old_logp_M", "advantage_M", "weight_M")
    tensors = {name: torch.full((2,), 0.1, requires_grad=True) for name in names}
    policy.cispo(**tensors, bound=5.0, global_tokens=2).value.backward()
    assert [name for name, x in tensors.items() if x.grad is not None] == ["logp_M"]


def test_cispo_gradient_at_the_old_policy_is_that_of_the_score_function() -> None:
    generator = torch.Generator().manual_seed(2)
    logp, gain, weight = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    logp.requires_grad_()
    how = {"old_logp_M": logp.detach(), "advantage_M": gain, "weight_M": weight}
    both = [
        torch.autograd.grad(loss.value, logp)[0].tolist()
        for loss in (
            policy.cispo(logp_M=logp, bound=5.0, global_tokens=6, **how),
            policy.reinforce(logp_M=logp, global_tokens=6, **how),
        )
    ]
    assert both[0] == pytest.approx(both[1])


def test_cispo_parity_with_a_float64_oracle() -> None:
    """Written from MiniMax 2025, eq. 4 and 5, with no bound from below."""
    generator = torch.Generator().manual_seed(3)
    logp, old, gain = torch.randn(3, 100, generator=generator, dtype=torch.float64)
    lists = zip(logp.tolist(), old.tolist(), gain.tolist(), strict=True)
    terms = [min(math.exp(new) / math.exp(before), 2.0) * a * new for new, before, a in lists]
    loss = policy.cispo(
        logp_M=logp,
        old_logp_M=old,
        advantage_M=gain,
        weight_M=torch.ones(100, dtype=torch.float64),
        bound=2.0,
        global_tokens=100,
    )
    assert loss.value.item() == pytest.approx(-math.fsum(terms) / 100, rel=1e-12)
    assert loss.metrics["policy/clip_fraction"] > 0.1


def test_cispo_parity_with_trl() -> None:
    """Its loss type `cispo`, whose `epsilon_high` is the bound itself; KL included."""
    check("cispo", RECORD["cases"]["cispo"])
    with pytest.raises(AssertionError):
        check("grpo/token", RECORD["cases"]["cispo"])


@pytest.mark.parametrize("bound", [0.2, 1.0, math.nan])
def test_a_bound_that_weighs_down_what_did_not_move_is_refused(bound: float) -> None:
    """The trap of taking a half width for it: every ratio would be squashed to .2."""
    with pytest.raises(ConfigError, match="ratio_bound"):
        detached([1.0], [1.0], bound=bound)


@pytest.mark.parametrize("clips", [{"dual_clip": 1.0}, {"dual_clip": 0.5}, {"clip_high": 0.0}])
def test_clips_that_cannot_be_are_refused(clips: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(clips))):
        clipped([1.0], [1.0], **clips)
    with pytest.raises(ConfigError, match=next(iter(clips))):
        policy.gspo(**HAND, advantage_B=column(1.0, 1.0), **clips)
