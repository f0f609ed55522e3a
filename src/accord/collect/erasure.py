"""What an erasure reaches, and what it does not: texts and what stands on them, words found again,
frozen sets that were made before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.frozen import is_frozen, origins
from accord.collect.tasks import EXPLANATION
from accord.collect.text_frozen import text_origins
from accord.core.errors import DataError, WorkspaceError
from accord.store.erasing import Part
from accord.store.judgements import COUNTS, RATIONALE
from accord.store.manifest import DatasetKind, DatasetManifest
from accord.store.registry import GUIDELINE_PUBLISHED, TEXT, WHY
from accord.store.tables import (
    events,
    judgements,
    payloads,
    prompts,
    responses,
    task_responses,
    tasks,
)

Kind = Literal["prompt", "response"]
MOST_NAMED = 5
"""Ids that an error lists."""
_REASONS = (RATIONALE, WHY, EXPLANATION)
"""Parts that hold what somebody said in own words of what they judged, decided or explained."""
_AROUND = 40
"""Characters on each side of words that were found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """A prompt or response whose words can be erased."""

    kind: Kind
    id: str
    seq: int
    """Number of the event that says them."""
    words: str | None
    """All of them; None where they were erased."""
    source: str
    """Where a prompt came from, who or what wrote a response."""

    @property
    def part(self) -> Part:
        """Where the log keeps the words."""
        return self.seq, TEXT


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """What was built on a text."""

    tasks: frozenset[str]
    """Tasks that show it."""
    judgements: int
    """Judgements of those that count now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """Words found in what somebody said, that can be erased."""

    what: str
    """`prompt`, `response` or `reason`."""
    name: str
    """Id of the prompt or response; number of the event with the reason."""
    excerpt: str
    """The words with some of what stands around them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """A frozen set that an erasure does not reach."""

    folder: Path
    rows: int | None
    """How many rows are concerned; None where the set cannot be read."""


def text_called(connection: Connection, kind: Kind, given: str) -> Text:
    """The prompt or response whose id begins as given.

    Raises DataError where there is none, or several.
    """
    table = prompts if kind == "prompt" else responses
    chosen = sa.select(table).where(table.c.id.startswith(given, autoescape=True))
    exact = table.c.id == given
    found = connection.execute(chosen.order_by(~exact, table.c.id).limit(MOST_NAMED)).all()
    if not given or not found or (len(found) > 1 and found[0].id != given):
        names = ", ".join(row.id for row in found)
        raise DataError(
            f"several {kind}s begin so" if given and found else f"there is no such {kind}",
            got=given,
            do=f"one of {names}" if given and found else "`accord erase find WORDS` lists ids",
        )
    return _text(connection, kind, found[0])


def answers_to(connection: Connection, prompt: str) -> list[Text]:
    """The responses to a prompt whose words are still there, oldest first."""
    chosen = sa.select(responses).where(responses.c.prompt == prompt).order_by(responses.c.seq)
    found = [_text(connection, "response", row) for row in connection.execute(chosen).all()]
    return [one for one in found if one.words is not None]


def standing_on(connection: Connection, text: Text) -> Standing:
    """The tasks that show a text, and how many judgements of them count."""
    if text.kind == "prompt":
        chosen = sa.select(tasks.c.id).where(tasks.c.prompt == text.id)
    else:
        chosen = sa.select(task_responses.c.task).where(task_responses.c.response == text.id)
    judged = sa.select(sa.func.count()).select_from(judgements)
    counted = judged.where(judgements.c.task.in_(chosen), *COUNTS)
    return Standing(
        tasks=frozenset(connection.execute(chosen).scalars()),
        judgements=int(connection.execute(counted).scalar_one()),
    )


def explanations(connection: Connection, shown: Collection[str]) -> list[Part]:
    """Where the log keeps the explanations of these lessons (ids of tasks), unless erased."""
    chosen = (
        sa.select(payloads.c.seq, payloads.c.name)
        .join(tasks, tasks.c.seq == payloads.c.seq)
        .where(tasks.c.id.in_(shown), payloads.c.name == EXPLANATION, payloads.c.body.is_not(None))
        .order_by(payloads.c.seq)
    )
    return [(row.seq, row.name) for row in connection.execute(chosen)]


def written_by(connection: Connection, rater: str) -> frozenset[str]:
    """The tasks that show a response which this rater wrote or edited."""
    chosen = (
        sa.select(task_responses.c.task)
        .join(responses, responses.c.id == task_responses.c.response)
        .where(responses.c.rater == rater)
    )
    return frozenset(connection.execute(chosen).scalars())


def mentions(connection: Connection, words: str) -> Iterator[Mention]:
    """Everything said that holds `words`, in any case, and can be erased; oldest first.

    Names of people are not looked through, nor are guidelines, which stay.
    """
    wanted = words.casefold()
    chosen = (
        sa.select(payloads.c.seq, payloads.c.name, payloads.c.body, events.c.type, events.c.subject)
        .join(events, events.c.seq == payloads.c.seq)
        .where(
            payloads.c.body.is_not(None),
            payloads.c.name.in_((TEXT, *_REASONS)),
            events.c.type != GUIDELINE_PUBLISHED,
        )
        .order_by(payloads.c.seq)
    )
    kinds = {"prompt.added": "prompt", "response.added": "response"}
    for row in connection.execute(chosen.execution_options(yield_per=500)):
        text = _words_in(json.loads(row.body))
        at = text.casefold().find(wanted)
        if at < 0:
            continue
        what = kinds.get(row.type, "reason") if row.name == TEXT else "reason"
        yield Mention(
            what=what,
            name=str(row.seq) if what == "reason" else row.subject,
            excerpt=" ".join(text[max(0, at - _AROUND) : at + len(words) + _AROUND].split()),
        )


def reason_in(connection: Connection, seq: int) -> Part:
    """Where the reason lies that somebody gave with event `seq`, in own words.

    Raises DataError where the event has none.
    """
    chosen = sa.select(payloads.c.name).where(payloads.c.seq == seq, payloads.c.name.in_(_REASONS))
    name = connection.execute(chosen).scalars().first()
    if name is None:
        raise DataError(
            "this event has no reason in own words",
            got=seq,
            do="`accord erase find WORDS` lists those that have",
        )
    return seq, str(name)


def texts_by(connection: Connection, rater: str) -> frozenset[str]:
    """The responses that this rater wrote or edited."""
    chosen = sa.select(responses.c.id).where(responses.c.rater == rater)
    return frozenset(connection.execute(chosen).scalars())


def copies(
    folders: Iterable[Path],
    *,
    rater: str | None = None,
    shown: Collection[str] = (),
    texts: Collection[str] = (),
) -> list[Copy]:
    """The frozen sets in `folders` that have rows of what a rater judged, of the tasks `shown`, or
    of the responses `texts`, better ones made of them among it."""
    found = []
    for folder in sorted(folders):
        if not is_frozen(folder):
            continue
        try:
            if DatasetManifest.load(folder).kind is DatasetKind.DEMONSTRATIONS:
                rows = sum(
                    one.task in shown or not {one.text, one.edits}.isdisjoint(texts)
                    for one in text_origins(folder)
                )
            else:
                rows = sum(one.rater == rater or one.task in shown for one in origins(folder))
        except (DataError, WorkspaceError):
            found.append(Copy(folder=folder, rows=None))
            continue
        if rows:
            found.append(Copy(folder=folder, rows=rows))
    return found


def _text(connection: Connection, kind: Kind, row: sa.Row[tuple[object, ...]]) -> Text:
    said = sa.select(payloads.c.body).where(payloads.c.seq == row.seq, payloads.c.name == TEXT)
    body = connection.execute(said).scalar_one()
    wrote = row.source if kind == "prompt" else row.policy or row.rater or "unknown"
    return Text(
        kind=kind,
        id=row.id,
        seq=row.seq,
        words=None if body is None else _words_in(json.loads(body)),
        source=wrote,
    )


def _words_in(said: object) -> str:
    """All text in a JSON value: of a message its content, not its role."""
    if isinstance(said, str):
        return said
    if isinstance(said, list):
        return "\n".join(_words_in(one) for one in said)
    if isinstance(said, dict):
        inner = said["content"] if "content" in said else "\n".join(map(_words_in, said.values()))
        return _words_in(inner)
    return ""
