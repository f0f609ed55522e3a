"""One run per workspace at a time. The system drops the lock with the process that held it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from accord.core.errors import WorkspaceError


@contextmanager
def locked(path: Path, *, command: str) -> Iterator[None]:
    """Hold the lock file at `path`.

    Raises WorkspaceError that names the process which holds it, without waiting.
    """
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held(path) from None
        file.truncate(0)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"pid": os.getpid(), "command": command, "started": started}))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """A process that works in a workspace now."""

    pid: int
    command: str
    since: float
    """When it took the lock, to the second: seconds since 1970."""


def holder(path: Path) -> Holder | None:
    """The living process that holds the lock file at `path`; None where none does.

    A killed one leaves its words in the file, so the lock itself is asked; it is held for that
    moment only where those words are there.
    """
    try:
        with path.open(encoding="utf-8") as file:
            said = json.loads(file.read())
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                since = datetime.fromisoformat(said["started"]).timestamp()
                return Holder(pid=int(said["pid"]), command=str(said["command"]), since=since)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None


def _held(path: Path) -> WorkspaceError:
    try:
        holder = json.loads(path.read_text(encoding="utf-8"))
        who = f"process {holder['pid']} ({holder['command']}, since {holder['started']})"
        do = f"wait for it, or stop it with `kill {holder['pid']}`: it saves its state and ends"
    except (ValueError, KeyError, TypeError):
        who, do = "a process that is just starting", "try again in a moment"
    return WorkspaceError("another run works in this workspace", got=who, where=path, do=do)
