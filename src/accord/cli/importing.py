"""`accord import FILE`: a user's own data into the workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import find_workspace
from accord.collect.formats import FORMATS
from accord.collect.formats.votes import VOTES
from accord.collect.importing import (
    AUTO,
    ImportReport,
    Reader,
    RowReader,
    checked_name,
    import_rows,
)
from accord.collect.rated import ARCHIVES, Part, RatedReader
from accord.collect.reading import ENDINGS
from accord.collect.records import listed
from accord.core.disk import check_room
from accord.core.errors import ConfigError
from accord.core.types import Conversation
from accord.pipeline.whereabouts import open_workspace_database
from accord.pipeline.workspace import Workspace
from accord.store.manifest import DatasetKind
from accord.store.splits import Splitter, unit_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """Flags of `accord import`."""

    file: Annotated[Path, tyro.conf.Positional]
    """JSON lines (.jsonl), a JSON array (.json), either with .gz, or Parquet; or the archive of
    vaderSentiment's rated texts (.tar.gz), from whose ratings comparisons are derived."""
    name: str | None = None
    """What the set is called in accord.toml; by default the file's name. An earlier set of this
    name and kind is replaced."""
    format: str = AUTO
    """How rows are read; auto goes by their columns."""
    unit: Literal["prompt", "response"] | None = None
    """What never stands in two splits: a prompt (the default), or a single response (the default
    for rated texts, which share one prompt)."""
    dev: float = 0.1
    """Share that is held out for figures during training and evaluation."""
    test: float = 0.0
    """Share that nothing here reads: for judging a release."""
    judgements: bool = False
    """Keep each vote of a PandaLM file as a judgement of its rater, in the workspace's database,
    instead of making comparisons of them."""
    prompt: str | None = None
    """Of rated texts, and needed for them: what each of them is an answer to."""
    part: Literal["movies", "tweets", "products", "editorials"] | None = None
    """Of rated texts: which of the archive's parts; by default its film reviews."""


def main(words: Sequence[str], options: Options) -> int:
    """Import, point the name to it, and say what became of every row."""
    formats = ", ".join((AUTO, *FORMATS))
    about = (
        f"Bring a file of demonstrations, comparisons, feedback or prompts in.\nFormats: {formats}."
    )
    asked = parse(Import, words, command="import", about=about)
    _check_file(asked.file)
    workspace = find_workspace(options)
    check_room(workspace.artifacts)
    if asked.judgements:
        print(_keep_judgements(asked, workspace))
        return 0
    report = _imported(asked, workspace)
    name = report.datasets[0].manifest.source
    sets = {
        str(made.manifest.kind): (made.folder, made.manifest.digest) for made in report.datasets
    }
    stood = workspace.point(name, sets)
    print(told(report, name))
    for line in chain(_apart(report, asked), _alone(report, name), _stood(stood, sets, name)):
        print(line)
    return 0


def _imported(asked: Import, workspace: Workspace) -> ImportReport:
    name = checked_name(asked.file, asked.name)
    rated = asked.file.name.endswith(ARCHIVES)
    if rated and (asked.prompt is None or not asked.prompt.strip() or asked.format != AUTO):
        raise ConfigError(
            "rated texts have no prompt of their own, and no other format",
            got="no --prompt" if asked.format == AUTO else f"--format {asked.format}",
            do='say what they are answers to: --prompt "Write one sentence of a film review."',
        )
    if not rated and (asked.prompt is not None or asked.part is not None):
        raise ConfigError(
            "rows bring their own prompts",
            got="--prompt" if asked.prompt is not None else "--part",
            do=f"that is for an archive of rated texts, {' or '.join(ARCHIVES)}",
        )
    unit = unit_of(asked.unit or ("response" if rated else "prompt"))
    splitter = Splitter(unit=unit, dev=asked.dev, test=asked.test)
    reader: Reader
    if rated:
        prompt = Conversation.of(asked.prompt or "")
        part = Part[(asked.part or "movies").upper()]
        reader = RatedReader(asked.file, prompt=prompt, splitter=splitter, part=part)
    else:
        reader = RowReader(asked.file, format=asked.format, source=name)
    return import_rows(reader, workspace.artifacts, name=name, splitter=splitter)


def _keep_judgements(asked: Import, workspace: Workspace) -> str:
    from accord.collect.judged import import_judgements

    plain = Import(file=asked.file, name=asked.name, judgements=True)
    if replace(asked, format=AUTO) != plain or asked.format not in (AUTO, VOTES.name):
        raise ConfigError(
            "judgements are neither split nor read in another format than PandaLM's",
            got="--judgements with --format, --unit, --dev, --test, --prompt or --part",
            do="leave those out, or leave --judgements out for comparisons to train on",
        )
    with open_workspace_database(workspace) as database:
        done = import_judgements(database, asked.file, name=asked.name)
    kept, people = done.used * len(done.raters), ", ".join(done.raters)
    lines = [
        f"{done.file.name}: {done.rows} rows read",
        f"  {kept} judgements as {done.name!r}, {done.new} of them new, by {people}",
    ]
    if done.rejected:
        lines += [f"  {len(done.rejected)} left out:", *(f"    {row}" for row in done.rejected)]
    return "\n".join(lines)


def _check_file(path: Path) -> None:
    if path.is_dir():
        files = sorted(one.name for one in path.iterdir() if one.name.endswith(ENDINGS))
        raise ConfigError(
            "this is a folder, and one file is imported at a time",
            got=path,
            where=path.absolute(),
            do=f"name one file in it: {', '.join(files[:5])}" if files else "name a file",
        )
    if not path.exists():
        raise ConfigError(
            "there is no such file",
            got=path,
            where=path.absolute(),
            do="check its name; a name without a leading / is read from the folder you are in",
        )


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
    if report.joined:
        lines.append(f"  {report.joined} joined to others of the same prompt or conversation")
    kept = report.rejected + report.joined
    across = report.rows - kept - sum(made.manifest.rows for made in report.datasets)
    if across:
        lines.append(
            f"  {across} left out: their responses fall into different splits, and with --unit "
            "response each split keeps its own"
        )
    if report.rejected:
        lines.append(f"  {report.rejected} left out, listed in {report.datasets[0].folder.name}:")
        lines += [f"    {rejected}" for rejected in report.first_rejected]
    return "\n".join(lines)


def _apart(report: ImportReport, asked: Import) -> Iterator[str]:
    """Splits that were asked for and came out empty."""
    shares = {"train": 1 - asked.dev - asked.test, "dev": asked.dev, "test": asked.test}
    for made in report.datasets:
        for split, share in shares.items():
            if share > 0 and not made.manifest.counts[split]:
                what = (
                    "nothing is left to train on"
                    if split == "train"
                    else f"nothing is held out for {split}, though --{split} {share:g} asks for it"
                )
                kind, unit = made.manifest.kind, made.manifest.unit
                yield (
                    f"  of the {kind} {what}: the {unit}'s words decide where a row goes, and none "
                    f"went there (rows that were exported from one split go into that again)"
                )


def _alone(report: ImportReport, name: str) -> Iterator[str]:
    """Prompts beside rows that have answers: somebody may have forgotten theirs."""
    kinds = {made.manifest.kind: made.manifest.rows for made in report.datasets}
    if len(kinds) > 1 and (rows := kinds.get(DatasetKind.PROMPTS)):
        yield (
            f"  WATCH: {rows} of its rows {'has' if rows == 1 else 'have'} a prompt and no answer, "
            f"unlike the others: {name!r} is a set of prompts too now, and where there is one PPO "
            "and the evaluation ask it and nothing else. Answer them, or take them out, and import "
            "again under another name"
        )


def _stood(
    stood: Mapping[str, str], sets: Mapping[str, tuple[Path, str]], name: str
) -> Iterator[str]:
    """What stood under the name before this import: replaced, or kept beside it."""
    for kind, digest in stood.items():
        if kind not in sets:
            yield f"  the {kind} imported as {name!r} before stay, digest {digest[:16]}"
        elif sets[kind][1] != digest:
            yield f"  the {kind} imported as {name!r} before are replaced, digest {digest[:16]}"
