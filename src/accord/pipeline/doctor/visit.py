"""A whole workspace before the doctor: every stage that trains, and what its inputs are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from accord.core.errors import AccordError, WorkspaceError
from accord.core.fetching import cache_folder
from accord.core.machine import Machine
from accord.pipeline.config import ALIGNED, STAGES, PipelineConfig
from accord.pipeline.doctor import FAST, MODEL, Check, Patient, Result, examine
from accord.pipeline.doctor.forecast import forecast
from accord.pipeline.plan import Plan
from accord.pipeline.runner import agree, keys, run, settings_of
from accord.pipeline.single import newest_artifact, settings_read
from accord.pipeline.stage import Artifact, Stage, StageContext
from accord.pipeline.stages import EXAMINED
from accord.pipeline.stages.origin import model_folder
from accord.pipeline.workspace import Workspace
from accord.telemetry.sink import Sink

LOOKED = (*ALIGNED, "reward", "sft", "top")
"""Stages on whose model the checks of the model run: the first of which all weights are there."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What there is to look at."""

    patients: tuple[Patient, ...]
    """A patient for each stage that trains, in order."""
    waiting: Mapping[str, AccordError]
    """Stages that cannot be looked at, and what they lack."""

    def fast(self, told: Callable[[Result], None]) -> list[Result]:
        """The fast part of every stage."""
        return list(_told(_each(self.patients, FAST), told))

    def whole(self, told: Callable[[Result], None]) -> list[Result]:
        """The fast part, and the model of the stage that asks most of it."""
        found = self.fast(told)
        order = sorted(self.patients, key=lambda one: (_unborn(one), LOOKED.index(one.stage)))
        checks = (*MODEL, forecast(self.patients))
        return [*found, *_told(_each(order[:1], checks), told)]


def _unborn(patient: Patient) -> bool:
    """Whether the policy that the stage starts from is not made yet, or what it is asked."""
    return not {"base", "pretrain", "sft", "compare"}.isdisjoint(patient.lacking)


def _each(patients: Sequence[Patient], checks: Sequence[Check]) -> Iterator[Result]:
    for patient in patients:
        for check in checks:
            yield examine(check, patient)


def _told(results: Iterator[Result], told: Callable[[Result], None]) -> Iterator[Result]:
    for result in results:
        told(result)
        yield result


def visit(
    workspace: Workspace,
    config: PipelineConfig,
    plan: Plan,
    machine: Callable[[], Machine],
    *,
    only: str | None = None,
    most: int | None = None,
    sink: Sink | None = None,
) -> Visit:
    """The stages of `plan` that train, or `only` one of them.

    The base model is made where that needs no network; nothing else is made or fetched. Raises
    ConfigError where settings of two stages contradict each other, what `Plan.stage` raises where
    the stage that is asked for waits for something, WorkspaceError where it is none that trains.
    """
    if only is not None and only not in EXAMINED:
        raise WorkspaceError(
            "the doctor has nothing to look at before this stage",
            got=only,
            do=f"name one of {', '.join(EXAMINED)}",
        )
    names = (
        [only] if only is not None else [one.name for one in plan.stages if one.name in EXAMINED]
    )
    stages = [plan.stage(name) for name in names]
    if only is None:  # as `accord run` would read them
        agree(stages, settings_of(plan.stages))
    else:
        agree(stages, settings_read(workspace, stages[0], plan.stages))
    if stages:
        _bring_base(workspace, config, plan.stages, machine, sink)
    chosen = machine()
    patients = tuple(_patient(workspace, plan.stages, one, chosen, most) for one in stages)
    waiting = {name: error for name, error in plan.waiting.items() if name in EXAMINED}
    return Visit(patients, waiting if only is None else {})


def _bring_base(
    workspace: Workspace,
    config: PipelineConfig,
    stages: Sequence[Stage],
    machine: Callable[[], Machine],
    sink: Sink | None,
) -> None:
    """Make the base's artifact where there is none and nothing is to be fetched for it."""
    if "pretrain" in {one.name for one in stages} or not _at_hand(config.model, workspace):
        return
    if workspace.artifact("base", keys(workspace, stages)["base"]) is None:
        run(workspace, stages, machine=machine, to="base", sink=sink)


def _at_hand(model: str, workspace: Workspace) -> bool:
    """Whether the base can be made without asking any address on the network."""
    from accord.models.packages import SMOLLM2

    if model == "smollm2":
        return (cache_folder() / SMOLLM2.folder_name).is_dir()
    return model == "tiny" or model_folder(model, workspace.root) is not None


def _patient(
    workspace: Workspace,
    stages: Sequence[Stage],
    stage: Stage,
    machine: Machine,
    most: int | None,
) -> Patient:
    inputs: dict[str, Artifact] = {}
    lacking: dict[str, str] = {}
    for name in stage.inputs:
        kind, slash, plain_name = name.partition("/")
        if slash:
            inputs[name] = workspace.dataset(kind, plain_name)
            continue
        with suppress(WorkspaceError):
            inputs[name] = newest_artifact(workspace, name, stages)
        if name not in inputs:
            way = "fetches it" if name not in STAGES else "makes it"
            lacking[name] = f"`accord run --to {name}` {way}"
    context = StageContext(stage=stage, inputs=inputs, output=workspace.root, machine=machine)
    return Patient(context, stage.name, lacking=lacking, most=most)
