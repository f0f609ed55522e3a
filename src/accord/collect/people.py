"""People who rate, by the name they are called by: found again, or registered under a pseudonym."""

from __future__ import annotations

import json

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.sheet import RaterKind
from accord.core.errors import ConfigError
from accord.store.registry import register_rater
from accord.store.tables import identities, raters

NAME = "name"
"""What an identity calls a person's name."""


def person_called(connection: Connection, name: str) -> str | None:
    """The pseudonym of the person of this name; None where there is none, or it was erased.

    Names are read where identities are kept, and nothing is derived from them: a digest of a name
    could be guessed after it was erased.
    """
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
        if json.loads(row.body).get(NAME) == name:
            return str(row.rater)
    return None


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
