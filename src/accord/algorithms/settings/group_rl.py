"""Settings of the methods without a critic: GRPO and its like, RLOO, REINFORCE++."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from accord.algorithms.settings.adapter import AdapterSettings
from accord.algorithms.settings.checks import above, at_least
from accord.algorithms.settings.optimizer import OptimizerSettings, Schedule
from accord.algorithms.settings.rollouts import (
    KLEstimator,
    KLPlace,
    KLSettings,
    ShapingSettings,
    check_clips,
    check_group,
    check_rollouts,
)
from accord.core.errors import ConfigError


class Denominator(StrEnum):
    """What the sum over tokens is divided by: which mean a loss is."""

    TOKEN = "token"
    """The tokens of the minibatch: every token weighs the same."""
    ANSWER = "answer"
    """Each answer's own tokens, then the answers: every answer weighs the same, and a token of a
    long one less."""
    CONSTANT = "constant"
    """Answers times `max_tokens`: every token weighs the same, in a batch of short answers too."""


class Ratio(StrEnum):
    """What the new policy's probability is held against the old one's by."""

    TOKEN = "token"
    """Each token's own ratio, in PPO's clipped surrogate (GRPO, DAPO)."""
    SEQUENCE = "sequence"
    """One ratio an answer, exp of its tokens' mean log-ratio, in the same surrogate (GSPO, Zheng et
    al. 2025, arXiv:2507.18071). It hardly leaves 1: `clip` is of the order of 3e-4."""
    DETACHED = "detached"
    """Each token's ratio weighs it, up to `ratio_bound`, and carries no gradient (CISPO, MiniMax
    2025, arXiv:2506.13585): every token goes on learning. `clip` is not used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GRPOConfig:
    """Group-relative policy optimisation (Shao et al. 2024, arXiv:2402.03300). Dr. GRPO, DAPO, GSPO
    and CISPO are settings of it: see their pages in `docs/algorithms/`."""

    steps: int = 100
    """Rollout batches."""
    batch_prompts: int = 16
    """Prompts a rollout batch."""
    samples: int = 8
    """Answers a prompt, compared with each other; 64 in the paper."""
    max_tokens: int = 48
    """Longest answer, in tokens, the stop token included."""
    temperature: float = 1.0
    """Sampling temperature; log-probabilities are taken at the same one."""
    epochs: int = 1
    """Passes over each rollout batch."""
    minibatches: int = 1
    """Optimiser steps a pass."""
    normalise: bool = True
    """Divide a group's scores by their standard deviation (GRPO). Off: only their mean is taken
    away (Dr. GRPO), and a prompt counts by how much its answers differ."""
    denominator: Denominator = Denominator.ANSWER
    """Which mean over tokens the loss is: answer (GRPO), constant (Dr. GRPO) or token (DAPO, Yu et
    al. 2025)."""
    ratio: Ratio = Ratio.TOKEN
    """What the step is held by: the ratio of each token, of an answer, or one that only weighs."""
    clip: float = 0.2
    """Half width of the policy ratio's interval."""
    clip_high: float | None = None
    """Width of the interval above 1, where it is another than `clip`: .28 in DAPO (Yu et al. 2025,
    arXiv:2503.14476), so that rare tokens may become likelier. None: `clip`."""
    dual_clip: float | None = None
    """Most that a token of a bad answer counts, as a multiple of its advantage (Ye et al. 2020,
    arXiv:1912.09729): the clip does not hold one that became likelier. Above 1; 3 is usual. None:
    no such bound."""
    ratio_bound: float = 5.0
    """Largest weight of a token where `ratio` is detached: the ratio itself and no half width. 4 to
    8 in Khatri et al. 2025 (arXiv:2510.13786)."""
    resample: int = 0
    """How often prompts whose answers all earned the same are replaced by others before a step
    (DAPO's dynamic sampling): of such a prompt there is nothing to learn. What is still without a
    spread then is trained on as it is. 0: never."""
    kl: KLSettings = field(
        default_factory=lambda: KLSettings(
            coefficient=0.04, estimator=KLEstimator.K3, place=KLPlace.LOSS
        )
    )
    """The price of leaving the reference; .04 of k3 in the loss in the paper."""
    shaping: ShapingSettings = field(default_factory=ShapingSettings)
    """What becomes of the score before it is trained on."""
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
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The policy's trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(
            learning_rate=1e-4, schedule=Schedule.LINEAR, epsilon=1e-5
        )
    )
    """Step size and decay of the policy."""
    seed: int = 0
    """Order of the prompts, sampling and the adapter's first weights."""

    def __post_init__(self) -> None:
        check_rollouts(self)
        check_group(self)
        above("clip", self.clip, 0)
        check_clips(self.clip_high, self.dual_clip)
        above("ratio_bound", self.ratio_bound, 1)
        at_least("resample", self.resample, 0)
        check_ratio(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class RLOOConfig:
    """REINFORCE with the mean of the other answers as baseline (Ahmadian et al. 2024,
    arXiv:2402.14740). The loss is the sum over tokens by the constant answers * `max_tokens`: the
    paper's mean over answers up to a factor that AdamW does not see."""

    steps: int = 100
    """Rollout batches."""
    batch_prompts: int = 16
    """Prompts a rollout batch."""
    samples: int = 4
    """Answers a prompt, compared with each other; 2 or 4 in the paper."""
    max_tokens: int = 48
    """Longest answer, in tokens, the stop token included."""
    temperature: float = 1.0
    """Sampling temperature; log-probabilities are taken at the same one."""
    epochs: int = 1
    """Passes over each rollout batch."""
    minibatches: int = 1
    """Optimiser steps a pass."""
    clip: float | None = None
    """Half width of the policy ratio's interval. None: the plain score-function loss, as in the
    paper, which takes one pass and one minibatch."""
    kl: KLSettings = field(default_factory=KLSettings)
    """The price of leaving the reference."""
    shaping: ShapingSettings = field(default_factory=ShapingSettings)
    """What becomes of the score before it is trained on."""
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
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The policy's trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(
            learning_rate=1e-4, schedule=Schedule.LINEAR, epsilon=1e-5
        )
    )
    """Step size and decay of the policy."""
    seed: int = 0
    """Order of the prompts, sampling and the adapter's first weights."""

    def __post_init__(self) -> None:
        check_rollouts(self)
        check_group(self)
        check_on_policy(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReinforceConfig:
    """REINFORCE++ (Hu 2025, arXiv:2501.03262): no critic and no group, per-token KL in the reward,
    what is still to be earned normalised over the whole batch, PPO's clip."""

    steps: int = 100
    """Rollout batches."""
    batch_prompts: int = 64
    """Prompts a rollout batch."""
    samples: int = 1
    """Answers a prompt."""
    baseline: bool = False
    """Take the mean of what the prompt's answers earned away, then normalise (REINFORCE++-baseline,
    for several answers a prompt). In that variant of the paper the price of KL is a term of the
    loss, by k2: `kl = { place = "loss", estimator = "k2" }`."""
    max_tokens: int = 48
    """Longest answer, in tokens, the stop token included."""
    temperature: float = 1.0
    """Sampling temperature; log-probabilities are taken at the same one."""
    epochs: int = 1
    """Passes over each rollout batch."""
    minibatches: int = 1
    """Optimiser steps a pass."""
    clip: float | None = 0.2
    """Half width of the policy ratio's interval. None: the plain score-function loss, which takes
    one pass and one minibatch."""
    kl: KLSettings = field(default_factory=KLSettings)
    """The price of leaving the reference."""
    shaping: ShapingSettings = field(default_factory=ShapingSettings)
    """What becomes of the score before it is trained on."""
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
    adapter: AdapterSettings = field(default_factory=AdapterSettings)
    """The policy's trained adapter; rank 0 trains all weights."""
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(
            learning_rate=1e-4, schedule=Schedule.LINEAR, epsilon=1e-5
        )
    )
    """Step size and decay of the policy."""
    seed: int = 0
    """Order of the prompts, sampling and the adapter's first weights."""

    def __post_init__(self) -> None:
        check_rollouts(self)
        check_on_policy(self)
        if self.baseline and self.samples < 2:
            raise ConfigError(
                "samples must be at least 2 where baseline is true: it is the mean of a prompt's "
                "answers",
                got=self.samples,
                do="give 2 or more, or baseline = false",
            )


UNREAD = {"clip": 0.2, "ratio_bound": 5.0}
"""Defaults of what one kind of ratio reads and another does not."""


def check_ratio(config: GRPOConfig) -> None:
    """Raise ConfigError where settings have no meaning beside the ratio that is asked for."""
    if config.ratio is Ratio.SEQUENCE and config.denominator is not Denominator.ANSWER:
        raise ConfigError(
            "denominator must be answer where ratio is sequence: the loss is a mean over answers",
            got=f'denominator = "{config.denominator}"',
            do='set denominator = "answer", or ratio = "token"',
        )
    if config.ratio is Ratio.SEQUENCE and config.correction is not None:
        raise ConfigError(
            "correction weighs tokens, and where ratio is sequence an answer is one ratio",
            got=f"correction = {config.correction:g}",
            do='set correction = "none" (a mean over tokens hardly feels the difference), or '
            'ratio = "token"',
        )
    for name in ("clip_high", "dual_clip"):
        if config.ratio is Ratio.DETACHED and getattr(config, name) is not None:
            raise ConfigError(
                f"{name} holds a clipped surrogate, and where ratio is detached there is none",
                got=f"{name} = {getattr(config, name):g}",
                do=f'set {name} = "none" and ratio_bound to the largest ratio, or ratio = "token"',
            )
    for name, read in (
        ("clip", config.ratio is not Ratio.DETACHED),
        ("ratio_bound", config.ratio is Ratio.DETACHED),
    ):
        if not read and getattr(config, name) != UNREAD[name]:
            raise ConfigError(
                f'{name} is not read where ratio is "{config.ratio}"',
                got=f"{name} = {getattr(config, name):g}",
                do=f"leave {name} out, or choose another ratio",
            )


def check_on_policy(config: RLOOConfig | ReinforceConfig) -> None:
    """Raise ConfigError for a bad clip, and for a second step on old answers without any."""
    if config.clip is not None:
        above("clip", config.clip, 0)
    elif config.epochs * config.minibatches > 1:
        raise ConfigError(
            "clip must be a number where a batch is used more than once: the score-function loss "
            "holds for the policy that sampled",
            got=f"epochs = {config.epochs}, minibatches = {config.minibatches}",
            do="set clip = 0.2, or epochs and minibatches to 1",
        )
