"""Texts that were being written when a sitting ended: private files, offered again."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from accord.core.disk import Guarded
from accord.core.files import sync_folder
from accord.pipeline.workspace import Workspace


def drafts_of(workspace: Workspace, *, rater: str | None, tasks: Collection[str]) -> list[Path]:
    """The files of drafts by somebody, or for one of these tasks, half-written ones too."""
    found = []
    for path in sorted(_folder(workspace).glob("*-*")):
        by, _, task = path.stem.partition("-")
        if by == rater or task in tasks:
            found.append(path)
    return found


def _folder(workspace: Workspace) -> Path:
    return workspace.root / ".accord" / "drafts"


class Drafts:
    """One person's drafts in a workspace; their files are read by the owner alone."""

    def __init__(self, workspace: Workspace, rater: str) -> None:
        self._folder = _folder(workspace)
        self._rater = rater

    def path(self, task: str) -> Path:
        """The file of a task's draft, which may not be there."""
        return self._folder / f"{self._rater}-{task}.txt"

    def load(self, task: str) -> str | None:
        """The draft of a task; None where there is none that can be read."""
        with suppress(OSError, UnicodeDecodeError):
            text = self.path(task).read_text(encoding="utf-8")
            return text if text.strip() else None
        return None

    def save(self, task: str, text: str) -> Path:
        """Keep a draft; its file. Raises WorkspaceError where the disk refuses."""
        path = self.path(task)
        aside = path.with_suffix(".new")
        with Guarded(path):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            sync_folder(self._folder)
        return path

    def remove(self, task: str) -> None:
        """Forget a draft, also where there is none."""
        with suppress(OSError):
            self.path(task).unlink(missing_ok=True)
