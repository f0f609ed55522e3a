"""Which database a workspace keeps its judgements in: noted when it is opened, compared ever after.

A forgotten ACCORD_DATABASE_URL or a deleted file would otherwise look like a workspace in which
nobody ever judged anything, and what is said next would be kept apart from what was said before.
A database is known by the random name of its log: it may move, be restored or be reached by
another address, and is still the same.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import sqlalchemy as sa

from accord.core.errors import WorkspaceError
from accord.core.files import write_atomic
from accord.pipeline.workspace import Workspace
from accord.store.database import Database, address, file_of, open_database
from accord.store.tables import log

NOTE = "database.json"
"""File in `.accord`."""


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The database that was used last."""

    place: str
    """Name of a file in the workspace, or a URL without password."""
    log: str
    """Random name of its log."""


def open_workspace_database(workspace: Workspace) -> Database:
    """The database of a workspace's judgements, made where it is a file that never was there.

    Raises WorkspaceError where the workspace used another one before, or its file is gone;
    StoreError and ConfigError as `open_database` does.
    """
    place = workspace.database_place()
    known = noted(workspace)
    check_there(workspace)
    database = open_database(place)
    try:
        with database.read() as connection:
            name = str(connection.execute(sa.select(log.c.id)).scalar_one())
        now = Whereabouts(_told(workspace), name)
        if known is not None and known.log != now.log:
            raise _another(workspace, known, now.place)
        if known != now:
            _note(workspace, now)
    except BaseException:
        database.close()
        raise
    return database


def check_there(workspace: Workspace) -> None:
    """Raise WorkspaceError where the workspace used a database, and its file is not there now."""
    known, file = noted(workspace), file_of(workspace.database_place())
    if known is None or file is None or file.exists():
        return
    told = _told(workspace)
    if known.place != told:
        raise _another(workspace, known, f"{told}, which is not there")
    raise WorkspaceError(
        "the database of this workspace is gone",
        got=f"no file {file}",
        do="put it back from a backup, or from where it was moved to; where all of it is meant to "
        f"begin anew, delete {_path(workspace)}",
    )


def noted(workspace: Workspace) -> Whereabouts | None:
    """The database that was used last; None before the first, and where the note is damaged."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        body = json.loads(_path(workspace).read_text(encoding="utf-8"))
        return Whereabouts(place=str(body["place"]), log=str(body["log"]))
    return None


def _another(workspace: Workspace, known: Whereabouts, got: str) -> WorkspaceError:
    if known.place == _told(workspace):
        what, ways = "the database of this workspace was replaced", "put the old one back"
    else:
        what = "this workspace keeps its judgements in another database"
        inside = "://" not in known.place
        ways = (
            "unset ACCORD_DATABASE_URL"
            if inside
            else f"set ACCORD_DATABASE_URL to {known.place}, with the password if it has one"
        )
    return WorkspaceError(
        what,
        got=got,
        where=f"last time it was {known.place}",
        do=f"{ways}; where this one is meant from now on, delete {_path(workspace)}",
    )


def _told(workspace: Workspace) -> str:
    """The database that is asked for now, as it is noted."""
    place = workspace.database_place()
    file = file_of(place)
    if file is not None and file.is_relative_to(workspace.root):
        return str(file.relative_to(workspace.root))
    return address(place)


def _note(workspace: Workspace, now: Whereabouts) -> None:
    # Where nothing can be written the note is not needed: nobody opens a campaign there.
    with suppress(OSError):
        _path(workspace).parent.mkdir(exist_ok=True)
        write_atomic(_path(workspace), json.dumps(asdict(now)) + "\n")


def _path(workspace: Workspace) -> Path:
    return workspace.root / ".accord" / NOTE
