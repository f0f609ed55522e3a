"""A base from a hub's cache: found, gone and fetched again, or come back as another."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from accord.core.errors import DownloadError, ModelError
from accord.pipeline.artifact import Artifact
from accord.pipeline.runner import run
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.stages import build
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES

pytest.importorskip("torch")
HUB_ID = "someone/tiny"
COMMIT = "0" * 40


def cached(cache: Path, *, seed: int = 0) -> Path:
    """A hub's cache, as its library lays it out, that holds one small model."""
    from accord.models.tiny import make_tiny

    model = cache / f"models--{HUB_ID.replace('/', '--')}"
    make_tiny(model / "snapshots" / COMMIT, seed=seed)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(COMMIT)
    return model / "snapshots" / COMMIT


@pytest.fixture
def artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifact:
    """A base artifact whose weights lie in a cache that is then cleared."""
    from huggingface_hub import constants

    from accord.models.machine import resolve
    from accord.pipeline.stages.base import base_folder

    first = tmp_path / "first"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(first))
    folder = cached(first)
    workspace = Workspace.create(tmp_path / "ws", "smollm2")
    config = replace(RECIPES["smollm2"](), model=HUB_ID, stages=())
    stages = build(config, workspace)
    (made,) = run(workspace, stages, machine=lambda: resolve("float32", "cpu"))
    assert base_folder(made.artifact) == folder
    shutil.rmtree(first)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "second"))
    return made.artifact


def context(artifact: Artifact) -> StageContext:
    """Of a stage that reads the base alone."""
    stage = Stage(name="x", kind="x", config=None, body=lambda _: iter(()), inputs=("base",))
    return StageContext(
        stage=stage,
        inputs={"base": artifact},
        output=artifact.folder,
        machine=artifact.manifest.machine,
    )


def test_a_cleared_cache_is_filled_again(artifact: Artifact, tmp_path: Path) -> None:
    from accord.pipeline.stages.roles import Roles

    again = cached(tmp_path / "second")
    assert Roles(context(artifact)).base == again


def test_what_comes_back_different_is_refused(artifact: Artifact, tmp_path: Path) -> None:
    from accord.pipeline.stages.roles import Roles

    cached(tmp_path / "second", seed=1)
    with pytest.raises(ModelError, match="the base model changed"):
        Roles(context(artifact))


def test_what_cannot_be_fetched_is_said_to_be(artifact: Artifact) -> None:
    from accord.pipeline.stages.roles import Roles

    with pytest.raises(DownloadError, match="could not be fetched from the hub") as caught:
        Roles(context(artifact))
    assert HUB_ID in str(caught.value)
