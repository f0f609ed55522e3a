"""Supervised fine-tuning on demonstrations."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms.descent import fresh_state, step_count
from accord.algorithms.imitation import train
from accord.core.protocols import Row
from accord.core.types import Split
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.fitting import Sieve, row_limit
from accord.pipeline.stages.roles import Roles
from accord.text.tokenized import TokenRows


def body(context: StageContext) -> Iterator[Row]:
    """Train an adapter (or all weights) to imitate, and leave it with its stack."""
    config = context.config.own
    roles = Roles(context, packing=config.packing)
    rows, dev = (_rows(context, roles, split) for split in (Split.TRAIN, Split.DEV))
    policy = roles.trainable("sft", config.adapter, context.seed + config.seed)
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
    roles.save(policy, "sft")


def _rows(context: StageContext, roles: Roles, split: Split) -> TokenRows:
    """Token rows of one split; the numbers of those that cannot be used are noted."""
    sieve = Sieve(roles.template, row_limit(roles, context.config.own.max_tokens))
    rows = TokenRows.build(sieve.demonstrations(data.demonstrations(context, split)))
    context.note(f"{split}_rows", len(rows))
    context.note(f"{split}_too_long", sieve.too_long)
    context.note(f"{split}_says_stop", sieve.says_stop)
    if split is Split.TRAIN and not len(rows):
        sieve.refuse_all(
            "no demonstration can be trained on",
            "import shorter demonstrations, or raise max_tokens as far as the model's context",
        )
    return rows
