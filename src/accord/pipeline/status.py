"""Where a pipeline stands, without running anything and without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from accord.core.errors import WorkspaceError
from accord.pipeline.artifact import METRICS, Manifest
from accord.pipeline.checkpoints import Checkpoints
from accord.pipeline.config import STAGES
from accord.pipeline.execution import RECORD, RunRecord, read_record
from accord.pipeline.lineage import changes, code_identity
from accord.pipeline.runner import keys, order
from accord.pipeline.stage import Stage
from accord.pipeline.workspace import Workspace
from accord.telemetry.rows import read


class State(StrEnum):
    """Where one stage stands."""

    DONE = "done"
    """Its artifact is the one the settings ask for."""
    RUNNING = "running"
    """A process is making it now."""
    PARTIAL = "partial"
    """Begun and stopped; `accord resume` goes on."""
    STALE = "stale"
    """An artifact exists, but of other settings, code or inputs."""
    READY = "ready"
    """Nothing is there, and all inputs are."""
    WAITING = "waiting"
    """An input is not there yet."""
    DAMAGED = "damaged"
    """What is there cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageStatus:
    """One line of `accord status`."""

    name: str
    key: str
    state: State
    why: str = ""
    steps: int | None = None
    seconds: float | None = None
    last_row: Mapping[str, float] = field(default_factory=dict)
    """The last metric row, where there is one; of a stopped run the one at its saved step."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What the finished stage noted."""


def status(workspace: Workspace, stages: Sequence[Stage]) -> list[StageStatus]:
    """Every stage in order. Raises WorkspaceError where an imported set is gone or damaged."""
    wanted = keys(workspace, stages)
    reports: dict[str, StageStatus] = {}
    for stage in order(stages):
        try:
            reports[stage.name] = _one(workspace, stage, wanted, reports)
        except WorkspaceError as error:
            reports[stage.name] = _damaged(stage.name, wanted[stage.name], error)
    return list(reports.values())


def beside(workspace: Workspace, stages: Sequence[Stage]) -> list[StageStatus]:
    """What lies there that the settings do not ask for: runs that stopped with other settings, and
    the newest artifact of each stage that `stages` does not name."""
    wanted = keys(workspace, stages)
    found: list[StageStatus] = []
    for folder in sorted(workspace.runs.glob("*-*")):
        record = read_record(folder)
        if record is not None and wanted.get(record.name) != record.key:
            one = _begun(workspace, record, folder)
            found.append(replace(one, why=f"{one.why}; other settings than accord.toml's"))
    for name in STAGES:
        if name in wanted:
            continue
        try:
            made = workspace.history(name)
        except WorkspaceError as error:
            found.append(_damaged(name, "", error))
            continue
        if made:
            one = _done(made[-1], read(workspace.artifact_folder(name, made[-1].key) / METRICS))
            more = f"; the newest of {len(made)}" if len(made) > 1 else ""
            why = f"not in `stages`: eval and report leave it out{more}"
            found.append(replace(one, why=why))
    return found


def _one(
    workspace: Workspace,
    stage: Stage,
    wanted: Mapping[str, str],
    before: Mapping[str, StageStatus],
) -> StageStatus:
    key = wanted[stage.name]
    artifact = workspace.artifact(stage.name, key)
    if artifact is not None:
        return _done(artifact.manifest, read(artifact.folder / METRICS))
    folder = workspace.run_folder(stage.name, key)
    record = read_record(folder)
    if record is not None:
        return _begun(workspace, record, folder)
    missing = [n for n in stage.inputs if n in before and before[n].state is not State.DONE]
    made = workspace.history(stage.name)
    if made:
        inputs = {n: wanted.get(n) or workspace.dataset(*n.split("/", 1)).key for n in stage.inputs}
        reasons = changes(made[-1], stage, inputs, code=code_identity())
        return StageStatus(
            name=stage.name, key=key, state=State.STALE, why=_short(reasons), steps=made[-1].steps
        )
    state = State.WAITING if missing else State.READY
    why = f"waits for {', '.join(missing)}" if missing else "`accord run` makes it"
    return StageStatus(name=stage.name, key=key, state=state, why=why)


def _begun(workspace: Workspace, record: RunRecord, folder: Path) -> StageStatus:
    """A run that is under way, or stopped: its figures are those of the step that is told."""
    rows = read(folder / METRICS)
    saved = Checkpoints(folder / "checkpoints").latest()
    at = saved[1].rows if saved else 0
    of = f" of {record.steps}" if record.steps else ""
    maker = workspace.holder()
    running = maker is not None and (folder / RECORD).stat().st_mtime >= maker.since
    if running:
        steps = int(rows[-1]["step"]) if rows else 0
    else:
        steps = at
        rows = [row for row in rows if row["step"] <= at]
    return StageStatus(
        name=record.name,
        key=record.key,
        state=State.RUNNING if running else State.PARTIAL,
        why=f"process {maker.pid}; step {steps}{of}, saved at {at}"
        if maker is not None and running
        else f"saved at step {at}{of}; `accord resume` goes on",
        steps=steps,
        seconds=saved[1].seconds if saved and not running else None,
        last_row=rows[-1] if rows else {},
    )


def _damaged(name: str, key: str, error: WorkspaceError) -> StageStatus:
    place = [str(part) for part in (error.got, error.where) if part is not None]
    told = f"{error.what} ({', '.join(place)})" if place else error.what
    why = f"{told}: {error.do}" if error.do else told
    return StageStatus(name=name, key=key, state=State.DAMAGED, why=why)


def _done(manifest: Manifest, rows: Sequence[Mapping[str, float]]) -> StageStatus:
    return StageStatus(
        name=manifest.name,
        key=manifest.key,
        state=State.DONE,
        steps=manifest.steps,
        seconds=manifest.seconds,
        last_row=rows[-1] if rows else {},
        figures=manifest.figures,
    )


def _short(reasons: Sequence[str], most: int = 3) -> str:
    rest = len(reasons) - most
    return "; ".join([*reasons[:most], *([f"and {rest} more"] if rest > 0 else [])])
