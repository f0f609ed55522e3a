"""Advantages without a critic: golden, by hand, as properties, by the gradient that they give."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from accord.core.errors import ConfigError, DataError, InvariantError
from accord.objectives import advantage, policy

Advantage = Callable[..., Tensor]
GROUPS: dict[str, Advantage] = {
    "group_relative": advantage.group_relative,
    "dr_grpo": advantage.dr_grpo,
    "rloo": advantage.rloo,
}
scores = st.lists(st.lists(st.floats(-9, 9), min_size=4, max_size=4), min_size=1, max_size=3).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64)
)


def rows(*numbers: list[float]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_group_relative_by_hand() -> None:
    """Mean .25, unbiased variance (.5625 + 3 * .0625) / 3 = .25: .75 / .5001, -.25 / .5001."""
    found = advantage.group_relative(score_PK=rows([1, 0, 0, 0]))[0].tolist()
    assert found == pytest.approx([0.75 / 0.5001] + 3 * [-0.25 / 0.5001], abs=1e-12)
    assert found == pytest.approx([1.4997, -0.4999, -0.4999, -0.4999], abs=5e-5)


def test_dr_grpo_by_hand() -> None:
    found = advantage.dr_grpo(score_PK=rows([1, 0, 0, 0], [2, 4, 0, 2]))
    assert found.tolist() == [[0.75, -0.25, -0.25, -0.25], [0, 2, -2, 0]]


def test_rloo_by_hand() -> None:
    """The others' means are 0, 1/3, 1/3, 1/3; of 2 and 4 they are 4 and 2."""
    found = advantage.rloo(score_PK=rows([1, 0, 0, 0]))[0].tolist()
    assert found == pytest.approx([1, -1 / 3, -1 / 3, -1 / 3])
    assert advantage.rloo(score_PK=rows([2, 4])).tolist() == [[-2, 2]]


@given(scores, st.floats(-50, 50))
def test_group_relative_property_has_no_mean_and_its_own_scale(score: Tensor, c: float) -> None:
    found = advantage.group_relative(score_PK=score)
    assert found.sum(1).tolist() == pytest.approx([0.0] * len(score), abs=1e-6)
    wide = score.std(1) > 0.1
    again = advantage.group_relative(score_PK=1000 * score + c)
    assert torch.allclose(again[wide], found[wide], rtol=2e-3, atol=1e-6)


@given(scores, st.floats(-50, 50))
def test_dr_grpo_property_keeps_the_scale(score: Tensor, c: float) -> None:
    found = advantage.dr_grpo(score_PK=score)
    assert found.sum(1).tolist() == pytest.approx([0.0] * len(score), abs=1e-9)
    assert torch.allclose(advantage.dr_grpo(score_PK=3 * score + c), 3 * found, atol=1e-9)


@given(scores)
def test_rloo_property_is_dr_grpo_times_k_over_k_less_1(score: Tensor) -> None:
    found = advantage.rloo(score_PK=score)
    assert torch.allclose(found, advantage.dr_grpo(score_PK=score) * 4 / 3, atol=1e-9)


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_without_spread_gets_nothing(name: str) -> None:
    found = GROUPS[name](score_PK=torch.tensor([[0.1] * 3, [0.1, 0.2, 0.3]]))
    assert found[0].abs().max() < 1e-3  # .1 is no sum of powers of 2: its mean is off by a bit
    assert found[1].abs().max() > 0.05


@pytest.mark.parametrize("name", GROUPS)
def test_groups_of_one_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="at least two answers"):
        GROUPS[name](score_PK=torch.zeros(3, 1))


PROBABILITY = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
EARNED = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)


def expected_gradient(name: str) -> tuple[Tensor, Tensor]:
    """(in the logits of a policy over three answers, over all groups of two that it may sample;
    that of the mean reward)."""
    logits = PROBABILITY.log().requires_grad_()
    logp = logits.log_softmax(0)
    total = torch.zeros((), dtype=torch.float64)
    for pair in product(range(3), repeat=2):
        picked = list(pair)
        chance = PROBABILITY[picked].prod()
        gain_PK = GROUPS[name](score_PK=EARNED[picked][None])
        loss = policy.reinforce(
            logp_M=logp[picked],
            old_logp_M=logp[picked].detach(),
            advantage_M=gain_PK[0],
            weight_M=torch.ones(2, dtype=torch.float64),
            global_tokens=2,
        )
        total = total - chance * loss.value
    (ours,) = torch.autograd.grad(total, logits, retain_graph=True)
    (true,) = torch.autograd.grad((logp.exp() * EARNED).sum(), logits)
    return ours, true


def test_rloo_gradient_is_unbiased_by_enumeration() -> None:
    ours, true = expected_gradient("rloo")
    assert ours.tolist() == pytest.approx(true.tolist(), abs=1e-12)


def test_dr_grpo_gradient_is_k_less_1_over_k_of_the_true_one() -> None:
    ours, true = expected_gradient("dr_grpo")
    assert ours.tolist() == pytest.approx((true / 2).tolist(), abs=1e-12)


def test_group_relative_gradient_is_of_another_objective() -> None:
    """Each group pulls alike, however far its answers are apart: not along the true gradient."""
    ours, true = expected_gradient("group_relative")
    along = torch.nn.functional.cosine_similarity(ours, true, dim=0).item()
    assert 0.5 < along < 0.999


@pytest.mark.parametrize("name", GROUPS)
def test_advantages_carry_no_gradient(name: str) -> None:
    score = rows([1, 0, 2]).requires_grad_()
    assert not GROUPS[name](score_PK=score).requires_grad


def oracle(name: str, group: list[float]) -> list[float]:
    """Float64 oracle written from the papers, one answer at a time."""
    found = []
    for i, own in enumerate(group):
        others = group[:i] + group[i + 1 :]
        mean = math.fsum(group) / len(group)
        variance = math.fsum((x - mean) ** 2 for x in group) / (len(group) - 1)
        found.append(
            {
                "group_relative": (own - mean) / (math.sqrt(variance) + 1e-4),
                "dr_grpo": own - mean,
                "rloo": own - math.fsum(others) / len(others),
            }[name]
        )
    return found


def held_against_the_oracle(name: str) -> None:
    """TRL's own advantages are in its record (`test_parity_trl`)."""
    score = torch.randn(5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for ours, group in zip(GROUPS[name](score_PK=score).tolist(), score.tolist(), strict=True):
        assert ours == pytest.approx(oracle(name, group), abs=1e-12)


def test_group_relative_parity_with_a_float64_oracle() -> None:
    held_against_the_oracle("group_relative")


def test_dr_grpo_parity_with_a_float64_oracle() -> None:
    held_against_the_oracle("dr_grpo")


def test_rloo_parity_with_a_float64_oracle() -> None:
    held_against_the_oracle("rloo")


def test_reinforce_pp_by_hand() -> None:
    """Rewards -1, 2 and 3: to come 1, 2 and 3, mean 2, population variance 2/3."""
    reward_BT = rows([-1, 2], [3, 77])
    mask_BT = torch.tensor([[True, True], [True, False]])
    found = advantage.reinforce_pp(reward_BT=reward_BT, mask_BT=mask_BT)
    one = 1 / math.sqrt(2 / 3 + 1e-8)
    assert found.flatten().tolist() == pytest.approx([-one, 0, one, 0], abs=1e-9)


@given(
    st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=2, max_size=3),
    st.sampled_from([0.0, 1e30, math.nan]),
)
def test_reinforce_pp_property_masked_slots_influence_nothing(
    kept: list[list[bool]], junk: float
) -> None:
    mask_BT = torch.tensor(kept)
    mask_BT[0, 0] = mask_BT[1, 2] = True
    reward_BT = torch.randn(
        mask_BT.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    one = advantage.reinforce_pp(reward_BT=torch.where(mask_BT, reward_BT, 0.0), mask_BT=mask_BT)
    other = advantage.reinforce_pp(reward_BT=torch.where(mask_BT, reward_BT, junk), mask_BT=mask_BT)
    assert torch.equal(one, other)
    assert one[~mask_BT].tolist() == [0.0] * int((~mask_BT).sum())
    assert one[mask_BT].mean().item() == pytest.approx(0, abs=1e-9)
    assert one[mask_BT].var(correction=0).item() == pytest.approx(1, abs=1e-6)


def test_reinforce_pp_gradient_is_none_and_inputs_stay_as_they_were() -> None:
    reward_BT = rows([-1, 2], [3, 77]).requires_grad_()
    before = reward_BT.detach().clone()
    found = advantage.reinforce_pp(reward_BT=reward_BT, mask_BT=torch.ones(2, 2, dtype=torch.bool))
    assert not found.requires_grad
    assert torch.equal(reward_BT.detach(), before)


def test_reinforce_pp_parity_with_gae_of_a_critic_that_says_nothing() -> None:
    """gamma 1, lambda 1 and values 0, whitened: an independent way to the same."""
    generator = torch.Generator().manual_seed(2)
    reward_BT = torch.randn(4, 6, generator=generator, dtype=torch.float64)
    mask_BT = torch.rand(4, 6, generator=generator) > 0.3
    ours = advantage.reinforce_pp(reward_BT=reward_BT, mask_BT=mask_BT)
    to_come_BT, _ = advantage.gae(
        reward_BT=reward_BT,
        value_BT=torch.zeros_like(reward_BT),
        mask_BT=mask_BT,
        gamma=1.0,
        lam=1.0,
    )
    plain = to_come_BT[mask_BT]
    oracle = (plain - plain.mean()) / plain.std(correction=0)
    assert torch.allclose(ours[mask_BT], oracle, atol=1e-7)


def test_reinforce_baseline_by_hand() -> None:
    """Scores 3 and 1, 10 and 10 in answers of 2, 1, 1 and 1 tokens; the groups' means are 2 and 10,
    leads 1, 1, -1, 0, 0: mean .2, population variance 3/5 - .04 = .56. Golden: 1.0690450,
    -1.6035675, -.2672612."""
    reward_BT = rows([0, 3], [1, 77], [10, 77], [10, 77])
    mask_BT = torch.tensor([[True, True], [True, False], [True, False], [True, False]])
    found = advantage.reinforce_baseline(reward_BT=reward_BT, mask_BT=mask_BT, samples=2)
    golden = [1.0690450, 1.0690450, -1.6035675, 0, -0.2672612, 0, -0.2672612, 0]
    assert found.flatten().tolist() == pytest.approx(golden, abs=1e-6)


def test_reinforce_baseline_by_hand_with_kl_in_the_reward() -> None:
    """Earned: -1 + 2 = 1 and 3, their mean 2. To come: 1 and 2, 3; less 2: -1, 0, 1."""
    reward_BT = rows([-1, 2], [3, 77])
    mask_BT = torch.tensor([[True, True], [True, False]])
    found = advantage.reinforce_baseline(reward_BT=reward_BT, mask_BT=mask_BT, samples=2)
    one = 1 / math.sqrt(2 / 3 + 1e-8)
    assert found.flatten().tolist() == pytest.approx([-one, 0, one, 0], abs=1e-9)


@given(scores, st.floats(-50, 50), st.sampled_from([0.0, 1e30, math.nan]))
def test_reinforce_baseline_property_a_hard_prompt_pushes_nobody_down(
    score: Tensor, c: float, junk: float
) -> None:
    """What is added to all answers of one prompt changes nothing, nor does what is masked."""
    score = score + torch.tensor([0.0, 1.0, 2.0, 4.0])  # a spread
    mask_BT = torch.ones(score.numel(), 2, dtype=torch.bool)
    mask_BT[:, 1] = False
    mask_BT[1, 1] = True

    def found(score: Tensor, junk: float) -> Tensor:
        reward_BT = torch.zeros(mask_BT.shape, dtype=torch.float64)
        last_B = mask_BT.sum(1) - 1
        reward_BT[torch.arange(len(last_B)), last_B] = score.flatten()
        reward_BT[~mask_BT] = junk
        return advantage.reinforce_baseline(reward_BT=reward_BT, mask_BT=mask_BT, samples=4)

    plain = found(score, 0.0)
    moved = score.clone()
    moved[0] += c
    assert torch.allclose(found(moved, junk), plain, atol=1e-6)
    assert plain[mask_BT].mean().item() == pytest.approx(0, abs=1e-9)
    assert plain[mask_BT].var(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert torch.allclose(plain[1, 0], plain[1, 1])  # every token of an answer has its lead


def test_reinforce_baseline_gradient_is_none() -> None:
    reward_BT = rows([-1, 2], [3, 77]).requires_grad_()
    mask_BT = torch.ones(2, 2, dtype=torch.bool)
    found = advantage.reinforce_baseline(reward_BT=reward_BT, mask_BT=mask_BT, samples=2)
    assert not found.requires_grad


def test_reinforce_baseline_parity_with_a_float64_oracle() -> None:
    """Written from Hu 2025: an answer's score less its group's mean, for each of its tokens; then
    mean and deviation over all tokens of the batch."""
    generator = torch.Generator().manual_seed(5)
    score = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    counts = torch.randint(1, 6, (12,), generator=generator).tolist()
    leads = [own - math.fsum(group) / len(group) for group in score.tolist() for own in group]
    tokens = [lead for lead, n in zip(leads, counts, strict=True) for _ in range(n)]
    mean = math.fsum(tokens) / len(tokens)
    deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in tokens) / len(tokens))
    mask_BT = torch.arange(5) < torch.tensor(counts)[:, None]
    reward_BT = torch.zeros(12, 5, dtype=torch.float64)
    reward_BT[torch.arange(12), torch.tensor(counts) - 1] = score.flatten()
    ours = advantage.reinforce_baseline(reward_BT=reward_BT, mask_BT=mask_BT, samples=4)
    assert ours[mask_BT].tolist() == pytest.approx([(x - mean) / deviation for x in tokens])


def test_reinforce_baseline_refuses_what_is_no_group() -> None:
    whole = {"reward_BT": torch.zeros(3, 1), "mask_BT": torch.ones(3, 1, dtype=torch.bool)}
    with pytest.raises(InvariantError, match="whole groups"):
        advantage.reinforce_baseline(**whole, samples=2)
    with pytest.raises(ConfigError, match="at least two answers"):
        advantage.reinforce_baseline(**whole, samples=1)
    nothing = whole | {"mask_BT": torch.zeros(3, 1, dtype=torch.bool)}
    with pytest.raises(DataError):
        advantage.reinforce_baseline(**nothing, samples=3)


def test_reinforce_pp_refuses_nothing_and_mixed_shapes() -> None:
    with pytest.raises(DataError):
        advantage.reinforce_pp(
            reward_BT=torch.zeros(1, 2), mask_BT=torch.zeros(1, 2, dtype=torch.bool)
        )
    with pytest.raises(InvariantError):
        advantage.reinforce_pp(
            reward_BT=torch.zeros(1, 2), mask_BT=torch.ones(2, 2, dtype=torch.bool)
        )
