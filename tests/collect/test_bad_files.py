"""Harmed files of every format and kind: each row is used or listed, or the file is refused."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accord.collect.formats import FORMATS
from accord.collect.importing import ImportReport, RowReader, import_file, read_rows
from accord.collect.judged import import_judgements
from accord.collect.records import Rejected
from accord.core.errors import DataError
from accord.store.database import Database
from accord.store.datasets import Dataset
from tests.collect.samples import SAMPLES, TOGETHER, VOTED, instances, is_part, items_of

Rows = list[dict[str, Any]]

JUNK: list[object] = [
    None,
    True,
    0,
    -1,
    3,
    10**400,
    0.5,
    1e308,
    "",
    " ",
    "text",
    "\x00",
    "\ud800",
    "\u2028",
    [],
    {},
    [[]],
    [None],
    [{}],
    ["a", 1],
    {"role": "user"},
    [{"role": "user", "content": "a"}, {"role": "bot", "content": "b"}],
    [{"role": "assistant", "content": "a", "tool_calls": [{}]}],
    [{"role": "user", "content": {"deep": [[[[1]]]]}}],
]
RAW = ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "[" * 3000 + "]" * 3000, "nul", "\\u12"]
"""Values that only a file can hold."""
junk = st.sampled_from([json.dumps(value) for value in JUNK]).map(json.loads)


def harmed(data: st.DataObject, rows: Rows) -> Rows:
    """One to three rows with a column dropped, renamed, doubled, of another type, or as a copy."""
    rows = [dict(row) for row in rows]
    for _ in range(data.draw(st.integers(1, 3))):
        row = data.draw(st.sampled_from(rows))
        column = data.draw(st.sampled_from(sorted(row))) if row else "new"
        match data.draw(st.sampled_from(["drop", "rename", "junk", "add", "copy", "inside"])):
            case "drop":
                row.pop(column, None)
            case "rename":
                row[data.draw(st.sampled_from([column + "s", "id", "\ud800"]))] = row.pop(column, 1)
            case "junk":
                row[column] = data.draw(junk)
            case "add":
                known = ["weight", "margin", "label", "source", "prompt", "tiers", "completion"]
                row[data.draw(st.sampled_from(known))] = data.draw(junk)
            case "inside":
                _spoil(data, row.get(column))
            case _:
                rows.append(dict(row))
    return rows


def _spoil(data: st.DataObject, value: object) -> None:
    """Put junk somewhere into a list or an object."""
    if isinstance(value, list) and value:
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(junk)
    elif isinstance(value, dict) and value:
        value[data.draw(st.sampled_from(sorted(value)))] = data.draw(junk)


def samples(name: str, number: int) -> Rows:
    """Good rows, none of which shares a list with another."""
    return [json.loads(json.dumps(SAMPLES[name](i))) for i in range(number)]


def number(name: str) -> int:
    """Rows of which one may be lost, with all that stand together with it."""
    return max(4, 2 * TOGETHER.get(name, 1))


def listed(report: ImportReport) -> None:
    """Rows read = used + fallen between splits + rejected, and all of these are in the listing."""
    kept = sum(made.manifest.rows + made.manifest.split_across for made in report.datasets)
    assert report.rows == kept + report.rejected + report.joined
    for made in report.datasets:
        Dataset(made.folder).verify()
        listing = made.folder / "rejected.jsonl"
        entries = listing.read_text().splitlines() if listing.exists() else []
        assert len(entries) == report.rejected
        assert all(json.loads(entry)["row"] >= 1 for entry in entries)


def counted(path: Path, data: st.DataObject) -> tuple[int, int] | None:
    """Rows read and rejected; None for one clear error. Any other error fails the test.

    A completion that is left out of a row that is used is not counted beside it. One in four is
    imported: making a data set last is slow.
    """
    reader = RowReader(path)
    rows = rejected = parts = 0
    try:
        for item in reader:
            rows += 1
            rejected += isinstance(item, Rejected)
            parts += is_part(item)
    except DataError as error:
        refused(error, path)
        return None
    if data.draw(st.integers(0, 3)):
        return None if rejected == rows else (rows + reader.joined - parts, rejected - parts)
    out = path.parent / "out"
    try:
        report = import_file(path, out, dev=0.2)
    except DataError as error:
        refused(error, path)
        assert not out.exists() or list(out.iterdir()) == []
        return None
    listed(report)
    return report.rows - parts, report.rejected - parts


def refused(error: DataError, path: Path) -> None:
    """The error says which file."""
    assert str(path) in str(error)


@settings(max_examples=100)
@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_harmed_rows_are_used_or_listed(name: str, data: st.DataObject) -> None:
    rows = harmed(data, samples(name, 4))
    with tempfile.TemporaryDirectory() as place:
        ending = data.draw(st.sampled_from([".jsonl", ".json"]))
        path = Path(place, f"f{ending}")
        if ending == ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            path.write_text(json.dumps(rows))
        found = counted(path, data)
        if found is not None:
            assert found[0] == sum(map(items_of, rows)) >= len(rows)


@pytest.mark.slow
@settings(max_examples=100)
@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_values_that_only_a_file_can_hold_cost_their_row(name: str, data: st.DataObject) -> None:
    made = samples(name, number(name))
    at = data.draw(st.integers(0, len(made) - 1))
    made_of = FORMATS[name]
    read = made_of.required | made_of.optional if made_of.required else {"fields", "responses"}
    column = data.draw(st.sampled_from(sorted(made[0].keys() & read)))
    raw = data.draw(st.sampled_from(RAW))
    rows = [json.dumps(row) for row in made]
    rows[at] = json.dumps(made[at] | {column: "@@"}).replace('"@@"', raw)
    others = sum(map(items_of, made[:at] + made[at + 1 :]))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "f.jsonl")
        path.write_text("\n".join(rows))
        bad = [item.row for item in read_rows(path) if isinstance(item, Rejected)]
        assert counted(path, data) == (others + 1, len(bad))
        assert at + 1 in bad if name in TOGETHER else bad == [at + 1]


@pytest.mark.slow
@settings(max_examples=100)
@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_cut_and_mixed_up_bytes_lose_no_row_in_silence(name: str, data: st.DataObject) -> None:
    rows = [json.dumps(row).encode() for row in samples(name, number(name))]
    at = data.draw(st.integers(0, len(rows) - 1))
    cut = data.draw(st.integers(1, len(rows[at]) - 1))
    other = st.sampled_from([b"\xff\xfe", b"\xc3(", b"\x00", b"\xed\xa0\x80", b"}", b'"'])
    put = data.draw(other | st.just(b""))
    rows[at] = rows[at][:cut] + put + (rows[at][cut:] if put else b"")
    with tempfile.TemporaryDirectory() as place:
        ending = data.draw(st.sampled_from([".jsonl", ".jsonl.gz", ".json", ".json.gz"]))
        path = Path(place, f"f{ending}")
        array = ".json" in path.suffixes
        content = b"[" + b",".join(rows) + b"]" if array else b"\n".join(rows)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
        found = counted(path, data)
        if found is not None:
            assert found[0] == sum(map(instances, rows))
        elif not array:
            pytest.fail("one bad line of four is no reason to refuse the file")


@pytest.mark.slow
@settings(max_examples=100)
@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_parquet_columns_of_other_types_are_used_or_listed(name: str, data: st.DataObject) -> None:
    table = pa.Table.from_pylist(samples(name, 4))
    column = data.draw(st.sampled_from(table.column_names))
    place = table.column_names.index(column)
    others: list[Callable[[], pa.Array]] = [
        lambda: pa.nulls(4),
        lambda: pa.array([1, None, 3, 4]),
        lambda: pa.array([0.5, float("nan"), float("inf"), 1.0]),
        lambda: pa.array(["a", None, "", "\x00"]),
        lambda: pa.array([b"a", b"\xff", None, b""]),
        lambda: pa.array([[1], [], None, [2]]),
        lambda: pa.array([{"a": 1}, None, {"a": 2}, {"a": None}]),
        lambda: pa.array([10**17] * 4, pa.timestamp("us")),
        lambda: pa.array([10**18] * 4, pa.timestamp("us", tz="Nowhere/At all")),
        lambda: pa.array([1, 2, 3, 4], pa.decimal128(20, 2)),
        lambda: (
            table.column(place).slice(0, 4).combine_chunks().dictionary_encode()
            if pa.types.is_string(table.schema.field(place).type)
            else pa.nulls(4)
        ),
    ]
    table = table.set_column(place, column, data.draw(st.sampled_from(others))())
    if data.draw(st.booleans()):
        table = table.append_column(column, pa.nulls(4))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "f.parquet")
        pq.write_table(table, path)
        found = counted(path, data)
        if found is not None:
            assert found[0] == sum(map(items_of, table.to_pylist()))


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet"])
def test_an_empty_file_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"f{ending}").write_bytes(b"")
    with pytest.raises(DataError, match=f"f{ending}"):
        import_file(tmp_path / f"f{ending}", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", SAMPLES)
def test_rows_that_come_twice_are_counted_and_kept(tmp_path: Path, name: str) -> None:
    things = TOGETHER.get(name, 1)
    rows = samples(name, 5 * things)
    twice = rows + rows[: 3 * things]
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(row) + "\n" for row in twice))
    report = import_file(tmp_path / "f.jsonl", tmp_path / "out")
    made = report.rows - report.joined
    known = 5 if name in VOTED else made * 5 // 8
    assert (report.rejected, report.duplicates) == (0, made - known)
    assert report.rows == sum(map(items_of, twice))


NUMBER = count()


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_harmed_votes_are_kept_or_listed(file_database: Database, data: st.DataObject) -> None:
    rows = harmed(data, samples("pandalm", 4))
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "f.jsonl")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        try:
            done = import_judgements(file_database, path, name=f"votes{next(NUMBER)}")
        except DataError as error:
            refused(error, path)
            return
        assert done.rows == len(rows) == done.used + len(done.rejected)
        assert done.new == 3 * done.used
