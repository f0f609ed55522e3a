"""The whole loop in minutes on two cores, in the tiny world with its known truth."""

from __future__ import annotations

from accord.algorithms.settings import (
    AdapterSettings,
    DPOConfig,
    KLSettings,
    OptimizerSettings,
    PPOConfig,
    PretrainConfig,
    RewardConfig,
    Schedule,
    SFTConfig,
)
from accord.pipeline.config import (
    CompareConfig,
    DataConfig,
    EvalConfig,
    MachineConfig,
    PipelineConfig,
    WorldConfig,
)


def tiny() -> PipelineConfig:
    """Pretraining to evaluation on a model of 430,000 weights; every stage that needs no rating."""
    adapter = AdapterSettings(rank=16, alpha=32)
    return PipelineConfig(
        model="tiny",
        stages=("pretrain", "sft", "compare", "reward", "ppo", "dpo", "eval"),
        machine=MachineConfig(precision="float32"),
        data=DataConfig(world=WorldConfig(documents=3000, demonstrations=1200)),
        gold="grammar",
        pretrain=PretrainConfig(steps=400, batch_rows=8, row_tokens=128),
        sft=SFTConfig(
            epochs=2,
            batch_size=32,
            adapter=adapter,
            optimizer=OptimizerSettings(learning_rate=2e-3, schedule=Schedule.COSINE),
        ),
        compare=CompareConfig(prompts=432, samples=16, rater_temperature=0.3),
        reward=RewardConfig(
            epochs=2,
            batch_prompts=4,
            # With an adapter, two seeds of five learned little in so few steps.
            adapter=AdapterSettings(rank=0),
            optimizer=OptimizerSettings(learning_rate=1e-3, beta2=0.98, warmup_share=0.1),
        ),
        ppo=PPOConfig(
            steps=40,
            batch_prompts=64,
            samples=1,
            epochs=2,
            minibatches=2,
            adapter=adapter,
            # At .05 the policy went 15 nats away and gained score without truth.
            kl=KLSettings(coefficient=0.1, budget=10.0),
            optimizer=OptimizerSettings(learning_rate=1e-3, epsilon=1e-5),
        ),
        dpo=DPOConfig(
            beta=0.3,
            epochs=1,
            batch_prompts=8,
            adapter=adapter,
            optimizer=OptimizerSettings(learning_rate=1e-3),
        ),
        eval=EvalConfig(prompts=128, samples=4, best_of=(1, 2, 4)),
    )
