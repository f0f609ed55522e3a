"""The judge: fitted on rated responses, tried on others, on tricks, and beside VADER."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

from accord.core.errors import ConfigError, DataError
from accord.core.protocols import RewardFn, Row
from accord.core.types import RatedResponse, Split
from accord.evals.judge import try_judge
from accord.pipeline.stage import StageContext
from accord.pipeline.stages import data
from accord.pipeline.stages.roles import Roles
from accord.rewards.judge import alone
from accord.rewards.judge_fit import lesson_of
from accord.rewards.vader import VaderScore


def body(context: StageContext) -> Iterator[Row]:
    """Fit a judge and leave it, with how far it can be believed."""
    config = context.config.own
    roles = Roles(context)
    seed = context.seed + config.seed
    train, held = (_rated(context, roles, split) for split in (Split.TRAIN, Split.DEV))
    train = data.drawn(train, config.texts, seed=seed)
    if not held:
        raise DataError(
            "no rated response is held out to try the judge on",
            got=f"{len(train)} in training",
            do="import with a larger share held out: --dev 0.25",
        )
    context.note("train_texts", len(train))
    lesson = yield from lesson_of(
        [_whole(row) for row in train],
        [row.mean for row in train],
        backbone=roles.backbone(roles.base),
        tokenizer=roles.tokenizer,
        made=config.made_up,
        seed=seed,
    )
    judge = lesson.fit()
    beside: dict[str, RewardFn] = {}
    with suppress(ConfigError):  # where the package is not installed
        beside["VADER"] = VaderScore()
    figures = yield from try_judge(
        judge,
        [_whole(row) for row in held],
        [row.mean for row in held],
        made=config.tried,
        above=config.above,
        gap=config.gap,
        beside=beside,
        seed=seed,
    )
    context.note("judge", figures)
    (context.output / "trial.json").write_text(json.dumps(figures, indent=2) + "\n")
    judge.save(context.output)


def _rated(context: StageContext, roles: Roles, split: Split) -> list[RatedResponse]:
    limit = context.config.own.max_tokens
    rows = [row for row in data.ratings(context, split) if row.response.strip()]
    kept = [row for row in rows if len(alone(roles.tokenizer, _whole(row))) <= limit]
    if len(kept) < len(rows):
        context.tell(
            f"{len(rows) - len(kept)} rated responses of more than {limit} tokens left out"
        )
        context.note(f"{split}_too_long", len(rows) - len(kept))
    return kept


def _whole(row: RatedResponse) -> str:
    """What is judged: the answer with what its prompt opened it with."""
    return row.prompt.opening + row.response
