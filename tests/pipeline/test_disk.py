"""A full disk: one clear message, nothing half-written, and the run goes on afterwards."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from accord.pipeline.workspace import Workspace
from tests.pipeline.toy import run_toy

ROOT = Path(__file__).parents[2]


def run_with_room(workspace: Workspace, most: int) -> subprocess.CompletedProcess[str]:
    """The toy pipeline where no file may grow past `most` bytes: the system refuses the write."""
    return subprocess.run(
        [sys.executable, "-m", "tests.pipeline.toy", str(workspace.root), "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("most", [100, 600, 2_000, 5_200])
def test_no_room_while_running(tmp_path: Path, most: int) -> None:
    """The limits stop it at the run's record, a checkpoint, a metric row and in a later row."""
    workspace = Workspace.create(tmp_path / "ws", "tiny")
    done = run_with_room(workspace, most)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("there is no room left on the disk")
    assert "Traceback" not in done.stderr
    assert list(workspace.artifacts.iterdir()) == []
    left = [path for path in workspace.runs.rglob("*") if path.name.endswith(".tmp")]
    assert left == []
    assert not list(workspace.runs.glob("*/output"))
    resumed = run_toy(workspace)
    untouched = run_toy(Workspace.create(tmp_path / "untouched", "tiny"))
    assert [o.artifact.digest for o in resumed] == [o.artifact.digest for o in untouched]


def test_enough_room_is_enough(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws", "tiny")
    assert run_with_room(workspace, 100_000).returncode == 0
