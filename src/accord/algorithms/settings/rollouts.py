"""What the settings of all online methods share: the price of KL, and what a score is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from accord.algorithms.settings.checks import above, at_least, finite, within
from accord.core.errors import ConfigError


class KLEstimator(StrEnum):
    """How the KL of one sampled token is estimated; u = log(policy / reference)."""

    K1 = "k1"
    """u: unbiased, of either sign."""
    K2 = "k2"
    """u^2 / 2: biased, never negative."""
    K3 = "k3"
    """exp(-u) - 1 + u: unbiased, never negative."""


class KLPlace(StrEnum):
    """Where the price of KL is paid."""

    REWARD = "reward"
    """Taken off what a token earns. k1 there has the gradient of KL(policy || reference)."""
    LOSS = "loss"
    """Added to the loss. k2 there has the gradient of KL(policy || reference), k3 that of
    KL(reference || policy), k1 none."""


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
    estimator: KLEstimator = KLEstimator.K1
    """What is paid for a token: k1 (log-ratio), k2 (half its square) or k3 (unbiased and never
    negative). The figures `kl/sequence` and `kl/token` are k1 whatever is paid."""
    place: KLPlace = KLPlace.REWARD
    """In the reward (as in Ziegler et al. 2019) or as a term of the loss (as in GRPO). k1 in the
    reward and k2 in the loss follow KL(policy || reference); k1 in the loss moves nothing and is
    refused."""

    def __post_init__(self) -> None:
        at_least("kl.coefficient", self.coefficient, 0)
        at_least("kl.horizon", self.horizon, 1)
        if self.target is not None:
            above("kl.target", self.target, 0)
        if self.budget is not None:
            above("kl.budget", self.budget, 0)
        if self.place is KLPlace.LOSS and self.estimator is KLEstimator.K1:
            raise ConfigError(
                "kl.estimator k1 as a loss has an expected gradient of 0: nothing holds the policy",
                got='kl.place = "loss"',
                do='set kl.estimator = "k2" (or "k3"), or kl.place = "reward"',
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class ShapingSettings:
    """What becomes of a reward model's score before anything learns from it. The figures
    `reward/score` and the report show the score as it was."""

    references: int = 0
    """Preference as reward (PAR, Fu et al. 2025, arXiv:2502.18770): what is trained on is the
    sigmoid of the score less that of a reference answer, a mean over so many answers that the
    reference policy gives to the same prompt; between 0 and 1. `missing_stop_score` and
    `score_clip` hold the scores that are compared. 0: the score itself."""
    pessimism: float = 0.0
    """Taken off a score, times the reward model's doubt about it in the same unit: scores that the
    model is unsure of are not worth chasing. 0: off; above it the reward model must tell its
    doubt."""
    overlong: int = 0
    """Soft punishment of length (DAPO, Yu et al. 2025, arXiv:2503.14476, eq. 13): over the last so
    many tokens before `max_tokens`, what an answer earns falls in a straight line, by 1 at the
    limit. It comes after all that holds or shapes the score. 0: none."""

    def __post_init__(self) -> None:
        at_least("shaping.references", self.references, 0)
        at_least("shaping.overlong", self.overlong, 0)
        at_least("shaping.pessimism", self.pessimism, 0)

    @property
    def shapes(self) -> bool:
        """Whether something is put in place of the score, before its length is looked at."""
        return self.references > 0 or self.pessimism > 0


class Asking(Protocol):
    """How a policy is asked, and what is made of the scores of its answers."""

    @property
    def batch_prompts(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def max_tokens(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def shaping(self) -> ShapingSettings: ...
    @property
    def missing_stop_score(self) -> float | None: ...
    @property
    def score_clip(self) -> float | None: ...
    @property
    def seed(self) -> int: ...


class Rollouts(Asking, Protocol):
    """What the settings of every method of reinforcement learning have in common."""

    @property
    def steps(self) -> int: ...
    @property
    def epochs(self) -> int: ...
    @property
    def minibatches(self) -> int: ...
    @property
    def kl(self) -> KLSettings: ...
    @property
    def stop_kl(self) -> float | None: ...
    @property
    def correction(self) -> float | None: ...


def check_rollouts(config: Rollouts) -> None:
    """Raise ConfigError where one of the shared settings is out of bounds."""
    for name in ("steps", "batch_prompts", "samples", "max_tokens", "epochs", "minibatches"):
        at_least(name, getattr(config, name), 1)
    above("temperature", config.temperature, 0)
    at_least("seed", config.seed, 0)
    for name in ("score_clip", "stop_kl", "correction"):
        if getattr(config, name) is not None:
            above(name, getattr(config, name), 0)
    if config.missing_stop_score is not None:
        finite("missing_stop_score", config.missing_stop_score)
    within("minibatches", config.minibatches, 1, config.batch_prompts * config.samples)
    check_overlong(config)


def check_overlong(config: Asking) -> None:
    """Raise ConfigError where the price of length would begin before the answer does."""
    if config.shaping.overlong >= config.max_tokens:
        raise ConfigError(
            "shaping.overlong must be less than max_tokens: it is the last part of an answer",
            got=f"shaping.overlong = {config.shaping.overlong}, max_tokens = {config.max_tokens}",
            do=f"give at most {config.max_tokens - 1}; a fifth of max_tokens is usual",
        )


def check_clips(clip_high: float | None, dual_clip: float | None) -> None:
    """Raise ConfigError where a further bound of the policy ratio holds nothing or everything."""
    if clip_high is not None:
        above("clip_high", clip_high, 0)
    if dual_clip is not None:
        above("dual_clip", dual_clip, 1)


def check_group(config: Rollouts) -> None:
    """Raise ConfigError where a method that compares answers to one prompt gets one of each."""
    if config.samples < 2:
        raise ConfigError(
            "samples must be at least 2: answers to one prompt are compared with each other",
            got=config.samples,
            do="give 2 or more, or use the stage reinforce or ppo",
        )
