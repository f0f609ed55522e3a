"""A user's own data on SmolLM2-135M: imported demonstrations and comparisons, two CPU cores."""

from __future__ import annotations

from accord.algorithms.settings import PPOConfig, RewardConfig, SFTConfig
from accord.pipeline.config import EvalConfig, MachineConfig, PipelineConfig


def smollm2() -> PipelineConfig:
    """SFT, reward model, PPO, DPO and evaluation of a real small model with adapters."""
    return PipelineConfig(
        model="smollm2",
        stages=("sft", "reward", "ppo", "dpo", "eval"),
        machine=MachineConfig(checkpoint_every=10),
        sft=SFTConfig(epochs=2, batch_size=8, max_tokens=512),
        reward=RewardConfig(epochs=1, batch_prompts=8, max_tokens=512),
        ppo=PPOConfig(steps=40, batch_prompts=32),
        eval=EvalConfig(prompts=48, samples=2, best_of=(1, 2)),
    )
