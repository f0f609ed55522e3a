"""Direct preference optimisation from the start policy."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms.descent import fresh_state, step_count
from accord.algorithms.direct import train
from accord.core.protocols import Row
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.fitting import compared
from accord.pipeline.stages.roles import Roles


def body(context: StageContext) -> Iterator[Row]:
    """Train an adapter (or all weights) on comparisons, and leave it with its stack."""
    config = context.config.own
    roles = Roles(context, packing=config.packing, trains_all=config.adapter.full)
    sets = compared(context, roles, max_tokens=config.max_tokens)
    reference = roles.start()
    policy = roles.trainable("dpo", config.adapter, context.seed + config.seed)
    state = fresh_state(policy.trained(), config.optimizer)
    context.track(state)
    steps = step_count(len(sets.train), config.batch_prompts, config.epochs)
    context.total(steps)
    if config.cache_reference:
        context.tell("the reference reads every response once before the first step")
    yield from train(
        config,
        data=sets.train,
        dev=sets.dev,
        policy=policy,
        reference=reference,
        state=state,
        steps=steps,
        seed=context.seed + config.seed,
        micro_batch_tokens=context.machine.micro_batch_tokens,
    )
    roles.save(policy, "dpo")
