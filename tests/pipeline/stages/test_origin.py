"""Which base a workspace starts from does not depend on where it lies or who asks from where."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from accord.pipeline.runner import keys
from accord.pipeline.stages import build
from accord.pipeline.stages.origin import fingerprint, model_folder, portable
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES


def base_key(workspace: Workspace, model: str) -> str:
    """The lineage key of the base stage."""
    config = replace(RECIPES["smollm2"](), model=model, stages=())
    return keys(workspace, build(config, workspace))["base"]


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "model.safetensors", "chat_template.jinja"):
        (folder / name).write_text(name)
    return folder


@pytest.mark.parametrize("model", ["tiny", "smollm2"])
def test_a_built_in_name_is_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """`accord quickstart tiny` makes a workspace of that name, and then writes a report in it."""
    monkeypatch.chdir(tmp_path)
    workspace = Workspace.create(tmp_path / model, model)
    before = base_key(workspace, model)
    make_model(tmp_path / model / model)
    (tmp_path / model / "report.html").write_text("new")
    assert base_key(workspace, model) == before
    monkeypatch.chdir(tmp_path / model)
    assert base_key(workspace, model) == before


def test_a_moved_workspace_starts_from_the_same_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace.create(tmp_path / "ws", "smollm2")
    folder = make_model(workspace.root / "model")
    before = base_key(workspace, "model")
    assert base_key(workspace, str(folder)) == before
    monkeypatch.chdir(workspace.root)
    assert base_key(Workspace(Path()), "model") == before
    shutil.copytree(workspace.root, tmp_path / "copy", copy_function=shutil.copyfile)
    shutil.rmtree(workspace.root)
    monkeypatch.chdir(tmp_path)
    assert base_key(Workspace(tmp_path / "copy"), "model") == before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_changed_file_is_seen_and_a_note_beside_it_is_not(tmp_path: Path, name: str) -> None:
    workspace = Workspace.create(tmp_path / "ws", "smollm2")
    folder = make_model(workspace.root / "model")
    before = base_key(workspace, "model")
    (folder / "README.md").write_text("new")
    assert base_key(workspace, "model") == before
    (folder / name).write_text("changed")
    assert base_key(workspace, "model") != before


def test_a_folder_is_meant_from_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(tmp_path / "elsewhere" / "me" / "model")
    monkeypatch.chdir(tmp_path / "elsewhere")
    root = tmp_path / "ws"
    assert model_folder("me/model", root) is None
    folder = make_model(root / "me" / "model")
    assert model_folder("me/model", root) == folder
    assert portable(folder, root) == "me/model"
    outside = tmp_path / "elsewhere" / "me" / "model"
    assert portable(outside, root) == str(outside)
    assert root / portable(outside, root) == outside
    assert fingerprint(outside) == fingerprint(folder)
