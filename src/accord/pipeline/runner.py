"""Makes the stages of a pipeline in order and skips what is up to date."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from accord.core.errors import InvariantError, WorkspaceError
from accord.core.hashing import plain
from accord.core.machine import Machine
from accord.pipeline.artifact import Artifact
from accord.pipeline.execution import Task, execute
from accord.pipeline.interrupts import Stop, listening
from accord.pipeline.lineage import code_identity, lineage_key, machine_told
from accord.pipeline.stage import Stage
from accord.pipeline.workspace import Workspace
from accord.telemetry.sink import Silent, Sink


class Made(StrEnum):
    """What a run did about a stage."""

    BUILT = "built"
    KEPT = "kept"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """One stage of a run: what was done, and the artifact it has now."""

    stage: str
    made: Made
    artifact: Artifact


def order(stages: Sequence[Stage], *, to: str | None = None) -> list[Stage]:
    """Stages after their inputs; with `to`, that stage and what it needs, nothing else.

    Raises WorkspaceError for an input or a `to` that no stage makes, InvariantError for a circle
    or a name given twice.
    """
    by_name = {stage.name: stage for stage in stages}
    if len(by_name) != len(stages):
        raise InvariantError("two stages of a pipeline share a name")
    if to is not None and to not in by_name:
        raise WorkspaceError(
            "this pipeline has no such stage",
            got=to,
            do=f"name one of {', '.join(by_name)}, or add it to `stages` in accord.toml",
        )
    done: dict[str, Stage] = {}
    for name in (to,) if to is not None else tuple(by_name):
        _visit(name, by_name, done, path=())
    return list(done.values())


def _visit(
    name: str, by_name: Mapping[str, Stage], done: dict[str, Stage], *, path: tuple[str, ...]
) -> None:
    if name in done:
        return
    if name in path:
        raise InvariantError("the inputs of stages run in a circle", got=" -> ".join((*path, name)))
    if name not in by_name:
        raise WorkspaceError(
            f"stage {path[-1]!r} needs {name!r}, which this pipeline does not make",
            do=f"add {name!r} to `stages` in accord.toml",
        )
    for needed in by_name[name].inputs:
        if "/" not in needed:
            _visit(needed, by_name, done, path=(*path, name))
    done[name] = by_name[name]


def keys(workspace: Workspace, stages: Sequence[Stage]) -> dict[str, str]:
    """The lineage key of each stage, in order, without making anything.

    Raises WorkspaceError where an imported set is missing.
    """
    code, found = code_identity(), dict[str, str]()
    for stage in order(stages):
        for name in stage.inputs:
            if "/" in name:
                kind, _, plain_name = name.partition("/")
                found[name] = workspace.dataset(kind, plain_name).key
        found[stage.name] = lineage_key(stage, found, code=code)
    return {stage.name: found[stage.name] for stage in order(stages)}


def agree(stages: Sequence[Stage], settings: Mapping[str, Any]) -> None:
    """Raise ConfigError where settings of one of `stages` contradict those of its inputs.

    `settings` has the inputs' as JSON values, by name.
    """
    for stage in stages:
        if stage.agrees is not None:
            stage.agrees({name: settings[name] for name in stage.inputs if name in settings})


def settings_of(stages: Sequence[Stage]) -> dict[str, Any]:
    """The settings of each stage as JSON values, by its name."""
    return {stage.name: plain(stage.config) for stage in stages}


def run(
    workspace: Workspace,
    stages: Sequence[Stage],
    *,
    machine: Callable[[], Machine],
    to: str | None = None,
    strict: bool = False,
    checkpoint_every: int = 25,
    sink: Sink | None = None,
    remember: Mapping[str, Any] | None = None,
) -> list[Outcome]:
    """Bring the artifacts of `stages` up to date, one run per workspace at a time.

    `machine` is asked once, at the start. Where an artifact differs from what is asked for in its
    machine alone it is kept and the sink told; `strict` rebuilds it. `remember` is what
    `Workspace.last_run` gives back, for `accord resume`. Raises ConfigError, before anything is
    made, where settings of two stages contradict each other, WorkspaceError where the workspace is
    locked, damaged, unwritable or full, and what the bodies raise; what was finished before stays.
    """
    told = sink or Silent()
    plan = order(stages, to=to)
    agree(plan, settings_of(plan))
    made: dict[str, Artifact] = {}
    outcomes: list[Outcome] = []
    command = "run" if to is None else f"run --to {to}"
    with workspace.lock(command, remember=remember), listening() as stop:
        builder = Builder(
            workspace=workspace,
            machine=machine(),
            strict=strict,
            checkpoint_every=checkpoint_every,
            sink=told,
            stop=stop,
        )
        for stage in plan:
            inputs = {name: find_input(workspace, name, made) for name in stage.inputs}
            outcome = builder.bring(stage, inputs)
            made[stage.name] = outcome.artifact
            outcomes.append(outcome)
    return outcomes


def find_input(workspace: Workspace, name: str, made: Mapping[str, Artifact]) -> Artifact:
    """A stage's artifact out of `made`, or an imported set where the name has a slash."""
    kind, slash, plain_name = name.partition("/")
    return workspace.dataset(kind, plain_name) if slash else made[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Builder:
    """What stays the same from stage to stage of one run."""

    workspace: Workspace
    machine: Machine
    strict: bool
    checkpoint_every: int
    sink: Sink
    stop: Stop

    def bring(self, stage: Stage, inputs: Mapping[str, Artifact]) -> Outcome:
        """Keep the stage's artifact where it is up to date, make it where it is not."""
        code = code_identity()
        key = lineage_key(stage, {n: a.key for n, a in inputs.items()}, code=code)
        found = self.workspace.artifact(stage.name, key)
        if found is not None and not self._outdated(found, inputs):
            shutil.rmtree(self.workspace.run_folder(stage.name, key), ignore_errors=True)
            return Outcome(stage=stage.name, made=Made.KEPT, artifact=found)
        task = Task(
            stage=stage,
            key=key,
            code=code,
            inputs=inputs,
            machine=self.machine,
            checkpoint_every=self.checkpoint_every,
            strict=self.strict,
        )
        artifact = execute(task, self.workspace, self.sink, self.stop)
        return Outcome(stage=stage.name, made=Made.BUILT, artifact=artifact)

    def _outdated(self, found: Artifact, inputs: Mapping[str, Artifact]) -> bool:
        manifest = found.manifest
        again = [n for n, a in inputs.items() if manifest.inputs[n].digest != a.digest]
        if again:
            self.sink.notice(f"{found.name} is made again: {', '.join(again)} came out different")
            return True
        told = machine_told(manifest.machine, self.machine)
        if told and not self.strict:
            self.sink.notice(f"{found.name} was {told} and is kept; --strict makes it again")
        return bool(told) and self.strict
