"""Reinforcement learning against the reward model, held to the start policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import torch

from accord.algorithms.descent import fresh_state
from accord.algorithms.ppo import Parts, train
from accord.core.protocols import Row
from accord.core.types import Completion, Prompt
from accord.models.role import Role
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.fitting import asked_prompts
from accord.pipeline.stages.roles import Roles
from accord.pipeline.stages.scoring import scorer_of
from accord.pipeline.stages.watching import watched


def body(context: StageContext) -> Iterator[Row]:
    """Train the policy's adapter with a critic beside it, and leave the policy with its stack."""
    config = context.config.own
    roles = Roles(context, trains_all=config.adapter.full)
    reference = roles.start()
    policy = roles.trainable("ppo", config.adapter, context.seed + config.seed)
    reward = roles.reward()
    critic = roles.critic(reward, config.critic_start)
    prompts, ids = asked_prompts(context, roles, held_out=False, answer_tokens=config.max_tokens)
    scorer = scorer_of(roles, reward, prompts, ids)
    state = fresh_state(_both(policy, critic), config.optimizer)
    context.track(state)
    context.total(config.steps)
    parts = Parts(
        prompts=ids,
        policy=policy,
        reference=reference,
        critic=critic,
        sampler=roles.sampler(policy),
        score=lambda asked, rows: scorer(rows),
        watch=_watch(context, roles, prompts),
        micro_batch_tokens=context.machine.micro_batch_tokens,
    )
    yield from train(config, parts=parts, state=state, seed=context.seed + config.seed)
    context.note("budget_spent", bool(state.numbers.get("budget_spent")))
    context.note("kl_coefficient", state.numbers["kl/coefficient"])
    roles.save(policy, "ppo")


def _both(policy: Role, critic: Role) -> Iterator[tuple[str, torch.nn.Parameter]]:
    yield from ((f"policy.{name}", parameter) for name, parameter in policy.trained())
    yield from ((f"critic.{name}", parameter) for name, parameter in critic.trained())


def _watch(
    context: StageContext, roles: Roles, prompts: list[Prompt]
) -> Callable[[Sequence[int], Sequence[Completion]], Row]:
    """Gold of the sampled answers, where a truth is known: seen, never trained on."""
    truth = watched(context, roles)

    def watch(asked: Sequence[int], answers: Sequence[Completion]) -> Row:
        if truth is None:
            return {}
        texts = [roles.template.answer_text(answer.tokens) for answer in answers]
        return {"reward/gold": fmean(truth([prompts[p].conversation for p in asked], texts))}

    return watch
