"""New files of rows, JSON Lines or Parquet: there whole or not at all, and never over another."""

from __future__ import annotations

import gzip
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from accord.core.disk import Guarded
from accord.core.errors import ConfigError, WorkspaceError
from accord.core.files import sync_folder
from accord.store.writing import GROUP_ROWS

ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")
Record = Mapping[str, object]
Put = Callable[[Record], None]
"""Takes the next row."""


@contextmanager
def new_rows(path: Path, schema: pa.Schema) -> Iterator[Put]:
    """Inside the block, rows are put into a file that gets the name `path` where the block ends.

    `schema` names and types the columns of a Parquet file. Leaving by an error leaves nothing.
    Raises ConfigError for another kind of file or a folder that is not there, WorkspaceError where
    there is a file already or the disk refuses.
    """
    check_new(path)
    aside = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with Guarded(path):
            # Words of people are in it: only its owner reads it until they decide otherwise.
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                with _kind(file, path, schema) as put:
                    yield put
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(aside, path)
            except FileExistsError:
                _refuse_taken(path)
            sync_folder(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def check_new(path: Path) -> None:
    """Raise as `new_rows` does for a file that could not be made, as far as its name says so."""
    if not path.name.endswith(ENDINGS):
        raise ConfigError(
            "the kind of a data file must show in its ending",
            got=path.name,
            do=f"use one of {', '.join(ENDINGS)}",
        )
    if not path.parent.is_dir():
        raise ConfigError("there is no such folder", got=path.parent, do="make it first")
    _refuse_taken(path)


def _refuse_taken(path: Path) -> None:
    if os.path.lexists(path):
        raise WorkspaceError(
            "there is something of this name already",
            where=path,
            do="choose another name, or remove it",
        )


def _kind(file: IO[bytes], path: Path, schema: pa.Schema) -> AbstractContextManager[Put]:
    if path.suffix == ".parquet":
        return _parquet(file, schema)
    return _packed(file) if path.suffix == ".gz" else _lines(file)


@contextmanager
def _lines(file: IO[bytes]) -> Iterator[Put]:
    def put(record: Record) -> None:
        line = json.dumps(dict(record), ensure_ascii=False, allow_nan=False)
        file.write(line.encode() + b"\n")

    yield put


@contextmanager
def _packed(file: IO[bytes]) -> Iterator[Put]:
    # Without name and time in its head, the same rows give the same bytes.
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        _lines(packed) as put,  # type: ignore[arg-type]
    ):
        yield put


@contextmanager
def _parquet(file: IO[bytes], schema: pa.Schema) -> Iterator[Put]:
    group: list[dict[str, object]] = []
    with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:

        def put(record: Record) -> None:
            group.append(dict(record))
            if len(group) >= GROUP_ROWS:
                flush()

        def flush() -> None:
            if group:
                writer.write_batch(pa.RecordBatch.from_pylist(group, schema=schema))
                group.clear()

        yield put
        flush()
