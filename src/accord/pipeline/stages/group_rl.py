"""Reinforcement learning without a critic: the stages `grpo`, `rloo` and `reinforce`."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms.descent import fresh_state
from accord.algorithms.group_rl import Parts, train
from accord.core.protocols import Row
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.fitting import asked_prompts
from accord.pipeline.stages.online import earnings, gold, note_end, tell_of_clip, tell_of_price
from accord.pipeline.stages.roles import Roles


def body(context: StageContext, *, made: str) -> Iterator[Row]:
    """Train the policy's adapter, and leave the policy with its stack, as `made`."""
    config = context.config.own
    roles = Roles(context, trains_all=config.adapter.full)
    reference = roles.start()
    policy = roles.trainable(made, config.adapter, context.seed + config.seed)
    prompts, ids = asked_prompts(context, roles, held_out=False, answer_tokens=config.max_tokens)
    reward = roles.reward()
    earned = earnings(context, roles, reward=reward, reference=reference, prompts=prompts, ids=ids)
    tell_of_price(context)
    tell_of_clip(context)
    state = fresh_state(policy.trained(), config.optimizer)
    context.track(state)
    context.total(config.steps)
    parts = Parts(
        prompts=ids,
        policy=policy,
        reference=reference,
        sampler=roles.sampler(policy),
        score=earned.score,
        watch=gold(context, roles, prompts),
        micro_batch_tokens=context.machine.micro_batch_tokens,
        shape=earned.shape,
    )
    yield from train(config, parts=parts, state=state, seed=context.seed + config.seed)
    note_end(context, state)
    roles.save(policy, made)
