"""Lessons: tasks whose right answer a rater is told, with the reason, once they gave their own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.gold import is_right
from accord.collect.tasks import EXPLANATION
from accord.store.judgements import Judgement, Verdict
from accord.store.tables import payloads, tasks


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    """What a rater is told after their answer to a lesson."""

    right: bool | None
    """Whether they ordered what the known answer orders, the same way; None for a skip."""
    tiers: tuple[int, ...]
    """The known answer in the order of the screen, 0 the best."""
    explanation: str | None
    """Why; None where nobody wrote a reason, or it was erased."""


def feedback(connection: Connection, lesson: sa.Row[Any], judgement: Judgement) -> Feedback:
    """What to tell of a judgement of a lesson, which is its row of `tasks`."""
    skipped = judgement.verdict is Verdict.SKIP
    return Feedback(
        right=None if skipped else is_right(judgement.tiers, lesson.gold),
        tiers=tuple(lesson.gold[place] for place in judgement.shown),
        explanation=explanation_of(connection, lesson.id),
    )


def explanation_of(connection: Connection, lesson: str) -> str | None:
    """Why a lesson's (id) answer is the right one, where somebody said and nobody erased it."""
    body = connection.execute(
        sa.select(payloads.c.body)
        .join(tasks, tasks.c.seq == payloads.c.seq)
        .where(tasks.c.id == lesson, payloads.c.name == EXPLANATION)
    ).scalar_one_or_none()
    return None if body is None else str(json.loads(body))
