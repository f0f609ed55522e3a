"""Imitation of the best of the start policy's own answers, by the reward model."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms.descent import fresh_state
from accord.algorithms.rejection import Parts, train
from accord.core.protocols import Row
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.fitting import asked_prompts
from accord.pipeline.stages.online import gold
from accord.pipeline.stages.roles import Roles
from accord.pipeline.stages.scoring import scorer_of


def body(context: StageContext) -> Iterator[Row]:
    """Train an adapter (or all weights) on picked answers, and leave it with its stack."""
    config = context.config.own
    roles = Roles(context, trains_all=config.adapter.full)
    start = roles.start()
    policy = roles.trainable("rejection", config.adapter, context.seed + config.seed)
    prompts, ids = asked_prompts(context, roles, held_out=False, answer_tokens=config.max_tokens)
    scorer = scorer_of(roles, roles.reward(), prompts, ids)
    state = fresh_state(policy.trained(), config.optimizer)
    context.track(state)
    context.total(config.steps)
    parts = Parts(
        prompts=ids,
        policy=policy,
        sampler=roles.sampler(start),
        score=lambda asked, rows: scorer(rows),
        watch=gold(context, roles, prompts),
        micro_batch_tokens=context.machine.micro_batch_tokens,
    )
    yield from train(config, parts=parts, state=state, seed=context.seed + config.seed)
    context.note("asked", int(state.numbers["asked"]))
    context.note("imitated", int(state.numbers["kept"]))
    roles.save(policy, "rejection")
