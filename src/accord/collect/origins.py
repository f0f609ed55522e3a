"""What each row of a frozen set came from: a Parquet file beside the rows, in their order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from accord.collect.reckoning import Origin
from accord.collect.text_reckoning import TextOrigin
from accord.core.disk import Guarded
from accord.core.errors import DataError
from accord.core.hashing import digest

AnyOrigin = Origin | TextOrigin
From = TypeVar("From", Origin, TextOrigin)
_TYPES = {"row": pa.int64(), "seq": pa.int64(), "late": pa.bool_()}
_GROUP = 4096


def _schema(kind: type[AnyOrigin]) -> pa.Schema:
    return pa.schema(
        [pa.field(item.name, _TYPES.get(item.name, pa.string()), False) for item in fields(kind)]
    )


class OriginWriter(Generic[From]):
    """Writes origins one by one; a context manager. Raises WorkspaceError where the disk does."""

    def __init__(self, path: Path, kind: type[From]) -> None:
        self._path, self._schema = path, _schema(kind)
        self._group: list[From] = []
        with Guarded(path):
            self._file = pq.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> OriginWriter[From]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with Guarded(self._path):
            if error is None:
                self._flush()
            self._file.close()

    def add(self, origin: From) -> None:
        """The next row's."""
        self._group.append(origin)
        if len(self._group) == _GROUP:
            with Guarded(self._path):
                self._flush()

    def _flush(self) -> None:
        names = self._schema.names
        records = [{name: getattr(origin, name) for name in names} for origin in self._group]
        self._file.write_batch(pa.RecordBatch.from_pylist(records, schema=self._schema))
        self._group = []


def read_origins(path: Path, kind: type[From]) -> Iterator[From]:
    """Every origin, in the order of the rows. Raises DataError where the file is damaged."""
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(_schema(kind)):
                raise _damaged(path, f"columns {file.schema_arrow.names}")
            for batch in file.iter_batches(batch_size=_GROUP):
                yield from (kind(**values) for values in batch.to_pylist())
    except (OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, DataError):
            raise
        raise _damaged(path, str(error).partition("\n")[0]) from None


def digest_of(origins: Iterable[AnyOrigin]) -> str:
    """SHA-256 over origins, in order."""
    sha = hashlib.sha256()
    for origin in origins:
        sha.update(bytes.fromhex(digest(origin)))
    return sha.hexdigest()


def _damaged(path: Path, got: str) -> DataError:
    return DataError(
        "the list of where rows came from is damaged", got=got, where=path, do="freeze again"
    )
