"""Settings of rejection sampling: imitating the best of one's own answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import above, at_least, finite
from accord.algorithms.settings.optimizer import OptimizerSettings
from accord.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class RejectionConfig:
    """Rejection sampling (Touvron et al. 2023, arXiv:2307.09288, section 3.2.3): the start policy
    answers, the reward model keeps the best answer to each prompt, and the policy imitates it."""

    steps: int = 100
    """Optimiser steps: batches of prompts."""
    batch_prompts: int = 32
    """Prompts a step; at most one answer to each is imitated."""
    samples: int = 8
    """Answers a prompt of the start policy, of which the best is kept. The kept ones are at most
    log(n) - (n - 1) / n nats from it."""
    max_tokens: int = 48
    """Longest answer, in tokens, the stop token included."""
    temperature: float = 1.0
    """Sampling temperature."""
    threshold: float | None = None
    """Least score, in the reward model's unit, of an answer that is imitated: a prompt whose best
    answer scores less gives none. None: the best answer to every prompt."""
    finished: bool = True
    """Keep only answers that said their stop token: what a limit cut would teach not to end."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    """Step size and decay."""
    seed: int = 0
    """Order of the prompts, sampling and the adapter's first weights."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_prompts", "max_tokens"):
            at_least(name, getattr(self, name), 1)
        if self.samples < 2:
            raise ConfigError(
                "samples must be at least 2: of one answer there is no best",
                got=self.samples,
                do="give 2 or more",
            )
        above("temperature", self.temperature, 0)
        at_least("seed", self.seed, 0)
        if self.threshold is not None:
            finite("threshold", self.threshold)
