"""The settings of a whole pipeline: one frozen value. Importing loads no torch."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal

from accord.algorithms.settings import (
    DistilledConfig,
    DPOConfig,
    GRPOConfig,
    IPOConfig,
    JudgeConfig,
    KTOConfig,
    OnlineDPOConfig,
    ORPOConfig,
    PPOConfig,
    PretrainConfig,
    ReinforceConfig,
    RejectionConfig,
    RewardConfig,
    RLOOConfig,
    SFTConfig,
    SimPOConfig,
)
from accord.algorithms.settings.checks import above, at_least, within
from accord.core.errors import ConfigError
from accord.pipeline.called import method

ONLINE = ("ppo", "grpo", "rloo", "reinforce", "online_dpo")
"""Stages that sample, score and learn from their own answers."""
SCORED = (*ONLINE, "rejection")
"""Stages that learn from answers which the reward model scores."""
DIRECT = ("dpo", "ipo", "kto", "orpo", "simpo", "distilled")
"""Stages that learn from judgements without sampling."""
ALIGNED = (*SCORED, *DIRECT)
"""Stages that make a policy out of judgements; of several, the first is the final one."""
STAGES = ("pretrain", "sft", "top", "compare", "judge", "reward", *ALIGNED, "eval")
"""Every stage there is, in the order in which a full pipeline runs them."""
USUAL = ("pretrain", "sft", "top", "compare", "judge", "reward", "ppo", "dpo", "eval")
"""Those that a config without `stages` makes."""


REWARD_BASE = "reward_base"
"""The base of a reward model that stands on another one than the policy: a stage without a command,
made where `reward.model` names one."""


def start_among(stages: Container[str]) -> str:
    """The one of `stages` whose policy the aligned ones start from, and are compared with."""
    return next((name for name in ("sft", "pretrain") if name in stages), "base")


@dataclass(frozen=True, kw_only=True, slots=True)
class CompareConfig:
    """Comparisons by simulated raters, on answers sampled from the SFT policy.

    Only where a known truth scores answers (the tiny world); people's judgements are imported.
    """

    prompts: int = 512
    """Prompts that are judged."""
    samples: int = 4
    """Answers a prompt (K); all their pairs reach the reward model."""
    max_tokens: int = 48
    """Longest answer, in tokens, the stop token included."""
    temperature: float = 1.0
    """Sampling temperature of the answers."""
    rater_temperature: float = 1.0
    """Noise of the raters: P(a before b) = sigmoid((gold a - gold b) / this). 0: no noise."""
    lapse: float = 0.0
    """Share of judgements that are a coin toss, whatever the answers."""
    seed: int = 0
    """Choice of prompts, sampling and the raters' noise."""

    def __post_init__(self) -> None:
        at_least("compare.seed", self.seed, 0)
        at_least("compare.prompts", self.prompts, 1)
        at_least("compare.samples", self.samples, 2)
        at_least("compare.max_tokens", self.max_tokens, 1)
        above("compare.temperature", self.temperature, 0)
        at_least("compare.rater_temperature", self.rater_temperature, 0)
        within("compare.lapse", self.lapse, 0, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalConfig:
    """Held-out evaluation of every policy that the pipeline made, on the same prompts."""

    prompts: int = 128
    """Held-out prompts; all of them where there are fewer."""
    samples: int = 4
    """Answers a prompt of the policy that training starts from, and that best-of-n picks from."""
    arm_samples: int | None = None
    """Answers a prompt of every other policy; None: as many as `samples`."""
    max_tokens: int = 48
    """Longest answer, in tokens, the stop token included."""
    temperature: float = 1.0
    """Sampling temperature."""
    best_of: tuple[int, ...] = (1, 2, 4)
    """The n of best-of-n, each at most `samples`."""
    instead: str = ""
    """An instruction that asks for what training is after. Where it is given it is put in place of
    the last user message, to the policy that training starts from and to the base model: two
    baselines that cost no training. Empty: no such baselines."""
    seed: int = 0
    """Choice of prompts and sampling."""

    def __post_init__(self) -> None:
        at_least("eval.seed", self.seed, 0)
        at_least("eval.prompts", self.prompts, 2)
        at_least("eval.samples", self.samples, 1)
        if self.arm_samples is not None:
            at_least("eval.arm_samples", self.arm_samples, 1)
        at_least("eval.max_tokens", self.max_tokens, 1)
        above("eval.temperature", self.temperature, 0)
        for n in self.best_of:
            within("eval.best_of", n, 1, self.samples)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorldConfig:
    """How much of the tiny world's text a run is given (`accord.text.grammar`)."""

    documents: int = 3000
    """Documents of the pretraining stage."""
    demonstrations: int = 1200
    """Demonstrations of mixed quality; a tenth is held out."""
    seed: int = 0
    """Which documents, demonstrations and prompts."""

    def __post_init__(self) -> None:
        at_least("data.world.seed", self.seed, 0)
        at_least("data.world.documents", self.documents, 1)
        at_least("data.world.demonstrations", self.demonstrations, 10)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """Where data come from: the tiny world, or imported data sets. Of these the names say which are
    used; empty means all of that kind. `round-*` names all sets whose names begin so."""

    world: WorldConfig | None = None
    """The tiny world in place of imported data; None reads what was imported."""
    demonstrations: tuple[str, ...] = ()
    """Names of demonstration sets, as `accord import --name` gave them."""
    top: tuple[str, ...] = ()
    """Names of the demonstration sets of the stage `top`, which needs some named."""
    preferences: tuple[str, ...] = ()
    """Names of preference sets."""
    dpo: tuple[str, ...] = ()
    """Names of the preference sets of direct alignment (DPO and its like); empty: those of
    `preferences`."""
    feedback: tuple[str, ...] = ()
    """Names of sets of thumbs up and down, which KTO learns from."""
    prompts: tuple[str, ...] = ()
    """Names of prompt sets."""
    ratings: tuple[str, ...] = ()
    """Names of sets of rated responses, which the judge is made of."""

    def __post_init__(self) -> None:
        if self.world is not None and replace(self, world=None) != DataConfig():
            raise ConfigError(
                "imported sets are named, and the tiny world gives the data",
                got="names in [data] beside data.world",
                do="take the names out of [data]; or, to train on what was imported, replace "
                'recipe = "tiny" by recipe = "smollm2"',
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class MachineConfig:
    """Where and in what a run computes. Another machine changes results by rounding alone."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Format of the products; auto takes bfloat16 where the processor or GPU computes in it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute; auto takes a GPU when there is one."""
    micro_batch_tokens: int | None = None
    """Tokens run through the model at once, whatever the batch: fewer need less memory, and change
    gradients by rounding alone. None: chosen from this machine's memory."""
    checkpoint_every: int = 25
    """Steps between two checkpoints; long steps are saved every two minutes as well."""

    def __post_init__(self) -> None:
        at_least("machine.checkpoint_every", self.checkpoint_every, 1)
        if self.micro_batch_tokens is not None:
            at_least("machine.micro_batch_tokens", self.micro_batch_tokens, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class PipelineConfig:
    """Everything that a run depends on, data and machine apart."""

    model: str = "tiny"
    """The base: `tiny`, `smollm2`, a folder in transformers' format, or a hub id."""
    stages: tuple[str, ...] = USUAL
    """Stages that `accord run` makes."""
    seed: int = 0
    """Seed of the whole run; the seeds of single stages are added to it."""
    machine: MachineConfig = field(default_factory=MachineConfig)
    """Where and in what to compute; no part of what is computed."""
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    """Next-token prediction from scratch."""
    sft: SFTConfig = field(default_factory=SFTConfig)
    """Supervised fine-tuning on demonstrations."""
    top: SFTConfig = field(default_factory=SFTConfig)
    """Supervised fine-tuning of the base on the best demonstrations alone: a baseline for what is
    learned from judgements."""
    compare: CompareConfig = field(default_factory=CompareConfig)
    """Comparisons by simulated raters, where a known truth exists."""
    judge: JudgeConfig = field(default_factory=JudgeConfig)
    """A grader made of rated responses, for evaluation alone."""
    reward: RewardConfig = field(default_factory=RewardConfig)
    """The reward model."""
    ppo: PPOConfig = field(default_factory=PPOConfig)
    """Reinforcement learning against the reward model."""
    grpo: GRPOConfig = field(default_factory=GRPOConfig)
    """The same without a critic, among several answers to a prompt."""
    rloo: RLOOConfig = field(default_factory=RLOOConfig)
    """The same, each answer against the mean of the others."""
    reinforce: ReinforceConfig = field(default_factory=ReinforceConfig)
    """The same without critic or group: REINFORCE++."""
    online_dpo: OnlineDPOConfig = field(default_factory=OnlineDPOConfig)
    """Direct alignment on pairs of the policy's own answers, by the reward model's scores."""
    rejection: RejectionConfig = field(default_factory=RejectionConfig)
    """Imitation of the best of several answers by the reward model."""
    dpo: DPOConfig = field(default_factory=DPOConfig)
    """Direct alignment, without a reward model."""
    ipo: IPOConfig = field(default_factory=IPOConfig)
    """Direct alignment to a bounded lead."""
    kto: KTOConfig = field(default_factory=KTOConfig)
    """Direct alignment on answers that were called good or bad."""
    orpo: ORPOConfig = field(default_factory=ORPOConfig)
    """Direct alignment by odds, without a reference."""
    simpo: SimPOConfig = field(default_factory=SimPOConfig)
    """Direct alignment by likelihood a token, without a reference."""
    distilled: DistilledConfig = field(default_factory=DistilledConfig)
    """Direct alignment to the reward model's leads."""
    eval: EvalConfig = field(default_factory=EvalConfig)
    """Held-out evaluation."""
    data: DataConfig = field(default_factory=DataConfig)
    """Where data come from: the tiny world, or imported sets."""
    gold: Literal["none", "grammar", "vader", "judge"] = "none"
    """A truth that is watched and reported and never trained on: the tiny world's formula, the
    sentiment score of the package vaderSentiment, or the judge of the stage of that name."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError("model is empty", do="name tiny, smollm2, a folder or a hub id")
        at_least("seed", self.seed, 0)
        if self.gold == "grammar" and self.data.world is None:
            raise ConfigError(
                "the grammar's truth is about answers in the tiny world, and no world is set",
                got='gold = "grammar"',
                do='set gold = "none", or use recipe = "tiny"',
            )
        for name in self.stages:
            if name not in STAGES:
                near = get_close_matches(name, STAGES, n=1)
                meant = f"did you mean {near[0]!r}?" if near else f"use some of {', '.join(STAGES)}"
                raise ConfigError(
                    "stages names a stage that does not exist",
                    got=name,
                    do=method(name) or meant,
                )
        if len(set(self.stages)) != len(self.stages):
            raise ConfigError(
                "stages names a stage twice", got=", ".join(self.stages), do="name each once"
            )
