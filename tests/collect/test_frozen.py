"""A frozen set is held against the log: what was changed, in either, is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from accord.collect.campaign import Campaign
from accord.collect.campaign_log import Why
from accord.collect.freezing import EXCLUDED, ORIGINS, Frozen, freeze
from accord.collect.frozen import (
    excluded,
    is_frozen,
    origins,
    rows_without,
    settings_of,
    verify_frozen,
)
from accord.collect.sealing import SEAL
from accord.core.errors import DataError
from accord.core.hashing import canonical_json
from accord.store.checkpoints import sign_checkpoint
from accord.store.database import Database, open_database
from accord.store.datasets import Dataset, write_dataset
from accord.store.erasing import erase
from accord.store.exporting import export_log
from accord.store.judgements import Verdict
from accord.store.keys import SigningKey
from accord.store.manifest import MANIFEST, DatasetKind
from accord.store.tables import responses
from accord.store.writing import RowsDigest
from tests.collect.judging import campaign, frozen, key_in, rater, rows, say, task


def filled(database: Database) -> tuple[Campaign, list[str]]:
    """Three raters of four tasks, who disagree; one skips."""
    pilot = campaign(database)
    people = [rater(database) for _ in range(3)]
    for number in range(4):
        about = task(database, pilot, f"question {number}")
        for place, by in enumerate(people):
            say(database, pilot, about, by, (0, 1) if place != number else (1, 0))
    say(database, pilot, about, people[0], None, verdict=Verdict.SKIP, reason="unclear")
    return pilot, people


@pytest.fixture
def made(file_database: Database, tmp_path: Path) -> Frozen:
    """Twelve rows and one exclusion."""
    pilot, _ = filled(file_database)
    return frozen(file_database, pilot, tmp_path, dev=0.3)


@pytest.fixture
def export(made: Frozen, file_database: Database, tmp_path: Path) -> Path:
    """The log as a file, signed once more later."""
    with file_database.write() as connection:
        sign_checkpoint(connection, key_in(tmp_path))
    return export_log(file_database, tmp_path / "log.jsonl").path


def test_a_set_follows_from_the_live_log_and_from_an_export(
    database: Database, tmp_path: Path
) -> None:
    pilot, people = filled(database)
    made = frozen(database, pilot, tmp_path)
    for number in range(3):  # what is said later does not count
        say(database, pilot, task(database, pilot, f"late {number}"), people[0])
    path = export_log(database, tmp_path / "log.jsonl", key=key_in(tmp_path)).path
    for source in (database, path):
        for keys in (None, [key_in(tmp_path).public]):
            found = verify_frozen(made.folder, source, public_keys=keys)
            assert (found.faults, found.rows, found.erased_since) == ((), 12, 0)
            assert found.log.trusted is (keys is not None)
    assert is_frozen(made.folder)
    assert settings_of(made.manifest).name == "set"


def test_a_stranger_s_key_is_not_believed(made: Frozen, export: Path, tmp_path: Path) -> None:
    stranger = SigningKey.load_or_make(tmp_path / "other.pem").public
    found = verify_frozen(made.folder, export, public_keys=[stranger])
    assert not found.ok


# ---- the set is changed --------------------------------------------------------------------------


def change_rows(folder: Path, change: Callable[[dict[str, Any]], None], row: int = 5) -> None:
    """Another row, with the manifest's digest made to fit."""
    (path,) = folder.glob("part-*.parquet")
    table = pq.read_table(path)
    records = table.to_pylist()
    change(records[row - 1])
    pq.write_table(pa.Table.from_pylist(records, schema=table.schema), path)
    running = RowsDigest(DatasetKind.PREFERENCES)
    for record in records:
        running.add(record)
    change_manifest(folder, lambda body: body.update(digest=running.value))


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    body = json.loads((folder / MANIFEST).read_text())
    change(body)
    (folder / MANIFEST).write_text(json.dumps(body))


def change_origins(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    table = pq.read_table(folder / ORIGINS)
    records = table.to_pylist()
    change(records)
    pq.write_table(pa.Table.from_pylist(records, schema=table.schema), folder / ORIGINS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tiers", [0, 0]),
        ("weight", 0.9),
        ("inclusion", 0.5),
        ("strength", 4),
        ("rater", "somebody"),
        ("responses", ["one", "two"]),
        ("all_bad", True),
        ("source", "human:other"),
    ],
)
def test_a_changed_row_is_named(made: Frozen, export: Path, name: str, value: object) -> None:
    seq = [origin.seq for origin in origins(made.folder)][4]
    change_rows(made.folder, lambda record: record.update({name: value}))
    Dataset(made.folder).verify()  # in itself the set is whole
    first = verify_frozen(made.folder, export).faults[0]
    assert (first.row, first.seq) == (5, seq)
    assert name in str(first)
    assert str(first).startswith(f"row 5 (event {seq}): ")


def test_a_row_that_is_none_any_more_is_named(made: Frozen, export: Path) -> None:
    change_rows(made.folder, lambda record: record.update(weight=-1.0))
    assert verify_frozen(made.folder, export).faults


def test_a_row_without_judgement_is_named(made: Frozen, export: Path) -> None:
    def forge(records: list[dict[str, Any]]) -> None:
        records[6]["seq"] = 10_000

    change_origins(made.folder, forge)
    (first, *_) = verify_frozen(made.folder, export).faults
    assert (first.row, first.seq, first.what) == (7, 10_000, "the log has no such judgement")


@pytest.mark.parametrize("field", ["hash", "rater", "kind", "split", "late", "purpose"])
def test_a_changed_origin_is_named(made: Frozen, export: Path, field: str) -> None:
    def forge(records: list[dict[str, Any]]) -> None:
        records[2][field] = (not records[2][field]) if field == "late" else "f" * 64

    change_origins(made.folder, forge)
    assert verify_frozen(made.folder, export).faults[0].row == 3


def test_a_dropped_row_is_named(made: Frozen, export: Path) -> None:
    dropped = [origin.seq for origin in origins(made.folder)][8]
    (path,) = made.folder.glob("part-*.parquet")
    table = pq.read_table(path)
    kept = [record for n, record in enumerate(table.to_pylist()) if n != 8]
    pq.write_table(pa.Table.from_pylist(kept, schema=table.schema), path)

    def fewer(body: dict[str, Any]) -> None:
        body["rows"] -= 1
        body["counts"] = {"train": 0, "dev": 0, "test": 0}
        for record in kept:
            body["counts"][record["split"]] += 1

    change_manifest(made.folder, fewer)
    change_origins(made.folder, lambda records: records.pop(8) and None)
    first = verify_frozen(made.folder, export).faults[0]
    assert first.row == 9
    assert f"the log has event {dropped} in its place" in str(first)


def test_an_exclusion_that_was_changed_is_named(made: Frozen, export: Path) -> None:
    (item,) = excluded(made.folder)
    text = canonical_json({"seq": item.seq, "why": "withdrawn"}) + "\n"
    (made.folder / EXCLUDED).write_text(text)
    first = verify_frozen(made.folder, export).faults[0]
    assert (first.row, first.seq) == (None, item.seq)
    (made.folder / EXCLUDED).write_text("")
    assert verify_frozen(made.folder, export).faults[0].seq == item.seq
    (made.folder / EXCLUDED).write_text("{}\n")
    assert "damaged" in str(verify_frozen(made.folder, export).faults[0])


@pytest.mark.parametrize("path", [("counts", "given"), ("raters", "largest_share"), ("excluded",)])
def test_figures_of_the_manifest_that_were_changed_are_named(
    made: Frozen, export: Path, path: tuple[str, ...]
) -> None:
    def change(body: dict[str, Any]) -> None:
        *above, last = path
        inner = body["notes"]
        for name in above:
            inner = inner[name]
        inner[last] = {} if last == "excluded" else 0

    change_manifest(made.folder, change)
    found = [str(fault) for fault in verify_frozen(made.folder, export).faults]
    assert f"the manifest's {path[0]} do not follow from the log" in found
    assert "the manifest is not the one that was sealed" in found


def test_other_settings_are_another_set(made: Frozen, export: Path) -> None:
    change_manifest(made.folder, lambda body: body["notes"]["settings"].update(kinds=["model"]))
    assert verify_frozen(made.folder, export).faults[0].row == 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"signature": "00" * 64}, "signature of the manifest's checkpoint does not fit"),
        ({"size": 3}, "signature of the manifest's checkpoint does not fit"),
        ({"more": 1}, "checkpoint is damaged"),
    ],
)
def test_a_changed_checkpoint_is_named(
    made: Frozen, export: Path, change: dict[str, Any], what: str
) -> None:
    change_manifest(made.folder, lambda body: body["notes"]["log"]["checkpoint"].update(change))
    (fault,) = verify_frozen(made.folder, export).faults
    assert what in str(fault)


def test_the_log_of_another_database_is_told_apart(made: Frozen, tmp_path: Path) -> None:
    with open_database(tmp_path / "other.db") as other:
        pilot, _ = filled(other)
        frozen(other, pilot, tmp_path)
        (fault,) = verify_frozen(made.folder, other).faults
    assert "another log" in str(fault)


def test_a_seal_is_missed(made: Frozen, export: Path) -> None:
    (made.folder / SEAL).write_text("[]")
    assert [str(f) for f in verify_frozen(made.folder, export).faults] == ["the seal is damaged"]
    (made.folder / SEAL).unlink()
    assert [str(f) for f in verify_frozen(made.folder, export).faults] == ["the set has no seal"]


def test_what_is_no_frozen_set_is_refused(made: Frozen, export: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "plain", rows(made), kind="preferences", source="s")
    assert not is_frozen(tmp_path / "plain")
    with pytest.raises(DataError, match="not frozen"):
        verify_frozen(tmp_path / "plain", export)
    with pytest.raises(DataError, match="no exported log"):
        verify_frozen(made.folder, made.folder / SEAL)


# ---- the log is changed --------------------------------------------------------------------------


def test_a_changed_log_is_named_by_its_first_bad_event(
    made: Frozen, export: Path, tmp_path: Path
) -> None:
    lines = export.read_text().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if '"type":"judgement.given"' in line)
    record = json.loads(lines[place])
    seq = record["event"]["seq"]
    said = record["parts"]["verdict"]
    said["body"] = said["body"].replace('"tiers":[', '"tiers":[1,')
    lines[place] = canonical_json(record) + "\n"
    (tmp_path / "bad.jsonl").write_text("".join(lines))
    first = verify_frozen(made.folder, tmp_path / "bad.jsonl").faults[0]
    assert (first.row, first.seq) == (None, seq)
    (tmp_path / "short.jsonl").write_text("".join(lines[: place - 1]))
    assert verify_frozen(made.folder, tmp_path / "short.jsonl").faults[0].seq == place - 1


def test_a_working_table_has_no_say(file_database: Database, tmp_path: Path) -> None:
    """Weights rest on the log: rows of tasks and raters that were changed change nothing."""
    pilot, _ = filled(file_database)
    before = frozen(file_database, pilot, tmp_path)
    with file_database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE tasks SET inclusion = 0.01, purpose = 'work'"))
        connection.execute(sa.text("UPDATE raters SET kind = 'model', state = 'quarantined'"))
    assert frozen(file_database, pilot, tmp_path).folder == before.folder
    assert verify_frozen(before.folder, file_database).ok


# ---- erased since --------------------------------------------------------------------------------


def test_what_was_erased_since_is_counted_and_no_fault(database: Database, tmp_path: Path) -> None:
    pilot, _ = filled(database)
    made = frozen(database, pilot, tmp_path)
    first, *_ = origins(made.folder)
    erase(database, first.seq, "verdict")
    with database.read() as connection:
        gone = connection.execute(sa.select(responses.c.seq)).scalars().all()[-1]
    erase(database, gone, "text")
    path = export_log(database, tmp_path / "log.jsonl").path
    for source in (database, path):
        found = verify_frozen(made.folder, source)
        assert found.faults == ()
        # One judgement, and all of the task whose text is gone; unless that is the same task.
        assert (found.rows, found.erased_since) in ((8, 4), (9, 3))
    # What cannot be compared any more is still sealed.
    change_rows(made.folder, lambda record: record.update(rater="somebody"), row=1)
    (fault,) = verify_frozen(made.folder, path).faults
    assert "not the one that was sealed" in str(fault)
    shutil.rmtree(made.folder)


def test_a_rater_who_weighs_nothing_is_left_out(database: Database, tmp_path: Path) -> None:
    pilot, people = filled(database)
    made = frozen(database, pilot, tmp_path, weights={people[0]: 0.0, people[1]: 0.5, "x": 0.1})
    assert {row.rater for row in rows(made)} == set(people[1:])
    assert made.excluded[Why.UNTRUSTED] == 5
    assert made.manifest.notes["weights"] == {people[0]: 0.0, people[1]: 0.5}
    # Those who are left share the weight of a task.
    assert {row.weight for row in rows(made)} == {0.25, 0.5}
    path = export_log(database, tmp_path / "log.jsonl").path
    assert verify_frozen(made.folder, database).ok
    assert verify_frozen(made.folder, path).ok


# ---- without a rater -----------------------------------------------------------------------------


def test_without_a_rater_the_others_share_the_weight(
    file_database: Database, tmp_path: Path
) -> None:
    pilot, people = filled(file_database)
    made = frozen(file_database, pilot, tmp_path, weights={people[1]: 0.5})
    settings = replace(settings_of(made.manifest), without=(people[2],))
    again = freeze(
        file_database,
        pilot,
        tmp_path / "artifacts",
        settings=settings,
        key=key_in(tmp_path),
        weights=lambda _: made.manifest.notes["weights"],  # type: ignore[return-value, arg-type]
    )
    want = list(rows_without(made.folder, people[2]))
    assert [replace(row, weight=1) for row in want] == [
        replace(row, weight=1) for row in rows(again)
    ]
    assert [row.weight for row in want] == pytest.approx([row.weight for row in rows(again)])
    assert {row.rater for row in want} == set(people[:2])
    assert list(rows_without(made.folder, "nobody")) == rows(made)
    assert verify_frozen(again.folder, file_database).ok
