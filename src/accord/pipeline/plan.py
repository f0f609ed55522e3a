"""Which stages a workspace's settings and data allow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from accord.core.errors import ConfigError
from accord.pipeline.config import DIRECT, SCORED, STAGES, PipelineConfig
from accord.pipeline.stage import Stage
from accord.pipeline.stages import build
from accord.pipeline.workspace import Workspace

READ = {
    "demonstrations": ("demonstrations", ("sft", "reward")),
    "top": ("demonstrations", ("top",)),
    "preferences": ("preferences", ("reward", *DIRECT)),
    "feedback": ("feedback", ("kto",)),
    "dpo": ("preferences", DIRECT),
    "prompts": ("prompts", (*SCORED, "eval")),
    "ratings": ("ratings", ("judge",)),
}
"""Kind of the sets that each setting of `data` names, and the stages that read them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The stages that can be made, and what the others wait for."""

    stages: tuple[Stage, ...]
    waiting: Mapping[str, ConfigError]
    """What a stage lacks (imported data, another stage), by its name."""

    def stage(self, name: str) -> Stage:
        """One stage by name. Raises ConfigError with what it lacks."""
        if name in self.waiting:
            raise self.waiting[name]
        return next(stage for stage in self.stages if stage.name == name)


def possible(config: PipelineConfig, workspace: Workspace, *, extra: str = "") -> Plan:
    """The stages of the settings, and `extra`, as far as their data are there.

    Raises WorkspaceError where the settings name an imported set that does not exist.
    """
    names = [name for name in STAGES if name in config.stages or name == extra]
    kept: list[str] = []
    waiting: dict[str, ConfigError] = {}
    for name in names:
        try:
            build(replace(config, stages=(*kept, name)), workspace)
        except ConfigError as error:
            waiting[name] = _root(name, error, waiting)
        else:
            kept.append(name)
    stages = build(replace(config, stages=tuple(kept)), workspace)
    return Plan(stages=tuple(stages), waiting=waiting)


def unmatched(
    config: PipelineConfig, workspace: Workspace, stages: Collection[str]
) -> list[tuple[str, str]]:
    """Settings of `data` that `stages` read, with each form of names that no imported set has."""
    if config.data.world is not None:
        return []
    found: list[tuple[str, str]] = []
    for setting, (kind, readers) in READ.items():
        own = [
            one
            for one in readers
            if one not in DIRECT or setting in ("dpo", "feedback") or not config.data.dpo
        ]
        if not set(own) & set(stages):
            continue
        there = [one.name.partition("/")[2] for one in workspace.datasets(kind)]
        found += [
            (setting, form)
            for form in getattr(config.data, setting)
            if any(mark in form for mark in "*?[")
            and not any(fnmatchcase(name, form) for name in there)
        ]
    return found


def _root(name: str, error: ConfigError, waiting: Mapping[str, ConfigError]) -> ConfigError:
    """The lack behind a lack: a stage that needs another one waits for what that one waits for."""
    for other, cause in waiting.items():
        if error.do is not None and repr(other) in error.do:
            return ConfigError(f"stage {name} needs {other}: {cause.what}", do=cause.do)
    return error
