"""Taking back words and identities: what was said is removed, that something was said is not.

An erasure removes a part's text and its salt, so that the digest left in the log can be neither
read nor guessed, and is an event itself. The chain still holds, and `verify` lists what was erased.
Copies that were made before (exports, backups, frozen sets) are out of reach.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.core.errors import DataError
from accord.store.database import Database
from accord.store.event import ERASED, PRIVATE, Entry
from accord.store.judgements import EVENTS, VERDICT, derive
from accord.store.log import append, event_at
from accord.store.registry import GUIDELINE_PUBLISHED, STATE, STATE_SET, SYSTEM, TEXT, WHY
from accord.store.tables import events, identities, judgements, payloads, prompts, raters, responses

_RECORDS = ("about", "campaign", "membership", STATE, "task")
"""Parts that say what somebody decided, in Accord's own words. A lead who is erased takes neither
tasks nor anybody's quarantine along; nor the guidelines, which judgements were given by."""


def erase(database: Database, seq: int, part: str, *, actor: str = SYSTEM) -> int:
    """Remove one part of what event `seq` said; returns the number of the erasure's event.

    A part that was erased before stays so and gives the first erasure's number. Erasing a verdict
    empties the judgement's row as well. Raises DataError where the event has no such part.
    """
    with database.write() as connection:
        done = _erase(connection, seq, part, actor)
    database.scrub()
    return done


def erase_rater(
    database: Database, rater: str, *, verdicts: bool = False, actor: str = SYSTEM
) -> int:
    """Remove who a rater is, every text of theirs, and the reasons that others gave for what they
    decided about them; returns how many parts were erased now.

    Their verdicts stay, under a pseudonym that leads nowhere, unless `verdicts`. Raises DataError
    for an unknown rater.
    """
    with database.write() as connection:
        known = connection.execute(sa.select(raters.c.id).where(raters.c.id == rater))
        if known.scalar_one_or_none() is None:
            raise DataError("there is no such rater", got=rater)
        parts = _parts_of_rater(connection, rater, verdicts=verdicts)
        for seq, name in parts:
            _erase(connection, seq, name, actor)
        changed = sa.update(raters).where(raters.c.id == rater, raters.c.state != "erased")
        if connection.execute(changed.values(state="erased", since=datetime.now(UTC))).rowcount:
            append(connection, Entry(type="rater.erased", actor=actor, subject=rater))
    database.scrub()
    return len(parts)


def erase_profile(connection: Connection, rater: str, *, actor: str = SYSTEM) -> int:
    """Remove what a rater told of themselves, inside `Database.write`; how many parts went.

    The caller calls `Database.scrub` afterwards.
    """
    told = sa.select(identities.c.seq).where(
        identities.c.rater == rater, identities.c.name == "profile", identities.c.erased.is_(None)
    )
    found = connection.execute(told.order_by(identities.c.seq)).scalars().all()
    for seq in found:
        _erase(connection, seq, "profile", actor)
    return len(found)


def _parts_of_rater(connection: Connection, rater: str, *, verdicts: bool) -> list[tuple[int, str]]:
    about = sa.select(identities.c.seq, identities.c.name).where(
        identities.c.rater == rater, identities.c.erased.is_(None)
    )
    kept = _RECORDS if verdicts else (*_RECORDS, VERDICT)
    said = (
        sa.select(payloads.c.seq, payloads.c.name)
        .join(events, events.c.seq == payloads.c.seq)
        .where(
            events.c.actor == rater,
            events.c.type != GUIDELINE_PUBLISHED,
            payloads.c.erased.is_(None),
            payloads.c.name.not_in(kept),
        )
    )
    decided = (
        sa.select(payloads.c.seq, payloads.c.name)
        .join(events, events.c.seq == payloads.c.seq)
        .where(
            events.c.type == STATE_SET,
            events.c.subject == rater,
            payloads.c.name == WHY,
            payloads.c.erased.is_(None),
        )
    )
    # A rater who decided about themselves is found twice.
    found = {*connection.execute(about), *connection.execute(said), *connection.execute(decided)}
    return sorted((int(row.seq), str(row.name)) for row in found)


def _erase(connection: Connection, seq: int, part: str, actor: str) -> int:
    event = event_at(connection, seq)
    if part not in event.payload:
        raise DataError(
            "this event has no such part",
            got=part,
            where=f"event {seq}",
            do=f"name one of: {', '.join(event.payload) or 'none'}",
        )
    entry = Entry(type=ERASED, actor=actor, subject=f"{seq}/{part}")
    again = sa.select(events.c.seq).where(
        events.c.type == ERASED, events.c.subject == entry.subject
    )
    if (before := connection.execute(again.limit(1)).scalar_one_or_none()) is not None:
        return int(before)
    done = append(connection, entry).event
    table = identities if part in PRIVATE else payloads
    gone: dict[str, Any] = {"salt": None, "body": None, "erased": datetime.now(UTC)}
    connection.execute(
        sa.update(table).where(table.c.seq == seq, table.c.name == part).values(**gone)
    )
    if event.type in EVENTS and part == VERDICT:
        row = derive(event, {})
        connection.execute(sa.update(judgements).where(judgements.c.seq == seq).values(**row))
    for about in (prompts, responses) if part == TEXT else ():
        connection.execute(sa.update(about).where(about.c.seq == seq).values(digest=None))
    return done.seq
