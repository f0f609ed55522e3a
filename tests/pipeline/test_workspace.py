"""The workspace folder: making, finding, versions, locks, imported sets, damage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from accord.core.errors import WorkspaceError
from accord.pipeline.artifact import SCHEMA, open_artifact
from accord.pipeline.workspace import Workspace
from tests.pipeline.toy import run_toy

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws", "tiny")


def test_a_new_workspace_explains_itself(workspace: Workspace) -> None:
    names = {path.name for path in workspace.root.iterdir()}
    assert names == {"accord.toml", "guidelines.md", "data", ".accord"}
    assert 'recipe = "tiny"' in workspace.settings.read_text()


def test_found_from_inside(workspace: Workspace) -> None:
    inner = workspace.root / "data" / "deep"
    inner.mkdir()
    assert Workspace.find(inner) == workspace
    with pytest.raises(WorkspaceError, match="accord init"):
        Workspace.find(workspace.root.parent)


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(WorkspaceError, match="new or empty"):
        Workspace.create(tmp_path, "tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    for folder in (tmp_path / "file", tmp_path / "file" / "ws"):
        with pytest.raises(WorkspaceError, match="in the way") as caught:
            Workspace.create(folder, "tiny")
        assert caught.value.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder nobody may write")
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_place_that_holds_no_folders() -> None:
    with pytest.raises(WorkspaceError, match="no folder can be made there") as caught:
        Workspace.create(Path("/proc/x"), "tiny")
    assert caught.value.where == Path("/proc/x")
    assert caught.value.exit_code == 2


def test_a_folder_that_nobody_may_write() -> None:
    with pytest.raises(WorkspaceError, match="cannot be written"):
        Workspace.create(Path("/sys/accord-workspace"), "tiny")


def test_newer_workspace_is_refused(workspace: Workspace) -> None:
    path = workspace.root / ".accord" / "workspace.json"
    path.write_text(json.dumps({"schema": 99, "accord": "9.0"}))
    with pytest.raises(WorkspaceError, match="newer Accord") as caught:
        Workspace.open(workspace.root)
    assert "schema 99" in str(caught.value)
    path.write_text("{")
    with pytest.raises(WorkspaceError, match="damaged"):
        Workspace.open(workspace.root)


def test_lock_names_the_process_that_holds_it(workspace: Workspace) -> None:
    program = (
        "import sys; from pathlib import Path; from accord.pipeline.workspace import Workspace\n"
        "with Workspace.open(Path(sys.argv[1])).lock('run'):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(workspace.root)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(WorkspaceError, match="another run") as caught, workspace.lock("ppo"):
            pass
        assert f"process {process.pid} (run," in str(caught.value)
        assert caught.value.exit_code == 2
        process.kill()
        process.wait()
    with workspace.lock("ppo", remember={"command": "ppo"}):
        assert workspace.last_run() == {"command": "ppo"}


def test_a_refused_run_is_not_remembered(workspace: Workspace) -> None:
    with workspace.lock("run", remember={"command": "run"}):
        with pytest.raises(WorkspaceError), workspace.lock("ppo", remember={"command": "ppo"}):
            pass
        assert workspace.last_run() == {"command": "run"}


def test_imported_sets_are_found_by_kind_and_name(workspace: Workspace) -> None:
    folder = workspace.artifacts / "movies-preferences-0123"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    workspace.point("movies", {"preferences": (folder, "f" * 64)})
    (found,) = workspace.datasets("preferences")
    assert found == workspace.dataset("preferences", "movies")
    assert (found.name, found.key, found.folder) == ("preferences/movies", "f" * 16, folder)
    assert workspace.datasets("demonstrations") == ()
    with pytest.raises(WorkspaceError, match="no imported set of demonstrations") as caught:
        workspace.dataset("demonstrations", "movies")
    assert "accord import" in str(caught.value)
    (folder / "manifest.json").unlink()
    with pytest.raises(WorkspaceError, match="gone"):
        workspace.datasets("preferences")
    (workspace.root / "data" / "movies.json").write_text("[1]")
    with pytest.raises(WorkspaceError, match="damaged"):
        workspace.datasets("preferences")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "a manifest is damaged"),
        ('{"name": "first"', "a manifest is damaged"),
        ("{}", "a manifest is damaged"),
        ("[]", "a manifest is damaged"),
        (json.dumps({"schema": SCHEMA + 1}), "newer Accord"),
    ],
)
def test_damaged_manifest_stops_the_run(workspace: Workspace, text: str, what: str) -> None:
    (outcome,) = run_toy(workspace, to="first")
    path = outcome.artifact.folder / "manifest.json"
    path.write_text(text)
    with pytest.raises(WorkspaceError, match=what) as caught:
        run_toy(workspace)
    assert caught.value.where == path
    assert caught.value.exit_code == 2
    assert [p.name for p in workspace.artifacts.iterdir()] == [outcome.artifact.folder.name]


def test_cut_and_missing_files_are_seen(workspace: Workspace) -> None:
    (outcome,) = run_toy(workspace, to="first")
    path = outcome.artifact.folder / "position.npy"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(WorkspaceError, match="damaged") as caught:
        open_artifact(outcome.artifact.folder)
    assert caught.value.where == path
    path.unlink()
    with pytest.raises(WorkspaceError, match="file is missing"):
        open_artifact(outcome.artifact.folder)


def test_history_is_sorted_and_of_one_stage(workspace: Workspace) -> None:
    run_toy(workspace)
    run_toy(workspace, stride=0.25)
    made = workspace.history("second")
    assert [m.config["stride"] for m in sorted(made, key=lambda m: -m.config["stride"])] == [
        0.5,
        0.25,
    ]
    assert [m.ended for m in made] == sorted(m.ended for m in made)
    assert len(workspace.history("first")) == 1
