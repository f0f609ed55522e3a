"""What raters said beside their verdicts: flags, reasons of skips, own words. For whoever leads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign
from accord.collect.tasks import TaskKind
from accord.core.errors import DataError
from accord.store.judgements import COUNTS, RATIONALE, Verdict
from accord.store.log import parts_of
from accord.store.registry import conversation_of, response_text
from accord.store.tables import judgements, tasks

ERASED = "(erased)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Remark:
    """One thing that somebody said."""

    seq: int
    """Number of the judgement's event."""
    time: datetime
    task: str
    rater: str
    what: str
    """flag, skip or reason; rejection, where a reviewer says what is wrong with a text."""
    words: str
    about: str
    """The response that a flag is about, or the prompt's last message; "(erased)" where it was."""
    withdrawn: bool
    """Whether nobody is asked about the task any more."""


def remarks(connection: Connection, campaign: Campaign) -> Iterator[Remark]:
    """All remarks of judgements that count, the oldest first."""
    said = (
        sa.select(judgements, tasks.c.prompt, tasks.c.kind, tasks.c.state.label("task_state"))
        .join(tasks, tasks.c.id == judgements.c.task)
        .where(tasks.c.campaign == campaign.id, *COUNTS)
        .order_by(judgements.c.seq)
    )
    for row in connection.execute(said).all():
        for what, words, place in _said(connection, row):
            yield Remark(
                seq=row.seq,
                time=row.time,
                task=row.task,
                rater=row.rater,
                what=what,
                words=words,
                about=_about(connection, row, place),
                withdrawn=row.task_state == "withdrawn",
            )


def _said(connection: Connection, row: sa.Row[Any]) -> Iterator[tuple[str, str, int | None]]:
    rejects = row.kind == TaskKind.REVIEW and row.verdict == Verdict.ALL_BAD
    for place, why in row.flags or ():
        yield "rejection" if rejects else "flag", why, place
    if row.reason:
        yield "skip", row.reason, None
    words = parts_of(connection, row.seq).get(RATIONALE)
    if words:
        yield ("rejection", str(words), 0) if rejects else ("reason", str(words), None)


def _about(connection: Connection, row: sa.Row[Any], place: int | None) -> str:
    try:
        if place is not None:
            return response_text(connection, row.responses[place])
        return conversation_of(connection, row.prompt).messages[-1].content
    except DataError:
        return ERASED
