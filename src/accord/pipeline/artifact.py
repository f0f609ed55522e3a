"""Artifacts: finished folders with a manifest, moved into place by one rename."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from accord.core.errors import WorkspaceError
from accord.core.hashing import digest, file_digest
from accord.core.machine import Machine

SCHEMA = 1
"""Version of the manifest's form."""
MANIFEST = "manifest.json"
METRICS = "metrics.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """Size in bytes and SHA-256 of one file of an artifact."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class InputEntry:
    """Which artifact an input was: its lineage key and the digest of its files."""

    key: str
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """All that is known about a finished stage; the truth about its artifact."""

    name: str
    kind: str
    key: str
    code: str
    """Package version, and in a checkout the digest of the sources."""
    seed: int
    config: Mapping[str, Any]
    """The resolved settings as JSON values, overrides included."""
    inputs: Mapping[str, InputEntry]
    machine: Machine
    files: Mapping[str, FileEntry]
    """Every file but the manifest, by its path inside the artifact."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What the body noted: JSON values."""
    steps: int = 0
    started: str = ""
    """First start, UTC, ISO 8601."""
    ended: str = ""
    seconds: float = 0.0
    """Time at work over all attempts whose steps were kept."""
    peak_memory: float = 0.0
    """Largest resident memory of a process that worked on it, GiB."""
    schema: int = SCHEMA

    @property
    def digest(self) -> str:
        """Digest over the names and contents of the files, the timed metric rows left out."""
        return digest({path: entry.sha256 for path, entry in self.files.items() if path != METRICS})

    def to_json(self) -> str:
        """The text of `manifest.json`."""
        return json.dumps(asdict(self), indent=2, sort_keys=True, allow_nan=False) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the artifact in `folder`.

    Raises WorkspaceError where it is missing, damaged or of a newer Accord.
    """
    path = folder / MANIFEST
    rebuild = f"delete {folder} and run again"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WorkspaceError("an artifact has no manifest", where=path, do=rebuild) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise WorkspaceError(
            "a manifest is damaged", got=str(error), where=path, do=rebuild
        ) from None
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise WorkspaceError(
            "an artifact was made by a newer Accord",
            got=f"manifest schema {schema}, this version reads up to {SCHEMA}",
            where=path,
            do="upgrade accord",
        )
    try:
        return _structure(raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise WorkspaceError(
            "a manifest is damaged", got=f"missing or wrong: {error}", where=path, do=rebuild
        ) from None


def _structure(raw: dict[str, Any]) -> Manifest:
    known = {f.name for f in fields(Manifest)}
    values = {name: value for name, value in raw.items() if name in known}
    values["inputs"] = {name: InputEntry(**entry) for name, entry in raw["inputs"].items()}
    values["files"] = {path: FileEntry(**entry) for path, entry in raw["files"].items()}
    values["machine"] = Machine(**raw["machine"])
    return Manifest(**values)


def list_files(folder: Path) -> dict[str, FileEntry]:
    """Size and digest of every file below `folder` but its own manifest, by relative path."""
    return {
        path.relative_to(folder).as_posix(): FileEntry(
            bytes=path.stat().st_size, sha256=file_digest(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path != folder / MANIFEST
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """Something finished that a stage can read: another stage's output, or an imported data set.

    A data set's name is `kind/name` (`preferences/movies`) and its manifest is the data set's own:
    open it with `accord.store.datasets.Dataset(artifact.folder)`.
    """

    name: str
    kind: str
    key: str
    folder: Path
    digest: str

    @property
    def manifest(self) -> Manifest:
        """The stage's manifest, read from disk. Raises WorkspaceError where it is damaged."""
        return read_manifest(self.folder)


def open_artifact(folder: Path) -> Artifact:
    """The stage artifact in `folder`, with every file there in its full size.

    Raises WorkspaceError where the manifest is damaged or a file is missing or cut short.
    """
    manifest = read_manifest(folder)
    for path, entry in manifest.files.items():
        file = folder / path
        size = file.stat().st_size if file.is_file() else None
        if size != entry.bytes:
            raise WorkspaceError(
                "an artifact is damaged",
                got="file is missing" if size is None else f"{size} bytes, not {entry.bytes}",
                where=file,
                do=f"delete {folder} and run again",
            )
    return Artifact(
        name=manifest.name,
        kind=manifest.kind,
        key=manifest.key,
        folder=folder,
        digest=manifest.digest,
    )
