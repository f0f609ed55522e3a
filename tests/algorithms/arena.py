"""A policy, its reference, a critic and a score for short PPO runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from accord.algorithms.descent import fresh_state
from accord.algorithms.ppo import Parts, train
from accord.algorithms.rollouts import Score
from accord.algorithms.settings import KLSettings, OptimizerSettings, PPOConfig
from accord.core.protocols import Row
from accord.core.types import Completion, StopReason
from accord.models.backbone import Backbone
from accord.models.role import Role, ScalarHead, Scale
from accord.models.state import TrainState
from accord.rollout.engine import TorchSampler
from accord.text.tokenized import Tokenized
from tests.models.workshop import load, with_adapters

STOPS = range(60, 110)
"""A ninth of the tiny model's tokens: answers end at many lengths."""
PROMPTS = [
    [int(i) for i in np.random.default_rng(n).integers(5, 300, 3 + n % 6)] for n in range(24)
]
CONFIG = PPOConfig(
    steps=3,
    batch_prompts=8,
    samples=2,
    max_tokens=8,
    kl=KLSettings(coefficient=0.1),
    missing_stop_score=None,
    optimizer=OptimizerSettings(learning_rate=5e-3, epsilon=1e-5),
)


def watch(asked: Sequence[int], answers: Sequence[Completion]) -> Row:
    return {"reward/gold": float(len(answers))}


def scoring(good: frozenset[int]) -> Score:
    """Good tokens of an answer less 3: a policy that says more of them scores higher."""

    def score(asked: Sequence[int], rows: Sequence[Tokenized]) -> list[float]:
        said = [[i for i, m in zip(row.ids, row.mask, strict=True) if m] for row in rows]
        return [float(sum(i in good for i in answer)) - 3 for answer in said]

    return score


@dataclass
class Arena:
    """Everything that one PPO run works with."""

    backbone: Backbone
    parts: Parts
    state: TrainState
    config: PPOConfig
    good: frozenset[int]
    """The tokens that earn: those on one side of the table of embeddings."""

    def rows(self, seed: int = 4) -> Iterator[Row]:
        """The run, not begun."""
        return train(self.config, parts=self.parts, state=self.state, seed=seed)

    def change(self, **parts: Any) -> None:
        """Put other parts in the place of some."""
        self.parts = replace(self.parts, **parts)


def arena(
    folder: Path,
    *,
    dtype: str = "float32",
    full: bool = False,
    tokens: int = 100,
    config: PPOConfig = CONFIG,
) -> Arena:
    """Policy = base + SFT + PPO, reference = base + SFT, critic = a copy of the reward's adapter.

    With `full` the policy is a whole model of its own.
    """
    backbone = with_adapters(folder, "sft", "reward", dtype=dtype)
    for name in ("sft", "reward"):
        backbone.train_adapter(name, False)
    backbone.copy_adapter("reward", "value")
    head = ScalarHead(backbone.hidden_size, seed=1)
    critic = Role(backbone, ("value",), head, Scale(shift=0.3, scale=1.7))
    if full:
        policy = Role(load(folder, dtype, train_all=True))
        reference = Role(load(folder, dtype, wide=True))
    else:
        backbone.add_adapter("ppo", rank=4, alpha=8, seed=2)
        policy, reference = Role(backbone, ("sft", "ppo")), Role(backbone, ("sft",))
    parameters = [(f"policy.{n}", p) for n, p in policy.trained()]
    parameters += [(f"critic.{n}", p) for n, p in critic.trained()]
    good = frozenset((backbone.head.weight[:, 0] > 0).nonzero().flatten().tolist())
    parts = Parts(
        prompts=PROMPTS,
        policy=policy,
        reference=reference,
        critic=critic,
        sampler=TorchSampler(policy, stop_ids=STOPS),
        score=scoring(good),
        watch=watch,
        micro_batch_tokens=tokens,
    )
    state = fresh_state(iter(parameters), config.optimizer)
    return Arena(backbone, parts, state, config, good)


def said(counts: Sequence[int], stops: Sequence[bool]) -> list[Completion]:
    """Answers of these lengths, the log-probabilities of which are never looked at."""
    return [
        Completion(
            tokens=(1,) * count,
            logprobs=(torch.nan,) * count,
            stop=StopReason.STOP if stop else StopReason.LENGTH,
        )
        for count, stop in zip(counts, stops, strict=True)
    ]
