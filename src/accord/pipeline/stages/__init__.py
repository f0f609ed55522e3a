"""The stages of a pipeline as values: what each reads, and the body that makes it.

Importing loads no torch: bodies are imported when they run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

from accord.algorithms.settings import (
    DPOConfig,
    JudgeConfig,
    PPOConfig,
    PretrainConfig,
    RewardConfig,
    SFTConfig,
)
from accord.core.errors import ConfigError
from accord.core.protocols import Row
from accord.pipeline.config import (
    ALIGNED,
    DIRECT,
    ONLINE,
    CompareConfig,
    EvalConfig,
    PipelineConfig,
    WorldConfig,
)
from accord.pipeline.stage import Artifact, Body, Preflight, Stage, StageContext
from accord.pipeline.stages.origin import fingerprint, model_folder, portable
from accord.pipeline.workspace import Workspace

KINDS = {
    "base": "model",
    "pretrain": "model",
    "sft": "policy",
    "top": "policy",
    "compare": "preferences",
    "judge": "judge",
    "reward": "reward model",
    **dict.fromkeys(ALIGNED, "policy"),
    "eval": "evaluation",
}
TRAINED = ("sft", "top", "reward", *ALIGNED)
"""Stages that train on rows or answers: the doctor looks at those first. Pretraining is none, which
reads documents without turns."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseConfig:
    """Which weights everything starts from."""

    model: str
    """`tiny`, `smollm2`, a folder (from the workspace, where it lies in it) or a hub id."""
    fingerprint: str = ""
    """Of a folder: digest of its files, so that a change is seen and a copy is the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageConfig:
    """What shapes a stage beside its inputs: its own settings and what it needs of the rest."""

    own: (
        BaseConfig
        | PretrainConfig
        | SFTConfig
        | CompareConfig
        | JudgeConfig
        | RewardConfig
        | PPOConfig
        | DPOConfig
        | EvalConfig
    )
    """The stage's settings."""
    world: WorldConfig | None = None
    """The tiny world, where it is the source of data."""
    gold: str = "none"
    """The truth that is watched."""


def _lazily(name: str, **given: Any) -> Body:
    def body(context: StageContext) -> Iterator[Row]:
        module = import_module(f"accord.pipeline.stages.{name}")
        yield from module.body(context, **given)

    return body


def _preflight(name: str) -> Preflight:
    def look(context: StageContext) -> str:
        from accord.pipeline.doctor import preflight

        return preflight(context, name)

    return look


def build(config: PipelineConfig, workspace: Workspace) -> list[Stage]:
    """Every stage that `config.stages` names, in order, after the base they start from.

    Raises ConfigError where a stage lacks what it needs: the message names the command that makes
    it.
    """
    made = ["base"]
    stages = [_base(config, workspace.root)]
    for name in (name for name in KINDS if name in config.stages):
        inputs = _inputs(name, made, config, workspace)
        stages.append(
            Stage(
                name=name,
                kind=KINDS[name],
                config=_config(name, config),
                body=_lazily("sft", made="top") if name == "top" else _lazily(name),
                inputs=inputs,
                seed=config.seed,
                preflight=_preflight(name) if name in TRAINED else None,
            )
        )
        made.append(name)
    return stages


def _base(config: PipelineConfig, root: Path) -> Stage:
    folder = model_folder(config.model, root)
    own = BaseConfig(model=config.model)
    if folder is not None:
        own = BaseConfig(model=portable(folder, root), fingerprint=fingerprint(folder))
    return Stage(
        name="base",
        kind="model",
        config=StageConfig(own=own),
        body=_lazily("base", root=root),
        seed=config.seed if config.model == "tiny" else 0,
    )


def _config(name: str, config: PipelineConfig) -> StageConfig:
    watched = name in ("compare", *ONLINE, "eval")
    return StageConfig(
        own=getattr(config, name),
        world=config.world,
        gold=config.gold if watched else "none",
    )


def _inputs(
    name: str, made: list[str], config: PipelineConfig, workspace: Workspace
) -> tuple[str, ...]:
    base = "pretrain" if "pretrain" in made else "base"
    if name == "pretrain":
        return ("base",)
    start = tuple(stage for stage in (base, "sft") if stage in made)
    match name:
        case "sft":
            return (base, *_data("demonstrations", config, workspace))
        case "top":
            return (base, *_top(config, workspace))
        case "judge":
            return (base, *_data("ratings", config, workspace))
        case "compare":
            if config.world is None or config.gold != "grammar":
                raise ConfigError(
                    "the compare stage needs a known truth to simulate raters with",
                    got=f"gold = {config.gold!r}",
                    do="leave compare out of stages and import comparisons instead",
                )
            return start
        case "reward":
            shown = _data("demonstrations", config, workspace, needed=False)
            return (*start, *_preferences(made, config, workspace), *shown)
        case _ if name in DIRECT:
            return (*start, *_preferences(made, config, workspace, of="dpo"))
        case _ if name in ONLINE:
            _require("reward", made, name)
            judge = _judge(made, name, config)
            return (*start, "reward", *judge, *_prompts(made, config, workspace))
        case _:
            policies: list[str] = [stage for stage in ("top", *ALIGNED) if stage in made]
            reward = [stage for stage in ("reward",) if stage in made]
            policies += _judge(made, name, config)
            # Whatever was trained on is looked at: its prompts are not held out.
            read = [("preferences", "preferences"), ("demonstrations", "demonstrations")]
            read += [("preferences", "dpo")] if config.data.dpo else []
            read += [("demonstrations", "top")] if config.data.top else []
            trained = [
                name
                for kind, of in read
                for name in _data(kind, config, workspace, of=of, needed=False)
            ]
            asked = _prompts(made, config, workspace)
            return tuple(dict.fromkeys((*start, *reward, *policies, *asked, *trained)))


def _top(config: PipelineConfig, workspace: Workspace) -> tuple[str, ...]:
    if not config.data.top:
        raise ConfigError(
            "stage top needs to know which demonstrations are the best",
            got="no data.top",
            do='name sets in accord.toml: [data] and top = ["best"]',
        )
    return _data("demonstrations", config, workspace, of="top")


def _judge(made: list[str], name: str, config: PipelineConfig) -> tuple[str, ...]:
    """The judge, where it is what is watched."""
    if config.gold != "judge":
        return ()
    _require("judge", made, name)
    return ("judge",)


def _require(stage: str, made: list[str], name: str) -> None:
    if stage not in made:
        raise ConfigError(
            f"stage {name} needs stage {stage}",
            got=f"stages = {[*made[1:], name]}",
            do=f"add {stage!r} to stages in accord.toml",
        )


def _data(
    kind: str,
    config: PipelineConfig,
    workspace: Workspace,
    *,
    of: str | None = None,
    needed: bool = True,
) -> tuple[str, ...]:
    """Names of the imported sets of one kind; none where the tiny world gives the data.

    `of` is the setting that names them, where that is not the kind's own.
    """
    if config.world is not None:
        return ()
    found = _found(kind, getattr(config.data, of or kind), workspace)
    if not found and needed:
        ways = ["accord import FILE", "name a recipe that brings its own data"]
        if kind == "demonstrations":  # only this stage cannot do without them
            ways.insert(1, 'take "sft" out of `stages` in accord.toml')
        raise ConfigError(
            f"no {kind} were imported",
            got=f"no set of {kind} in data/",
            where=workspace.root,
            do=", or ".join(ways),
        )
    return tuple(artifact.name for artifact in found)


def _found(kind: str, named: tuple[str, ...], workspace: Workspace) -> list[Artifact]:
    """The sets of these names, or of names of these forms; of no names, all there are."""
    there = workspace.datasets(kind)
    if not named:
        return list(there)
    found: list[Artifact] = []
    for name in named:
        if any(mark in name for mark in "*?["):
            found += [a for a in there if fnmatchcase(a.name.partition("/")[2], name)]
        else:
            found.append(workspace.dataset(kind, name))
    return found


def _preferences(
    made: list[str], config: PipelineConfig, workspace: Workspace, *, of: str = "preferences"
) -> tuple[str, ...]:
    if "compare" in made:
        return ("compare",)
    own = of if getattr(config.data, of) else "preferences"
    return _data("preferences", config, workspace, of=own)


def _prompts(made: list[str], config: PipelineConfig, workspace: Workspace) -> tuple[str, ...]:
    """Prompt sets; without any, the prompts of whatever else was imported."""
    if config.world is not None:
        return ()
    for kind in ("prompts", "preferences", "demonstrations"):
        if found := _found(kind, getattr(config.data, kind), workspace):
            return tuple(artifact.name for artifact in found)
    raise ConfigError(
        "there are no prompts to answer", where=workspace.root, do="accord import FILE"
    )
