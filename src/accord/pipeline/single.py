"""One stage alone, with its settings overridden: `accord ppo --kl.coefficient 0.05`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accord.core.errors import WorkspaceError
from accord.core.machine import Machine
from accord.pipeline.artifact import Artifact
from accord.pipeline.config import STAGES
from accord.pipeline.interrupts import listening
from accord.pipeline.runner import Builder, Outcome, keys, order
from accord.pipeline.stage import Stage
from accord.pipeline.workspace import Workspace
from accord.telemetry.sink import Silent, Sink


def run_single(
    workspace: Workspace,
    stage: Stage,
    stages: Sequence[Stage],
    *,
    machine: Callable[[], Machine],
    strict: bool = False,
    checkpoint_every: int = 25,
    sink: Sink | None = None,
    remember: Mapping[str, Any] | None = None,
) -> Outcome:
    """Make `stage` from finished inputs; `stages` is the pipeline that it would belong to.

    Inputs that have no command of their own (the base model) are brought up to date first.
    Raises WorkspaceError for an input that nobody made yet: it names the command that makes it.
    """
    told = sink or Silent()
    with workspace.lock(stage.name, remember=remember), listening() as stop:
        builder = Builder(
            workspace=workspace,
            machine=machine(),
            strict=strict,
            checkpoint_every=checkpoint_every,
            sink=told,
            stop=stop,
        )
        for needed in order(stages):
            if needed.name in stage.inputs and needed.name not in STAGES:
                builder.bring(needed, available(workspace, needed, stages, sink=told))
        return builder.bring(stage, available(workspace, stage, stages, sink=told))


def available(
    workspace: Workspace, stage: Stage, stages: Sequence[Stage], *, sink: Sink
) -> Mapping[str, Artifact]:
    """The finished inputs of a stage: those of the settings, else the newest made by hand."""
    wanted = keys(workspace, stages)
    found: dict[str, Artifact] = {}
    for name in stage.inputs:
        kind, slash, plain_name = name.partition("/")
        if slash:
            found[name] = workspace.dataset(kind, plain_name)
            continue
        artifact = workspace.artifact(name, wanted.get(name, ""))
        found[name] = artifact or _newest(workspace, name, needed_by=stage.name, sink=sink)
    return found


def _newest(workspace: Workspace, name: str, *, needed_by: str, sink: Sink) -> Artifact:
    made = workspace.history(name)
    artifact = workspace.artifact(name, made[-1].key) if made else None
    if artifact is None:
        raise WorkspaceError(
            f"{needed_by} needs {name}, and nothing has made it yet",
            where=workspace.root,
            do=f"`accord {name}`, or `accord run --to {needed_by}` for all that is needed",
        )
    sink.notice(
        f"{name} was not made with the settings of today; the newest is used "
        f"({name}-{artifact.key}, {made[-1].ended})"
    )
    return artifact


def newest_artifact(workspace: Workspace, name: str, stages: Sequence[Stage]) -> Artifact:
    """The artifact of a stage that the settings ask for, else the newest one of it.

    Raises WorkspaceError where there is none.
    """
    artifact = workspace.artifact(name, keys(workspace, stages).get(name, ""))
    if artifact is not None:
        return artifact
    made = workspace.history(name)
    newest = workspace.artifact(name, made[-1].key) if made else None
    if newest is None:
        raise WorkspaceError(
            f"there is no {name} yet", where=workspace.root, do=f"`accord run --to {name}`"
        )
    return newest
