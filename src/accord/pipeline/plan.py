"""Which stages a workspace's settings and data allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from accord.core.errors import ConfigError
from accord.pipeline.config import STAGES, PipelineConfig
from accord.pipeline.stage import Stage
from accord.pipeline.stages import build
from accord.pipeline.workspace import Workspace


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


def _root(name: str, error: ConfigError, waiting: Mapping[str, ConfigError]) -> ConfigError:
    """The lack behind a lack: a stage that needs another one waits for what that one waits for."""
    for other, cause in waiting.items():
        if error.do is not None and repr(other) in error.do:
            return ConfigError(f"stage {name} needs {other}: {cause.what}", do=cause.do)
    return error
