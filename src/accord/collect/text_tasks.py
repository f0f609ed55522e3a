"""Tasks of a campaign that asks for demonstrations: to write, to make better, to review.

A writing task that is asked again, since its text was rejected, names the first one as what it
repeats; a review names the writing task of its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign
from accord.collect.formats import Unjudged
from accord.collect.records import Unusable
from accord.collect.tasks import RANDOM, Purpose, TaskKind, put_task, responses_of
from accord.core.types import Comparison, Conversation, Demonstration, Prompt
from accord.store.tables import tasks

WRITING = (TaskKind.WRITE, TaskKind.EDIT)
"""What ends with a text."""


def add_writing(
    connection: Connection,
    campaign: Campaign,
    *,
    prompt: str,
    edits: str | None = None,
    selected_by: str = RANDOM,
    inclusion: float = 1.0,
    overlap: int | None = None,
    repeats: str | None = None,
) -> str:
    """Ask for answers to a prompt (id), or for a better one than the response `edits` (id).

    Inside `Database.write`; returns the task's id. `repeats` is the first task that asked for it.
    """
    about = _about(
        campaign,
        prompt,
        overlap=campaign.settings.overlap if overlap is None else overlap,
        repeats=repeats,
        selected_by=selected_by,
        inclusion=inclusion,
    )
    kind = TaskKind.WRITE if edits is None else TaskKind.EDIT
    return put_task(connection, about, [] if edits is None else [edits], kind=kind)


def add_review(
    connection: Connection, campaign: Campaign, *, prompt: str, text: str, of: str, overlap: int
) -> str:
    """Ask `overlap` people whether the response `text` (id) of the task `of` is worth imitating.

    Inside `Database.write`; returns the task's id.
    """
    about = _about(campaign, prompt, overlap=overlap, repeats=of)
    return put_task(connection, about, [text], kind=TaskKind.REVIEW)


def asked_for(row: object) -> tuple[Prompt, str | None]:
    """The prompt of a row, and the answer that is to be made better; None where there is none.

    Raises Unusable where the row has more than one answer.
    """
    match row:
        case Prompt():
            if row.conversation.opening:
                raise Unusable("has an opening, and people write whole answers")
            return row, None
        case Demonstration():
            *before, last = row.conversation.messages
            asked = Conversation(tuple(before)) if before else None
            if asked is None or not asked.awaits_answer:
                raise Unusable("ends with a message that answers nothing")
            return Prompt(conversation=asked, source=row.source), last.content
        case Unjudged() if len(row.responses) == 1:
            return Prompt(conversation=row.prompt, source=row.source), row.responses[0]
        case Comparison() | Unjudged():
            raise Unusable(f"has {len(row.responses)} responses; one at most is made better")
        case _:
            raise Unusable(f"is a {type(row).__name__.lower()} and asks for no text")


def writing_about(
    connection: Connection, campaign: Campaign, prompt: str, edits: str | None
) -> str | None:
    """The campaign's first task that asks for this; None where there is none."""
    found = sa.select(tasks.c.id).where(
        tasks.c.campaign == campaign.id,
        tasks.c.prompt == prompt,
        tasks.c.kind == (TaskKind.WRITE if edits is None else TaskKind.EDIT),
        tasks.c.repeats.is_(None),
    )
    wanted = [] if edits is None else [edits]
    names = connection.execute(found).scalars().all()
    return next((str(one) for one in names if responses_of(connection, one) == wanted), None)


def _about(
    campaign: Campaign,
    prompt: str,
    *,
    overlap: int,
    repeats: str | None,
    selected_by: str = RANDOM,
    inclusion: float = 1.0,
) -> Mapping[str, Any]:
    return {
        "campaign": campaign.id,
        "prompt": prompt,
        "purpose": Purpose.WORK.value,
        "selected_by": selected_by,
        "inclusion": inclusion,
        "overlap": overlap,
        "gold": None,
        "repeats": repeats,
        "for_rater": None,
    }
