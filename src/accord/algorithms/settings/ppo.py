"""Settings of PPO for language models."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import above, at_least, within
from accord.algorithms.settings.optimizer import OptimizerSettings, Schedule
from accord.algorithms.settings.rollouts import (
    KLSettings,
    ShapingSettings,
    check_clips,
    check_rollouts,
)


class CriticStart(StrEnum):
    """What the critic says before it learns; its adapter starts as the reward model's."""

    REWARD = "reward"
    """What the reward model says of the answer so far (Stiennon et al. 2020)."""
    ZERO = "zero"
    """Nothing: 0 everywhere, the score of an average text. Of half an answer a reward model was
    never asked, and what it says of one may explain less than nothing of what follows
    (`value/explained_variance` below 0); in a short run the critic cannot unlearn that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CriticSettings:
    """What the critic begins with, and what it learns by."""

    clip: float = 0.2
    """Half width of the value's interval around its old prediction."""
    coefficient: float = 0.1
    """Weight of the value loss."""
    start: CriticStart = CriticStart.REWARD
    """What the critic says before it learns."""
    steps: int = 0
    """Rollout batches, before the `steps` of PPO, of which the critic alone learns: the policy's
    first updates then go by a critic that has seen what its answers earn. They count in the
    schedule of the learning rate."""

    def __post_init__(self) -> None:
        above("critic.clip", self.clip, 0)
        at_least("critic.coefficient", self.coefficient, 0)
        at_least("critic.steps", self.steps, 0)


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
    shaping: ShapingSettings = field(default_factory=ShapingSettings)
    """What becomes of the score before it is trained on."""
    gamma: float = 1.0
    """Discount a token."""
    lam: float = 0.95
    """Lambda of generalised advantage estimation (Schulman et al. 2016)."""
    clip: float = 0.2
    """Half width of the policy ratio's interval."""
    clip_high: float | None = None
    """Width of the interval above 1, where it is another than `clip`: .28 in DAPO (Yu et al. 2025,
    arXiv:2503.14476), so that rare tokens may become likelier. None: `clip`."""
    dual_clip: float | None = None
    """Most that a token of a bad answer counts, as a multiple of its advantage (Ye et al. 2020,
    arXiv:1912.09729): the clip does not hold one that became likelier. Above 1; 3 is usual. None:
    no such bound."""
    critic: CriticSettings = field(default_factory=CriticSettings)
    """What says how much a token's future is worth."""
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
    correction: float | None = None
    """Cap of truncated importance weights that correct for a sampler whose log-probabilities are
    not the trainer's (other kernels, other numbers); 2 is usual. None: no correction."""
    ptx: float = 0.0
    """Weight of the demonstrations' negative log-likelihood, in score per nat a token (PPO-ptx,
    Ouyang et al. 2022): as many of them as the minibatch has answers are imitated beside it. 0:
    none."""
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
        check_rollouts(self)
        within("gamma", self.gamma, 0, 1)
        within("lam", self.lam, 0, 1)
        above("clip", self.clip, 0)
        check_clips(self.clip_high, self.dual_clip)
        at_least("ptx", self.ptx, 0)

    @property
    def batches(self) -> int:
        """Rollout batches in all, those of the critic alone included."""
        return self.critic.steps + self.steps
