"""Each algorithm finds the policy that it should, on a task that is solved by counting."""

from __future__ import annotations

from typing import Any

import pytest
from torch import Tensor

from accord.algorithms.settings import (
    Denominator,
    DPOConfig,
    GRPOConfig,
    IPOConfig,
    KLEstimator,
    KLPlace,
    KLSettings,
    KTOConfig,
    OnlineDPOConfig,
    OptimizerSettings,
    PairLoss,
    PPOConfig,
    RLOOConfig,
    Schedule,
)
from tests.algorithms.exact import (
    ANSWERS,
    TABLE,
    TOKENS,
    align,
    distance,
    every_pair,
    ipo_optimum,
    optimum,
    score,
    solve,
    solve_with_critic,
    whitened_optimum,
)
from tests.algorithms.test_rollouts import rollout
from tests.models.workshop import Folders

BETA = 1.0


def decaying(rate: float) -> OptimizerSettings:
    """To 0, for whitened advantages and unfinished pairs are noise at the optimum."""
    return OptimizerSettings(
        learning_rate=rate, schedule=Schedule.LINEAR, final_share=0.01, epsilon=1e-5
    )


ONLINE: dict[str, Any] = {
    "steps": 300,
    "batch_prompts": 1,
    "samples": 192,
    "max_tokens": 3,
    "missing_stop_score": None,
    "score_clip": None,
    "optimizer": decaying(4e-3),
}
"""What every method that samples has here."""


def test_the_table_is_read_by_the_answer() -> None:
    batch = rollout([0.0], counts=[3], stops=[False])
    (row,) = batch.rows
    assert score([0], [row]) == [TABLE[ANSWERS.index((1, 1, 1))].item()]


@pytest.mark.slow
def test_rloo_converges_to_the_reference_times_exp_of_the_reward(folder_of: Folders) -> None:
    folder = folder_of("llama", vocab_size=TOKENS)
    config = RLOOConfig(kl=KLSettings(coefficient=BETA), **ONLINE)
    before, after = solve(folder, config)
    best = optimum(before, BETA)
    assert before.sum().item() == pytest.approx(1, abs=1e-6)
    assert distance(before, best) > 0.2
    assert distance(after, best) < 0.05


def test_every_two_answers_are_compared_once() -> None:
    seen = [frozenset(one.responses) for one in every_pair()]
    assert len(seen) == len(set(seen)) == len(ANSWERS) * (len(ANSWERS) - 1) // 2


@pytest.mark.slow
@pytest.mark.study
def test_dr_grpo_converges_to_the_same(folder_of: Folders) -> None:
    config = GRPOConfig(
        normalise=False,
        denominator=Denominator.CONSTANT,
        kl=KLSettings(coefficient=BETA, estimator=KLEstimator.K1, place=KLPlace.REWARD),
        **ONLINE,
    )
    before, after = solve(folder_of("llama", vocab_size=TOKENS), config)
    assert distance(after, optimum(before, BETA)) < 0.05


@pytest.mark.slow
@pytest.mark.study
def test_ppo_converges_to_the_same(folder_of: Folders) -> None:
    config = PPOConfig(kl=KLSettings(coefficient=BETA), **ONLINE)
    before, after = solve_with_critic(folder_of("llama", vocab_size=TOKENS), config)
    assert distance(after, optimum(before, BETA)) < 0.05


@pytest.mark.slow
@pytest.mark.study
def test_dpo_converges_to_the_same(folder_of: Folders) -> None:
    config = DPOConfig(beta=BETA, batch_prompts=63, optimizer=decaying(4e-3))
    before, after = align(folder_of("llama", vocab_size=TOKENS), config, steps=300)
    assert distance(after, optimum(before, BETA)) < 0.05


@pytest.mark.slow
@pytest.mark.study
@pytest.mark.parametrize("round_steps", [1, 50])
def test_online_dpo_converges_to_the_same_with_soft_labels(
    folder_of: Folders, round_steps: int
) -> None:
    config = OnlineDPOConfig(
        beta=BETA, pairs="all", labels="soft", round_steps=round_steps, **ONLINE
    )
    before, after = solve(folder_of("llama", vocab_size=TOKENS), config)
    assert distance(after, optimum(before, BETA)) < 0.05


@pytest.mark.slow
@pytest.mark.study
def test_online_dpo_with_hard_labels_ends_elsewhere(folder_of: Folders) -> None:
    """A sure pair asks for an endless lead: the policy runs past the optimum, to few answers."""
    config = OnlineDPOConfig(beta=BETA, pairs="all", **{**ONLINE, "steps": 100, "samples": 64})
    before, after = solve(folder_of("llama", vocab_size=TOKENS), config)
    best = optimum(before, BETA)
    tell("online DPO, hard labels", "the optimum", best, before, after)
    earned, most = (float((one * TABLE.double()).sum()) for one in (after, best))
    assert earned > most
    assert distance(after, best) > distance(before, best)


@pytest.mark.slow
@pytest.mark.study
def test_exo_converges_to_the_same(folder_of: Folders) -> None:
    """Its loss of a pair is 0 where the policy says what the label says, as it is for DPO."""
    config = DPOConfig(
        loss=PairLoss.EXO,
        smoothing=1e-3,
        beta=BETA,
        batch_prompts=63,
        optimizer=decaying(4e-3),
    )
    before, after = align(folder_of("llama", vocab_size=TOKENS), config, steps=300)
    tell("EXO", "the optimum", optimum(before, BETA), before, after)
    assert distance(after, optimum(before, BETA)) < 0.05


@pytest.mark.slow
@pytest.mark.study
@pytest.mark.parametrize("loss", [PairLoss.NCA, PairLoss.SPPO, PairLoss.BCO])
def test_losses_of_single_answers_earn_more_and_end_elsewhere(
    folder_of: Folders, loss: PairLoss
) -> None:
    """Each gives an answer a reward by its chance to win: SPPO as IPO does but for what adds up to
    1, NCA and BCO other functions of it. None of them is held to the optimum."""
    config = DPOConfig(loss=loss, beta=BETA, batch_prompts=63, optimizer=decaying(4e-3))
    before, after = align(folder_of("llama", vocab_size=TOKENS), config, steps=300)
    tell(loss.upper(), "the optimum", optimum(before, BETA), before, after)
    tell(loss.upper(), "IPO's", ipo_optimum(before, BETA), before, after)
    earned, start = (float((one * TABLE.double()).sum()) for one in (after, before))
    print(f"{loss.upper()}: mean reward {earned:.3f}, from {start:.3f} at the start")
    assert earned > start


@pytest.mark.slow
@pytest.mark.study
def test_ipo_converges_to_its_own_closed_form(folder_of: Folders) -> None:
    config = IPOConfig(beta=0.5, batch_prompts=63, optimizer=decaying(4e-3))
    before, after = align(folder_of("llama", vocab_size=TOKENS), config, steps=300)
    assert distance(after, ipo_optimum(before, 0.5)) < 0.05
    assert distance(ipo_optimum(before, 0.5), optimum(before, BETA)) > 0.1


@pytest.mark.slow
@pytest.mark.study
def test_grpo_comes_nearer_to_the_optimum(folder_of: Folders) -> None:
    """It need not reach it: rewards over their deviation are as if at another price, and k3 in the
    loss has the gradient of KL(reference || policy), so that it ends at neither of the two.
    """
    usual = GRPOConfig(
        kl=KLSettings(coefficient=BETA, estimator=KLEstimator.K3, place=KLPlace.LOSS),
        **ONLINE,
    )
    before, after = solve(folder_of("llama", vocab_size=TOKENS), usual)
    best = optimum(before, BETA)
    tell("GRPO", "the optimum", best, before, after)
    whitened = whitened_optimum(before, BETA)
    tell("GRPO", "that of rewards over their deviation", whitened, before, after)
    assert distance(after, best) < distance(before, best)


@pytest.mark.slow
@pytest.mark.study
def test_kto_earns_more_and_ends_elsewhere(folder_of: Folders) -> None:
    """On thumbs of the same preferences. Its loss is linear in an answer's value, so that thumbs up
    and down of one answer hold it nowhere between: it seeks whatever is liked more often than not.
    """
    config = KTOConfig(beta=BETA, batch_prompts=63, optimizer=decaying(4e-3))
    before, after = align(folder_of("llama", vocab_size=TOKENS), config, steps=300)
    tell("KTO", "the optimum", optimum(before, BETA), before, after)
    earned, start = (float((one * TABLE.double()).sum()) for one in (after, before))
    print(f"KTO: mean reward {earned:.3f}, from {start:.3f} at the start")
    assert earned > start


def tell(who: str, whose: str, goal: Tensor, before: Tensor, after: Tensor) -> None:
    """For `make study`, which shows what is printed."""
    start, end = distance(before, goal), distance(after, goal)
    print(f"{who}: total variation from {whose} {end:.3f}, from {start:.3f} at the start")
