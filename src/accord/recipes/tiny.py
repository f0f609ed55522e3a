"""The whole loop in minutes on two cores, in the tiny world with its known truth."""

from __future__ import annotations

from dataclasses import replace

from accord.algorithms.settings import (
    AdapterSettings,
    DistilledConfig,
    DPOConfig,
    GRPOConfig,
    IPOConfig,
    KLSettings,
    KTOConfig,
    OnlineDPOConfig,
    OptimizerSettings,
    ORPOConfig,
    PPOConfig,
    PretrainConfig,
    ReinforceConfig,
    RejectionConfig,
    RewardConfig,
    RLOOConfig,
    Schedule,
    SFTConfig,
    SimPOConfig,
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
    config = PipelineConfig(
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
    return _with_others(config)


def _with_others(config: PipelineConfig) -> PipelineConfig:
    """Every other method, as `python -m bench.learning` has it."""
    adapter, price = config.ppo.adapter, config.ppo.kl
    fast = OptimizerSettings(learning_rate=3e-3)
    once = replace(fast, epsilon=1e-5)
    return replace(
        config,
        grpo=GRPOConfig(
            steps=40,
            batch_prompts=8,
            adapter=adapter,
            kl=replace(GRPOConfig().kl, coefficient=0.1, budget=10.0),
            optimizer=once,
        ),
        rloo=RLOOConfig(
            steps=40, batch_prompts=8, samples=8, adapter=adapter, kl=price, optimizer=once
        ),
        reinforce=ReinforceConfig(steps=40, adapter=adapter, kl=price, optimizer=once),
        online_dpo=OnlineDPOConfig(
            steps=40,
            batch_prompts=8,
            samples=8,
            beta=0.3,
            kl_budget=10.0,
            adapter=adapter,
            optimizer=fast,
        ),
        rejection=RejectionConfig(
            steps=40, batch_prompts=8, samples=8, adapter=adapter, optimizer=fast
        ),
        ipo=IPOConfig(beta=0.1, batch_prompts=4, adapter=adapter, optimizer=fast),
        kto=KTOConfig(beta=0.3, batch_prompts=4, adapter=adapter, optimizer=fast),
        orpo=ORPOConfig(lam=1.0, batch_prompts=4, adapter=adapter, optimizer=fast),
        simpo=SimPOConfig(
            batch_prompts=4, adapter=adapter, optimizer=OptimizerSettings(learning_rate=3e-4)
        ),
        distilled=DistilledConfig(beta=1.0, batch_prompts=4, adapter=adapter, optimizer=fast),
    )
