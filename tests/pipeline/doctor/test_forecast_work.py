"""What the forecast counts is what the loops run: models are counted while they train."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from torch import Tensor

from accord.algorithms import group_rl, online_dpo, ppo, rejection
from accord.algorithms.descent import fresh_state
from accord.algorithms.settings import (
    CriticSettings,
    DistilledConfig,
    DPOConfig,
    GRPOConfig,
    KTOConfig,
    OnlineDPOConfig,
    ORPOConfig,
    PairLoss,
    PPOConfig,
    ReinforceConfig,
    RejectionConfig,
    RLOOConfig,
    SFTConfig,
    ShapingSettings,
)
from accord.core.protocols import Row
from accord.core.types import Completion, SamplingSettings
from accord.models.ragged import Ragged
from accord.models.role import Heads, Role
from accord.pipeline.doctor.forecast import FORWARD, Scored, Work, passes, work
from accord.pipeline.stages.scoring import Scorer
from accord.pipeline.stages.shaping import Shaper
from accord.rollout.engine import TorchSampler
from tests.algorithms.arena import STOPS, Arena, arena, watch
from tests.algorithms.loops import demonstrations
from tests.pipeline.doctor.clinic import Clinic

SMALL: dict[str, Any] = {"steps": 2, "batch_prompts": 3, "samples": 2, "max_tokens": 4}
TWICE: dict[str, Any] = {"epochs": 2, "minibatches": 2}
WARM = CriticSettings(steps=1)
SHAPED = ShapingSettings(references=2, pessimism=0.5)
CONFIGS: dict[str, Scored] = {
    "ppo": PPOConfig(**SMALL, **TWICE),
    "ppo, all options": PPOConfig(**SMALL, epochs=2, critic=WARM, ptx=0.1, shaping=SHAPED),
    "grpo": GRPOConfig(**SMALL, **TWICE, shaping=ShapingSettings(references=1)),
    "rloo": RLOOConfig(**SMALL),
    "reinforce": ReinforceConfig(**SMALL, **TWICE, shaping=ShapingSettings(pessimism=0.5)),
    "online_dpo": OnlineDPOConfig(**SMALL, missing_stop_score=None, kl_budget=50.0),
    "online_dpo, all options": OnlineDPOConfig(
        **{**SMALL, "samples": 3},
        missing_stop_score=None,
        pairs="all",
        round_steps=2,
        reference="round",
        shaping=ShapingSettings(pessimism=0.5),
    ),
    "rejection": RejectionConfig(**SMALL, finished=False),
}
PROMPTS = 5
"""Fewer than are asked in all: some are asked twice, and their reference answers sampled once."""


@dataclass
class Counter:
    """Answers and passes while something runs."""

    sampled: int = 0
    passes: int = 0
    learnt: int = 0

    def hidden(self, role: Role, batch: Ragged) -> Tensor:
        """`Role.hidden`, counted; a pass is learnt from where a gradient comes back to it."""
        role.backbone.activate(role.adapters)
        states_ND = role.backbone.hidden(batch, packing=role.packing)
        rows = len(batch.lengths)
        self.passes += rows
        if states_ND.requires_grad:
            states_ND.register_hook(lambda _: self._learn(rows))
        return states_ND

    def _learn(self, rows: int) -> None:
        self.learnt += rows


@dataclass(frozen=True)
class Counted:
    """A sampler over a role, whose answers are counted."""

    role: Role
    counter: Counter

    def sample(
        self, prompts: Sequence[Sequence[int]], *, n: int, settings: SamplingSettings, seed: int
    ) -> list[list[Completion]]:
        self.counter.sampled += n * len(prompts)
        sampler = TorchSampler(self.role, stop_ids=STOPS)
        return sampler.sample(prompts, n=n, settings=settings, seed=seed)


def trained(config: Scored, ring: Arena, counter: Counter, folder: Path) -> Iterator[Row]:
    """A short run of the loop that these settings are for, with a reward model that scores."""
    cast, prompts = ring.parts, ring.parts.prompts[:PROMPTS]
    reward = Role(ring.backbone, ("reward",), Heads(ring.backbone.hidden_size, 2, seed=1))
    scorer = Scorer(reward, min(STOPS), 100)
    shared: dict[str, Any] = {
        "prompts": prompts,
        "policy": cast.policy,
        "sampler": Counted(cast.policy, counter),
        "score": lambda asked, rows: scorer(rows),
        "watch": watch,
        "micro_batch_tokens": 100,
    }
    if isinstance(config, RejectionConfig):
        state = fresh_state(cast.policy.trained(), config.optimizer)
        return rejection.train(config, parts=rejection.Parts(**shared), state=state, seed=4)
    shared["reference"] = cast.reference
    if config.shaping.shapes:
        start = Counted(cast.reference, counter)
        shared["shape"] = Shaper(config, scorer, start, prompts, seed=3)
    if isinstance(config, PPOConfig):
        rows = demonstrations(folder, 6)
        parts = ppo.Parts(**shared, critic=cast.critic, demonstrations=rows)
        return ppo.train(config, parts=parts, state=ring.state, seed=4)
    state = fresh_state(cast.policy.trained(), config.optimizer)
    if isinstance(config, OnlineDPOConfig):
        return online_dpo.train(config, parts=online_dpo.Parts(**shared), state=state, seed=4)
    return group_rl.train(config, parts=group_rl.Parts(**shared), state=state, seed=4)


@pytest.mark.parametrize("name", CONFIGS)
def test_what_each_stage_runs(clinic: Clinic, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    config, counter, folder = CONFIGS[name], Counter(), clinic.base.folder / "model"

    def hidden(role: Role, batch: Ragged) -> Tensor:
        return counter.hidden(role, batch)

    monkeypatch.setattr(Role, "hidden", hidden)
    list(trained(config, arena(folder), counter, folder))
    read = counter.passes - counter.learnt
    assert Work(counter.sampled, read, counter.learnt) == work(config, PROMPTS)


def test_stages_by_hand() -> None:
    """10 steps of 8 prompts. PPO: 4 answers each are read by four models and learnt by two. Without
    a critic: read by three, learnt by one. Rejection: scored by one, one of four learnt. Online
    DPO: read by three, two of four learnt."""
    size: dict[str, Any] = {"steps": 10, "batch_prompts": 8, "samples": 4}
    assert work(PPOConfig(**size, epochs=3), 99) == Work(320, 1280, 1920)
    for config in (GRPOConfig(**size), RLOOConfig(**size), ReinforceConfig(**size)):
        assert work(config, 99) == Work(320, 960, 320)
    assert work(OnlineDPOConfig(**size), 99) == Work(320, 960, 160)
    assert work(RejectionConfig(**size), 99) == Work(320, 320, 80)


@pytest.mark.parametrize(
    ("own", "by_hand"),
    [
        (SFTConfig(epochs=3), 3),
        (DPOConfig(epochs=2), 2 + FORWARD),  # the reference, once
        (DPOConfig(epochs=0.5), 0.5 + FORWARD / 2),
        (DPOConfig(epochs=2, cache_reference=False), 2 + 2 * FORWARD),
        (DPOConfig(epochs=2, reference_free=True), 2),
        (DPOConfig(epochs=2, loss=PairLoss.BCO), 2 + 3 * FORWARD),  # and each batch beforehand
        (DPOConfig(epochs=2, loss=PairLoss.BCO, cache_reference=False), 2 + 6 * FORWARD),
        (ORPOConfig(epochs=2), 2),
        (KTOConfig(epochs=2), 2 + FORWARD + 4 * FORWARD),
        (DistilledConfig(epochs=2), 2 + 2 * FORWARD),
        (DistilledConfig(epochs=2, pessimism=0.1), 2 + 4 * FORWARD),
    ],
)
def test_passes_over_rows_by_hand(own: Any, by_hand: float) -> None:
    assert passes(own) == pytest.approx(by_hand)
