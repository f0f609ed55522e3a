"""Settings of PPO for language models."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import above, at_least, finite, within
from accord.algorithms.settings.optimizer import OptimizerSettings, Schedule


@dataclass(frozen=True, kw_only=True, slots=True)
class KLSettings:
    """The price of leaving the reference."""

    coefficient: float = 0.05
    """Price of one nat of per-token KL, in score. 0.05 in Stiennon et al. 2020 and
    Huang et al. 2024."""
    target: float | None = None
    """Sequence KL that the adaptive controller aims at, in nats (Ziegler et al. 2019, section 2.2);
    None keeps the coefficient fixed."""
    horizon: int = 10_000
    """Episodes over which the adaptive controller moves the coefficient."""
    budget: float | None = None
    """Most sequence KL, in nats, as a mean over 4 steps. Past it the run ends and keeps the last
    weights that met it; None sets no limit."""

    def __post_init__(self) -> None:
        at_least("kl.coefficient", self.coefficient, 0)
        at_least("kl.horizon", self.horizon, 1)
        if self.target is not None:
            above("kl.target", self.target, 0)
        if self.budget is not None:
            above("kl.budget", self.budget, 0)


class CriticStart(StrEnum):
    """What the critic says before it learns; its adapter starts as the reward model's."""

    REWARD = "reward"
    """What the reward model says of the answer so far (Stiennon et al. 2020)."""
    ZERO = "zero"
    """Nothing: 0 everywhere, the score of an average text. Of half an answer a reward model was
    never asked, and what it says of one may explain less than nothing of what follows
    (`value/explained_variance` below 0); in a short run the critic cannot unlearn that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PPOConfig:
    """PPO with a critic. Defaults: "The N implementation details of RLHF with PPO"
    (Huang et al. 2024, arXiv:2403.17031) where it speaks, else Ziegler et al. 2019. They depart in
    `epochs` (4 there, for batches of 512), `temperature` (.7 there), `score_clip` (none there) and
    the learning rate (3e-6 there, for all weights of models from 1B; here for an adapter)."""

    steps: int = 100
    """Rollout batches."""
    batch_prompts: int = 32
    """Prompts a rollout batch."""
    samples: int = 1
    """Answers a prompt."""
    max_tokens: int = 48
    """Longest answer, in tokens, the stop token included."""
    temperature: float = 1.0
    """Sampling temperature; log-probabilities are taken at the same one."""
    epochs: int = 1
    """Passes over each rollout batch."""
    minibatches: int = 1
    """Optimiser steps a pass."""
    kl: KLSettings = field(default_factory=KLSettings)
    """The price of leaving the reference."""
    gamma: float = 1.0
    """Discount a token."""
    lam: float = 0.95
    """Lambda of generalised advantage estimation (Schulman et al. 2016)."""
    clip: float = 0.2
    """Half width of the policy ratio's interval."""
    value_clip: float = 0.2
    """Half width of the value's interval around its old prediction."""
    value_coefficient: float = 0.1
    """Weight of the value loss."""
    critic_start: CriticStart = CriticStart.REWARD
    """What the critic says before it learns."""
    whiten_advantages: bool = True
    """Shift and scale advantages to mean 0 and variance 1 over the global minibatch."""
    missing_stop_score: float | None = -1.0
    """Highest score of an answer that never says its stop token; one that scores lower keeps its
    own, so that stopping never costs. None keeps every score."""
    score_clip: float | None = 5.0
    """Scores are held to [-clip, clip]; None leaves them alone."""
    stop_kl: float | None = None
    """Ends the inner passes of a batch once the mean approximate KL to the old policy
    exceeds it."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The policy's trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(
            learning_rate=1e-4, schedule=Schedule.LINEAR, epsilon=1e-5
        )
    )
    """Step size and decay of the policy and the critic."""
    seed: int = 0
    """Order of the prompts, sampling and the adapter's first weights."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_prompts", "samples", "max_tokens", "epochs", "minibatches"):
            at_least(name, getattr(self, name), 1)
        above("temperature", self.temperature, 0)
        within("gamma", self.gamma, 0, 1)
        within("lam", self.lam, 0, 1)
        at_least("seed", self.seed, 0)
        if self.score_clip is not None:
            above("score_clip", self.score_clip, 0)
        if self.missing_stop_score is not None:
            finite("missing_stop_score", self.missing_stop_score)
        above("clip", self.clip, 0)
        above("value_clip", self.value_clip, 0)
        at_least("value_coefficient", self.value_coefficient, 0)
        within("minibatches", self.minibatches, 1, self.batch_prompts * self.samples)
