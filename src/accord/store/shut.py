"""SQLite files that this login may read and not write: evidence, backups, a workspace of others.

They are opened without touching anything. Where all of the log is in the file itself, SQLite is
told that nobody changes it (it could not make the files beside it that it needs to notice);
whether that was true is looked at when the reading is over. Where changes still lie in the file
`-wal`, SQLite needs that file and the one named `-shm`, and reads them too.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from accord.core.errors import StoreError
from accord.store.refusals import code_of


def is_shut(file: Path) -> bool:
    """Whether `file` is there, and it or its folder may not be written."""
    return file.exists() and not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK))


def reading_engine(url: URL, file: Path) -> sa.Engine:
    """An engine that reads the SQLite database in `file`; a connection lasts one transaction."""
    return sa.create_engine(
        url, hide_parameters=True, poolclass=NullPool, creator=lambda: _connect(file)
    )


@contextmanager
def undisturbed(file: Path) -> Iterator[None]:
    """Raise StoreError where `file` was changed while it was read as if nobody could.

    Also where its changes lie beside it and cannot be read.
    """
    whole, before = _is_whole(file), _state(file)
    try:
        yield
    except DBAPIError as error:
        if whole and _state(file) != before:
            raise _changed(file) from None
        if not whole and code_of(error).startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY_")):
            raise StoreError(
                "the database has changes beside it that cannot be read here",
                got=f"{file.name}-wal, in a folder that may not be written",
                where=file,
                do=f"copy {file.name}, {file.name}-wal and the workspace around them to a folder "
                "that you may write to",
            ) from None
        raise
    if whole and _state(file) != before:
        raise _changed(file)


def _connect(file: Path) -> sqlite3.Connection:
    alone = "&immutable=1" if _is_whole(file) else ""
    return sqlite3.connect(
        f"file:{quote(str(file))}?mode=ro{alone}", uri=True, check_same_thread=False
    )


def _is_whole(file: Path) -> bool:
    """Whether nothing of the database lies in files beside it."""
    beside = (file.with_name(file.name + ending) for ending in ("-wal", "-journal"))
    return not any(other.exists() and other.stat().st_size for other in beside)


def _state(file: Path) -> tuple[int, int, int]:
    found = file.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _changed(file: Path) -> StoreError:
    return StoreError(
        "the database was changed while it was read",
        where=file,
        do="try again; what was read is not used",
    )
