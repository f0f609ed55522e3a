"""Tasks from responses that are there already: somebody's file or data set.

For work and calibration the tiers of a row are not read, and a row needs none: raters are asked
afresh. For gold, qualification and lessons they are the known answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign
from accord.collect.formats import Explained, Unjudged
from accord.collect.lessons import explanation_of
from accord.collect.records import Rejected, Unusable
from accord.collect.tasks import KNOWN_ANSWER, Purpose, add_task, responses_of
from accord.collect.text_tasks import add_writing, asked_for, writing_about
from accord.core.errors import ConfigError, DataError
from accord.core.hashing import digest
from accord.core.types import Comparison, Prompt, Response, StopReason
from accord.store.database import Database
from accord.store.registry import add_prompt, add_response
from accord.store.tables import prompts, responses, task_responses, tasks
from accord.store.tables.columns import check_fits

Fitting = Comparison | Unjudged | Explained
"""What a task can be made of."""
BATCH = 100
"""Rows in one writing transaction."""


@dataclass(slots=True)
class Made:
    """What became of rows: `rows` = `tasks` + `known` + `rejected`."""

    rows: int = 0
    tasks: int = 0
    known: int = 0
    """Rows about which the campaign had a task of this purpose (and round) already."""
    rejected: list[Rejected] = field(default_factory=list)
    """Rows that make no task, with the reason."""


def add_tasks(
    database: Database,
    campaign: Campaign,
    rows: Iterable[object],
    *,
    purpose: Purpose = Purpose.WORK,
    calibration: str | None = None,
) -> Made:
    """One task for each Comparison, Unjudged or Explained of `rows`, from `importing.read_rows` or
    a data set; `calibration` names the round that calibration tasks are of.

    The same rows again make nothing. A row that does not fit the campaign (its number of responses,
    two with the same text, no known order where one is needed) is listed as rejected; so is one
    whose known order, or its explanation, is not that of the task that is there.
    Where the campaign asks for demonstrations, a row is a prompt, to be answered, or a prompt with
    one answer, to be made better. Raises ConfigError there for another purpose than work.
    """
    if campaign.settings.asks_texts and purpose is not Purpose.WORK:
        raise ConfigError(
            "a text that is still to be written has no known answer",
            got=f"{purpose} tasks for {campaign.settings.name}",
            do="leave --gold, --qualification, --lesson and --calibration out",
        )
    made = Made()
    rest = iter(rows)
    while batch := list(islice(rest, BATCH)):
        with database.write() as connection:
            for row in batch:
                made.rows += 1
                if isinstance(row, Rejected):
                    made.rejected.append(row)
                    continue
                try:
                    if campaign.settings.asks_texts:
                        new = _ask_for_text(connection, campaign, row)
                    else:
                        fit = _fit(row, campaign, purpose)
                        new = _ask(connection, campaign, fit, purpose, calibration)
                except Unusable as error:
                    place = row.row if isinstance(row, Unjudged | Explained) else made.rows
                    made.rejected.append(Rejected(place, error.what, error.column))
                    continue
                made.tasks += new
                made.known += not new
    return made


def task_about(
    connection: Connection,
    campaign: Campaign,
    shown: Sequence[str],
    purpose: Purpose,
    calibration: str | None = None,
) -> str | None:
    """The campaign's task of this purpose, and round, that shows just these responses; or None."""
    first = (
        sa.select(tasks.c.id)
        .join(task_responses, task_responses.c.task == tasks.c.id)
        .where(
            task_responses.c.response == shown[0],
            tasks.c.campaign == campaign.id,
            tasks.c.purpose == purpose,
            tasks.c.round.is_not_distinct_from(calibration),
        )
    )
    for name in connection.execute(first).scalars().all():
        found = sa.select(task_responses.c.response).where(task_responses.c.task == name)
        if set(connection.execute(found).scalars()) == set(shown):
            return str(name)
    return None


def _fit(row: object, campaign: Campaign, purpose: Purpose) -> Fitting:
    """`row` as it is. Raises Unusable where it makes no task."""
    if isinstance(row, Explained):
        if purpose is not Purpose.LESSON:
            raise Unusable("has an explanation, which nothing but a lesson shows")
        _fit(row.comparison, campaign, purpose)
        return row
    if not isinstance(row, Comparison | Unjudged):
        raise Unusable(f"is a {type(row).__name__.lower()} and compares nothing")
    wanted = campaign.settings.responses
    if len(row.responses) != wanted:
        got = len(row.responses)
        raise Unusable(f"has {got} responses; the campaign's tasks show {wanted}")
    try:
        check_fits(prompts.c.source, row.source, "it")
    except DataError as error:
        raise Unusable(error.what, "source") from None
    if len(set(row.responses)) < wanted:
        raise Unusable("has two responses with the same text")
    if purpose in KNOWN_ANSWER:
        _check_known(row, purpose)
    return row


def _check_known(row: Comparison | Unjudged, purpose: Purpose) -> None:
    """Raise Unusable for a row whose order is no known answer. Lessons may teach ties."""
    if isinstance(row, Unjudged):
        raise Unusable("has no tiers, the known answer")
    if row.label is not None:
        raise Unusable("has a soft label, which is no known order")
    if row.criterion:
        raise Unusable(f"is about {row.criterion} alone, and tasks ask for the whole answer")
    if len(set(row.tiers)) == 1 and purpose is not Purpose.LESSON:
        raise Unusable("ties all responses, which few raters would say")


def _ask(
    connection: Connection,
    campaign: Campaign,
    given: Fitting,
    purpose: Purpose,
    calibration: str | None,
) -> bool:
    """Whether a task was made. Raises Unusable where one is there with another known answer."""
    why = given.explanation if isinstance(given, Explained) else None
    row = given.comparison if isinstance(given, Explained) else given
    prompt = add_prompt(connection, Prompt(conversation=row.prompt, source=row.source))
    shown = [_response(connection, prompt, text) for text in row.responses]
    gold = row.tiers if isinstance(row, Comparison) and purpose in KNOWN_ANSWER else None
    known = task_about(connection, campaign, shown, purpose, calibration)
    if known is None:
        add_task(
            connection,
            campaign,
            prompt=prompt,
            responses=shown,
            purpose=purpose,
            gold=gold,
            calibration=calibration,
            explanation=why,
            priority=_after(connection, campaign) if purpose is Purpose.LESSON else 0,
        )
        return True
    if gold is not None:
        places = responses_of(connection, known)
        answer = sa.select(tasks.c.gold).where(tasks.c.id == known)
        there = dict(zip(places, connection.execute(answer).scalar_one(), strict=True))
        if [there[response] for response in shown] != list(gold):
            raise Unusable("has another known answer than the task that is there")
    if purpose is Purpose.LESSON and why != explanation_of(connection, known):
        raise Unusable("has another explanation than the lesson that is there")
    return False


def _after(connection: Connection, campaign: Campaign) -> int:
    """The priority of a lesson that comes after those that are there: in the order of the rows."""
    lessons = sa.select(sa.func.count()).where(
        tasks.c.campaign == campaign.id, tasks.c.purpose == Purpose.LESSON
    )
    return -int(connection.execute(lessons).scalar_one())


def _ask_for_text(connection: Connection, campaign: Campaign, row: object) -> bool:
    """Whether a task was made. Raises Unusable where the row asks for no text."""
    asked, given = asked_for(row)
    prompt = add_prompt(connection, asked)
    edits = None if given is None else _response(connection, prompt, given)
    if writing_about(connection, campaign, prompt, edits) is not None:
        return False
    add_writing(connection, campaign, prompt=prompt, edits=edits)
    return True


def _response(connection: Connection, prompt: str, text: str) -> str:
    """The response of unknown origin with this text; put in where it is new."""
    same = sa.select(responses.c.id).where(
        responses.c.prompt == prompt,
        responses.c.digest == digest(text),
        responses.c.policy.is_(None),
        responses.c.rater.is_(None),
    )
    known = connection.execute(same.order_by(responses.c.seq).limit(1)).scalar_one_or_none()
    if known is not None:
        return str(known)
    said = Response(prompt_id=prompt, text=text, stop=StopReason.STOP)
    return add_response(connection, prompt, said)
