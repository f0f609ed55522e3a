"""What the disk says, in words a user can act on."""

from __future__ import annotations

import errno
import re
import shutil
import uuid
from pathlib import Path
from types import TracebackType

from accord.core.errors import AccordError, WorkspaceError

LEAST_FREE = 16 << 20
"""Bytes that must be free before a stage starts: room for manifests, rows and error reports."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SHUT = {errno.EACCES, errno.EPERM, errno.EROFS}
_BLOCKED = {errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}


def explain(error: Exception, where: Path) -> WorkspaceError | None:
    """The WorkspaceError that says what `error` means for `where`; None for another matter.

    Writers in other languages wrap the system's answer in errors of their own: their text keeps
    the number, as in `I/O error: No space left on device (os error 28)`.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None and (told := re.search(r"os error (\d+)", str(error))):
        number = int(told.group(1))
    path = getattr(error, "filename", None) or where
    if number in _FULL:
        return WorkspaceError(
            "there is no room left on the disk",
            got=str(error),
            where=path,
            do="free some space, then `accord resume` or the same command again: nothing finished "
            "was lost",
        )
    if number in _SHUT:
        return WorkspaceError(
            "a folder cannot be written",
            got=str(error),
            where=path,
            do="give yourself the right to write there, or choose another folder",
        )
    if number in _BLOCKED:
        return WorkspaceError(
            "something is in the way of a file or folder",
            got=str(error),
            where=path,
            do="move it, or choose another folder",
        )
    if number == errno.EIO:
        return WorkspaceError(
            "the disk failed", got=str(error), where=path, do="check it, or choose another folder"
        )
    return None


class Guarded:
    """Turns a full, shut or blocked disk inside a `with` into one clear WorkspaceError."""

    def __init__(self, where: Path) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, AccordError):
            told = explain(error, self._where)
            if told is not None:
                raise told from error


def check_room(folder: Path) -> None:
    """Write and remove a small file in `folder`, made where missing.

    Raises WorkspaceError where that fails or less than `LEAST_FREE` bytes are free.
    """
    with Guarded(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{uuid.uuid4().hex}"
        try:
            probe.write_bytes(b"accord")
        finally:
            probe.unlink(missing_ok=True)
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        raise WorkspaceError(
            "there is no room left on the disk",
            got=f"{free / 2**20:.1f} MiB free, {LEAST_FREE >> 20} MiB needed to start",
            where=folder,
            do="free some space, then run again",
        )
