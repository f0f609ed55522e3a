"""RLOO finds the policy that the price of KL asks for, on a task that is solved by counting."""

from __future__ import annotations

import pytest

from accord.algorithms.settings import KLSettings, OptimizerSettings, RLOOConfig, Schedule
from tests.algorithms.exact import ANSWERS, TABLE, TOKENS, distance, optimum, score, solve
from tests.algorithms.test_rollouts import rollout
from tests.models.workshop import Folders

BETA = 1.0


def test_the_table_is_read_by_the_answer() -> None:
    batch = rollout([0.0], counts=[3], stops=[False])
    (row,) = batch.rows
    assert score([0], [row]) == [TABLE[ANSWERS.index((1, 1, 1))].item()]


@pytest.mark.slow
def test_rloo_converges_to_the_reference_times_exp_of_the_reward(folder_of: Folders) -> None:
    folder = folder_of("llama", vocab_size=TOKENS)
    config = RLOOConfig(
        steps=300,
        batch_prompts=1,
        samples=192,
        max_tokens=3,
        missing_stop_score=None,
        score_clip=None,
        kl=KLSettings(coefficient=BETA),
        optimizer=OptimizerSettings(
            learning_rate=4e-3, schedule=Schedule.LINEAR, final_share=0.01, epsilon=1e-5
        ),
    )
    before, after = solve(folder, config)
    best = optimum(before, BETA)
    assert before.sum().item() == pytest.approx(1, abs=1e-6)
    assert distance(before, best) > 0.2
    assert distance(after, best) < 0.05
