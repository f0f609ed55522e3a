"""The events of a log again, the oldest first, from the database or from an export.

Whatever is derived from these alone can be derived again by anybody who has an export.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.core.errors import StoreError
from accord.store.checkpoints import Checkpoint, all_checkpoints
from accord.store.records import CHECKPOINT, EVENT
from accord.store.registry import TEXT
from accord.store.tables import events, log, payloads
from accord.store.verifying import exported_records

_TEXTS = ("prompt.added", "response.added")
_BATCH = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One event with one part of what it said."""

    seq: int
    hash: str
    type: str
    actor: str
    subject: str
    supersedes: int | None
    guideline: str | None
    body: Any = None
    """The part that was asked for; None where it was erased or there is none."""


class Replay(Protocol):
    """A log that can be read again."""

    @property
    def log(self) -> str:
        """Random name of the log."""
        ...

    @property
    def size(self) -> int:
        """How many events it has."""
        ...

    def said(self, wanted: Mapping[str, str | None]) -> Iterator[Said]:
        """Events of the types in `wanted`, each with the part that its type is mapped to."""
        ...

    def texts(self, names: Collection[str]) -> dict[str, Any]:
        """What these prompts and responses (ids) say; those that were erased are left out."""
        ...

    def checkpoints(self) -> list[Checkpoint]:
        """Every checkpoint that came with it."""
        ...


class DatabaseReplay:
    """The log of a database as one connection sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        end = connection.execute(sa.select(log.c.id, log.c.size)).one()
        self.log, self.size = str(end.id), int(end.size)

    def said(self, wanted: Mapping[str, str | None]) -> Iterator[Said]:
        """As `Replay.said`."""
        parts = [
            sa.and_(events.c.type == kind, payloads.c.name == part)
            for kind, part in wanted.items()
            if part is not None
        ]
        names = ("seq", "hash", "type", "actor", "subject", "supersedes", "guideline")
        joined = events.outerjoin(
            payloads, (payloads.c.seq == events.c.seq) & sa.or_(sa.false(), *parts)
        )
        chosen = (
            sa.select(*(events.c[name] for name in names), payloads.c.body)
            .select_from(joined)
            .where(events.c.type.in_(wanted))
            .order_by(events.c.seq)
            .execution_options(yield_per=_BATCH)
        )
        for row in self._connection.execute(chosen):
            known = {name: getattr(row, name) for name in names}
            yield Said(**known, body=None if row.body is None else json.loads(row.body))

    def texts(self, names: Collection[str]) -> dict[str, Any]:
        """As `Replay.texts`."""
        found: dict[str, Any] = {}
        asked = sorted(names)
        for start in range(0, len(asked), _BATCH):
            chosen = (
                sa.select(events.c.subject, payloads.c.body)
                .join(payloads, payloads.c.seq == events.c.seq)
                .where(
                    events.c.subject.in_(asked[start : start + _BATCH]),
                    events.c.type.in_(_TEXTS),
                    payloads.c.name == TEXT,
                    payloads.c.body.is_not(None),
                )
            )
            for row in self._connection.execute(chosen):
                found[row.subject] = json.loads(row.body)
        return found

    def checkpoints(self) -> list[Checkpoint]:
        """As `Replay.checkpoints`."""
        return all_checkpoints(self._connection)


class ExportReplay:
    """The log in an exported file. Damaged lines are left out: `verify` names them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        header = next(exported_records(path))
        assert header is not None
        self.log, self.size = str(header["log"]), int(header["events"])

    def said(self, wanted: Mapping[str, str | None]) -> Iterator[Said]:
        """As `Replay.said`."""
        names = ("seq", "type", "actor", "subject", "supersedes", "guideline")
        for record in exported_records(self._path):
            if record is None or record.get("kind") != EVENT:
                continue
            event = record["event"]
            if event["type"] in wanted:
                known = {name: event[name] for name in names}
                body = _body(record, wanted[event["type"]])
                yield Said(**known, hash=record["hash"], body=body)

    def texts(self, names: Collection[str]) -> dict[str, Any]:
        """As `Replay.texts`."""
        found: dict[str, Any] = {}
        places = {name: self._places[name] for name in names if name in self._places}
        try:
            with self._path.open("rb") as file:
                for name, place in places.items():
                    file.seek(place)
                    body = _body(json.loads(file.readline()), TEXT)
                    if body is not None:
                        found[name] = body
        except OSError as error:
            raise _unreadable(self._path, error) from None
        return found

    def checkpoints(self) -> list[Checkpoint]:
        """As `Replay.checkpoints`."""
        return [
            Checkpoint(**record["checkpoint"], signature=record["signature"])
            for record in exported_records(self._path)
            if record is not None and record.get("kind") == CHECKPOINT
        ]

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where the line of each prompt and response begins, in bytes."""
        found: dict[str, int] = {}
        place = 0
        try:
            with self._path.open("rb") as file:
                for line in file:
                    if b'"type":"prompt.added"' in line or b'"type":"response.added"' in line:
                        found[str(json.loads(line)["event"]["subject"])] = place
                    place += len(line)
        except OSError as error:
            raise _unreadable(self._path, error) from None
        return found


def _body(record: Mapping[str, Any], part: str | None) -> Any:
    said = record["parts"].get(part)
    return None if said is None else json.loads(said["body"])


def _unreadable(path: Path, error: OSError) -> StoreError:
    return StoreError("the export cannot be read", got=error.strerror, where=path)
