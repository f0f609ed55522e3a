"""A policy that answers, a reference and a score: what a loop without a critic runs on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accord.algorithms import group_rl, online_dpo
from accord.algorithms.descent import fresh_state
from accord.algorithms.rollouts import Parts
from accord.algorithms.settings import OnlineDPOConfig
from accord.core.protocols import Row
from accord.models.role import Role
from accord.models.state import TrainState
from accord.rollout.engine import TorchSampler
from tests.algorithms.arena import PROMPTS, STOPS, scoring, watch
from tests.models.workshop import with_adapters

SLOPE = 0.7
"""What online DPO is told of a score's unit."""


@dataclass
class Ring:
    """Everything that one run works with."""

    parts: Parts
    state: TrainState
    config: Any

    def rows(self, seed: int = 4) -> Iterator[Row]:
        given: dict[str, Any] = {"parts": self.parts, "state": self.state, "seed": seed}
        if isinstance(self.config, OnlineDPOConfig):
            return online_dpo.train(self.config, **given, slope=SLOPE)
        return group_rl.train(self.config, **given)

    def change(self, **parts: Any) -> None:
        self.parts = replace(self.parts, **parts)


def ring_of(folder: Path, config: Any, *, tokens: int = 100, dtype: str = "float32") -> Ring:
    """Policy = base + SFT + its own adapter, reference = base + SFT."""
    backbone = with_adapters(folder, "sft", dtype=dtype)
    backbone.train_adapter("sft", False)
    backbone.add_adapter("rl", rank=4, alpha=8, seed=2)
    policy = Role(backbone, ("sft", "rl"))
    good = frozenset((backbone.head.weight[:, 0] > 0).nonzero().flatten().tolist())
    parts = Parts(
        prompts=PROMPTS,
        policy=policy,
        reference=Role(backbone, ("sft",)),
        sampler=TorchSampler(policy, stop_ids=STOPS),
        score=scoring(good),
        watch=watch,
        micro_batch_tokens=tokens,
    )
    return Ring(parts, fresh_state(policy.trained(), config.optimizer), config)
