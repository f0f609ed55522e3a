"""Reinforcement learning against the reward model, held to the start policy, with a critic."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from accord.algorithms.descent import fresh_state
from accord.algorithms.ppo import Parts, train
from accord.core.errors import DataError
from accord.core.protocols import Row
from accord.core.types import Split
from accord.models.role import Role
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.fitting import Sieve, asked_prompts, list_left_out, row_limit
from accord.pipeline.stages.online import earnings, gold, note_end, tell_of_clip, tell_of_price
from accord.pipeline.stages.roles import Roles
from accord.text.tokenized import TokenRows


def body(context: StageContext) -> Iterator[Row]:
    """Train the policy's adapter with a critic beside it, and leave the policy with its stack."""
    config = context.config.own
    roles = Roles(context, trains_all=config.adapter.full)
    reference = roles.start()
    policy = roles.trainable("ppo", config.adapter, context.seed + config.seed)
    reward = roles.reward()
    critic = roles.critic(reward, config.critic.start)
    prompts, ids = asked_prompts(context, roles, held_out=False, answer_tokens=config.max_tokens)
    earned = earnings(context, roles, reward=reward, reference=reference, prompts=prompts, ids=ids)
    tell_of_price(context)
    tell_of_clip(context)
    state = fresh_state(_both(policy, critic), config.optimizer)
    context.track(state)
    context.total(config.batches)
    parts = Parts(
        prompts=ids,
        policy=policy,
        reference=reference,
        critic=critic,
        sampler=roles.sampler(policy),
        score=earned.score,
        watch=gold(context, roles, prompts),
        micro_batch_tokens=context.machine.micro_batch_tokens,
        shape=earned.shape,
        demonstrations=_shown(context, roles) if config.ptx else None,
    )
    yield from train(config, parts=parts, state=state, seed=context.seed + config.seed)
    note_end(context, state)
    roles.save(policy, "ppo")


def _both(policy: Role, critic: Role) -> Iterator[tuple[str, torch.nn.Parameter]]:
    yield from ((f"policy.{name}", parameter) for name, parameter in policy.trained())
    yield from ((f"critic.{name}", parameter) for name, parameter in critic.trained())


def _shown(context: StageContext, roles: Roles) -> TokenRows:
    """Demonstrations that PPO-ptx imitates; those that cannot be used are listed."""
    limit = row_limit(roles, roles.backbone(roles.base).context)
    sieve = Sieve(roles.template, limit)
    rows = TokenRows.build(sieve.demonstrations(data.demonstrations(context, Split.TRAIN)))
    context.note("ptx_rows", len(rows))
    list_left_out(context, sieve, of="ptx")
    if not len(rows):
        raise DataError(
            "no demonstration can be imitated beside PPO",
            got=sieve.told(),
            do="import shorter demonstrations, or set ppo.ptx = 0",
        )
    return rows
