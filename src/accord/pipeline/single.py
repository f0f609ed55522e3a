"""One stage alone, with its settings overridden: `accord ppo --kl.coefficient 0.05`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from accord.core.errors import WorkspaceError
from accord.core.machine import Machine
from accord.pipeline.artifact import Artifact, Manifest
from accord.pipeline.config import STAGES
from accord.pipeline.interrupts import listening
from accord.pipeline.runner import Builder, Outcome, agree, keys, order, settings_of
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
    Raises ConfigError where its settings contradict those of an input, made or to be made, and
    WorkspaceError for an input that nobody made yet: it names the command that makes it.
    """
    told = sink or Silent()
    agree([stage], settings_read(workspace, stage, stages))
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
        artifact = _settled(workspace, name, wanted.get(name, ""), sink=sink)
        if artifact is None:
            raise WorkspaceError(
                f"{stage.name} needs {name}, and nothing has made it yet",
                where=workspace.root,
                do=f"`accord {name}`, or `accord run --to {stage.name}` for all that is needed",
            )
        found[name] = artifact
    return found


def settings_read(workspace: Workspace, stage: Stage, stages: Sequence[Stage]) -> Mapping[str, Any]:
    """The settings of the inputs that `stage` alone would read, as JSON values by name: those that
    an input was made with, and of one that nobody made yet those of `stages`."""
    wanted, planned = keys(workspace, stages), settings_of(stages)
    found: dict[str, Any] = {}
    for name in stage.inputs:
        artifact = None
        if "/" not in name:
            artifact = _settled(workspace, name, wanted.get(name, ""), sink=Silent())
        if artifact is not None:
            found[name] = artifact.manifest.config
        elif name in planned:
            found[name] = planned[name]
    return found


def newest_artifact(workspace: Workspace, name: str, stages: Sequence[Stage]) -> Artifact:
    """The artifact of a stage that the settings ask for, else the newest one of it.

    Raises WorkspaceError where there is none.
    """
    wanted = keys(workspace, stages).get(name, "")
    artifact = _settled(workspace, name, wanted, sink=Silent())
    if artifact is None:
        raise WorkspaceError(
            f"there is no {name} yet", where=workspace.root, do=f"`accord run --to {name}`"
        )
    return artifact


def later_than(workspace: Workspace, shown: Manifest) -> Manifest | None:
    """What the stage of `shown` finished after it, the newest of several; None for nothing."""
    newest = workspace.newest(shown.name)
    made = newest.manifest if newest is not None else shown
    return made if made.ended > shown.ended else None


def _settled(workspace: Workspace, name: str, wanted: str, *, sink: Sink) -> Artifact | None:
    """The artifact of key `wanted`, else the newest of the stage; the sink hears of a choice."""
    artifact = workspace.artifact(name, wanted)
    if artifact is None:
        artifact = workspace.newest(name)
        if artifact is not None:
            sink.notice(
                f"{name} was not made with the settings of today; the newest is used "
                f"({name}-{artifact.key}, {artifact.manifest.ended})"
            )
    elif name in STAGES and (later := later_than(workspace, artifact.manifest)) is not None:
        sink.notice(
            f"{name}-{artifact.key} of accord.toml is used, not {name}-{later.key}, which was made "
            "later with other settings: to use that one, put its settings into accord.toml and "
            "run again"
        )
    return artifact
