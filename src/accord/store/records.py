"""The log as records in plain JSON values: how it leaves the database and is verified.

A header, one record an event with everything that belongs to it, one a checkpoint, an end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.store.event import Event
from accord.store.tables import checkpoints, events, identities, judgements, log, payloads

FORMAT = 1
"""Of the records; a reader refuses newer ones."""
HEADER, EVENT, CHECKPOINT, END = "accord log", "event", "checkpoint", "end"
_BATCH = 500


def records(connection: Connection, *, private: bool) -> Iterator[dict[str, Any]]:
    """Every record of the log as `connection` sees it, a few hundred events in memory at a time.

    With `private` identities and profiles come along; without, their digests alone.
    """
    end = connection.execute(sa.select(log)).one()
    yield {"kind": HEADER, "format": FORMAT, "log": end.id, "events": end.size}
    after = 0
    while True:
        chosen = sa.select(events).where(events.c.seq > after).order_by(events.c.seq).limit(_BATCH)
        batch = connection.execute(chosen).all()
        if not batch:
            break
        yield from _events(connection, batch, private=private)
        after = batch[-1].seq
    rows = connection.execute(
        sa.select(checkpoints).order_by(checkpoints.c.size, checkpoints.c.key_id)
    )
    for row in rows:
        statement = {name: getattr(row, name) for name in ("size", "root", "head", "time")}
        yield {
            "kind": CHECKPOINT,
            "checkpoint": statement | {"log": end.id, "key": row.key_id},
            "signature": row.signature,
            "public_key": row.public_key,
            "leaves": row.leaves,
        }
    yield {"kind": END, "events": end.size, "head": end.head}


def strays(connection: Connection) -> list[int]:
    """Numbers of judgements' rows that stand for no event: nothing of the log comes to them."""
    joined = judgements.outerjoin(events, events.c.seq == judgements.c.seq)
    found = sa.select(judgements.c.seq).select_from(joined).where(events.c.seq.is_(None))
    return list(connection.execute(found.order_by(judgements.c.seq)).scalars())


def _events(connection: Connection, batch: Any, *, private: bool) -> Iterator[dict[str, Any]]:
    first, last = batch[0].seq, batch[-1].seq
    parts: dict[int, dict[str, dict[str, str]]] = {row.seq: {} for row in batch}
    for table in (payloads, identities) if private else (payloads,):
        kept = sa.select(table).where(table.c.seq.between(first, last), table.c.body.is_not(None))
        for row in connection.execute(kept):
            # A row without its event: the event was dropped, which the chain will tell.
            parts.setdefault(row.seq, {})[row.name] = {"salt": row.salt, "body": row.body}
    judged = sa.select(judgements).where(judgements.c.seq.between(first, last))
    rows = {row.seq: dict(row._mapping) for row in connection.execute(judged)}
    for row in batch:
        yield {
            "kind": EVENT,
            "event": Event.of(row._asdict()).fields(),
            "hash": row.hash,
            "parts": parts[row.seq],
            "row": rows.get(row.seq),
        }
