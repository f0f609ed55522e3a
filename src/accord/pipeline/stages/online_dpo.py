"""Direct alignment on pairs of the policy's own answers: online, or iterative in rounds."""

from __future__ import annotations

import json
from collections.abc import Iterator

from accord.algorithms.descent import fresh_state
from accord.algorithms.online_dpo import Parts, train
from accord.core.protocols import Row
from accord.models.role import Role
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.fitting import asked_prompts
from accord.pipeline.stages.online import earnings, gold
from accord.pipeline.stages.roles import CALIBRATION_FILE, Roles


def body(context: StageContext) -> Iterator[Row]:
    """Train the policy's adapter, and leave the policy with its stack."""
    config = context.config.own
    roles = Roles(context, trains_all=config.adapter.full)
    reference = roles.start()
    policy = roles.trainable("online_dpo", config.adapter, context.seed + config.seed)
    prompts, ids = asked_prompts(context, roles, held_out=False, answer_tokens=config.max_tokens)
    reward = roles.reward()
    earned = earnings(context, roles, reward=reward, reference=reference, prompts=prompts, ids=ids)
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
        slope=label_slope(context, reward),
    )
    yield from train(config, parts=parts, state=state, seed=context.seed + config.seed)
    pairs, tied = int(state.numbers["pairs"]), int(state.numbers["tied"])
    context.note("pairs", pairs)
    context.note("tied_pairs", tied)
    context.note("budget_spent", bool(state.numbers.get("budget_spent")))
    if tied:
        context.tell(f"{tied} of {pairs} pairs had equal scores and were left out")
    roles.save(policy, "online_dpo")


def label_slope(context: StageContext, reward: Role) -> float:
    """Calibrated log-odds of a unit of the reward model's score; told where they are not fitted.

    A reward model's temperature is of its raw scores, and a score is a raw one in another unit.
    """
    slope = reward.scale.scale / reward.temperature
    if context.config.own.labels == "soft":
        context.note("label_slope", slope)
        path = context.input("reward").folder / CALIBRATION_FILE
        if not (path.is_file() and json.loads(path.read_text(encoding="utf-8"))["fitted"]):
            context.tell(
                "soft labels: the reward model has no temperature fitted on held-out pairs, and "
                "its leads are taken for log-odds as they are"
            )
    return slope
