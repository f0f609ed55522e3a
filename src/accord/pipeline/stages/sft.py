"""Supervised fine-tuning on demonstrations: the stages `sft` and `top`."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms.descent import fresh_state, step_count
from accord.algorithms.imitation import train
from accord.core.errors import DataError
from accord.core.protocols import Row
from accord.core.types import Split
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.fitting import Sieve, list_left_out, row_limit
from accord.pipeline.stages.roles import Roles
from accord.text.tokenized import TokenRows


def body(context: StageContext, *, made: str = "sft") -> Iterator[Row]:
    """Train an adapter (or all weights) to imitate, and leave it with its stack, as `made`."""
    config = context.config.own
    roles = Roles(context, packing=config.packing)
    rows, dev = _rows(context, roles)
    policy = roles.trainable(made, config.adapter, context.seed + config.seed)
    state = fresh_state(policy.trained(), config.optimizer)
    context.track(state)
    steps = step_count(len(rows), config.batch_size, config.epochs)
    context.total(steps)
    yield from train(
        rows=rows,
        dev=dev,
        policy=policy,
        state=state,
        optimizer=config.optimizer,
        batch_size=config.batch_size,
        steps=steps,
        seed=context.seed + config.seed,
        micro_batch_tokens=context.machine.micro_batch_tokens,
    )
    roles.save(policy, made)


def _rows(context: StageContext, roles: Roles) -> tuple[TokenRows, TokenRows]:
    """Token rows of train and dev; those that cannot be used are listed."""
    limit = row_limit(roles, context.config.own.max_tokens)
    sieves = [Sieve(roles.template, limit, split) for split in (Split.TRAIN, Split.DEV)]
    train, dev = (
        TokenRows.build(sieve.demonstrations(data.demonstrations(context, Split(sieve.split))))
        for sieve in sieves
    )
    context.note("train_rows", len(train))
    context.note("dev_rows", len(dev))
    list_left_out(context, *sieves)
    if not len(train):
        raise DataError(
            "no demonstration can be trained on",
            got=sieves[0].told(),
            do="import shorter demonstrations, or raise max_tokens as far as the model's context",
        )
    return train, dev
