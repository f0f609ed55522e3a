"""The runner: skipping, resuming after kill -9, stopping, divergence, machines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from accord.core.errors import DivergenceError, InterruptedRun, InvariantError, WorkspaceError
from accord.core.metrics import BY_NAME
from accord.pipeline.artifact import Artifact
from accord.pipeline.runner import Made, keys, order
from accord.pipeline.stage import Stage
from accord.pipeline.workspace import Workspace
from accord.telemetry.rows import read
from accord.telemetry.sink import Silent
from tests.interrupting import heard
from tests.pipeline.toy import MACHINE, STEPS, WalkConfig, run_toy, stages, walk

ROOT = Path(__file__).parents[2]


class Notices(Silent):
    """Keeps what the runner said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws", "tiny")


def start(workspace: Workspace, pause: float = 0.02) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.toy", str(workspace.root), str(pause)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_rows(workspace: Workspace, stage: str, rows: int) -> Path:
    """Wait until the running stage has logged this many rows; its run folder."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for path in workspace.runs.glob(f"{stage}-*/metrics.jsonl"):
            if path.read_text().count("\n") >= rows:
                return path.parent
        time.sleep(0.002)
    raise AssertionError(f"{stage} never came to row {rows}")


def kill_at(workspace: Workspace, stage: str, rows: int) -> Path:
    """Run the toy pipeline in a process of its own and kill it there; the run folder it leaves."""
    with start(workspace) as process:
        folder = wait_for_rows(workspace, stage, rows)
        process.send_signal(signal.SIGKILL)
        process.wait()
    return folder


def result(artifact: Artifact) -> bytes:
    return (artifact.folder / "position.npy").read_bytes()


def steps_of(path: Path) -> list[int]:
    return [int(row["step"]) for row in read(path)]


def test_second_run_keeps_everything(workspace: Workspace) -> None:
    built = run_toy(workspace)
    kept = run_toy(workspace)
    assert [o.made for o in built] == [Made.BUILT, Made.BUILT]
    assert [o.made for o in kept] == [Made.KEPT, Made.KEPT]
    assert list(workspace.runs.iterdir()) == []


def test_only_what_depends_on_a_change_is_made_again(workspace: Workspace) -> None:
    run_toy(workspace)
    again = run_toy(workspace, stride=0.25)
    assert [o.made for o in again] == [Made.KEPT, Made.BUILT]
    everything = run_toy(workspace, seed=1)
    assert [o.made for o in everything] == [Made.BUILT, Made.BUILT]


def test_to_makes_what_is_needed_and_nothing_else(workspace: Workspace) -> None:
    assert [o.stage for o in run_toy(workspace, to="first")] == ["first"]
    assert [o.stage for o in run_toy(workspace, to="second")] == ["first", "second"]


def test_manifest_tells_all(workspace: Workspace) -> None:
    first, second = run_toy(workspace)
    manifest = second.artifact.manifest
    assert manifest.config == {"steps": STEPS, "stride": 0.5, "size": 64}
    assert manifest.inputs["first"].digest == first.artifact.digest
    assert manifest.inputs["first"].key == first.artifact.key
    assert manifest.machine == MACHINE
    assert manifest.steps == STEPS
    assert set(manifest.files) == {"position.npy", "metrics.jsonl"}
    assert manifest.figures["start"] == first.artifact.manifest.figures["end"]
    assert manifest.ended >= manifest.started
    assert manifest.peak_memory > 0


def test_rows_carry_time_and_memory(workspace: Workspace) -> None:
    (outcome,) = run_toy(workspace, to="first")
    rows = read(outcome.artifact.folder / "metrics.jsonl")
    assert steps_of(outcome.artifact.folder / "metrics.jsonl") == list(range(1, STEPS + 1))
    for row in rows:
        assert row["seconds"] > 0
        assert row["tokens_per_second"] == pytest.approx(row["tokens"] / row["seconds"])
        assert 0 < row["peak_memory"] < 64
        assert set(row) - {"step"} <= set(BY_NAME)


@pytest.mark.parametrize(("stage", "rows"), [("first", 3), ("first", 17), ("second", 36)])
def test_killed_and_resumed_is_the_same_to_the_bit(
    workspace: Workspace, tmp_path: Path, stage: str, rows: int
) -> None:
    assert kill_at(workspace, stage, rows).is_dir()
    resumed = run_toy(workspace)
    untouched = run_toy(Workspace.create(tmp_path / "untouched", "tiny"))
    for mine, theirs in zip(resumed, untouched, strict=True):
        assert result(mine.artifact) == result(theirs.artifact)
        assert mine.artifact.digest == theirs.artifact.digest
        assert mine.artifact.manifest.figures == theirs.artifact.manifest.figures
        log = mine.artifact.folder / "metrics.jsonl"
        assert steps_of(log) == list(range(1, STEPS + 1))
        mine_loss, their_loss = (
            [row["loss"] for row in read(o.artifact.folder / "metrics.jsonl")]
            for o in (mine, theirs)
        )
        assert mine_loss == their_loss


def test_resumed_run_starts_from_its_checkpoint(workspace: Workspace) -> None:
    kill_at(workspace, "first", 17)

    class Watch(Silent):
        done = -1

        def started(self, stage: str, *, steps: int | None, done: int) -> None:
            self.done = done if stage == "first" else self.done

    watch = Watch()
    run_toy(workspace, sink=watch)
    assert watch.done >= 15
    assert watch.done % 5 == 0


def test_killed_while_sealing_is_made_whole(workspace: Workspace) -> None:
    """What a kill between the two renames of a replacement leaves is put back."""
    (outcome,) = run_toy(workspace, to="first")
    folder = outcome.artifact.folder
    folder.rename(folder.with_name(f".replaced-{folder.name}"))
    (again,) = run_toy(workspace, to="first")
    assert again.made is Made.KEPT


def test_killed_after_the_last_row_still_counts_all_rows(workspace: Workspace) -> None:
    """With a checkpoint at the last row the resumed body has none left to yield."""

    def killed(context):
        yield from walk()(context)
        raise SystemExit  # between the last row and the sealing

    plan = [Stage(name="first", kind="walk", config=WalkConfig(), body=killed)]
    with pytest.raises(SystemExit):
        run_toy(workspace, plan=plan)
    (saved,) = workspace.runs.glob("first-*/checkpoints/*")
    assert int(saved.name) == STEPS
    (outcome,) = run_toy(workspace, to="first")
    assert outcome.artifact.manifest.steps == STEPS
    assert steps_of(outcome.artifact.folder / "metrics.jsonl") == list(range(1, STEPS + 1))


def test_ctrl_c_saves_and_ends_between_steps(workspace: Workspace) -> None:
    with heard(), start(workspace) as process:
        folder = wait_for_rows(workspace, "first", 8)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == InterruptedRun.exit_code == 2
    assert "accord resume" in told
    assert "Traceback" not in told
    saved = [int(path.name) for path in (folder / "checkpoints").iterdir()]
    assert saved == [max(steps_of(folder / "metrics.jsonl"))]


def test_divergence_saves_the_row_and_says_where(workspace: Workspace) -> None:
    plan = [Stage(name="first", kind="walk", config=WalkConfig(), body=walk(break_at=8))]
    with pytest.raises(DivergenceError) as caught:
        run_toy(workspace, plan=plan)
    assert caught.value.exit_code == 2
    (saved,) = workspace.runs.glob("first-*/diverged.json")
    assert str(saved) in str(caught.value)
    assert json.loads(saved.read_text())["got"] == "nan"
    assert json.loads(saved.read_text())["step"] == 8
    assert not list(workspace.artifacts.iterdir())


def test_divergence_in_the_body_saves_the_batch(workspace: Workspace) -> None:
    def body(context):
        yield {"loss": 1.0}
        raise DivergenceError("loss is not finite", got=float("inf"), batch=[{"text": "a b"}])

    plan = [Stage(name="first", kind="walk", config=WalkConfig(), body=body)]
    with pytest.raises(DivergenceError):
        run_toy(workspace, plan=plan)
    (saved,) = workspace.runs.glob("first-*/diverged.json")
    assert json.loads(saved.read_text())["batch"] == [{"text": "a b"}]
    assert json.loads(saved.read_text())["step"] == 2


def test_divergence_after_a_restart_names_the_right_step(workspace: Workspace) -> None:
    kill_at(workspace, "first", 7)
    plan = [replace(stages()[0], body=walk(break_at=6)), stages()[1]]
    with pytest.raises(DivergenceError):
        run_toy(workspace, plan=plan)
    (saved,) = workspace.runs.glob("first-*/diverged.json")
    assert json.loads(saved.read_text())["step"] == 6


def test_another_machine_keeps_and_strict_rebuilds(workspace: Workspace) -> None:
    before = run_toy(workspace)
    other = replace(MACHINE, threads=2)
    notices = Notices()
    kept = run_toy(workspace, machine=other, sink=notices)
    assert [o.made for o in kept] == [Made.KEPT, Made.KEPT]
    assert any("threads 1 -> 2" in text and "--strict" in text for text in notices.said)
    rebuilt = run_toy(workspace, machine=other, strict=True)
    assert [o.made for o in rebuilt] == [Made.BUILT, Made.BUILT]
    assert rebuilt[0].artifact.key == before[0].artifact.key
    assert rebuilt[0].artifact.manifest.machine == other
    assert len(list(workspace.artifacts.iterdir())) == 2


def test_resume_keeps_the_machine_of_the_first_start(workspace: Workspace) -> None:
    kill_at(workspace, "first", 12)
    notices = Notices()
    outcomes = run_toy(workspace, machine=replace(MACHINE, threads=8), sink=notices)
    assert outcomes[0].artifact.manifest.machine == MACHINE
    assert outcomes[1].artifact.manifest.machine.threads == 8
    assert any("first start" in text for text in notices.said)


def test_resume_takes_a_lower_micro_batch_and_no_higher_one(workspace: Workspace) -> None:
    """Memory ran out: the setting is lowered, and the run goes on with it."""
    kill_at(workspace, "first", 12)
    notices = Notices()
    lower = replace(MACHINE, micro_batch_tokens=64)
    (outcome,) = run_toy(workspace, machine=lower, sink=notices, to="first")
    assert outcome.artifact.manifest.machine == lower
    assert any("micro_batch_tokens 512 -> 64" in text for text in notices.said)
    kill_at(workspace, "second", 12)
    higher = replace(MACHINE, micro_batch_tokens=1024)
    made = run_toy(workspace, machine=higher)[1].artifact
    assert made.manifest.machine == MACHINE


def test_input_that_came_out_different_makes_the_next_stage_again(workspace: Workspace) -> None:
    first, _ = run_toy(workspace)
    path = first.artifact.folder / "manifest.json"
    body = json.loads(path.read_text())
    body["files"]["position.npy"]["sha256"] = "0" * 64
    path.write_text(json.dumps(body))
    assert [o.made for o in run_toy(workspace)] == [Made.KEPT, Made.BUILT]


def test_missing_input_names_both_stages(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match=r"'second' needs 'first'") as caught:
        run_toy(workspace, plan=stages()[1:])
    assert "accord.toml" in str(caught.value)


def test_unknown_target_lists_the_stages(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="first, second"):
        run_toy(workspace, to="third")


def test_circles_and_twins_are_defects() -> None:
    first, second = stages()
    with pytest.raises(InvariantError, match="circle"):
        order([replace(first, inputs=("second",)), second])
    with pytest.raises(InvariantError, match="share a name"):
        order([first, first])


def test_keys_follow_config_seed_and_inputs(workspace: Workspace) -> None:
    plain, other = keys(workspace, stages()), keys(workspace, stages(stride=0.1))
    assert plain["first"] == other["first"]
    assert plain["second"] != other["second"]
    seeded = keys(workspace, stages(seed=1))
    assert seeded["first"] != plain["first"]
    assert seeded["second"] != plain["second"]
    assert all(len(key) == 16 for key in plain.values())


def test_undeclared_metric_is_a_defect(workspace: Workspace) -> None:
    def body(context):
        yield {"made/up": 1.0}

    plan = [Stage(name="first", kind="walk", config=WalkConfig(), body=body)]
    with pytest.raises(InvariantError, match="made/up"):
        run_toy(workspace, plan=plan)


def test_failed_body_leaves_no_artifact_and_no_output(workspace: Workspace) -> None:
    def body(context):
        (context.output / "half.bin").write_bytes(b"half")
        yield {"loss": 1.0}
        raise RuntimeError("broken")

    plan = [Stage(name="first", kind="walk", config=WalkConfig(), body=body)]
    with pytest.raises(RuntimeError):
        run_toy(workspace, plan=plan)
    assert not list(workspace.artifacts.iterdir())
    assert not list(workspace.runs.glob("*/output"))
