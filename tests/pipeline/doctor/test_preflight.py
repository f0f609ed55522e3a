"""What runs before a stage: it tells one line, or stops the stage before it has begun."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from accord.core.protocols import Row
from accord.core.types import Conversation, Demonstration
from accord.pipeline.config import ALIGNED, STAGES
from accord.pipeline.doctor import FAST, MODEL, PreflightError, preflight
from accord.pipeline.doctor.forecast import forecast
from accord.pipeline.doctor.visit import LOOKED
from accord.pipeline.runner import run
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.stages import EXAMINED, build
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES
from accord.store.datasets import write_dataset
from accord.telemetry.sink import Silent
from tests.pipeline.doctor.clinic import Clinic, artifact, context
from tests.pipeline.toy import MACHINE, WalkConfig, walk
from tests.rules.source import ROOT


class Heard(Silent):
    """Remembers what happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, stage: str, *, steps: int | None, done: int) -> None:
        self.lines.append(f"started {stage}")

    def row(self, step: int, row: Row) -> None:
        self.lines.append("row")

    def notice(self, text: str) -> None:
        self.lines.append(text)


def told_by(texts: list[str], folder: Path, clinic: Clinic) -> StageContext:
    rows = [
        Demonstration(conversation=Conversation.of(f"ask {i}").answered(text))
        for i, text in enumerate(texts)
    ]
    write_dataset(folder / "set", rows, kind="demonstrations", source="test", dev=0.2)
    inputs = {
        "base": clinic.base,
        "demonstrations/a": artifact("demonstrations/a", folder / "set"),
    }
    return context("sft", inputs, folder, world=None)


def test_one_line_where_all_is_well(clinic: Clinic, tmp_path: Path) -> None:
    given = told_by([f"a fox {i}" for i in range(40)], tmp_path, clinic)
    line = preflight(given, "sft")
    assert line.startswith(f"doctor: {len(FAST) - 1} checks before sft passed, 1 not applicable (")
    assert "\n" not in line


def test_every_check_that_fails_is_named(clinic: Clinic, tmp_path: Path) -> None:
    given = told_by(["fox " * 200] * 30 + ["a fox<|end|>"] * 10, tmp_path, clinic)
    with pytest.raises(PreflightError) as caught:
        preflight(given, "sft")
    assert caught.value.exit_code == 2
    assert "rows fit: " in str(caught.value.got)
    assert "stop token not said: " in str(caught.value.got)
    assert "accord doctor" in str(caught.value.do)


def test_the_runner_looks_first(tmp_path: Path) -> None:
    """After the stage is announced and before its first row, at a second attempt too."""
    workspace = Workspace.create(tmp_path / "ws", "none")
    seen: list[StageContext] = []

    def look(given: StageContext) -> str:
        seen.append(given)
        given.note("not", "the body's")
        return "all is well"

    stage = Stage(name="walk", kind="walk", config=WalkConfig(steps=3), body=walk(), preflight=look)
    heard = Heard()
    (made,) = run(workspace, [stage], machine=lambda: MACHINE, sink=heard)
    assert heard.lines == ["started walk", "all is well", "row", "row", "row"]
    assert "not" not in made.artifact.manifest.figures
    run(workspace, [stage], machine=lambda: MACHINE, sink=heard)  # up to date: nothing to look at
    assert len(seen) == 1


def test_a_stage_whose_preflight_fails_never_begins(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws", "none")
    begun: list[bool] = []

    def body(given: StageContext) -> Iterator[Row]:
        begun.append(True)
        yield {"loss": 0.0}

    def look(given: StageContext) -> str:
        raise PreflightError("the doctor stops walk before it trains", do="look")

    stage = Stage(name="walk", kind="walk", config=WalkConfig(), body=body, preflight=look)
    with pytest.raises(PreflightError):
        run(workspace, [stage], machine=lambda: MACHINE)
    assert not begun
    assert list(workspace.artifacts.glob("walk-*")) == []


def test_every_stage_that_trains_is_looked_at(tmp_path: Path) -> None:
    config = RECIPES["tiny"]()
    config = replace(config, stages=tuple(n for n in STAGES if n not in ("top", "judge")))
    workspace = Workspace.create(tmp_path / "ws", "tiny")
    looked = {stage.name for stage in build(config, workspace) if stage.preflight is not None}
    assert looked == {"sft", "reward", *ALIGNED}
    assert set(LOOKED) == set(EXAMINED)


def test_every_check_is_on_its_page() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    checks = (*FAST, *MODEL, forecast([]))
    assert len({check.name for check in checks}) == len(checks) > 20
    assert [check.name for check in checks if f"\n| {check.name} | " not in page] == []
    assert all(check.proves.endswith(".") for check in checks)
