"""Rejection sampling: which answers are kept, what is imitated, and that a killed run goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from accord.algorithms.descent import fresh_state
from accord.algorithms.rejection import Parts, pick, train
from accord.algorithms.settings import OptimizerSettings, RejectionConfig
from accord.core.errors import ConfigError, DataError, DivergenceError
from accord.core.metrics import check_row
from accord.core.types import Completion, SamplingSettings, StopReason
from accord.models.ragged import Ragged
from accord.models.role import Role
from accord.models.state import TrainState
from accord.rollout.engine import TorchSampler
from accord.text.tokenized import Tokenized
from tests.algorithms.arena import PROMPTS, STOPS, scoring, watch
from tests.algorithms.loops import Run, check_resume, weights
from tests.models.workshop import with_adapters

CONFIG = RejectionConfig(
    steps=3,
    batch_prompts=4,
    samples=4,
    max_tokens=8,
    finished=False,
    optimizer=OptimizerSettings(learning_rate=5e-3),
)


@dataclass
class Ring:
    """Everything that one run works with."""

    parts: Parts
    state: TrainState


def ring_of(folder: Path) -> Ring:
    backbone = with_adapters(folder, "sft")
    backbone.train_adapter("sft", False)
    backbone.add_adapter("rejection", rank=4, alpha=8, seed=2)
    policy = Role(backbone, ("sft", "rejection"))
    good = frozenset((backbone.head.weight[:, 0] > 0).nonzero().flatten().tolist())
    parts = Parts(
        prompts=PROMPTS,
        policy=policy,
        sampler=TorchSampler(Role(backbone, ("sft",)), stop_ids=STOPS),
        score=scoring(good),
        watch=watch,
        micro_batch_tokens=100,
    )
    return Ring(parts, fresh_state(policy.trained(), CONFIG.optimizer))


class Saying:
    """A sampler that gives answers of one token: 0, 1, 2 ...; odd ones never stop."""

    def sample(
        self, prompts: Sequence[Sequence[int]], *, n: int, settings: SamplingSettings, seed: int
    ) -> list[list[Completion]]:
        return [
            [
                Completion(
                    tokens=(i,),
                    logprobs=(0.0,),
                    stop=StopReason.LENGTH if i % 2 else StopReason.STOP,
                )
                for i in range(n)
            ]
            for _ in prompts
        ]


def kept(folder: Path, table: Sequence[float], **settings: object) -> tuple[list[int], float]:
    """Last tokens of the kept answers to two prompts, four answers each, and the share kept."""
    parts = replace(ring_of(folder).parts, sampler=Saying(), score=lambda asked, rows: list(table))
    config = replace(CONFIG, batch_prompts=2, **settings)
    found = pick(config, parts, 0, seed=0)
    return [row.ids[-1] for row in found.rows], found.figures["rejection/kept"]


def test_the_best_answer_to_each_prompt_is_kept(tiny_folder: Path) -> None:
    table = [0.0, 3.0, 2.0, 1.0, -1.0, -9.0, -5.0, -1.0]
    assert kept(tiny_folder, table) == ([1, 0], 1.0)  # of equal ones the first
    assert kept(tiny_folder, table, finished=True) == ([2, 0], 1.0)
    assert kept(tiny_folder, table, threshold=0.0) == ([1], 0.5)
    assert kept(tiny_folder, table, threshold=2.5, finished=True) == ([], 0.0)


def test_a_step_is_imitation_of_what_was_kept(tiny_folder: Path) -> None:
    ring = ring_of(tiny_folder)
    chosen = pick(CONFIG, ring.parts, 0, seed=4)
    with torch.no_grad():
        logp_M, _ = ring.parts.policy.logprobs(Ragged.of(chosen.rows))
    row = dict(next(train(CONFIG, parts=ring.parts, state=ring.state, seed=4)))
    check_row(row, where="step 1")
    assert row["loss"] == pytest.approx(-logp_M.mean().item(), rel=1e-5)
    assert row["rejection/score"] == chosen.figures["rejection/score"] > row["reward/score"]
    assert ring.state.numbers == {"asked": 4, "kept": 4}


def test_it_learns_what_is_kept(tiny_folder: Path) -> None:
    ring = ring_of(tiny_folder)
    parts = replace(ring.parts, sampler=Saying(), score=lambda asked, rows: [0.0, 3.0] * 8)
    config = replace(CONFIG, steps=6)
    rows = list(train(config, parts=parts, state=ring.state, seed=4))
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.1


def test_the_answers_stay_those_of_the_start(tiny_folder: Path) -> None:
    """A sampler of the trained policy would say others as it learns."""
    ring, untrained = ring_of(tiny_folder), ring_of(tiny_folder)
    rows = list(train(CONFIG, parts=ring.parts, state=ring.state, seed=4))
    last = pick(CONFIG, untrained.parts, 2, seed=4)
    assert {name: rows[-1][name] for name in last.figures} == last.figures


def test_a_step_without_an_answer_to_keep_changes_nothing_and_is_counted(
    tiny_folder: Path,
) -> None:
    ring = ring_of(tiny_folder)
    before = weights(ring.state)
    config = replace(CONFIG, steps=2, threshold=1e6)
    run = train(config, parts=ring.parts, state=ring.state, seed=4)
    rows = [next(run), next(run)]
    with pytest.raises(DataError, match="no answer was good enough") as caught:
        next(run)
    assert "0 of 8 prompts" in str(caught.value)
    assert [row["rejection/kept"] for row in rows] == [0, 0]
    assert all("loss" not in row and "rejection/score" not in row for row in rows)
    after = weights(ring.state)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_stopped_run_goes_on_to_the_bit(tiny_folder: Path, tmp_path: Path) -> None:
    def make() -> Run:
        ring = ring_of(tiny_folder)
        return ring.state, train(CONFIG, parts=ring.parts, state=ring.state, seed=4)

    check_resume(make, tmp_path, stop=1)


@pytest.mark.parametrize(
    ("wrong", "error"), [([0.0] * 3, DataError), ([math.nan] * 16, DivergenceError)]
)
def test_rewards_that_cannot_be_used_stop_the_run(
    tiny_folder: Path, wrong: list[float], error: type[Exception]
) -> None:
    ring = ring_of(tiny_folder)
    parts = replace(ring.parts, score=lambda asked, rows: wrong)
    with pytest.raises(error):
        next(train(CONFIG, parts=parts, state=ring.state, seed=4))


def test_one_answer_has_no_best() -> None:
    with pytest.raises(ConfigError, match="samples must be at least 2"):
        RejectionConfig(samples=1)


def test_micro_batches_change_nothing(tiny_folder: Path) -> None:
    losses = []
    for tokens in (1, 10_000):
        ring = ring_of(tiny_folder)
        parts = replace(ring.parts, micro_batch_tokens=tokens)
        row = next(train(CONFIG, parts=parts, state=ring.state, seed=4))
        losses.append((row["loss"], row["grad_norm"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_answers_are_rows_whose_prompt_is_not_trained(tiny_folder: Path) -> None:
    chosen = pick(CONFIG, ring_of(tiny_folder).parts, 0, seed=4)
    assert all(isinstance(row, Tokenized) and not row.mask[0] for row in chosen.rows)
    assert all(0 < sum(row.mask) <= 8 for row in chosen.rows)
