"""Which stages a workspace's data allow."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from accord.collect.importing import import_file
from accord.core.errors import ConfigError, WorkspaceError
from accord.pipeline.config import DataConfig
from accord.pipeline.plan import READ, possible, unmatched
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws", "smollm2")


def bring(workspace: Workspace, name: str, row: dict[str, str]) -> None:
    path = workspace.root / f"{name}.jsonl"
    lines = [{**row, "prompt": f"{row['prompt']} {i}"} for i in range(30)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = import_file(path, workspace.artifacts, name=name)
    workspace.point(
        name, {str(d.manifest.kind): (d.folder, d.manifest.digest) for d in report.datasets}
    )


def names(workspace: Workspace, **how: str) -> list[str]:
    return [stage.name for stage in possible(RECIPES["smollm2"](), workspace, **how).stages]


def test_without_data_everything_waits(workspace: Workspace) -> None:
    plan = possible(RECIPES["smollm2"](), workspace)
    assert [stage.name for stage in plan.stages] == ["base"]
    assert list(plan.waiting) == ["sft", "reward", "ppo", "dpo", "eval"]
    assert plan.waiting["ppo"].what == "stage ppo needs reward: no preferences were imported"
    with pytest.raises(ConfigError, match="no demonstrations were imported"):
        plan.stage("sft")


def test_comparisons_alone_allow_all_but_sft(workspace: Workspace) -> None:
    bring(workspace, "colours", {"prompt": "Name", "chosen": "Blue.", "rejected": "No."})
    assert names(workspace) == ["base", "reward", "ppo", "dpo", "eval"]
    plan = possible(RECIPES["smollm2"](), workspace)
    assert plan.stage("dpo").inputs == ("base", "preferences/colours")


def test_demonstrations_come_before(workspace: Workspace) -> None:
    bring(workspace, "answers", {"prompt": "Name", "response": "Blue."})
    assert names(workspace) == ["base", "sft", "eval"]
    bring(workspace, "colours", {"prompt": "Name", "chosen": "Blue.", "rejected": "No."})
    plan = possible(RECIPES["smollm2"](), workspace)
    assert "sft" in plan.stage("dpo").inputs
    assert plan.waiting == {}


def test_an_extra_stage_joins(workspace: Workspace) -> None:
    config = replace(RECIPES["smollm2"](), stages=("sft",))
    bring(workspace, "colours", {"prompt": "Name", "chosen": "Blue.", "rejected": "No."})
    plan = possible(config, workspace, extra="dpo")
    assert [stage.name for stage in plan.stages] == ["base", "dpo"]


def test_a_named_set_must_exist(workspace: Workspace) -> None:
    config = RECIPES["smollm2"]()
    config = replace(config, data=replace(config.data, preferences=("movies",)))
    with pytest.raises(WorkspaceError, match="no imported set of preferences"):
        possible(config, workspace)


def test_an_evaluation_looks_at_all_that_anything_is_trained_on(workspace: Workspace) -> None:
    """Whatever is read by one stage alone is not asked as held out either."""
    for name in ("one", "other"):
        bring(workspace, name, {"prompt": f"Name {name}", "chosen": "Blue.", "rejected": "No."})
        bring(workspace, f"{name}-shown", {"prompt": f"Tell {name}", "response": "Blue."})
    config = RECIPES["smollm2"]()
    named = replace(
        config.data,
        preferences=("one",),
        dpo=("other",),
        demonstrations=("one-shown",),
        top=("other-shown",),
    )
    stages = ("sft", "top", "reward", "ppo", "dpo", "eval")
    plan = possible(replace(config, data=named, stages=stages), workspace)
    assert {
        "preferences/one",
        "preferences/other",
        "demonstrations/one-shown",
        "demonstrations/other-shown",
    } <= set(plan.stage("eval").inputs)


def test_a_form_of_names_that_no_set_has_is_told_to_who_reads_it(workspace: Workspace) -> None:
    assert {*READ, "world"} == {field.name for field in fields(DataConfig)}
    bring(workspace, "colours", {"prompt": "Name", "chosen": "Blue.", "rejected": "No."})
    named = DataConfig(preferences=("colours", "round-*"), prompts=("colours",))
    config = replace(RECIPES["smollm2"](), data=named)
    assert unmatched(config, workspace, ["base", "sft", "ppo"]) == []
    assert unmatched(config, workspace, ["reward"]) == [("preferences", "round-*")]
    assert unmatched(config, workspace, ["dpo"]) == [("preferences", "round-*")]
    other = replace(config, data=replace(named, dpo=("colours",)))
    assert unmatched(other, workspace, ["dpo"]) == []
    bring(workspace, "round-1", {"prompt": "Say", "chosen": "Blue.", "rejected": "No."})
    assert unmatched(config, workspace, ["reward", "dpo"]) == []
    assert unmatched(RECIPES["tiny"](), workspace, ["reward"]) == []


def test_the_tiny_world_has_no_thumbs(workspace: Workspace) -> None:
    config = RECIPES["tiny"]()
    thumbs = replace(config, kto=replace(config.kto, learn_from="feedback"))
    assert "tiny world has no thumbs" in str(
        possible(thumbs, workspace, extra="kto").waiting["kto"]
    )
    assert "kto" not in possible(config, workspace, extra="kto").waiting
