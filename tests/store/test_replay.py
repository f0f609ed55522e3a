"""A log read again: the database and an export say the same."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from accord.core.errors import DataError
from accord.store.database import Database
from accord.store.erasing import erase
from accord.store.exporting import export_log
from accord.store.replay import DatabaseReplay, ExportReplay

WANTED = {
    "judgement.given": "verdict",
    "judgement.corrected": "rationale",
    "judgement.withdrawn": None,
    "part.erased": None,
    "rater.registered": "identity",
}


def test_database_and_export_say_the_same(
    database: Database, tmp_path: Path, history: ModuleType
) -> None:
    history.fill(database, history.key_in(tmp_path))
    erase(database, 12, "verdict")
    path = export_log(database, tmp_path / "log.jsonl").path
    exported = ExportReplay(path)
    with database.read() as connection:
        live = DatabaseReplay(connection)
        assert (live.log, live.size) == (exported.log, exported.size)
        found = list(live.said(WANTED))
        assert found == list(exported.said(WANTED))
        assert [said.seq for said in found] == sorted(said.seq for said in found)
        by_seq = {said.seq: said for said in found}
        assert by_seq[12].body is None
        assert by_seq[11].body["verdict"] == "ranking"
        assert {said.type for said in found} == set(WANTED)
        # Who raters are is a private part: neither reads it.
        assert all(s.body is None for s in found if s.type == "rater.registered")
        assert live.checkpoints() == exported.checkpoints()
        assert len(live.checkpoints()) == len(history.SIGNED_AT)


def test_texts_are_found_by_name_until_they_are_erased(
    database: Database, tmp_path: Path, history: ModuleType
) -> None:
    history.fill(database, history.key_in(tmp_path))
    with database.read() as connection:
        said = [*DatabaseReplay(connection).said({"prompt.added": None, "response.added": "text"})]
    prompt, first, second = (one.subject for one in said)
    erase(database, said[2].seq, "text")
    path = export_log(database, tmp_path / "log.jsonl").path
    asked = [prompt, first, second, "nothing"]
    with database.read() as connection:
        found = DatabaseReplay(connection).texts(asked)
    assert found == ExportReplay(path).texts(asked)
    assert found == {
        prompt: [{"role": "user", "content": "Which is heavier?"}],
        first: "Answer 0.",
    }
    assert ExportReplay(path).texts([]) == {}


def test_more_names_than_a_statement_takes(file_database: Database, history: ModuleType) -> None:
    names = [f"name {n}" for n in range(1200)]
    with file_database.read() as connection:
        assert DatabaseReplay(connection).texts(names) == {}


def test_another_file_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("{}\n")
    with pytest.raises(DataError, match="no exported log"):
        ExportReplay(tmp_path / "log")
