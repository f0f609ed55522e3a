"""Somebody's file becomes data sets: every row is used, or counted and listed with the reason."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Protocol

from accord.collect.formats import Explained, Format, Row, Unjudged, format_called, format_of
from accord.collect.gathering import Gathering, Used
from accord.collect.reading import Raw, raw_rows
from accord.collect.records import Record, Rejected, Unusable, listed
from accord.core.disk import Guarded
from accord.core.errors import ConfigError, DataError
from accord.core.hashing import digest, file_digest
from accord.core.types import Comparison, Feedback, RatedResponse
from accord.store.manifest import DatasetKind, DatasetManifest
from accord.store.splits import Splitter, Unit, unit_of
from accord.store.writing import DatasetWriter

AUTO = "auto"
FIRST_ROWS = 100
"""Rows that decide whether a file has a format at all."""
MOST_LISTED = 10
"""Rejected rows that a report or an error shows; the artifact lists all."""
REJECTED = "rejected.jsonl"
"""File inside the artifact with a row, column and reason for each row left out."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SPOOL = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """One data set that an import made."""

    folder: Path
    manifest: DatasetManifest
    is_new: bool
    """False where the same rows had been imported before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """What became of a file's rows: `rows` = rows of the data sets + their `split_across` +
    `rejected` + `joined`."""

    file: Path
    sha256: str
    rows: int
    """Items read: rows of the file, or what a row holds several of (instances, messages, votes)."""
    rejected: int
    joined: int
    """Items that stand in the comparison or demonstration of another: a second response to a
    prompt, an earlier message of a conversation."""
    first_rejected: tuple[Rejected, ...]
    """The first few; the artifact's `rejected.jsonl` has all."""
    duplicates: int
    """Rows with the words of an earlier one, a second vote among them; they are kept."""
    formats: Mapping[str, int]
    """Rows by format."""
    ignored_columns: tuple[str, ...]
    """Columns that no format reads."""
    datasets: tuple[Imported, ...]


class Reader(Protocol):
    """Rows of a file; after (and during) iteration the counts say what was met."""

    path: Path
    formats: Counter[str]
    """Rows by format."""
    ignored: set[str]
    """Columns that no format reads."""

    @property
    def joined(self) -> int:
        """Rows, or parts of rows, that stand in the comparison or demonstration of another."""
        ...

    def __iter__(self) -> Iterator[Used]: ...


class RowReader:
    """Reads a file row by row; after (and during) iteration the counts say what it met."""

    def __init__(self, path: Path, *, format: str = AUTO, source: str | None = None) -> None:  # noqa: A002
        self.path = path
        self.formats: Counter[str] = Counter()
        self.ignored: set[str] = set()
        self._format = None if format == AUTO else format_called(format)
        self._source = path.name if source is None else source
        self._gathering = Gathering()

    @property
    def joined(self) -> int:
        """Rows, or parts of rows, that stand in the comparison or demonstration of another."""
        return self._gathering.joined

    def __iter__(self) -> Iterator[Used]:
        rows = raw_rows(self.path)
        first: list[Raw] = []
        for raw in rows:
            first.append(raw)
            if len(first) >= FIRST_ROWS:
                break
        self._refuse_strange_file(first)
        for raw in chain(first, rows):
            if isinstance(raw, Rejected):
                yield raw
            else:
                yield from self._items(Record(raw[0], raw[1], self._source))
        yield from self._gathering.rest()

    def _format_of(self, values: Mapping[str, object]) -> Format:
        present = {name for name, value in values.items() if value is not None}
        if self._format is None:
            return format_of(present, values.keys() - present)
        missing = sorted(self._format.required - present)
        if missing:
            raise Unusable(
                f"the columns ({listed(present)}) lack {' and '.join(missing)}, "
                f"which {self._format.name} needs"
            )
        return self._format

    def _refuse_strange_file(self, first: list[Raw]) -> None:
        """Raise DataError where not one of the first rows has a format."""
        why: Unusable | None = None
        for raw in first:
            if isinstance(raw, Rejected):
                continue
            try:
                self._format_of(raw[1])
            except Unusable as error:
                why = why or error
            else:
                return
        if why is not None:
            raise DataError(
                "the file's columns fit no format that Accord reads"
                if self._format is None
                else f"the file's columns do not fit the format {self._format.name}",
                got=why.what,
                where=self.path,
                do="rename the columns, or name the format",
            )

    def _items(self, record: Record) -> Iterator[Used]:
        try:
            made = self._format_of(record.values)
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column)
            return
        self.formats[made.name] += 1
        if made.required:  # else a user named the columns, and which are read is not known by name
            self.ignored |= record.values.keys() - made.required - made.optional
        yield from self._gathering.items(made, record)


def read_rows(
    path: Path,
    format: str = AUTO,  # noqa: A002 - the word that users know
    *,
    source: str | None = None,
) -> Iterator[Used]:
    """Every row of a file as a domain value, or as a `Rejected` that says what is wrong with it.

    Rows that belong together, as ratings of one prompt do, become one value where they stand
    together (`accord.collect.gathering`).

    `format` is "auto" or a name in `accord.collect.formats.FORMATS`; `source` names the rows'
    origin where they have no such column (default: the file's name). Raises DataError where the
    file cannot be read to its end or none of its first rows has a known format.
    """
    yield from RowReader(path, format=format, source=source)


def import_file(
    path: Path,
    destination_root: Path,
    *,
    name: str | None = None,
    format: str = AUTO,  # noqa: A002 - the word that users know
    unit: str = Unit.PROMPT,
    dev: float = 0.1,
    test: float = 0.0,
) -> ImportReport:
    """Write the rows of `path` as data sets into `destination_root`, one for each kind of row.

    Each is a folder `NAME-KIND-DIGEST` that appears in one step; the same rows give the same
    folder, which is then left as it is. Where other rows were left out beside them before, it is a
    folder of its own, with its own list. `name` defaults to the file's name without its endings;
    `unit`, `dev` and `test` say how rows are split (`accord.store.splits`). Raises DataError where
    the file is unusable or has no usable row, WorkspaceError where the disk refuses; nothing
    half-written stays.
    """
    name = checked_name(path, name)
    splitter = Splitter(unit=unit_of(unit), dev=dev, test=test)
    return import_rows(
        RowReader(path, format=format, source=name),
        destination_root,
        name=name,
        splitter=splitter,
    )


def import_rows(
    reader: Reader, destination_root: Path, *, name: str, splitter: Splitter
) -> ImportReport:
    """Write what `reader` reads, as `import_file` does; `name` is one that `checked_name` gave."""
    path = reader.path
    tally = _Tally()
    with ExitStack() as stack:
        listing = stack.enter_context(tempfile.SpooledTemporaryFile(_SPOOL, "w+b"))
        writers: dict[DatasetKind, DatasetWriter] = {}
        for item in map(_kept, reader):
            tally.count(item)
            if isinstance(item, Rejected):
                _list(item, listing)
                continue
            kind = DatasetKind.of(item)
            if kind not in writers:
                writers[kind] = stack.enter_context(
                    DatasetWriter(destination_root, kind=kind, source=name, splitter=splitter)
                )
            writers[kind].add(item)
        if not writers:
            raise _nothing_usable(path, tally)
        sha256 = file_digest(path)
        tally.rows += reader.joined
        notes = tally.notes | {
            "joined": reader.joined,
            "file": path.name,
            "sha256": sha256,
            "formats": dict(reader.formats),
            "ignored_columns": sorted(reader.ignored),
        }
        datasets = _seal(list(writers.values()), listing, name=name, notes=notes)
    return ImportReport(
        file=path,
        sha256=sha256,
        rows=tally.rows,
        rejected=tally.rejected,
        joined=reader.joined,
        first_rejected=tuple(tally.first_rejected),
        duplicates=tally.duplicates,
        formats=dict(reader.formats),
        ignored_columns=tuple(sorted(reader.ignored)),
        datasets=datasets,
    )


def checked_name(path: Path, name: str | None) -> str:
    """What the rows of a file are called: `name`, or the file's name without its endings.

    Raises ConfigError where that is no name of a folder.
    """
    name = path.name.split(".")[0] if name is None else name
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "a data set's name must be letters, digits, '.', '_' or '-', at most 64",
            got=name,
            do="give another name",
        )
    return name


def _kept(item: Used) -> Row | Rejected:
    """What a data set keeps: responses without an order, and lessons, are for raters."""
    if isinstance(item, Explained):
        why = "this is a lesson for raters: `accord campaign tasks --lesson`"
        return Rejected(item.row, why, "explanation")
    if isinstance(item, Unjudged):
        why = "nobody compared these responses; ask people with `accord campaign tasks`"
        return Rejected(item.row, why, "responses")
    return item


class _Tally:
    """Counts over the items of a file; 16 bytes are kept for each, to know duplicates."""

    def __init__(self) -> None:
        self.rows = self.rejected = self.duplicates = 0
        self.first_rejected: list[Rejected] = []
        self._seen: set[bytes] = set()

    def count(self, item: Row | Rejected) -> None:
        self.rows += 1
        if isinstance(item, Rejected):
            self.rejected += 1
            if len(self.first_rejected) < MOST_LISTED:
                self.first_rejected.append(item)
            return
        words = bytes.fromhex(digest(_words(item)))[:16]
        self.duplicates += words in self._seen
        self._seen.add(words)

    @property
    def notes(self) -> dict[str, object]:
        return {"read": self.rows, "rejected": self.rejected, "duplicates": self.duplicates}


def _words(row: Row) -> object:
    """What makes two rows duplicates: prompt, responses in any order and what they were compared
    for, whatever the label."""
    if isinstance(row, Comparison):
        return ["comparison", row.prompt.digest, sorted(row.responses), row.criterion]
    if isinstance(row, Feedback | RatedResponse):
        return [type(row).__name__, row.prompt.digest, row.response]
    return [type(row).__name__, row.conversation.digest]


def _list(item: Rejected, listing: IO[bytes]) -> None:
    entry = {"row": item.row, "column": item.column, "why": item.why}
    with Guarded(Path(tempfile.gettempdir())):
        listing.write(json.dumps(entry).encode() + b"\n")


def _seal(
    writers: list[DatasetWriter], listing: IO[bytes], *, name: str, notes: Mapping[str, object]
) -> tuple[Imported, ...]:
    """Complete every data set before the first gets its name."""
    for writer in writers:
        if notes["rejected"]:
            listing.seek(0)
            with Guarded(writer.temporary), (writer.temporary / REJECTED).open("wb") as file:
                shutil.copyfileobj(listing, file)
    manifests = [writer.seal(notes=notes) for writer in writers]
    made: list[Imported] = []
    for writer, manifest in zip(writers, manifests, strict=True):
        folder = _folder(writer, f"{name}-{manifest.kind}-{manifest.digest[:16]}")
        known = folder.exists() and DatasetManifest.load(folder).digest == manifest.digest
        if not known:
            writer.publish(folder)
        there = DatasetManifest.load(folder) if known else manifest
        made.append(Imported(folder=folder, manifest=there, is_new=not known))
    return tuple(made)


def _folder(writer: DatasetWriter, name: str) -> Path:
    """Where a data set goes: never to the same rows beside which other rows were left out."""
    folder = writer.temporary.parent / name
    listing = writer.temporary / REJECTED
    if not (folder.exists() and listing.exists()):
        return folder
    sha256, there = file_digest(listing), folder / REJECTED
    if there.exists() and file_digest(there) == sha256:
        return folder
    return folder.with_name(f"{name}-{sha256[:8]}")


def _nothing_usable(path: Path, tally: _Tally) -> DataError:
    return DataError(
        f"none of the file's {tally.rows} rows can be used",
        got="\n         ".join(str(item) for item in tally.first_rejected[:3]),
        where=path,
        do="mend the rows, or name the format",
    )
