"""Kinds of columns that mean the same on SQLite and PostgreSQL, and what the tables share."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

from accord.core.errors import DataError
from accord.core.hashing import canonical_json

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
ID = sa.String(64)
"""A name given by Accord or by the user: a random id, a pseudonym, a version."""
DIGEST = sa.String(64)
"""SHA-256 as hexadecimal digits."""
WORD = sa.String(32)
"""One of few words; a check lists them."""


def check_fits(column: sa.Column[str], text: str | None, what: str) -> None:
    """Refuse what PostgreSQL would not keep in `column` and SQLite would: a text that is longer
    than the column is wide, or has a zero character. `what` names it. Raises DataError.
    """
    most = width(column)
    if text is None or (len(text) <= most and "\x00" not in text):
        return
    raise DataError(
        f"{what} has at most {most} characters, and no zero character",
        got=f"{len(text)} characters: {text[:40]!a}",
        where=str(column),
        do="shorten it",
    )


def width(column: sa.Column[str]) -> int:
    """Characters that a column of text holds at most."""
    kind = column.type
    assert isinstance(kind, sa.String)
    assert kind.length is not None
    return kind.length


def stamp(time: datetime) -> str:
    """`time` as text that sorts like it: UTC, microseconds, 27 characters.

    Raises ValueError for a time without zone, which could be anywhere in a day.
    """
    if time.tzinfo is None:
        raise ValueError(f"{time} has no time zone")
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """The time that `stamp` was given, in UTC. Raises ValueError for any other text."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


class Time(TypeDecorator[datetime]):
    """A moment in UTC, kept as text, which compares the same on both."""

    impl = sa.String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:
        """To the database."""
        return None if value is None else stamp(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> datetime | None:
        """From the database."""
        return None if value is None else moment(value)


class Json(TypeDecorator[Any]):
    """Any JSON value as its canonical text, the same bytes on both databases; None is NULL."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:
        """To the database."""
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:
        """From the database."""
        return None if value is None else json.loads(value)


def one_of(column: str, *words: str) -> sa.CheckConstraint:
    """A check that `column` holds one of `words`."""
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)
