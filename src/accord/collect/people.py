"""People who rate, by the name they are called by: found again, or registered under a pseudonym."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterator
from itertools import takewhile

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.sheet import RaterKind
from accord.core.errors import ConfigError
from accord.store.registry import STATE, STATE_SET, register_rater
from accord.store.tables import events, identities, payloads, raters

QUARANTINED = "quarantined"
NAME = "name"
"""What an identity calls a person's name."""
SHORTEST = 3
"""Letters of a name of which one may be a slip; of a shorter one it would be half."""


def person_called(connection: Connection, name: str) -> str | None:
    """The pseudonym of the person of this name; None where there is none, or it was erased.

    Names are read where identities are kept, and nothing is derived from them: a digest of a name
    could be guessed after it was erased.
    """
    known = (rater for called, rater in _people(connection) if called == name)
    return next(known, None)


def people_like(connection: Connection, name: str) -> dict[str, str]:
    """People whose names may be meant by `name`, and their pseudonyms; oldest first.

    Names that differ in case, accents, spaces and other signs alone, or in one letter: left out,
    put in, another one, or swapped with its neighbour. A digit is no slip: people are numbered.
    """
    return {
        called: rater
        for called, rater in _people(connection)
        if called != name and _alike(_bare(called), _bare(name))
    }


def names_of(connection: Connection, raters_named: Collection[str]) -> dict[str, str]:
    """What these raters are called, of whatever kind; who was erased, or has no name, is not in it.

    For showing to a lead and for nothing else: a name is stored, exported and frozen nowhere.
    """
    found = sa.select(identities.c.rater, identities.c.body).where(
        identities.c.name == "identity", identities.c.body.is_not(None)
    )
    named = {row.rater: json.loads(row.body).get(NAME) for row in connection.execute(found)}
    wanted = set(raters_named)
    return {r: name for r, name in named.items() if r in wanted and isinstance(name, str)}


def in_quarantine(connection: Connection) -> frozenset[str]:
    """Who is in quarantine, those among them who were erased since: it outlasts the name.

    A decision that cannot be read could have been a quarantine.
    """
    held = sa.select(raters.c.id).where(raters.c.state == QUARANTINED)
    decided_then = (
        sa.select(events.c.subject, payloads.c.body)
        .join(raters, raters.c.id == events.c.subject)
        .outerjoin(payloads, (payloads.c.seq == events.c.seq) & (payloads.c.name == STATE))
        .where(events.c.type == STATE_SET, raters.c.state == "erased")
        .order_by(events.c.seq)
    )
    last = {row.subject: row.body for row in connection.execute(decided_then)}
    erased = (
        name for name, body in last.items() if body is None or json.loads(body) == QUARANTINED
    )
    return frozenset([*connection.execute(held).scalars(), *erased])


def person(connection: Connection, name: str, *, role: str = "rater") -> str:
    """The pseudonym of the person of this name, registered where they are new, inside `write`.

    Raises ConfigError for a blank name, and for a known person with another role.
    """
    name = name.strip()
    if not name or not name.isprintable():
        raise ConfigError("a rater needs a name", got=repr(name))
    known = person_called(connection, name)
    if known is None:
        return register_rater(
            connection, kind=RaterKind.HUMAN.value, role=role, identity={NAME: name}
        )
    has = connection.execute(sa.select(raters.c.role).where(raters.c.id == known)).scalar_one()
    if has != role:
        raise ConfigError(
            "somebody of this name is registered with another role",
            got=f"{name}: {has}, not {role}",
            do="give the role they have, or a fuller name",
        )
    return known


def _people(connection: Connection) -> Iterator[tuple[str, str]]:
    """Name and pseudonym of every person who was not erased, oldest first."""
    found = (
        sa.select(identities.c.rater, identities.c.body)
        .join(raters, raters.c.id == identities.c.rater)
        .where(
            identities.c.name == "identity",
            identities.c.body.is_not(None),
            raters.c.kind == RaterKind.HUMAN,
        )
        .order_by(identities.c.seq)
    )
    for row in connection.execute(found):
        called = json.loads(row.body).get(NAME)
        if isinstance(called, str):
            yield called, str(row.rater)


def _bare(name: str) -> str:
    """Letters and digits of a name, without case and accents."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", name).casefold()))


def _alike(one: str, other: str) -> bool:
    """Whether two bare names are the same, or one letter apart and not very short."""
    if one == other:
        return bool(one)
    short, long = sorted((one, other), key=len)
    if len(short) < SHORTEST or len(long) - len(short) > 1:
        return False
    pairs = zip(short, long, strict=False)
    at = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if len(long) > len(short):
        changed, same = long[at], long[at + 1 :] == short[at:]
    else:
        swapped = short[at : at + 2] == long[at : at + 2][::-1]
        changed, same = short[at] + long[at], short[at + 1 + swapped :] == long[at + 1 + swapped :]
    return same and not any(map(str.isdigit, changed))
