"""The append-only log: one place after another, without holes, written with what follows from it.

`append` works inside `Database.write`, so that an event and the rows that follow from it are kept
together or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.core.errors import ConflictError, DataError, InvariantError
from accord.core.hashing import canonical_json
from accord.store import schema
from accord.store.event import (
    PRIVATE,
    VERSION,
    Entry,
    Event,
    new_id,
    new_salt,
    repeatable_id,
    salted_digest,
)
from accord.store.tables import events, identities, log, payloads
from accord.store.tables.columns import stamp


@dataclass(frozen=True, slots=True)
class Appended:
    """An event in the log; `new` is False where the same submission had been accepted before."""

    event: Event
    new: bool


def append(connection: Connection, entry: Entry) -> Appended:
    """Put `entry` at the end of the log, or find where it was put before.

    Two entries with one key are one submission: the second finds the first one's event, and its
    caller writes nothing. Private parts (identity, profile) go to the rater in `subject`. Raises
    ConflictError where an entry under this key said something else, or where the event it
    supersedes has been superseded; DataError where there is no such event; InvariantError outside
    `Database.write`.
    """
    if not schema.writes(connection):
        raise InvariantError("the log was appended to outside of Database.write")
    if known := find(connection, entry):
        return Appended(known, new=False)
    if entry.supersedes is not None:
        _check_superseded(connection, entry.supersedes)
    bodies = {name: canonical_json(body) for name, body in entry.parts.items()}
    salts = {name: new_salt() for name in bodies}
    end = connection.execute(sa.select(log.c.size, log.c.head)).one()
    series = schema.series(connection)
    event = Event(
        seq=end.size + 1,
        version=VERSION,
        time=stamp(datetime.now(UTC)),
        actor=entry.actor,
        type=entry.type,
        subject=entry.subject or (repeatable_id(series, end.size + 1) if series else new_id()),
        key=entry.key,
        supersedes=entry.supersedes,
        guideline=entry.guideline,
        ui=entry.ui,
        order_seed=entry.order_seed,
        policies=entry.policies,
        payload={name: salted_digest(salts[name], body) for name, body in bodies.items()},
        prev=end.head,
    )
    connection.execute(sa.insert(events), [event.fields() | {"hash": event.hash}])
    connection.execute(sa.update(log).values(size=event.seq, head=event.hash))
    _write_parts(connection, event, bodies, salts)
    return Appended(event, new=True)


def find(connection: Connection, entry: Entry) -> Event | None:
    """The event of a submission that was accepted before; None for a new one or one without key.

    Compared is what was said, by whom, about what: the page that sends it again may be a newer
    version, and the event keeps the first one's `ui`. Raises ConflictError where it said something
    else.
    """
    if entry.key is None:
        return None
    row = connection.execute(sa.select(events).where(events.c.key == entry.key)).one_or_none()
    if row is None:
        return None
    event = Event.of(row._asdict())
    names = ("type", "actor", "supersedes", "guideline", "order_seed", "policies")
    same = all(getattr(event, name) == getattr(entry, name) for name in names)
    if entry.subject not in (None, event.subject):
        same = False
    if not same or not _same_parts(connection, event, entry.parts):
        raise ConflictError(
            "another submission has this key",
            got=entry.key,
            where=f"event {event.seq}",
            do="give every submission a key of its own, and repeat one unchanged",
        )
    return event


def event_at(connection: Connection, seq: int) -> Event:
    """Event number `seq`. Raises DataError where there is none."""
    row = connection.execute(sa.select(events).where(events.c.seq == seq)).one_or_none()
    if row is None:
        raise DataError("the log has no such event", got=seq)
    return Event.of(row._asdict())


def parts_of(connection: Connection, seq: int) -> dict[str, Any]:
    """What event `seq` says, by part, private parts included; None for a part that was erased."""
    found: dict[str, Any] = {}
    for table in (payloads, identities):
        rows = connection.execute(sa.select(table.c.name, table.c.body).where(table.c.seq == seq))
        found |= {row.name: None if row.body is None else json.loads(row.body) for row in rows}
    return found


def size(connection: Connection) -> int:
    """How many events the log has."""
    return int(connection.execute(sa.select(log.c.size)).scalar_one())


def _check_superseded(connection: Connection, seq: int) -> None:
    event_at(connection, seq)
    later = sa.select(events.c.seq).where(events.c.supersedes == seq)
    if (found := connection.execute(later).scalar_one_or_none()) is not None:
        raise ConflictError(
            "this was corrected before",
            got=f"event {seq} was superseded by event {found}",
            do=f"correct event {found}",
        )


def _write_parts(
    connection: Connection, event: Event, bodies: Mapping[str, str], salts: Mapping[str, str]
) -> None:
    rows = [
        {"seq": event.seq, "name": name, "salt": salts[name], "body": body, "erased": None}
        for name, body in bodies.items()
    ]
    said = [row for row in rows if row["name"] not in PRIVATE]
    about = [{**row, "rater": event.subject} for row in rows if row["name"] in PRIVATE]
    if said:
        connection.execute(sa.insert(payloads), said)
    if about:
        connection.execute(sa.insert(identities), about)


def _same_parts(connection: Connection, event: Event, parts: Mapping[str, Any]) -> bool:
    """Whether `event` said `parts`; an erased part cannot be compared and counts as said."""
    if event.payload.keys() != parts.keys():
        return False
    for table in (payloads, identities):
        for row in connection.execute(sa.select(table).where(table.c.seq == event.seq)):
            body = canonical_json(parts[row.name])
            if row.salt is not None and salted_digest(row.salt, body) != event.payload[row.name]:
                return False
    return True
