"""Raw rows of JSON Lines and JSON arrays (plain or gzip) and of Parquet files, streamed.

A row that is no JSON object is handed on as a `Rejected`; a file that cannot be read to its end is
one DataError, so that a cut download never passes for a short one.
"""

from __future__ import annotations

import gzip
import json
import stat
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from accord.collect.arrays import JsonArray
from accord.collect.records import Rejected
from accord.core.errors import DataError

Raw = tuple[int, Mapping[str, object]] | Rejected
"""Row number and columns, or why there are none."""

ARRAYS = (".json", ".json.gz")
ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", *ARRAYS, ".parquet")
LONGEST_LINE = 64 << 20
"""Bytes of one line; a longer one is not JSON Lines."""
BATCH_ROWS = 256
BOM = b"\xef\xbb\xbf"


def raw_rows(path: Path) -> Iterator[Raw]:
    """Every row of the file, in order; blank lines are no rows.

    Raises DataError where the file is missing, of another kind, damaged, cut off or empty.
    """
    try:
        is_file = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise _unreadable(error, path) from None
    if not is_file:
        raise DataError("this is not a file", where=path, do="name one file at a time")
    if not path.name.endswith(ENDINGS):
        raise DataError(
            "the kind of a data file must show in its ending",
            got=path.name,
            do=f"use one of {', '.join(ENDINGS)}",
        )
    if path.name.endswith(".parquet"):
        rows = _parquet(path)
    else:
        rows = _json(path)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise DataError(
            "the file has no row",
            got="an empty file",
            where=path,
            do="write one JSON object a line",
        )


def _json(path: Path) -> Iterator[Raw]:
    try:
        with _opened(path) as file:
            yield from (_array if path.name.endswith(ARRAYS) else _lines)(file, path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            "the compressed file is damaged or cut off",
            got=error,
            where=path,
            do="fetch the file again",
        ) from None
    except OSError as error:
        raise _unreadable(error, path) from None


def _unreadable(error: OSError, path: Path) -> DataError:
    return DataError(
        "the file cannot be read",
        got=error.strerror,
        where=path,
        do="check its name, and that you have the right to read it",
    )


def _lines(file: IO[bytes], path: Path) -> Iterator[Raw]:
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise DataError(
                f"a line is longer than {LONGEST_LINE >> 20} MiB",
                where=f"{path}, row {number}",
                do="write one JSON object a line",
            )
        if number == 1:
            line = line.removeprefix(BOM)
        if line.strip():
            yield _parsed(number, line)


def _array(file: IO[bytes], path: Path) -> Iterator[Raw]:
    for number, (value, fault) in enumerate(JsonArray(file, path), start=1):
        if fault is not None:
            yield Rejected(number, f"is not valid JSON: {fault}")
        elif not isinstance(value, dict):
            yield Rejected(number, f"must be a JSON object, got a {type(value).__name__}")
        else:
            yield number, value


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _parsed(number: int, line: bytes) -> Raw:
    try:
        value = json.loads(
            line.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except UnicodeDecodeError as error:
        return Rejected(number, f"is not UTF-8: byte {error.start + 1} of the line")
    except json.JSONDecodeError as error:
        return Rejected(number, f"is not valid JSON: {error.msg} at character {error.pos + 1}")
    except ValueError as error:
        return Rejected(number, f"is not valid JSON: {error}")
    except RecursionError:
        return Rejected(number, "is not usable JSON: too deeply nested")
    if not isinstance(value, dict):
        return Rejected(number, f"must be a JSON object, got a {type(value).__name__}")
    return number, value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!a} is given twice")
    return values


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


_ARROW = (
    pa.ArrowException,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    MemoryError,
    OverflowError,
)
"""What the library may say of a damaged file, or of values that Python has none for."""


def _parquet(path: Path) -> Iterator[Raw]:
    number = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            promised = file.metadata.num_rows
            names = file.schema_arrow.names
            if len(set(names)) < len(names):
                raise DataError("the Parquet file has two columns of one name", where=path)
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield number, values
    except DataError:
        raise
    except _ARROW as error:
        raise DataError(
            "the Parquet file is damaged, cut off, or holds values that cannot be read",
            got=str(error).splitlines()[0] if str(error) else type(error).__name__,
            where=path,
            do="fetch the file again",
        ) from None
    if number != promised:
        raise DataError(
            "the Parquet file is damaged", got=f"{number} of {promised} rows", where=path
        )
