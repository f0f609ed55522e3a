"""Settings of one stage that contradict those of the reward model it reads. Loads no torch.

A stage that is refused for its settings must be refused before the reward model is trained, not
minutes later: whoever makes stages asks first (`runner.run`, `single.run_single`, the doctor).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from accord.algorithms.settings import CriticStart, DistilledConfig, PPOConfig, ShapingSettings
from accord.core.errors import ConfigError
from accord.pipeline.settings import Source
from accord.pipeline.stage import Agreement


def agreement(name: str, own: Any, file: Path) -> Agreement:
    """What refuses the settings `own` of stage `name`; `file` is where they are written."""
    return partial(_agree, name, own, file)


def _agree(name: str, own: Any, file: Path, inputs: Mapping[str, Any]) -> None:
    if "reward" not in inputs:
        return
    reward = inputs["reward"]["own"]
    if reward.get("model"):
        _agree_with_base(name, own, file, reward["model"])
    shaping = getattr(own, "shaping", None)
    if isinstance(shaping, ShapingSettings) and shaping.pessimism:
        _agree_with_doubt(name, shaping, file, reward)


def _agree_with_base(name: str, own: Any, file: Path, model: str) -> None:
    """Raise ConfigError where a reward model with a base of its own is read by its weights."""
    if isinstance(own, DistilledConfig):
        raise ConfigError(
            "distilled DPO reads a reward model on the policy's own tokens, and this one has a "
            "base of its own",
            got=f"stage {name} beside reward.model = {model!r}",
            where=_place(file, "reward", "model"),
            do='set reward.model = "", or learn from its scores by ppo or rejection in place of '
            f"{name}",
        )
    if isinstance(own, PPOConfig) and own.critic.start is not CriticStart.ZERO:
        raise ConfigError(
            "the critic cannot start as a reward model that stands on a base of its own",
            got=f"{name}.critic.start = {str(own.critic.start)!r} beside reward.model = {model!r}",
            where=_place(file, name, "critic", "start"),
            do=f'set {name}.critic.start = "zero", or reward.model = ""',
        )


def _agree_with_doubt(
    name: str, shaping: ShapingSettings, file: Path, reward: Mapping[str, Any]
) -> None:
    """Raise ConfigError where doubt is to be taken off scores of a reward model that knows none."""
    if reward.get("criteria"):
        raise ConfigError(
            "shaping.pessimism needs a reward model that tells its doubt; heads of criteria differ "
            "in what they are about, which is no doubt",
            got=f"{name}.shaping.pessimism = {shaping.pessimism:g} beside reward.criteria",
            where=_place(file, name, "shaping", "pessimism"),
            do=f"set {name}.shaping.pessimism = 0, or leave reward.criteria out",
        )
    heads, pairs = reward.get("heads", 1), reward.get("doubt_pairs", 0)
    if heads == 1 and pairs == 0:
        raise ConfigError(
            "shaping.pessimism needs a reward model that tells its doubt; this one does not",
            got=f"{name}.shaping.pessimism = {shaping.pessimism:g} beside reward.heads = 1 and "
            "reward.doubt_pairs = 0",
            where=_place(file, name, "shaping", "pessimism"),
            do="set reward.heads = 4 or reward.doubt_pairs = 2000, or "
            f"{name}.shaping.pessimism = 0",
        )


def _place(file: Path, *keys: str) -> str:
    """File and line of a setting, or of the innermost table around it that is written down."""
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return Source(file, text).place(keys)
