"""Which database a workspace used: another one, or none, is never taken for an empty one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from accord.core.errors import WorkspaceError
from accord.pipeline.logbook import open_log
from accord.pipeline.whereabouts import noted, open_workspace_database
from accord.pipeline.workspace import Workspace
from accord.store.database import address, file_of, open_database
from accord.store.log import size
from accord.store.registry import register_rater

URL = "ACCORD_DATABASE_URL"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A new workspace."""
    monkeypatch.delenv(URL, raising=False)
    return Workspace.create(tmp_path / "ws", "tiny")


def used(workspace: Workspace) -> None:
    """Open its database and put one event in."""
    with open_workspace_database(workspace) as database, database.write() as connection:
        register_rater(connection, kind="human")


def events_in(workspace: Workspace) -> int:
    with open_workspace_database(workspace) as database, database.read() as connection:
        return size(connection)


def note(workspace: Workspace) -> Path:
    return workspace.root / ".accord" / "database.json"


def test_a_file_that_is_gone_is_not_made_anew(workspace: Workspace) -> None:
    used(workspace)
    file = workspace.root / "accord.db"
    file.rename(workspace.root / "aside")
    for opening in (open_workspace_database, open_log):
        with pytest.raises(WorkspaceError, match="is gone") as caught:
            opening(workspace)
        assert "put it back from a backup" in str(caught.value)
        assert not file.exists()
    (workspace.root / "aside").rename(file)
    assert events_in(workspace) == 1
    file.unlink()
    note(workspace).unlink()  # as the error says
    assert events_in(workspace) == 0


def test_a_forgotten_url_is_told_before_anything_is_made(
    workspace: Workspace, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URL, postgres_url)
    used(workspace)
    monkeypatch.delenv(URL)
    for opening in (open_workspace_database, open_log):
        with pytest.raises(WorkspaceError, match="in another database") as caught:
            opening(workspace)
        assert "got:   accord.db, which is not there" in str(caught.value)
        assert f"set {URL} to postgresql://" in str(caught.value)
    assert not (workspace.root / "accord.db").exists()
    monkeypatch.setenv(URL, postgres_url)
    assert events_in(workspace) == 1


def test_a_url_that_was_not_meant_is_told(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used(workspace)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    monkeypatch.setenv(URL, other)
    with pytest.raises(WorkspaceError, match="in another database") as caught:
        open_workspace_database(workspace)
    assert f"{other}, which is not there" in str(caught.value)
    assert f"unset {URL}" in str(caught.value)
    open_database(tmp_path / "other.db").close()
    with pytest.raises(WorkspaceError, match="in another database"):
        open_workspace_database(workspace)
    note(workspace).unlink()  # where it is meant, as the error says
    assert events_in(workspace) == 0


def test_a_file_in_the_place_of_another_is_told(workspace: Workspace, tmp_path: Path) -> None:
    used(workspace)
    open_database(tmp_path / "other.db").close()
    shutil.copy(tmp_path / "other.db", workspace.root / "accord.db")
    with pytest.raises(WorkspaceError, match="was replaced"):
        open_workspace_database(workspace)


def test_the_same_log_in_another_place_is_the_same(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used(workspace)
    shutil.copy(workspace.root / "accord.db", tmp_path / "moved.db")
    monkeypatch.setenv(URL, f"sqlite:///{tmp_path / 'moved.db'}")
    assert events_in(workspace) == 1
    known = noted(workspace)
    assert known is not None
    assert known.place == f"sqlite:///{tmp_path / 'moved.db'}"
    shutil.copytree(workspace.root, tmp_path / "copy")
    monkeypatch.delenv(URL)
    assert events_in(Workspace.open(tmp_path / "copy")) == 1


def test_a_damaged_note_is_written_anew(workspace: Workspace) -> None:
    used(workspace)
    for text in ("", "[]", '{"place": 1}', '"\\ud800"'):
        note(workspace).write_text(text)
        assert noted(workspace) is None
        assert events_in(workspace) == 1
        assert json.loads(note(workspace).read_text())["place"] == "accord.db"


def test_no_password_is_noted(tmp_path: Path) -> None:
    told = address("postgres://ada:secret@db.example/accord?password=other&sslmode=require")
    assert told == "postgresql://ada@db.example/accord?sslmode=require"
    assert address(tmp_path / "a.db") == f"sqlite:///{tmp_path / 'a.db'}"
    assert file_of(tmp_path / "a.db") == tmp_path / "a.db"
    assert file_of(f"sqlite:///{tmp_path / 'a.db'}") == tmp_path / "a.db"
    assert file_of("postgresql://ada@db.example/accord") is None
