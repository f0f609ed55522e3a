"""Settings of online and iterative DPO: direct alignment on pairs of one's own scored answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import above, at_least, finite
from accord.algorithms.settings.optimizer import OptimizerSettings
from accord.algorithms.settings.rollouts import ShapingSettings, check_overlong
from accord.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class OnlineDPOConfig:
    """Online DPO (Guo et al. 2024, arXiv:2402.04792): the policy answers, the reward model scores,
    and better and worse answers to a prompt are the pairs of a step of DPO or IPO. With
    `round_steps` above 1 it is iterative DPO (Xiong et al. 2024, arXiv:2312.11456)."""

    steps: int = 100
    """Optimiser steps: batches of prompts."""
    batch_prompts: int = 32
    """Prompts a step."""
    samples: int = 2
    """Answers a prompt, of which pairs are made. 2 in Guo et al.; 8, with the best and the worst of
    them, is usual in rounds."""
    max_tokens: int = 48
    """Longest answer, in tokens, the stop token included."""
    temperature: float = 1.0
    """Sampling temperature; log-probabilities are taken at the same one."""
    round_steps: int = 1
    """Steps for which the policy that answers stays as it is. 1: the present policy answers at
    every step (online); more: a round's answers are those of the policy that the round began with
    (iterative)."""
    reference: Literal["start", "round"] = "start"
    """What the policy is compared with: the policy that training started from (Guo et al., Xiong et
    al.), or the one that the round began with (Pang et al. 2024, arXiv:2404.19733), which lets each
    round go as far as the one before."""
    pairs: Literal["extremes", "all"] = "extremes"
    """Of a prompt's answers the best with the worst, or all with all, a prompt weighing the same.
    Answers of equal score make no pair."""
    labels: Literal["hard", "soft"] = "hard"
    """What is believed of a pair: that the higher score is better (hard), or that it is with the
    probability that the reward model gives it, its held-out temperature included (soft)."""
    objective: Literal["dpo", "ipo"] = "dpo"
    """The loss of a pair: DPO (Rafailov et al. 2023, eq. 7) or IPO on sums (Azar et al. 2023,
    eq. 17)."""
    beta: float = 0.1
    """Strength of the pull to the reference, in 1/nats; 0.1 in Rafailov et al. With soft labels,
    the price of a nat of KL in the reward model's log-odds."""
    shaping: ShapingSettings = field(default_factory=ShapingSettings)
    """What becomes of the score before pairs are made of it: `pessimism` takes doubt off it."""
    missing_stop_score: float | None = -1.0
    """Highest score of an answer that never says its stop token; one that scores lower keeps its
    own, so that stopping never costs. None keeps every score."""
    score_clip: float | None = 5.0
    """Scores are held to [-clip, clip]; None leaves them alone."""
    kl_budget: float | None = None
    """Most sequence KL from the start, in nats, of the policy that answers, as a mean over 4 steps
    (in rounds, of one round). Past it the run ends and keeps the last weights that met it; None
    sets no limit."""
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(learning_rate=5e-5)
    )
    """Step size and decay. Full fine-tuning: about 5e-7."""
    seed: int = 0
    """Order of the prompts, sampling and the adapter's first weights."""

    def __post_init__(self) -> None:
        for name in ("steps", "batch_prompts", "max_tokens", "round_steps"):
            at_least(name, getattr(self, name), 1)
        above("temperature", self.temperature, 0)
        above("beta", self.beta, 0)
        at_least("seed", self.seed, 0)
        for name in ("score_clip", "kl_budget"):
            if getattr(self, name) is not None:
                above(name, getattr(self, name), 0)
        if self.missing_stop_score is not None:
            finite("missing_stop_score", self.missing_stop_score)
        check_overlong(self)
        self._check_pairs()

    def _check_pairs(self) -> None:
        if self.samples < 2:
            raise ConfigError(
                "samples must be at least 2: pairs are made of the answers to one prompt",
                got=self.samples,
                do="give 2 or more",
            )
        if self.reference == "round" and self.round_steps == 1:
            raise ConfigError(
                "reference = round needs rounds: a policy that is its own reference at every step "
                "is held by nothing",
                got='reference = "round" with round_steps = 1',
                do='set round_steps to 2 or more, or reference = "start"',
            )
        if self.shaping.references:
            raise ConfigError(
                "shaping.references has no place here: a preference over reference answers orders "
                "answers as their scores do, and its differences are no log-odds",
                got=f"shaping.references = {self.shaping.references}",
                do="leave it at 0",
            )
