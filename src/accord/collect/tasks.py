"""Tasks: K responses to one prompt that some raters are asked about; each is put in by an event.

The event holds how the task was picked and with which probability, so that no weight in training
rests on a row that could be changed unseen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign
from accord.core.errors import DataError
from accord.store.event import Entry
from accord.store.log import append
from accord.store.registry import SYSTEM
from accord.store.tables import prompts, task_responses, tasks
from accord.store.tables import responses as response_table
from accord.store.tables.columns import check_fits

RANDOM = "random"
"""What `selected_by` says of a task that was drawn without looking."""
EVERYBODY = 1_000_000
"""Overlap of a task that every rater is asked once."""


class Purpose(StrEnum):
    """Why a task is asked; only of a lesson is a rater told."""

    WORK = "work"
    GOLD = "gold"
    """The answer is known; every rater may get it once."""
    REPEAT = "repeat"
    """A rater's own task again, in swapped order."""
    LESSON = "lesson"
    """The answer is known, and told with its reason once the rater gave one; counts nowhere. The
    one purpose that a rater is told."""
    QUALIFICATION = "qualification"
    """The answer is known; asked before the rater works."""
    CALIBRATION = "calibration"
    """Everybody is asked the same, to see whether they read the guidelines alike."""
    ADJUDICATION = "adjudication"
    """A lead decides where raters were split."""


KNOWN_ANSWER = (Purpose.GOLD, Purpose.QUALIFICATION, Purpose.LESSON)
"""Where one answer is right."""
ASKED_OF_ALL = (*KNOWN_ANSWER, Purpose.CALIBRATION)
"""What every rater is asked once."""
EXPLANATION = "explanation"
"""Part of a lesson's event that says why its answer is the right one."""
LONGEST_ROUND = 64
"""Characters of the name of a calibration round."""


class TaskKind(StrEnum):
    """What a rater does with a task."""

    COMPARE = "compare"
    WRITE = "demonstrate"
    """Write an answer to the prompt."""
    EDIT = "edit"
    """Make a given answer better."""
    REVIEW = "review"
    """Say whether somebody's text is worth imitating."""


class TaskState(StrEnum):
    """Whether a task is still asked."""

    OPEN = "open"
    DONE = "done"
    WITHDRAWN = "withdrawn"


def add_task(
    connection: Connection,
    campaign: Campaign,
    *,
    prompt: str,
    responses: Sequence[str],
    purpose: Purpose = Purpose.WORK,
    selected_by: str = RANDOM,
    inclusion: float = 1.0,
    priority: int = 0,
    overlap: int | None = None,
    gold: Sequence[int] | None = None,
    repeats: str | None = None,
    for_rater: str | None = None,
    calibration: str | None = None,
    explanation: str | None = None,
    actor: str = SYSTEM,
) -> str:
    """Ask about some responses (ids) to a prompt (id); returns the task's id.

    Inside `Database.write`. The canonical order is by digest of the text: the same texts stand in
    the same places in every task. `gold` is the known tier of each of `responses`, in the order
    given here. `inclusion` is the probability with which this task was picked. `calibration`
    names the round of a calibration task; `explanation` is what a lesson says after its answer.
    Raises DataError for a wrong number of responses, responses to another prompt, two with the same
    text, a task without the known answer that its purpose needs, a round or an explanation that its
    purpose has none of, and a selection's name of more than 32 characters.
    """
    check_fits(tasks.c.selected_by, selected_by, "the name of a selection")
    if len(responses) != campaign.settings.responses:
        raise DataError(
            "a task shows as many responses as its campaign says",
            got=len(responses),
            where=campaign.settings.name,
            do=f"give {campaign.settings.responses}",
        )
    places = _canonical(connection, prompt, responses)
    answer = _answer(purpose, gold, responses, places)
    _check_round(purpose, calibration)
    if explanation is not None and purpose is not Purpose.LESSON:
        raise DataError("only a lesson has an explanation", got=purpose)
    if overlap is None:
        overlap = EVERYBODY if purpose in ASKED_OF_ALL else campaign.settings.overlap
    about: dict[str, object] = {
        "campaign": campaign.id,
        "prompt": prompt,
        "purpose": purpose.value,
        "selected_by": selected_by,
        "inclusion": inclusion,
        "overlap": overlap,
        "gold": answer,
        "repeats": repeats,
        "for_rater": for_rater,
        "round": calibration,
    }
    more = {} if explanation is None else {EXPLANATION: explanation}
    return put_task(
        connection, about, places, kind=TaskKind.COMPARE, more=more, priority=priority, actor=actor
    )


def put_task(
    connection: Connection,
    about: Mapping[str, Any],
    places: Sequence[str],
    *,
    kind: TaskKind,
    more: Mapping[str, str] = MappingProxyType({}),
    priority: int = 0,
    actor: str = SYSTEM,
) -> str:
    """Write the event of a task and the rows that follow from it; returns the task's id.

    `about` is what the event says of it beside kind and responses (ids, in canonical order), `more`
    further parts of the event.
    """
    said = {**about, "responses": list(places)}
    if kind is not TaskKind.COMPARE:  # what an event without a kind asks for
        said["kind"] = kind.value
    entry = Entry(type="task.added", actor=actor, parts={"task": said, **more})
    event = append(connection, entry).event
    row = {
        **about,
        "id": event.subject,
        "seq": event.seq,
        "kind": kind.value,
        "state": TaskState.OPEN.value,
        "made": datetime.now(UTC),
        "priority": priority,
        "fence": 0,
    }
    connection.execute(sa.insert(tasks), [row])
    shown = [
        {"task": event.subject, "place": place, "response": response}
        for place, response in enumerate(places)
    ]
    if shown:
        connection.execute(sa.insert(task_responses), shown)
    return event.subject


def responses_of(connection: Connection, task: str) -> list[str]:
    """Ids of the responses of a task, in canonical order."""
    found = sa.select(task_responses.c.response).where(task_responses.c.task == task)
    return list(connection.execute(found.order_by(task_responses.c.place)).scalars())


def erased_words() -> sa.ColumnElement[bool]:
    """Condition on rows of `tasks`: the prompt or a response was erased, so nobody can be asked."""
    prompt = sa.exists().where(prompts.c.id == tasks.c.prompt, prompts.c.digest.is_(None))
    response = sa.exists().where(
        task_responses.c.task == tasks.c.id,
        task_responses.c.response == response_table.c.id,
        response_table.c.digest.is_(None),
    )
    return prompt | response


def _canonical(connection: Connection, prompt: str, given: Sequence[str]) -> list[str]:
    rows = connection.execute(
        sa.select(response_table.c.id, response_table.c.digest, response_table.c.prompt).where(
            response_table.c.id.in_(given)
        )
    ).all()
    if len(rows) != len(given):
        raise DataError("a task names responses that are not there, or one twice", got=list(given))
    strange = [row.id for row in rows if row.prompt != prompt]
    if strange:
        raise DataError("a task shows responses to one prompt", got=strange[0], where=prompt)
    digests = {row.id: row.digest for row in rows}
    if None in digests.values():
        raise DataError("a response of this task was erased", where=prompt)
    if len(set(digests.values())) < len(given):
        raise DataError(
            "two responses of a task have the same text",
            where=prompt,
            do="leave one out: raters cannot tell them apart",
        )
    return sorted(given, key=lambda response: str(digests[response]))


def _check_round(purpose: Purpose, name: str | None) -> None:
    if (name is None) == (purpose is Purpose.CALIBRATION):
        raise DataError(
            "a calibration task names its round, and no other task does", got=f"{purpose}: {name}"
        )
    if name is not None and not (0 < len(name) <= LONGEST_ROUND and name.isprintable()):
        raise DataError(
            f"a round's name has 1 to {LONGEST_ROUND} printable characters", got=ascii(name)[:80]
        )


def _answer(
    purpose: Purpose, gold: Sequence[int] | None, given: Sequence[str], places: Sequence[str]
) -> list[int] | None:
    if (gold is None) == (purpose in KNOWN_ANSWER):
        raise DataError(
            f"tasks of {', '.join(KNOWN_ANSWER)} have a known answer, others have none",
            got=f"{purpose} with {'an' if gold is not None else 'no'} answer",
        )
    if gold is None:
        return None
    if len(gold) != len(given) or sorted(set(gold)) != list(range(max(gold) + 1)):
        raise DataError("a known answer has a tier for each response: 0, 1, 2 ...", got=list(gold))
    by_response = dict(zip(given, gold, strict=True))
    return [by_response[response] for response in places]
