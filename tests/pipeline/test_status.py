"""Status and single stages: what is done, what is stale and why, what is used."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace

import pytest

from accord.core.errors import WorkspaceError
from accord.pipeline.artifact import METRICS
from accord.pipeline.execution import RECORD
from accord.pipeline.runner import Made
from accord.pipeline.single import newest_artifact, run_single
from accord.pipeline.status import State, beside, status
from accord.pipeline.workspace import Workspace
from accord.telemetry.rows import read
from accord.telemetry.sink import Silent
from tests.pipeline.test_runner import Notices, kill_at, start, wait_for_rows
from tests.pipeline.toy import MACHINE, STEPS, run_toy, stages


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    return Workspace.create(tmp_path / "ws", "tiny")


def states(workspace: Workspace, **how) -> list[State]:
    return [one.state for one in status(workspace, stages(**how))]


def single(workspace: Workspace, plan, index: int, *, sink=None, stage=None):
    return run_single(
        workspace, stage or plan[index], plan, machine=lambda: MACHINE, sink=sink or Silent()
    )


def test_ready_then_done(workspace: Workspace) -> None:
    assert states(workspace) == [State.READY, State.WAITING]
    run_toy(workspace, to="first")
    assert states(workspace) == [State.DONE, State.READY]
    run_toy(workspace)
    done = status(workspace, stages())
    assert [one.state for one in done] == [State.DONE, State.DONE]
    assert done[0].steps == STEPS
    assert done[0].seconds is not None
    assert done[1].last_row["loss"] > 0
    assert "start" in done[1].figures


def test_stale_says_why(workspace: Workspace) -> None:
    run_toy(workspace)
    first, second = status(workspace, stages(stride=0.125))
    assert first.state is State.DONE
    assert second.state is State.STALE
    assert second.why == "stride 0.5 -> 0.125"
    first, second = status(workspace, stages(seed=4))
    assert first.why == "seed 0 -> 4"
    assert second.why == "seed 0 -> 4; input first changed"


def test_partial_says_where(workspace: Workspace) -> None:
    kill_at(workspace, "first", 12)
    one, two = status(workspace, stages())
    assert one.state is State.PARTIAL
    assert one.steps is not None
    assert one.steps % 5 == 0
    assert f"saved at step {one.steps} of {STEPS}" in one.why
    assert "accord resume" in one.why
    assert two.state is State.WAITING
    assert two.why == "waits for first"


def test_figures_of_a_stopped_run_are_those_of_its_saved_step(workspace: Workspace) -> None:
    folder = kill_at(workspace, "first", 13)
    assert len(read(folder / METRICS)) > 12
    one, _ = status(workspace, stages())
    (row,) = [row for row in read(folder / METRICS) if row["step"] == one.steps]
    assert one.last_row == row


def test_a_run_under_way_names_its_process(workspace: Workspace) -> None:
    with start(workspace, pause=0.1) as process:
        wait_for_rows(workspace, "first", 6)
        one, two = status(workspace, stages())
        process.kill()
    assert one.state is State.RUNNING
    assert one.why.startswith(f"process {process.pid}; step ")
    assert one.last_row["step"] == one.steps
    assert two.state is State.WAITING
    one, _ = status(workspace, stages())
    assert one.state is State.PARTIAL
    assert workspace.holder() is None


def test_only_what_this_process_began_is_running(workspace: Workspace) -> None:
    folder = kill_at(workspace, "first", 12)
    os.utime(folder / RECORD, (1e9, 1e9))
    with workspace.lock("second"):
        assert workspace.holder() is not None
        assert status(workspace, stages())[0].state is State.PARTIAL


def test_one_damaged_artifact_is_a_row_among_the_others(workspace: Workspace) -> None:
    first, second = run_toy(workspace)
    (first.artifact.folder / "manifest.json").write_text("{")
    one, two = status(workspace, stages())
    assert one.state is State.DAMAGED
    assert "a manifest is damaged" in one.why
    assert str(first.artifact.folder) in one.why
    assert "delete" in one.why
    assert two.state is State.DONE
    assert two.key == second.artifact.key


def test_a_run_of_other_settings_that_stopped_is_shown(workspace: Workspace) -> None:
    kill_at(workspace, "first", 12)
    plan = stages()
    assert beside(workspace, plan) == []
    other = [replace(plan[0], config=replace(plan[0].config, stride=0.25)), plan[1]]
    assert status(workspace, other)[0].state is State.READY
    (one,) = beside(workspace, other)
    assert (one.name, one.state) == ("first", State.PARTIAL)
    assert "saved at step" in one.why
    assert "other settings" in one.why


def test_what_stages_do_not_name_is_shown(workspace: Workspace) -> None:
    plan = [replace(stages()[0], name="sft"), replace(stages()[1], name="ppo", inputs=("sft",))]
    plan[1] = replace(plan[1], body=stages()[0].body)
    made = run_toy(workspace, plan=plan)[1].artifact
    assert beside(workspace, plan) == []
    (one,) = beside(workspace, plan[:1])
    assert (one.name, one.key, one.state) == ("ppo", made.key, State.DONE)
    assert "not in `stages`" in one.why
    (made.folder / "manifest.json").write_text("{")
    (one,) = beside(workspace, plan[:1])
    assert one.state is State.DAMAGED


def test_status_writes_nothing(workspace: Workspace) -> None:
    before = subprocess.check_output(["ls", "-lR", str(workspace.root)])
    status(workspace, stages())
    assert subprocess.check_output(["ls", "-lR", str(workspace.root)]) == before


def test_single_stage_asks_for_its_input_by_name(workspace: Workspace) -> None:
    plan = [replace(stages()[0], name="sft"), replace(stages()[1], name="ppo", inputs=("sft",))]
    with pytest.raises(WorkspaceError, match="ppo needs sft") as caught:
        single(workspace, plan, 1)
    assert "`accord sft`" in str(caught.value)
    assert caught.value.exit_code == 2


def test_inputs_without_a_command_are_made_on_the_way(workspace: Workspace) -> None:
    """`first` is no stage that a user names, as the base model is none."""
    outcome = single(workspace, stages(), 1)
    assert outcome.made is Made.BUILT
    assert workspace.history("first")


def test_single_stage_uses_the_newest_of_its_name(workspace: Workspace) -> None:
    plan = [replace(stages()[0], name="sft"), replace(stages()[1], name="ppo", inputs=("sft",))]
    plan[1] = replace(plan[1], body=stages()[0].body)
    changed = replace(plan[0], config=replace(plan[0].config, stride=0.25))
    made = single(workspace, plan, 0, stage=changed)
    notices = Notices()
    outcome = single(workspace, plan, 1, sink=notices)
    assert outcome.artifact.manifest.inputs["sft"].key == made.artifact.key
    assert any(made.artifact.key in text for text in notices.said)
    assert newest_artifact(workspace, "sft", plan).key == made.artifact.key
    planned = single(workspace, plan, 0)
    assert newest_artifact(workspace, "sft", plan).key == planned.artifact.key
    again = single(workspace, plan, 1)
    assert again.artifact.manifest.inputs["sft"].key == planned.artifact.key


def test_what_is_made_within_a_second_has_an_order(workspace: Workspace) -> None:
    plan = stages()
    for stride in (0.5, 0.25, 0.75, 0.125):
        changed = replace(plan[0], config=replace(plan[0].config, stride=stride))
        made = single(workspace, plan, 0, stage=changed).artifact
        newest = workspace.newest("first")
        assert newest is not None
        assert newest.key == made.key
    assert len(workspace.history("first")) == 4


def test_a_stage_made_by_hand_is_not_passed_over_in_silence(workspace: Workspace) -> None:
    """The settings' artifact is used; a newer one of the same stage is named."""
    plan = [replace(stages()[0], name="sft"), replace(stages()[1], name="ppo", inputs=("sft",))]
    plan[1] = replace(plan[1], body=stages()[0].body)
    used = run_toy(workspace, plan=plan, to="sft")[0].artifact
    quiet = Notices()
    single(workspace, plan, 1, sink=quiet)
    assert quiet.said == []
    changed = replace(plan[0], config=replace(plan[0].config, stride=0.25))
    by_hand = single(workspace, plan, 0, stage=changed).artifact
    notices = Notices()
    outcome = single(workspace, plan, 1, sink=notices)
    assert outcome.artifact.manifest.inputs["sft"].key == used.key
    (told,) = notices.said
    assert f"sft-{used.key} of accord.toml is used" in told
    assert f"not sft-{by_hand.key}" in told
    assert "put its settings into accord.toml" in told


def test_overrides_are_recorded(workspace: Workspace) -> None:
    plan = stages()
    changed = replace(plan[0], config=replace(plan[0].config, stride=0.25))
    outcome = single(workspace, plan, 0, stage=changed)
    assert outcome.artifact.manifest.config["stride"] == 0.25


def test_nothing_of_that_name(workspace: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="no second yet"):
        newest_artifact(workspace, "second", stages())
