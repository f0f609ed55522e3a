"""`kill -9` during any stage, then `accord resume`: the same to the bit as a run never killed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from accord.pipeline.artifact import METRICS
from tests.e2e.small import STEPS, artifact, copy_before, killed, lines, make, manifest, rows, run

pytest.importorskip("torch")
KILLS = {"pretrain": 3, "reward": 3, "ppo": 3}
"""Rows before the kill, one stage for each kind of state: all weights; adapter and head; policy,
critic and KL controller. A checkpoint is behind, and a row that is lost and made again."""
STATEFUL = [stage for stage in STEPS if stage not in ("compare", "eval")]


def assert_same(mine: Path, theirs: Path, stage: str) -> None:
    """Weights, every other file, noted figures and metric rows of a stage, to the bit."""
    ours, other = manifest(mine, stage), manifest(theirs, stage)
    assert {n: f.sha256 for n, f in ours.files.items() if n != METRICS} == {
        n: f.sha256 for n, f in other.files.items() if n != METRICS
    }
    assert ours.digest == other.digest
    assert ours.figures == other.figures
    assert rows(mine, stage) == rows(theirs, stage)
    assert len(rows(mine, stage)) == STEPS[stage] == ours.steps


@pytest.fixture(scope="module")
def battered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of everything that was killed in three of its stages and resumed each time."""
    folder = make(tmp_path_factory.mktemp("battered") / "ws")
    command = "run"
    for stage, seen in KILLS.items():
        killed(folder, (command,), stage=stage, rows=seen)
        command = "resume"
    run(folder, "resume")
    return folder


@pytest.mark.parametrize("stage", STEPS)
def test_killed_and_resumed_is_as_never_killed(battered: Path, untouched: Path, stage: str) -> None:
    assert_same(battered, untouched, stage)


def test_nothing_is_left_of_the_killed_attempts(battered: Path) -> None:
    assert list((battered / "runs").iterdir()) == []
    assert sorted(path.name.partition("-")[0] for path in (battered / "artifacts").iterdir()) == (
        sorted(["base", *STEPS])
    )


def test_two_untouched_runs_that_differ_are_told_apart(untouched: Path, tmp_path: Path) -> None:
    """The comparison above sees a change of one bit in the weights."""
    folder = tmp_path / "ws"
    shutil.copytree(untouched, folder)
    path = artifact(folder, "ppo") / "manifest.json"
    weights = manifest(folder, "ppo").files["adapter/adapter_model.safetensors"].sha256
    path.write_text(path.read_text().replace(weights, weights[::-1]))
    with pytest.raises(AssertionError):
        assert_same(folder, untouched, "ppo")


@pytest.mark.slow
@pytest.mark.parametrize("stage", STATEFUL)
def test_killed_again_and_again(untouched: Path, tmp_path: Path, stage: str) -> None:
    """Before the first checkpoint, right after one and late; what is killed was resumed."""
    folder = copy_before(stage, untouched, tmp_path / "ws")
    command: tuple[str, ...] = ("run", "--to", stage)
    kills = 0
    for asked in (1, 2, 4):
        seen = max(asked, lines(folder, stage) + 1)  # a row that the resumed run wrote itself
        if seen < STEPS[stage]:
            name = killed(folder, command, stage=stage, rows=seen)
            assert name == artifact(untouched, stage).name
            command, kills = ("resume",), kills + 1
    assert kills > 1
    run(folder, "resume")
    assert_same(folder, untouched, stage)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["compare", "eval"])
def test_killed_in_a_short_stage(untouched: Path, tmp_path: Path, stage: str) -> None:
    """Nothing was saved yet: they start over, and leave the same."""
    folder = copy_before(stage, untouched, tmp_path / "ws")
    killed(folder, ("run", "--to", stage), stage=stage, rows=1)
    run(folder, "resume")
    assert_same(folder, untouched, stage)


@pytest.mark.slow
def test_killed_evaluation_goes_on_behind_the_arms_that_it_saved(
    untouched: Path, tmp_path: Path
) -> None:
    folder = copy_before("eval", untouched, tmp_path / "ws")
    settings = folder / "accord.toml"
    settings.write_text(
        settings.read_text().replace("checkpoint_every = 2", "checkpoint_every = 1")
    )
    killed(folder, ("run", "--to", "eval"), stage="eval", rows=2)
    assert "eval: goes on after step" in run(folder, "resume").stderr
    assert_same(folder, untouched, "eval")
