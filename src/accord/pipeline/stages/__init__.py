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
    DirectConfig,
    GRPOConfig,
    JudgeConfig,
    OnlineDPOConfig,
    PPOConfig,
    PretrainConfig,
    ReinforceConfig,
    RejectionConfig,
    RewardConfig,
    RLOOConfig,
    SFTConfig,
)
from accord.core.errors import ConfigError
from accord.core.protocols import Row
from accord.pipeline.config import (
    ALIGNED,
    DIRECT,
    REWARD_BASE,
    SCORED,
    CompareConfig,
    EvalConfig,
    PipelineConfig,
    WorldConfig,
)
from accord.pipeline.stage import Artifact, Body, Preflight, Stage, StageContext
from accord.pipeline.stages.agreeing import agreement
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
EXAMINED = ("sft", "top", "reward", *ALIGNED)
"""Stages that the doctor looks at first: all that train on rows or answers. Pretraining is none of
them; it reads documents without turns."""


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
        | GRPOConfig
        | RLOOConfig
        | ReinforceConfig
        | OnlineDPOConfig
        | RejectionConfig
        | DirectConfig
        | EvalConfig
    )
    """The stage's settings."""
    world: WorldConfig | None = None
    """The tiny world, where it is the source of data."""
    gold: str = "none"
    """The truth that is watched."""


def _lazily(file: str, /, **given: Any) -> Body:
    def body(context: StageContext) -> Iterator[Row]:
        module = import_module(f"accord.pipeline.stages.{file}")
        yield from module.body(context, **given)

    return body


BODIES: dict[str, Body] = {
    "top": _lazily("sft", made="top"),
    **{name: _lazily("group_rl", made=name) for name in ("grpo", "rloo", "reinforce")},
    **{name: _lazily("direct", name=name) for name in DIRECT},
}
"""Stages that share a module with others; any other stage's module has its own name."""


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
    stages = [_base("base", config.model, config.seed, workspace.root)]
    if "reward" in config.stages and config.reward.model:
        stages.append(_base(REWARD_BASE, config.reward.model, config.seed, workspace.root))
    for name in (name for name in KINDS if name in config.stages):
        inputs = _inputs(name, made, config, workspace)
        stages.append(
            Stage(
                name=name,
                kind=KINDS[name],
                config=_config(name, config),
                body=BODIES.get(name, _lazily(name)),
                inputs=inputs,
                seed=config.seed,
                preflight=_preflight(name) if name in EXAMINED else None,
                agrees=agreement(name, getattr(config, name), workspace.settings),
            )
        )
        made.append(name)
    return stages


def _base(name: str, model: str, seed: int, root: Path) -> Stage:
    folder = model_folder(model, root)
    own = BaseConfig(model=model)
    if folder is not None:
        own = BaseConfig(model=portable(folder, root), fingerprint=fingerprint(folder))
    return Stage(
        name=name,
        kind="model",
        config=StageConfig(own=own),
        body=_lazily("base", root=root),
        seed=seed if model == "tiny" else 0,
    )


def _config(name: str, config: PipelineConfig) -> StageConfig:
    watched = name in ("compare", *SCORED, "eval")
    return StageConfig(
        own=getattr(config, name),
        world=config.data.world,
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
            if config.data.world is None or config.gold != "grammar":
                raise ConfigError(
                    "the compare stage needs a known truth to simulate raters with",
                    got=f"gold = {config.gold!r}",
                    do="leave compare out of stages and import comparisons instead",
                )
            return start
        case "reward":
            shown = _data("demonstrations", config, workspace, needed=False)
            other = (REWARD_BASE,) if config.reward.model else ()
            return (*start, *other, *_preferences(name, made, config, workspace), *shown)
        case _ if name in DIRECT:
            return (*start, *_direct(name, made, config, workspace))
        case _ if name in SCORED:
            _require("reward", made, name)
            judge = _judge(made, name, config)
            asked = (*start, "reward", *judge, *_prompts(made, config, workspace))
            return tuple(dict.fromkeys((*asked, *_imitated(name, config, workspace))))
        case _:
            return (*start, *_evaluated(name, made, config, workspace))


def _evaluated(
    name: str, made: list[str], config: PipelineConfig, workspace: Workspace
) -> tuple[str, ...]:
    """What the evaluation compares, and all that was trained on: its prompts are not held out."""
    policies: list[str] = [stage for stage in ("top", *ALIGNED) if stage in made]
    reward = [stage for stage in ("reward",) if stage in made]
    policies += _judge(made, name, config)
    read = [("preferences", "preferences"), ("demonstrations", "demonstrations")]
    read += [("preferences", "dpo")] if config.data.dpo else []
    read += [("demonstrations", "top")] if config.data.top else []
    read += [("feedback", "feedback")] if "kto" in made else []
    trained = [
        name for kind, of in read for name in _data(kind, config, workspace, of=of, needed=False)
    ]
    asked = _prompts(made, config, workspace)
    return tuple(dict.fromkeys((*reward, *policies, *asked, *trained)))


def _top(config: PipelineConfig, workspace: Workspace) -> tuple[str, ...]:
    if not config.data.top:
        raise ConfigError(
            "stage top needs to know which demonstrations are the best",
            got="no data.top",
            do='name sets in accord.toml: [data] and top = ["best"]',
        )
    return _data("demonstrations", config, workspace, of="top")


def _imitated(name: str, config: PipelineConfig, workspace: Workspace) -> tuple[str, ...]:
    """The demonstrations that PPO-ptx imitates beside its answers."""
    if name != "ppo" or not config.ppo.ptx:
        return ()
    found = _data("demonstrations", config, workspace, needed=False)
    if not found and config.data.world is None:
        raise ConfigError(
            "ppo.ptx imitates demonstrations, and none were imported",
            got=f"ptx = {config.ppo.ptx:g}",
            where=workspace.root,
            do="accord import FILE, or set ppo.ptx = 0",
        )
    return found


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
    if config.data.world is not None:
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
    name: str,
    made: list[str],
    config: PipelineConfig,
    workspace: Workspace,
    *,
    of: str = "preferences",
) -> tuple[str, ...]:
    if "compare" in made:
        return ("compare",)
    if config.data.world is not None:
        _require("compare", made, name)
    own = of if getattr(config.data, of) else "preferences"
    return _data("preferences", config, workspace, of=own)


def _direct(
    name: str, made: list[str], config: PipelineConfig, workspace: Workspace
) -> tuple[str, ...]:
    """What a stage of direct alignment learns from."""
    if name == "kto":
        return _thumbs(name, made, config, workspace)
    pairs = _preferences(name, made, config, workspace, of="dpo")
    if name != "distilled":
        return pairs
    _require("reward", made, name)
    return ("reward", *pairs)


def _thumbs(
    name: str, made: list[str], config: PipelineConfig, workspace: Workspace
) -> tuple[str, ...]:
    """What KTO learns from: comparisons, thumbs, or both where both are there."""
    wanted = config.kto.learn_from
    if wanted == "feedback" and config.data.world is not None:
        raise ConfigError(
            "the tiny world has no thumbs: its raters compare",
            got='kto.learn_from = "feedback" beside a world',
            do='set kto.learn_from = "comparisons", or replace recipe = "tiny" by '
            'recipe = "smollm2"',
        )
    if wanted == "comparisons" or config.data.world is not None:
        return _preferences(name, made, config, workspace, of="dpo")
    thumbs = _data("feedback", config, workspace, needed=wanted == "feedback")
    if wanted == "feedback":
        return thumbs
    own = "dpo" if config.data.dpo else "preferences"
    pairs = _data("preferences", config, workspace, of=own, needed=not thumbs)
    return (*pairs, *thumbs)


def _prompts(made: list[str], config: PipelineConfig, workspace: Workspace) -> tuple[str, ...]:
    """Prompt sets; without any, the prompts of whatever else was imported."""
    if config.data.world is not None:
        return ()
    for kind in ("prompts", "preferences", "demonstrations", "feedback"):
        if found := _found(kind, getattr(config.data, kind), workspace):
            return tuple(artifact.name for artifact in found)
    raise ConfigError(
        "there are no prompts to answer", where=workspace.root, do="accord import FILE"
    )
