"""`accord import FILE`: a user's own data into the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import find_workspace
from accord.collect.formats import FORMATS
from accord.collect.importing import AUTO, ImportReport, import_file
from accord.collect.records import listed
from accord.core.disk import check_room
from accord.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """Flags of `accord import`."""

    file: Annotated[Path, tyro.conf.Positional]
    """JSON lines (.jsonl), a JSON array (.json), either with .gz, or Parquet."""
    name: str | None = None
    """What the set is called in accord.toml; by default the file's name. An earlier set of this
    name is replaced."""
    format: str = AUTO
    """How rows are read; auto goes by their columns."""
    unit: Literal["prompt", "response"] = "prompt"
    """What never stands in two splits: a prompt, or a single response."""
    dev: float = 0.1
    """Share that is held out for figures during training and evaluation."""
    test: float = 0.0
    """Share that nothing here reads: for judging a release."""


def main(words: Sequence[str], options: Options) -> int:
    """Import, point the name to it, and say what became of every row."""
    formats = ", ".join((AUTO, *FORMATS))
    about = (
        f"Bring a file of demonstrations, comparisons, feedback or prompts in.\nFormats: {formats}."
    )
    asked = parse(Import, words, command="import", about=about)
    if not asked.file.is_file():
        raise ConfigError("there is no such file", got=asked.file)
    workspace = find_workspace(options)
    check_room(workspace.artifacts)
    report = import_file(
        asked.file,
        workspace.artifacts,
        name=asked.name,
        format=asked.format,
        unit=asked.unit,
        dev=asked.dev,
        test=asked.test,
    )
    name = report.datasets[0].manifest.source
    sets = {
        str(made.manifest.kind): (made.folder, made.manifest.digest) for made in report.datasets
    }
    workspace.point(name, sets)
    print(told(report, name))
    return 0


def told(report: ImportReport, name: str) -> str:
    """What became of the rows, one fact a line."""
    lines = [f"{report.file.name}: {report.rows} rows read"]
    for made in report.datasets:
        counts = ", ".join(f"{n} {split}" for split, n in made.manifest.counts.items() if n)
        known = "" if made.is_new else " (known already)"
        lines.append(
            f"  {made.manifest.rows} {made.manifest.kind} as {name!r}: {counts}"
            f", digest {made.manifest.digest[:16]}{known}"
        )
    if report.duplicates:
        lines.append(f"  {report.duplicates} with the words of an earlier row, kept")
    if report.ignored_columns:
        lines.append(f"  columns not read: {listed(report.ignored_columns)}")
    if report.rejected:
        lines.append(f"  {report.rejected} left out, listed in {report.datasets[0].folder.name}:")
        lines += [f"    {rejected}" for rejected in report.first_rejected]
    return "\n".join(lines)
