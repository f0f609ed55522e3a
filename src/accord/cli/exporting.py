"""`accord export NAME FILE`: an imported, frozen or simulated data set as a file of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import find_workspace
from accord.collect.exporting import (
    MARGIN,
    OTHER_CRITERION,
    TIED,
    WEIGHTLESS,
    Exported,
    export_dataset,
)
from accord.core.errors import ConfigError
from accord.core.types import Split
from accord.pipeline.logbook import export_workspace_log
from accord.pipeline.workspace import Workspace
from accord.store.manifest import DatasetKind, DatasetManifest

_WHY = {
    TIED: "tied pairs left out: TRL has no ties",
    OTHER_CRITERION: "pairs left out that are about one criterion: TRL would mix them with others",
    WEIGHTLESS: "pairs left out that weigh nothing: TRL has no weights",
    MARGIN: "pairs written without their margin: trl-margin has room for it",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """Flags of `accord export`."""

    name: Annotated[str | None, tyro.conf.Positional] = None
    """The set, by the name that `accord import` or `accord freeze` gave it."""
    file: Annotated[Path | None, tyro.conf.Positional] = None
    """A file that is not there yet: .jsonl, .jsonl.gz or .parquet."""
    log: Path | None = None
    """In place of a set: the log of judgements, signed, for `accord verify` anywhere."""
    format: Literal["own", "trl-paired", "trl-margin", "trl-unpaired"] = "own"
    """own loses nothing; the others are what TRL trains on."""
    kind: Literal["preferences", "demonstrations", "prompts", "feedback", "ratings"] | None = None
    """Which of the sets of this name, where there are several."""
    split: Literal["all", "train", "dev", "test"] | None = None
    """Which rows; by default all in format own, and train in TRL's."""


def main(words: Sequence[str], options: Options) -> int:
    """Write the file and say what became of every row."""
    about = "Write a data set to a file of rows. A file that is there is never written over."
    asked = parse(Export, words, command="export", about=about)
    workspace = find_workspace(options)
    if asked.log is not None:
        if asked.name is not None:
            raise ConfigError("a set or the log is exported, not both", got=asked.name)
        if asked.log.exists():
            raise ConfigError("this file is there already", got=asked.log, do="name a new one")
        log = export_workspace_log(workspace, asked.log)
        print(f"{asked.log}: the log of {log.events} events, without names and profiles")
        print(f"  accord verify {asked.log}")
        return 0
    if asked.name is None or asked.file is None:
        raise ConfigError("an export needs a set and a file", do="accord export NAME FILE")
    folder = _folder(workspace, asked.name, asked.kind)
    word = asked.split or ("all" if asked.format == "own" else "train")
    split = None if word == "all" else Split(word)
    done = export_dataset(folder, asked.file, format=asked.format, split=split)
    print(told(done, asked.name, DatasetManifest.load(folder)))
    return 0


def told(done: Exported, name: str, manifest: DatasetManifest) -> str:
    """What became of the rows, one fact a line."""
    part = "all splits" if done.split is None else f"split {done.split}"
    lines = [f"{done.path}: {done.rows} rows from {done.read} {done.kind} of {name!r}, {part}"]
    lines += [f"  {count} {_WHY[why]}" for why, count in done.left_out.items()]
    others = {s: n for s, n in manifest.counts.items() if n and done.split not in (None, s)}
    if others:
        rest = ", ".join(f"{count} {split}" for split, count in others.items())
        lines.append(f"  not written: {rest}")
    if done.format == "own" and done.split is None:
        lines.append(
            f"  accord import {done.path} --unit {manifest.unit} --dev {manifest.dev} "
            f"--test {manifest.test} gives digest {manifest.digest[:16]} again"
        )
    return "\n".join(lines)


def _folder(workspace: Workspace, name: str, kind: str | None) -> Path:
    kinds = workspace.kinds(name)
    if kind is None and len(kinds) > 1:
        raise ConfigError(
            "several sets have this name",
            got=f"{name}: {', '.join(kinds)}",
            do=f"name one: --kind {kinds[0]}",
        )
    wanted = kind or (kinds[0] if kinds else DatasetKind.PREFERENCES)
    return workspace.dataset(wanted, name).folder
