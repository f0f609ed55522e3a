"""Taking back words and identities: what was said is removed, that something was said is not.

An erasure removes a part's text and its salt, so that the digest left in the log can be neither
read nor guessed, and is an event itself. The chain still holds, and `verify` lists what was erased.
Copies that were made before (exports, backups, frozen sets) are out of reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

RATER_ERASED = "rater.erased"
"""Type of the event that ends the erasure of a rater."""
_RECORDS = ("about", "campaign", "membership", STATE, "task")
"""Parts that say what somebody decided, in Accord's own words. A lead who is erased takes neither
tasks nor anybody's quarantine along; nor the guidelines, which judgements were given by."""


Part = tuple[int, str]
"""Number of an event and the name of a part of what it said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OfRater:
    """What the log still holds of a rater that can be erased; `parts_of_rater` finds it."""

    private: tuple[Part, ...]
    """Who they are: identity and profile."""
    decided: tuple[Part, ...]
    """Reasons that others gave for what they decided about them."""
    words: tuple[Part, ...]
    """What they wrote: reasons, responses, notes."""
    verdicts: tuple[Part, ...]
    """What they judged."""


def erase(
    database: Database, seq: int, part: str, *, actor: str = SYSTEM, why: str | None = None
) -> int:
    """Remove one part of what event `seq` said; returns the number of the erasure's event.

    As `erase_parts` does it.
    """
    return erase_parts(database, [(seq, part)], actor=actor, why=why)[0]


def erase_parts(
    database: Database, parts: Sequence[Part], *, actor: str = SYSTEM, why: str | None = None
) -> list[int]:
    """Remove all of `parts`, or none; returns the number of each erasure's event.

    A part that was erased before stays so and gives the first erasure's number. Erasing a verdict
    empties the judgement's row as well. `why` is kept with each erasure. Raises DataError where an
    event has no such part, StoreError where a reader keeps the old rows alive: they are erased
    then, and the same call again cleans the files.
    """
    with database.write() as connection:
        done = [_erase(connection, seq, part, actor, why) for seq, part in parts]
    database.scrub()
    return done


def erase_rater(
    database: Database,
    rater: str,
    *,
    words: bool = True,
    verdicts: bool = False,
    actor: str = SYSTEM,
    why: str | None = None,
) -> int:
    """Remove who a rater is, the reasons that others gave for what they decided about them and,
    with `words`, every text of theirs; returns how many parts were erased now.

    Their verdicts stay, under a pseudonym that leads nowhere, unless `verdicts`. `why` is kept with
    the event `rater.erased`. Raises DataError for an unknown rater, StoreError as `erase_parts`.
    """
    with database.write() as connection:
        found = parts_of_rater(connection, rater)
        parts = {*found.private, *found.decided}
        parts |= {*found.words} if words else set()
        parts |= {*found.verdicts} if verdicts else set()
        for seq, name in sorted(parts):
            _erase(connection, seq, name, actor, None)
        changed = sa.update(raters).where(raters.c.id == rater, raters.c.state != "erased")
        now = changed.values(state="erased", since=datetime.now(UTC))
        if connection.execute(now).rowcount or parts:
            entry = Entry(type=RATER_ERASED, actor=actor, subject=rater, parts=_reason(why))
            append(connection, entry)
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
        _erase(connection, seq, "profile", actor, None)
    return len(found)


def parts_of_rater(connection: Connection, rater: str) -> OfRater:
    """What can be erased of a rater and was not yet. Raises DataError for an unknown one."""
    known = connection.execute(sa.select(raters.c.id).where(raters.c.id == rater))
    if known.scalar_one_or_none() is None:
        raise DataError("there is no such rater", got=rater)
    about = sa.select(identities.c.seq, identities.c.name).where(
        identities.c.rater == rater, identities.c.erased.is_(None)
    )
    spoken = (
        sa.select(payloads.c.seq, payloads.c.name)
        .join(events, events.c.seq == payloads.c.seq)
        .where(payloads.c.erased.is_(None))
    )
    said = spoken.where(events.c.actor == rater, events.c.type != GUIDELINE_PUBLISHED)
    decided = spoken.where(
        events.c.type == STATE_SET, events.c.subject == rater, payloads.c.name == WHY
    )

    def found(chosen: sa.Select[Any]) -> tuple[Part, ...]:
        return tuple(sorted((int(row.seq), str(row.name)) for row in connection.execute(chosen)))

    return OfRater(
        private=found(about),
        decided=found(decided),
        words=found(said.where(payloads.c.name.not_in((*_RECORDS, VERDICT)))),
        verdicts=found(said.where(payloads.c.name == VERDICT)),
    )


def _reason(why: str | None) -> dict[str, Any]:
    return {} if why is None else {WHY: {"words": why}}


def _erase(connection: Connection, seq: int, part: str, actor: str, why: str | None) -> int:
    event = event_at(connection, seq)
    if part not in event.payload:
        raise DataError(
            "this event has no such part",
            got=part,
            where=f"event {seq}",
            do=f"name one of: {', '.join(event.payload) or 'none'}",
        )
    entry = Entry(type=ERASED, actor=actor, subject=f"{seq}/{part}", parts=_reason(why))
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
