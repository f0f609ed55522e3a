"""Direct preference optimisation from the start policy."""

from __future__ import annotations

from collections.abc import Iterator

from accord.algorithms.comparisons import TokenComparisons, require
from accord.algorithms.descent import fresh_state, step_count
from accord.algorithms.direct import train
from accord.core.protocols import Row
from accord.core.types import Split
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.roles import Roles


def body(context: StageContext) -> Iterator[Row]:
    """Train an adapter (or all weights) on comparisons, and leave it with its stack."""
    config = context.config.own
    roles = Roles(context, packing=config.packing)
    tokenize, limit = roles.template.tokenize_answer, config.max_tokens
    train_set, dev_set = (
        TokenComparisons.build(data.comparisons(context, split), tokenize, max_tokens=limit)
        for split in (Split.TRAIN, Split.DEV)
    )
    require(train_set, max_tokens=limit)
    reference = roles.start()
    policy = roles.trainable("dpo", config.adapter, context.seed + config.seed)
    state = fresh_state(policy.trained(), config.optimizer)
    context.track(state)
    steps = step_count(len(train_set), config.batch_prompts, config.epochs)
    context.total(steps)
    yield from train(
        config,
        data=train_set,
        dev=dev_set,
        policy=policy,
        reference=reference,
        state=state,
        steps=steps,
        seed=context.seed + config.seed,
        micro_batch_tokens=context.machine.micro_batch_tokens,
    )
    context.note("train_comparisons", len(train_set))
    context.note("too_long", train_set.too_long + dev_set.too_long)
    roles.save(policy, "dpo")
