"""The user's folder: settings, imported data, artifacts and unfinished runs.

accord.toml      settings                  data/NAME.json   which artifact an imported set is
artifacts/       finished folders          runs/            unfinished stages, checkpoints
.accord/         version of the form, lock, keys
cache/           what can be computed again: delete it at any time
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import accord
from accord.core.disk import Guarded, check_room
from accord.core.errors import WorkspaceError
from accord.core.files import sync_folder, write_atomic
from accord.core.hashing import plain
from accord.pipeline import starter
from accord.pipeline.artifact import (
    MANIFEST,
    Artifact,
    Manifest,
    open_artifact,
    read_manifest,
)
from accord.pipeline.config import PipelineConfig
from accord.pipeline.lock import Holder, holder, locked

SCHEMA = 1
"""Version of the workspace's form."""
SETTINGS = "accord.toml"
_REPLACED = ".replaced-"


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace folder. Opening reads its version; nothing else is read ahead."""

    root: Path

    @classmethod
    def create(cls, folder: Path, recipe: str, config: PipelineConfig | None = None) -> Workspace:
        """Fill a new or empty folder with settings that explain themselves.

        `config`, the recipe's values, is shown in them; None shows the recipe's name alone.
        Raises WorkspaceError where `folder` holds files already or cannot be written.
        """
        folder = folder.absolute()
        with Guarded(folder):
            if folder.is_dir() and any(folder.iterdir()):
                raise WorkspaceError(
                    "a new workspace needs a new or empty folder",
                    got=f"{folder} has files in it",
                    do="name another folder",
                )
            made = not folder.exists()
            try:
                _make(folder)
                check_room(folder)
                (folder / "data").mkdir()
                write_atomic(folder / "guidelines.md", starter.guidelines())
                _write_version(folder)
                write_atomic(folder / SETTINGS, starter.settings(recipe, config))
            except BaseException:
                _empty(folder, remove=made)
                raise
        return cls(folder)

    @classmethod
    def open(cls, folder: Path) -> Workspace:
        """The workspace in `folder`.

        Raises WorkspaceError where there is none or a newer Accord made it.
        """
        folder = folder.absolute()
        if not (folder / SETTINGS).is_file():
            raise WorkspaceError(
                "this folder is no workspace",
                got=f"no {SETTINGS} in {folder}",
                do="make one with `accord init DIR`, or name one with --workspace",
            )
        _check_version(folder)
        return cls(folder)

    @classmethod
    def find(cls, start: Path) -> Workspace:
        """The workspace that `start` lies in: the nearest parent with an accord.toml."""
        start = start.absolute()
        for folder in (start, *start.parents):
            if (folder / SETTINGS).is_file():
                return cls.open(folder)
        raise WorkspaceError(
            "no workspace here or above",
            got=f"no {SETTINGS} from {start} up",
            do="make one with `accord init DIR`, or name one with --workspace",
        )

    @property
    def settings(self) -> Path:
        """The file of settings."""
        return self.root / SETTINGS

    @property
    def artifacts(self) -> Path:
        """Where finished folders are; data sets are imported to here."""
        return self.root / "artifacts"

    @property
    def runs(self) -> Path:
        """Where unfinished stages are."""
        return self.root / "runs"

    @property
    def cache(self) -> Path:
        """Where a stage keeps what another one may need too, and can be computed again."""
        return self.root / "cache"

    def database_place(self) -> str | Path:
        """Where judgements are kept: ACCORD_DATABASE_URL, or a file of this workspace."""
        return os.environ.get("ACCORD_DATABASE_URL") or self.root / "accord.db"

    def artifact_folder(self, name: str, key: str) -> Path:
        """Where the artifact of this name and key is, or would be."""
        return self.artifacts / f"{name}-{key}"

    def run_folder(self, name: str, key: str) -> Path:
        """Where the unfinished run of this name and key is, or would be."""
        return self.runs / f"{name}-{key}"

    def artifact(self, name: str, key: str) -> Artifact | None:
        """The finished artifact, or None. Raises WorkspaceError where it is damaged."""
        folder = self.artifact_folder(name, key)
        return open_artifact(folder) if folder.is_dir() else None

    def history(self, name: str) -> list[Manifest]:
        """Manifests of all artifacts a stage ever made here, the newest last."""
        found = [
            read_manifest(folder)
            for folder in sorted(self.artifacts.glob(f"{name}-*"))
            if re.fullmatch(f"{re.escape(name)}-[0-9a-f]{{16}}", folder.name)
        ]
        return sorted(
            (manifest for manifest in found if manifest.name == name), key=lambda m: m.ended
        )

    def newest(self, name: str) -> Artifact | None:
        """The artifact that a stage finished last here, whatever it was made with."""
        made = self.history(name)
        return self.artifact(name, made[-1].key) if made else None

    @contextmanager
    def lock(self, command: str, *, remember: Mapping[str, Any] | None = None) -> Iterator[None]:
        """Keep other runs out, after tidying up what a killed one left.

        `remember`, JSON values, is what `last_run` gives back. Raises WorkspaceError where another
        process works here, or nothing can be written.
        """
        for folder in (self.root / ".accord", self.artifacts, self.runs):
            check_room(folder)
        with locked(self.root / ".accord" / "lock", command=command):
            if not (self.root / ".accord" / "workspace.json").is_file():
                _write_version(self.root)
            self._tidy()
            if remember is not None:
                write_atomic(self._last, json.dumps(plain(remember)) + "\n")
            yield

    def holder(self) -> Holder | None:
        """The process that works here now, if one does."""
        return holder(self.root / ".accord" / "lock")

    def last_run(self) -> Mapping[str, Any] | None:
        """What the last run was asked for; None before the first."""
        try:
            found = json.loads(self._last.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    @property
    def _last(self) -> Path:
        return self.root / ".accord" / "last.json"

    def adopt(self, folder: Path, name: str, key: str) -> Artifact:
        """Move a finished folder into place by one rename; an older twin is put away first."""
        final = self.artifact_folder(name, key)
        aside = final.with_name(f"{_REPLACED}{final.name}")
        if final.exists():
            final.rename(aside)
        folder.rename(final)
        sync_folder(self.artifacts)
        shutil.rmtree(aside, ignore_errors=True)
        return open_artifact(final)

    def _tidy(self) -> None:
        for aside in self.artifacts.glob(f"{_REPLACED}*"):
            final = aside.with_name(aside.name.removeprefix(_REPLACED))
            if final.exists():
                shutil.rmtree(aside)
            else:
                aside.rename(final)

    def point(self, name: str, sets: Mapping[str, tuple[Path, str]]) -> dict[str, str]:
        """Let `name` mean these imported sets: kind -> (folder in `artifacts`, digest).

        What the name meant of other kinds stays. Gives back what it meant before, of any kind:
        kind -> digest.
        """
        body = {
            kind: {"artifact": folder.name, "digest": digest}
            for kind, (folder, digest) in sets.items()
        }
        pointer = self.root / "data" / f"{name}.json"
        before: dict[str, Any] = {}
        if pointer.is_file():
            with suppress(WorkspaceError):  # a damaged one says: import again
                before = self._read_pointer(pointer)
        with Guarded(pointer):
            pointer.parent.mkdir(exist_ok=True)
            text = json.dumps({**before, **body}, indent=2, sort_keys=True)
            write_atomic(pointer, text + "\n")
        return {kind: str(entry.get("digest")) for kind, entry in before.items()}

    def datasets(self, kind: str) -> tuple[Artifact, ...]:
        """All imported sets of a kind (a name of `DatasetKind`), by name."""
        pointers = sorted((self.root / "data").glob("*.json"))
        return tuple(
            self._dataset(kind, path) for path in pointers if kind in self._read_pointer(path)
        )

    def dataset(self, kind: str, name: str) -> Artifact:
        """One imported set. Raises WorkspaceError where nothing of that name was imported."""
        path = self.root / "data" / f"{name}.json"
        if not path.is_file() or kind not in self._read_pointer(path):
            known = ", ".join(a.name.partition("/")[2] for a in self.datasets(kind)) or "none"
            raise WorkspaceError(
                f"no imported set of {kind} has this name",
                got=name,
                do=f"`accord import FILE --name {name}`; there are: {known}",
            )
        return self._dataset(kind, path)

    def kinds(self, name: str) -> tuple[str, ...]:
        """Kinds of the imported sets of this name; none where there is no such name."""
        path = self.root / "data" / f"{name}.json"
        return tuple(self._read_pointer(path)) if path.is_file() else ()

    def _dataset(self, kind: str, pointer: Path) -> Artifact:
        entry = self._read_pointer(pointer)[kind]
        folder, digest = self.artifacts / entry["artifact"], entry["digest"]
        if not (folder / MANIFEST).is_file():
            raise WorkspaceError(
                "an imported set is gone",
                got=f"{pointer.name} points to {folder}",
                do="import the file again",
            )
        return Artifact(
            name=f"{kind}/{pointer.stem}", kind=kind, key=digest[:16], folder=folder, digest=digest
        )

    @staticmethod
    def _read_pointer(path: Path) -> dict[str, Any]:
        try:
            body = json.loads(path.read_text(encoding="utf-8"))
            return {kind: dict(entry) for kind, entry in body.items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise WorkspaceError(
                "a pointer to imported data is damaged",
                got=str(error),
                where=path,
                do="import the file again",
            ) from None


def _make(folder: Path) -> None:
    """Make a folder; some places hold none, whoever asks."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        raise WorkspaceError(
            "no folder can be made there",
            got=error.strerror,
            where=folder,
            do="name another folder",
        ) from None


def _write_version(root: Path) -> None:
    folder = root / ".accord"
    folder.mkdir(exist_ok=True)
    body = {"schema": SCHEMA, "accord": accord.__version__}
    write_atomic(folder / "workspace.json", json.dumps(body) + "\n")


def _check_version(root: Path) -> None:
    path = root / ".accord" / "workspace.json"
    if not path.is_file():
        return
    try:
        schema = int(json.loads(path.read_text(encoding="utf-8"))["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(
            "the workspace's version file is damaged",
            got=str(error),
            where=path,
            do="delete it: it is written anew",
        ) from None
    if schema > SCHEMA:
        raise WorkspaceError(
            "this workspace was made by a newer Accord",
            got=f"schema {schema}, this version reads up to {SCHEMA}",
            where=path,
            do="upgrade accord",
        )


def _empty(folder: Path, *, remove: bool) -> None:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if remove:
        folder.rmdir()
