"""Film reviews: a real small model, people's ratings, and what a sceptic would compare with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from accord.algorithms.settings import (
    AdapterSettings,
    CriticSettings,
    CriticStart,
    DistilledConfig,
    DPOConfig,
    GRPOConfig,
    IPOConfig,
    JudgeConfig,
    KLSettings,
    KTOConfig,
    OnlineDPOConfig,
    OptimizerSettings,
    ORPOConfig,
    PPOConfig,
    ReinforceConfig,
    RejectionConfig,
    RewardConfig,
    RLOOConfig,
    Schedule,
    SFTConfig,
    SimPOConfig,
)
from accord.collect.persona import PersonSettings
from accord.pipeline.config import DataConfig, EvalConfig, MachineConfig, PipelineConfig

ASKED = "Review a film."
"""What every snippet answers; prompts open the answer with three words of a snippet."""
TOLD = "Write a very positive film review."
"""What the prompting baselines are told in its place."""
SYSTEM = "Critic."
GUIDELINES = """\
Four beginnings of a film review go on in different ways. Put first what is kinder to the film, and
could stand in a newspaper. Call equal what you cannot tell apart.
"""
PEOPLE = {
    "Ada": PersonSettings(temperature=0.5, seed=1),
    "Ben": PersonSettings(temperature=0.8, seed=2),
    "Cleo (falls for length)": PersonSettings(temperature=0.5, bias={"longer": 0.5}, seed=3),
    "Dan (falls for the first)": PersonSettings(temperature=0.5, bias={"first": 0.4}, seed=4),
    "Eve (does not look, 1 in 7)": PersonSettings(temperature=0.5, lapse=1 / 7, seed=5),
}
"""Simulated raters; a rating's standard deviation around a text's mean is about 1.2."""


SIZES = {"demonstrations": 600, "best": 225, "reward_texts": 900}
"""Texts of each part that are used in ten minutes; the others are there to be added."""
ROUND = 48
"""Prompts of the first round, which the reward model learns from."""
MORE = 208
"""Prompts of the second round, which DPO alone learns from, beside the first."""


def films_all() -> PipelineConfig:
    """As `films`, with SFT on the best-rated texts and DPO beside PPO; fifteen minutes."""
    short = films()
    return replace(short, stages=("sft", "top", "judge", "reward", "ppo", "dpo", "eval"))


def films() -> PipelineConfig:
    """SFT, judge, reward model, PPO and evaluation of SmolLM2-135M in ten minutes on two cores."""
    adapter = AdapterSettings(rank=8, alpha=16)
    direct = OptimizerSettings(learning_rate=1e-3, schedule=Schedule.COSINE)
    config = PipelineConfig(
        model="smollm2",
        stages=("sft", "judge", "reward", "ppo", "eval"),
        gold="judge",
        machine=MachineConfig(checkpoint_every=10),
        data=DataConfig(
            demonstrations=("films",),
            top=("films-best",),
            # A pattern, for the first round is not there before SFT; the second is not for it.
            preferences=("films-pairs", "round-[1]"),
            dpo=("round-*",),
            prompts=("films",),
            ratings=("films-judge",),
        ),
        sft=SFTConfig(
            epochs=1,
            batch_size=16,
            max_tokens=128,
            adapter=adapter,
            optimizer=OptimizerSettings(learning_rate=1e-3, schedule=Schedule.COSINE),
        ),
        judge=JudgeConfig(texts=1000, made_up=40, tried=20, above=0.5, gap=1.0, max_tokens=128),
        reward=RewardConfig(
            epochs=1,
            batch_prompts=3,
            max_tokens=128,
            adapter=adapter,
            optimizer=OptimizerSettings(learning_rate=1e-3, schedule=Schedule.COSINE),
            scale_prompts=32,
        ),
        ppo=PPOConfig(
            steps=8,
            batch_prompts=32,
            samples=2,
            max_tokens=32,
            epochs=1,
            minibatches=4,
            critic=CriticSettings(start=CriticStart.ZERO),
            adapter=adapter,
            kl=KLSettings(coefficient=0.03, budget=10.0),
            # Held down, answers that the limit cut teach to be short before anything else.
            missing_stop_score=None,
            optimizer=OptimizerSettings(
                learning_rate=1.5e-3, schedule=Schedule.LINEAR, epsilon=1e-5
            ),
        ),
        dpo=DPOConfig(max_tokens=128, adapter=adapter, optimizer=direct),
        eval=EvalConfig(
            prompts=300, samples=4, arm_samples=1, max_tokens=32, best_of=(1, 4), instead=TOLD
        ),
    )
    return _with_others(config)


def _with_others(config: PipelineConfig) -> PipelineConfig:
    """Every other method with PPO's settings, or DPO's, as far as it has them: none was tuned."""
    ppo, dpo = config.ppo, config.dpo
    adapter, direct = dpo.adapter, dpo.optimizer
    asked: dict[str, Any] = {
        "max_tokens": ppo.max_tokens,
        "missing_stop_score": ppo.missing_stop_score,
    }
    rows: dict[str, Any] = {"max_tokens": dpo.max_tokens, "adapter": adapter, "optimizer": direct}
    batch: dict[str, Any] = {
        **asked,
        "steps": ppo.steps,
        "minibatches": ppo.minibatches,
        "adapter": ppo.adapter,
        "optimizer": ppo.optimizer,
    }
    price = replace(GRPOConfig().kl, coefficient=ppo.kl.coefficient, budget=ppo.kl.budget)
    # A step of these is a batch, and not one of four of it.
    step: dict[str, Any] = {"steps": 24, "batch_prompts": 6, "samples": 4, "optimizer": direct}
    return replace(
        config,
        grpo=GRPOConfig(batch_prompts=16, samples=4, kl=price, **batch),
        rloo=RLOOConfig(batch_prompts=16, samples=4, clip=ppo.clip, kl=ppo.kl, **batch),
        reinforce=ReinforceConfig(batch_prompts=64, kl=ppo.kl, **batch),
        online_dpo=OnlineDPOConfig(kl_budget=ppo.kl.budget, adapter=adapter, **asked, **step),
        rejection=RejectionConfig(max_tokens=ppo.max_tokens, adapter=adapter, **step),
        ipo=IPOConfig(**rows),
        kto=KTOConfig(**rows),
        orpo=ORPOConfig(**rows),
        simpo=SimPOConfig(**rows),
        distilled=DistilledConfig(**rows),
    )
