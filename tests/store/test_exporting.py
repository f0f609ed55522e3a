"""Exports: whole or not at all, one canonical line a record, without anybody's identity."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from types import ModuleType

import pytest

from accord.core.errors import StoreError
from accord.core.hashing import canonical_json
from accord.store.database import Database, open_database
from accord.store.event import Entry
from accord.store.exporting import export_log
from accord.store.log import append
from accord.store.verifying import verify


def test_an_export_has_everything_but_identities(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    history.fill(database, history.key_in(tmp_path))
    done = export_log(database, path)
    lines = path.read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert [canonical_json(record) for record in records] == lines
    kinds = ["accord log", *["event"] * 34, *["checkpoint"] * 3, "end"]
    assert [record["kind"] for record in records] == kinds
    assert (done.path, done.events, done.checkpoints) == (path, 34, 3)
    assert "Prefer what is true." in path.read_text()
    assert "Grace" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_both_databases_export_the_same_records(
    file_database: Database, postgres_url: str, tmp_path: Path
) -> None:
    names = []
    with open_database(postgres_url) as other:
        for number, database in enumerate((file_database, other)):
            with database.write() as connection:
                parts = {"text": {"\u00fc": [1, 2.5, None, True]}}
                append(connection, Entry(type="note.made", actor="a", subject="s", parts=parts))
            export_log(database, tmp_path / f"{number}.jsonl")
            record = json.loads((tmp_path / f"{number}.jsonl").read_text().splitlines()[1])
            for random in ("prev", "time", "payload"):
                del record["event"][random]
            del record["hash"], record["parts"]["text"]["salt"]
            names.append(record)
    assert names[0] == names[1]


def test_many_batches_are_one_log(file_database: Database, tmp_path: Path) -> None:
    with file_database.write() as connection:
        for number in range(1203):
            append(connection, Entry(type="note.made", actor="a", parts={"text": number}))
    export_log(file_database, tmp_path / "log.jsonl")
    verdict = verify(tmp_path / "log.jsonl")
    assert verdict.ok
    assert verdict.events == 1203


def test_an_empty_log_is_exported_and_verified(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    export_log(database, tmp_path / "log.jsonl", key=history.key_in(tmp_path))
    verdict = verify(tmp_path / "log.jsonl")
    assert (verdict.ok, verdict.events, verdict.signed) == (True, 0, 0)


def test_a_place_that_cannot_be_written_is_one_error(
    file_database: Database, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        export_log(file_database, tmp_path / "none" / "log.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        export_log(file_database, tmp_path / "folder")
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
