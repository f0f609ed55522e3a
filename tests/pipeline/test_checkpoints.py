"""Checkpoints are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from accord.core.errors import InvariantError, WorkspaceError
from accord.pipeline.checkpoints import Checkpoints, Progress
from accord.pipeline.stage import StageContext
from tests.pipeline.toy import MACHINE, Walker, stages


def walker(step: int) -> Walker:
    return Walker(np.arange(3.0), np.random.default_rng(step), step)


def test_the_newest_counts_and_the_old_one_goes(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.latest() is None
    checkpoints.save(walker(9), Progress(rows=9, step=9))
    checkpoints.save(walker(10), Progress(rows=10, step=10, notes={"a": [1]}))
    found = checkpoints.latest()
    assert found is not None
    assert found[1] == Progress(rows=10, step=10, notes={"a": [1]})
    assert [path.name for path in checkpoints.folder.iterdir()] == ["00000010"]
    restored = walker(0)
    restored.load(found[0])
    assert restored.step == 10
    assert restored.generator.random() == np.random.default_rng(10).random()


def test_a_half_written_one_does_not_count(tmp_path: Path) -> None:
    class Breaks(Walker):
        def save(self, folder: Path) -> None:
            (folder / "part").write_text("part")
            raise OSError(28, "No space left on device")

    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(walker(5), Progress(rows=5, step=5))
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(Breaks(np.zeros(1), np.random.default_rng(0)), Progress(rows=6))
    assert [path.name for path in checkpoints.folder.iterdir()] == ["00000005"]


def test_a_damaged_one_is_named(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(walker(5), Progress(rows=5, step=5))
    path = checkpoints.folder / "00000005" / "progress.json"
    path.write_text("{")
    with pytest.raises(WorkspaceError, match="damaged") as caught:
        checkpoints.latest()
    assert caught.value.where == path


def test_a_state_that_restores_another_step_is_a_defect(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(walker(5), Progress(rows=5, step=6))
    found = checkpoints.latest()
    assert found is not None
    context = StageContext(
        stage=stages()[0],
        inputs={},
        output=tmp_path,
        machine=MACHINE,
        checkpoint=found[0],
        checkpoint_step=found[1].step,
    )
    with pytest.raises(InvariantError, match="another step"):
        context.track(walker(0))


def test_a_body_sees_what_it_declared_alone(tmp_path: Path) -> None:
    context = StageContext(stage=stages()[1], inputs={}, output=tmp_path, machine=MACHINE)
    with pytest.raises(InvariantError, match="does not declare"):
        context.input("third")
    assert context.track(walker(0)) is False
    with pytest.raises(InvariantError, match="second state"):
        context.track(walker(0))
