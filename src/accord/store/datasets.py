"""Data sets on disk: Parquet shards with a manifest and a digest over rows, read by streaming."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from accord.core.errors import DataError
from accord.core.types import Split
from accord.store.columns import from_record, schema_of, to_record
from accord.store.manifest import DatasetKind as DatasetKind
from accord.store.manifest import DatasetManifest as DatasetManifest
from accord.store.splits import Row as Row
from accord.store.splits import Splitter, unit_of
from accord.store.splits import Unit as Unit
from accord.store.writing import GROUP_ROWS, SHARD_ROWS, DatasetWriter, RowsDigest


def write_dataset(
    folder: Path,
    rows: Iterable[Row],
    *,
    kind: str,
    source: str,
    unit: str = "prompt",
    dev: float = 0.1,
    test: float = 0.0,
    notes: Mapping[str, object] | None = None,
    shard_rows: int = SHARD_ROWS,
) -> DatasetManifest:
    """Write `rows` as the data set `folder`, which must not exist yet, and return its manifest.

    `kind` is "preferences", "demonstrations", "prompts", "feedback" or "ratings"; `dev` and `test`
    are the shares of units that those splits hold, `unit` what never stands in two of them
    ("prompt" or "response"). Rows are read once. Raises DataError for no row, a row of another kind
    or text that is no Unicode, WorkspaceError where the disk refuses; nothing half-written stays.
    """
    splitter = Splitter(unit=unit_of(unit), dev=dev, test=test)
    with DatasetWriter(
        folder.parent, kind=kind, source=source, splitter=splitter, shard_rows=shard_rows
    ) as writer:
        for row in rows:
            writer.add(row)
        manifest = writer.seal(notes=notes)
        writer.publish(folder)
    return manifest


class Dataset:
    """A data set folder. Raises WorkspaceError where it is none, DataError where it is damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = DatasetManifest.load(folder)
        self._schema = schema_of(self.manifest.kind, self.manifest.schema)

    def count(self, split: Split | None = None) -> int:
        """Rows of `split`, or of all splits."""
        return self.manifest.rows if split is None else self.manifest.counts[split.value]

    def rows(self, split: Split | None = None) -> Iterator[Row]:
        """The rows of `split`, or all of them, in the order they were written; a group at a time.

        Raises DataError where a shard is missing or cannot be read, or has not the promised rows.
        """
        seen = 0
        for row, _ in self._read(split):
            seen += 1
            yield row
        if seen != self.count(split):
            raise self._changed(f"{seen} rows, the manifest says {self.count(split)}")

    def verify(self) -> None:
        """Read every row and compare digest, counts and splits with the manifest.

        Raises DataError at the first difference.
        """
        manifest = self.manifest
        splitter = Splitter(unit=manifest.unit, dev=manifest.dev, test=manifest.test)
        running = RowsDigest(manifest.kind)
        counts: Counter[str] = Counter({split.value: 0 for split in Split})
        for number, (row, split) in enumerate(self._read(None), start=1):
            if splitter.split(row) is not split:
                raise self._changed(f"row {number} stands in the wrong split, {split}")
            running.add(to_record(row, split))
            counts[split.value] += 1
        if counts != dict(manifest.counts):
            raise self._changed(f"rows by split {dict(counts)}, expected {dict(manifest.counts)}")
        if running.value != manifest.digest:
            raise self._changed(f"digest {running.value}, expected {manifest.digest}")

    def _read(self, split: Split | None) -> Iterator[tuple[Row, Split]]:
        for name in self.manifest.shards:
            for batch in self._batches(self.folder / name):
                wanted = batch
                if split is not None:
                    wanted = batch.filter(pc.equal(batch.column("split"), split.value))
                for record in self._records(wanted, name):
                    yield self._row(record, name)

    def _row(self, record: Mapping[str, object], name: str) -> tuple[Row, Split]:
        try:
            return from_record(record, self.manifest.kind), Split(str(record["split"]))
        except (ValueError, TypeError) as error:
            raise self._changed(f"{name} holds a row that is none: {error}") from None

    def _batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                if not file.schema_arrow.equals(self._schema):
                    raise self._changed(f"{path.name} has columns {file.schema_arrow.names}")
                yield from file.iter_batches(batch_size=GROUP_ROWS)
        except (OSError, pa.ArrowException) as error:
            raise self._changed(f"{path.name} cannot be read: {error}") from None

    def _records(self, batch: pa.RecordBatch, name: str) -> list[dict[str, object]]:
        try:
            return list(batch.to_pylist())
        except (ValueError, pa.ArrowException) as error:
            raise self._changed(f"{name} cannot be read: {error}") from None

    def _changed(self, got: str) -> DataError:
        return DataError(
            "the data set is not what its manifest says",
            got=got,
            where=self.folder,
            do="import the data again",
        )
