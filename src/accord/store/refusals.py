"""What a database says no with, in words a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from sqlalchemy.exc import DataError as ValueRefused
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from accord.core.errors import AccordError, DataError, InvariantError, StoreError

_MEANINGS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "53100"),
        "the disk of the database is full",
        "free some space and try again: nothing acknowledged was lost",
    ),
    (
        ("SQLITE_READONLY", "25006", "42501"),
        "the database cannot be written",
        "give yourself the right to write to it, and to its folder where it is a file",
    ),
    (
        ("SQLITE_BUSY", "SQLITE_LOCKED", "55P03", "53300"),
        "the database is busy",
        "try again; end a program that keeps it locked",
    ),
    (
        ("SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH"),
        "the database cannot be opened",
        "name a file in a folder that exists and that you may read and write",
    ),
    (
        ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_IOERR", "XX001", "XX002", "58030"),
        "the database is damaged, or no database",
        "restore it from a backup",
    ),
    (
        ("08", "57P"),
        "the connection to the database was lost",
        "try again: what was not acknowledged was not kept",
    ),
)
"""Names of SQLite's errors and states of PostgreSQL, by their beginning."""


_RAISED = "P0001"
"""What PostgreSQL answers where a trigger refused."""


def code_of(error: DBAPIError) -> str:
    """SQLite's name or PostgreSQL's five characters for an error; empty where it has none."""
    cause = error.orig
    code = getattr(cause, "sqlite_errorname", None) or getattr(cause, "sqlstate", None)
    return code if isinstance(code, str) else ""


def first_line(error: DBAPIError) -> str:
    """What the database said, without the statement and its values."""
    return (str(error.orig).strip().splitlines() or ["no reason given"])[0]


def is_busy(error: DBAPIError) -> bool:
    """Whether somebody else holds a lock."""
    return code_of(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "55P03"))


def explain(error: DBAPIError, place: str) -> AccordError:
    """The one error that says what a database's refusal means for the user."""
    code = code_of(error)
    if isinstance(error, IntegrityError) or code == _RAISED:
        return DataError("a row breaks a rule of the database", got=first_line(error), where=place)
    if isinstance(error, ValueRefused):
        return DataError("the database cannot keep a value", got=first_line(error), where=place)
    for beginnings, what, do in _MEANINGS:
        if code.startswith(beginnings):
            return StoreError(what, got=first_line(error), where=place, do=do)
    if error.connection_invalidated or not code:
        return StoreError(
            "the database cannot be reached",
            got=first_line(error),
            where=place,
            do="check that the server runs, and user, password and name in the URL",
        )
    return InvariantError(
        "the database refused a statement of Accord's",
        got=f"{code}: {first_line(error)}",
        where=place,
    )


@contextmanager
def explained(place: str) -> Iterator[None]:
    """Turn what a database says no with, inside the block, into one error of Accord's."""
    try:
        yield
    except PoolTimeout:
        refuse_busy(place)
    except DBAPIError as error:
        raise explain(error, place) from None


def refuse_busy(place: str) -> NoReturn:
    """Somebody else held the only turn to write for too long."""
    raise StoreError(
        "the database is busy",
        got="no turn to write in 30 s",
        where=place,
        do="try again; end a program that keeps it locked",
    )


def refuse_unscrubbed(place: str) -> NoReturn:
    """Rows are erased, and old pages that hold them are still in use."""
    raise StoreError(
        "what was erased can still be found in the database's file",
        got="a reader that has not ended",
        where=place,
        do="erase again when the reader has ended",
    )


def refuse_unsafe(place: str, setting: str) -> NoReturn:
    """A place that acknowledges what it may still lose."""
    raise StoreError(
        "this database may lose what it acknowledged",
        got=setting,
        where=place,
        do="keep the file on a local disk, or switch fsync on at the server",
    )
