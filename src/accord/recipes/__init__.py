"""Functions that return a full configuration; the only place that knows model names and budgets.

Importing loads no torch. A workspace's `accord.toml` names one and overrides what it likes.
"""

from __future__ import annotations

from collections.abc import Callable

from accord.pipeline.config import PipelineConfig
from accord.recipes.films import films, films_all
from accord.recipes.smollm2 import smollm2
from accord.recipes.tiny import tiny

RECIPES: dict[str, Callable[[], PipelineConfig]] = {
    "films": films,
    "films-all": films_all,
    "smollm2": smollm2,
    "tiny": tiny,
}
