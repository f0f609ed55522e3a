"""Settings of stages that contradict each other are refused before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accord.cli.commands import Options
from accord.cli.session import Session
from accord.core.errors import AccordError, ConfigError
from accord.pipeline.artifact import Manifest
from accord.pipeline.doctor.visit import visit
from accord.pipeline.runner import agree, order, run, settings_of
from accord.pipeline.settings import load
from accord.pipeline.single import run_single
from accord.pipeline.stages import build
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES
from tests.pipeline.toy import MACHINE

BASED = 'model = "tiny"'
"""A reward model with a base of its own."""
CONTRADICTIONS = {
    "distilled": (BASED, "[distilled]", "distilled DPO", "reward.model", ":4"),
    "ppo": (BASED, "[ppo]", "critic cannot start", 'critic.start = "zero"', ":6"),
    "grpo": ("", "[grpo.shaping]\npessimism = 1.0", "tells its doubt", "reward.heads = 4", ":7"),
    "rloo": (
        'criteria = ["wit"]',
        "[rloo.shaping]\npessimism = 1.0",
        "heads of criteria",
        "reward.criteria out",
        ":7",
    ),
}
"""Settings of the reward model and of a stage that cannot be used together: what is said of them,
what to do, and the line that is named."""
AGREE = {
    "distilled": ("heads = 3", "[distilled]\npessimism = 0.1"),
    "ppo": (BASED, '[ppo]\ncritic.start = "zero"'),
    "reinforce": (BASED, "[reinforce]"),
    "grpo": ("heads = 2", "[grpo.shaping]\npessimism = 1.0"),
    "rloo": ("doubt_pairs = 30", "[rloo.shaping]\npessimism = 1.0"),
    "online_dpo": (BASED, '[online_dpo]\nlabels = "soft"'),
    "rejection": (BASED, "[rejection]"),
}


def session(folder: Path, stage: str, reward: str, own: str) -> Session:
    """A workspace whose settings name such a stage behind a reward model."""
    workspace = Workspace.create(folder / "ws", "tiny")
    workspace.settings.write_text(
        f'recipe = "tiny"\nstages = ["sft", "compare", "reward", "{stage}"]\n'
        f"[reward]\n{reward}\n\n{own}\n"
    )
    config = load(workspace.settings, RECIPES)
    return Session(workspace=workspace, config=config, options=Options(command="run", quiet=True))


def never() -> Any:
    raise AssertionError("a machine is asked for: something is about to be made")


@pytest.mark.parametrize("stage", CONTRADICTIONS)
def test_a_contradiction_is_refused_before_anything_is_made(tmp_path: Path, stage: str) -> None:
    """By a run of all, by the stage alone, though its reward model is not made yet, and by the
    doctor of all and of the stage."""
    reward, own, what, do, line = CONTRADICTIONS[stage]
    here = session(tmp_path, stage, reward, own)
    plan = here.plan()
    for ask in (
        lambda: run(here.workspace, plan.stages, machine=never),
        lambda: run_single(here.workspace, plan.stage(stage), plan.stages, machine=never),
        here.run,
        lambda: here.run_stage(stage, getattr(here.config, stage)),
        lambda: visit(here.workspace, here.config, plan, never),
        lambda: visit(here.workspace, here.config, plan, never, only=stage),
    ):
        with pytest.raises(ConfigError, match=what) as raised:
            ask()
        assert do in str(raised.value.do)
        assert "reward." in str(raised.value.got)
        assert str(raised.value.where) == f"{here.workspace.settings}{line}"
    assert not here.workspace.artifacts.exists()


@pytest.mark.parametrize("stage", CONTRADICTIONS)
def test_a_stage_that_is_not_to_be_made_stops_no_other(tmp_path: Path, stage: str) -> None:
    reward, own, *_ = CONTRADICTIONS[stage]
    here = session(tmp_path, stage, reward, own)
    stages = here.plan().stages
    before = order(stages, to="reward")
    assert stage not in {one.name for one in before}
    agree(before, settings_of(before))
    with pytest.raises(ConfigError):
        agree(stages, settings_of(stages))


@pytest.mark.parametrize("stage", AGREE)
def test_what_agrees_passes(tmp_path: Path, stage: str) -> None:
    here = session(tmp_path, stage, *AGREE[stage])
    stages = build(here.config, here.workspace)
    assert any(one.agrees is not None for one in stages if one.name == stage)
    agree(stages, settings_of(stages))


@pytest.mark.parametrize("heads", [1, 4])
def test_a_stage_alone_agrees_with_the_reward_model_that_is_there(
    tmp_path: Path, heads: int
) -> None:
    """One that was made by `accord reward --heads 4` knows doubt, whatever accord.toml says; and
    the other way round."""
    here = session(tmp_path, "grpo", f"heads = {5 - heads}", "[grpo.shaping]\npessimism = 1.0")
    made = Manifest(
        name="reward",
        kind="reward model",
        key="0123456789abcdef",
        code="any",
        seed=0,
        config={"own": {"model": "", "heads": heads, "doubt_pairs": 0}},
        inputs={},
        machine=MACHINE,
        files={},
    )
    folder = here.workspace.artifacts / f"reward-{made.key}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(made.to_json())
    with pytest.raises(AccordError) as raised:
        here.run_stage("grpo", here.config.grpo)
    if heads == 1:
        assert "tells its doubt" in raised.value.what
    else:  # nothing but what is not made yet
        assert "nothing has made it yet" in raised.value.what
