"""Supervised fine-tuning on demonstrations."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms.descent import fresh_state, step_count
from accord.algorithms.imitation import train
from accord.core.errors import DataError
from accord.core.protocols import Row
from accord.core.types import Split
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.roles import Roles
from accord.text.tokenized import Tokenized, TokenRows


def body(context: StageContext) -> Iterator[Row]:
    """Train an adapter (or all weights) to imitate, and leave it with its stack."""
    config = context.config.own
    roles = Roles(context, packing=config.packing)
    rows, dev = (_rows(context, roles, split) for split in (Split.TRAIN, Split.DEV))
    if not len(rows):
        raise DataError(
            "no demonstration can be trained on",
            got=f"all are longer than max_tokens = {config.max_tokens}",
            do="raise max_tokens or import shorter demonstrations",
        )
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
    """Token rows of one split; what is too long is counted and left out."""
    limit = min(context.config.own.max_tokens, roles.backbone(roles.base).context)
    too_long: list[int] = []

    def fitting() -> Iterator[Tokenized]:
        for index, row in enumerate(data.demonstrations(context, split)):
            tokens = roles.template.tokenize(row.conversation)
            if len(tokens) <= limit:
                yield tokens
            else:
                too_long.append(index)

    rows = TokenRows.build(fitting())
    context.note(f"{split}_rows", len(rows))
    context.note(f"{split}_too_long", too_long)
    return rows
