"""Checkpoints of one running stage: each is there whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accord.core.errors import WorkspaceError
from accord.core.files import sync_folder, sync_tree
from accord.core.protocols import Checkpointable


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How far a stage had come when it was saved."""

    rows: int = 0
    """Metric rows yielded."""
    step: int = 0
    """Steps done, as the state counts them."""
    seconds: float = 0.0
    """Time at work up to here, over all attempts."""
    peak_memory: float = 0.0
    """GiB."""
    notes: Mapping[str, Any] = field(default_factory=dict)


class Checkpoints:
    """A folder of checkpoints named by their rows; the newest whole one counts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def latest(self) -> tuple[Path, Progress] | None:
        """The newest checkpoint's state folder and progress.

        Raises WorkspaceError where its progress cannot be read.
        """
        names = sorted(path for path in self.folder.glob("[0-9]*") if path.is_dir())
        if not names:
            return None
        path = names[-1] / "progress.json"
        try:
            return names[-1] / "state", Progress(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise WorkspaceError(
                "a checkpoint is damaged",
                got=str(error),
                where=path,
                do=f"delete {names[-1]}: the run then starts from the one before, or anew",
            ) from None

    def save(self, state: Checkpointable, progress: Progress) -> None:
        """Write a checkpoint beside the old one, put it in place, then drop the old one."""
        final = self.folder / f"{progress.rows:08d}"
        if final.is_dir():
            return
        temporary = self.folder / f".{final.name}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            (temporary / "state").mkdir(parents=True)
            state.save(temporary / "state")
            text = json.dumps(asdict(progress), allow_nan=False)
            (temporary / "progress.json").write_text(text, encoding="utf-8")
            sync_tree(temporary)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        temporary.rename(final)
        sync_folder(self.folder)
        for other in self.folder.iterdir():
            if other != final:
                shutil.rmtree(other, ignore_errors=True)
