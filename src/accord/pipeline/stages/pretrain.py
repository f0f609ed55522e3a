"""Pretraining: all weights of the base learn the tiny world's documents."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms.descent import fresh_state
from accord.algorithms.imitation import packed_rows, train
from accord.core.errors import ConfigError, DataError
from accord.core.protocols import Row
from accord.models.role import Role
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.roles import Roles
from accord.text import grammar
from accord.text.tokenized import TokenRows


def body(context: StageContext) -> Iterator[Row]:
    """Train the base's weights and leave a whole model."""
    config, world = context.config.own, context.config.world
    if world is None:
        raise ConfigError(
            "pretraining reads the tiny world's documents, and no world is set",
            do='use recipe = "tiny", or leave pretrain out of stages',
        )
    roles = Roles(context)
    texts = grammar.documents(world.seed, world.documents)
    ids = (roles.tokenizer.encode(text) for text in texts)
    rows = TokenRows.build(
        packed_rows(ids, end_id=roles.template.stop_id, length=config.row_tokens)
    )
    if not len(rows):
        raise DataError(
            "the documents do not fill one row",
            got=f"{world.documents} documents, rows of {config.row_tokens} tokens",
            do="raise data.world.documents or lower pretrain.row_tokens",
        )
    # Rows of one length need no packing: one batched attention is faster than one a row.
    policy = Role(roles.backbone(roles.base, train_all=True), packing=False)
    state = fresh_state(policy.trained(), config.optimizer)
    context.track(state)
    context.total(config.steps)
    yield from train(
        rows=rows,
        dev=None,
        policy=policy,
        state=state,
        optimizer=config.optimizer,
        batch_size=config.batch_rows,
        steps=config.steps,
        seed=context.seed + config.seed,
        micro_batch_tokens=context.machine.micro_batch_tokens,
    )
    context.note("rows", len(rows))
    roles.save(policy, "pretrain")
