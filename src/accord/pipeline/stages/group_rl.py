"""Reinforcement learning without a critic: the stages `grpo`, `rloo` and `reinforce`."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms.group_rl import train
from accord.core.protocols import Row
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.online import begin, note_end, tell_of_clip, tell_of_price


def body(context: StageContext, *, made: str) -> Iterator[Row]:
    """Train the policy's adapter, and leave the policy with its stack, as `made`."""
    begun = begin(context, made)
    tell_of_price(context)
    tell_of_clip(context)
    yield from train(context.config.own, parts=begun.parts, state=begun.state, seed=begun.seed)
    note_end(context, begun.state)
    begun.roles.save(begun.parts.policy, made)
