"""Writes a data set row by row: bounded memory, and a folder that is there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import pyarrow.parquet as pq

from accord.core.disk import Guarded
from accord.core.errors import DataError, InvariantError, WorkspaceError
from accord.core.files import sync_folder, sync_tree, write_atomic
from accord.core.hashing import digest
from accord.core.types import Comparison, Split
from accord.store.columns import hashed, schema_of, to_batch, to_record
from accord.store.manifest import MANIFEST, DatasetKind, DatasetManifest, kind_of
from accord.store.splits import Row, Splitter

GROUP_ROWS = 512
"""Most rows that are held at once, in writing and in reading."""
GROUP_CHARACTERS = 8 << 20
"""A group also ends once its texts reach this length."""
SHARD_ROWS = 65_536
"""Rows of a Parquet file."""


class RowsDigest:
    """Running SHA-256 over a kind and its rows with their splits, in order."""

    def __init__(self, kind: DatasetKind) -> None:
        self._sha = hashlib.sha256(kind.value.encode())

    def add(self, record: Mapping[str, object]) -> None:
        """Take in the next row as `accord.store.columns.to_record` gives it."""
        self._sha.update(bytes.fromhex(digest(hashed(record))))

    @property
    def value(self) -> str:
        """The digest so far, 64 hexadecimal digits."""
        return self._sha.hexdigest()


class DatasetWriter:
    """Writes rows of one kind into `temporary`, a hidden folder inside `parent`.

    `seal` completes it there and `publish` names it. A context manager: leaving it unpublished
    removes all that was written. Raises WorkspaceError where the disk refuses.
    """

    def __init__(
        self,
        parent: Path,
        *,
        kind: str,
        source: str,
        splitter: Splitter | None = None,
        shard_rows: int = SHARD_ROWS,
    ) -> None:
        self.kind = kind_of(kind)
        self.rows = 0
        self.split_across = 0
        self._source, self._splitter = source, splitter or Splitter()
        self._shard_rows = shard_rows
        self._counts: Counter[Split] = Counter()
        self._digest = RowsDigest(self.kind)
        self._group: list[dict[str, object]] = []
        self._characters = 0
        self._shards: list[str] = []
        self._in_shard = 0
        self._file: pq.ParquetWriter | None = None
        self.temporary = parent / f".{self.kind}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
        """Where the data set is being written; other files may be put here before `seal`."""
        with Guarded(parent):
            parent.mkdir(parents=True, exist_ok=True)
            self.temporary.mkdir()

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._file is not None:
                self._file.close()
        except OSError:
            if error is None:
                raise
        finally:
            self._file = None
            shutil.rmtree(self.temporary, ignore_errors=True)

    def add(self, row: Row) -> Split | None:
        """Write `row` and give its split; None where it falls between splits and is left out.

        Raises DataError for a row of another kind and for text with half a surrogate pair.
        """
        where = f"row {self.rows + self.split_across + 1}"
        if not isinstance(row, self.kind.row_type):
            raise DataError(
                f"a data set of {self.kind} got another kind of row",
                got=type(row).__name__,
                where=where,
            )
        texts = _texts(row)
        _refuse_half_characters(texts, where)
        split = self._splitter.split(row)
        if split is None:
            self.split_across += 1
            return None
        record = to_record(row, split)
        self._digest.add(record)
        self._group.append(record)
        self._characters += sum(map(len, texts))
        self._counts[split] += 1
        self.rows += 1
        if len(self._group) >= GROUP_ROWS or self._characters >= GROUP_CHARACTERS:
            self._flush()
        return split

    def seal(self, *, notes: Mapping[str, object] | None = None) -> DatasetManifest:
        """Write what is left and the manifest, and make all of it last.

        Raises DataError where there is no row.
        """
        if self.rows == 0:
            raise DataError(
                f"there is no row for a data set of {self.kind}",
                got=f"{self.split_across} comparisons whose responses fall into different splits"
                if self.split_across
                else "no row at all",
                where=self._source,
            )
        self._flush()
        manifest = DatasetManifest(
            kind=self.kind,
            rows=self.rows,
            counts={split.value: self._counts[split] for split in Split},
            digest=self._digest.value,
            unit=self._splitter.unit,
            dev=self._splitter.dev,
            test=self._splitter.test,
            split_across=self.split_across,
            source=self._source,
            shards=tuple(self._shards),
            notes=dict(notes or {}),
        )
        with Guarded(self.temporary):
            self._end_shard()
            write_atomic(self.temporary / MANIFEST, manifest.to_json())
            sync_tree(self.temporary)
        return manifest

    def publish(self, folder: Path) -> None:
        """Give the sealed data set its name, beside its temporary folder, in one step.

        Raises WorkspaceError where the name is taken.
        """
        if folder.parent != self.temporary.parent:
            raise InvariantError("a data set is named inside its own folder", got=folder)
        if folder.exists():
            raise WorkspaceError(
                "a data set with this name is there already",
                where=folder,
                do="choose another name, or remove the folder",
            )
        with Guarded(folder):
            self.temporary.rename(folder)
            sync_folder(folder.parent)

    def _flush(self) -> None:
        records, self._group, self._characters = self._group, [], 0
        with Guarded(self.temporary):
            while records:
                room = self._shard_rows - self._in_shard
                self._open_shard().write_batch(to_batch(records[:room], self.kind))
                self._in_shard += len(records[:room])
                records = records[room:]
                if self._in_shard == self._shard_rows:
                    self._end_shard()

    def _open_shard(self) -> pq.ParquetWriter:
        if self._file is None:
            name = f"part-{len(self._shards):05d}.parquet"
            self._shards.append(name)
            self._file = pq.ParquetWriter(
                self.temporary / name,
                schema_of(self.kind),
                compression="zstd",
                write_page_checksum=True,
            )
        return self._file

    def _end_shard(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._in_shard = None, 0


def _texts(row: Row) -> list[str]:
    conversation = row.prompt if isinstance(row, Comparison) else row.conversation
    texts = [row.source, *(message.content for message in conversation.messages)]
    return [*texts, row.rater, *row.responses] if isinstance(row, Comparison) else texts


def _refuse_half_characters(texts: list[str], where: str) -> None:
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                "a text holds half a surrogate pair, which is no character",
                got=ascii(text[max(0, error.start - 20) : error.start + 20]),
                where=where,
            ) from None
