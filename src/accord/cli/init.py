"""`accord init DIR`: a new workspace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import tyro

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.core.errors import ConfigError
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES


@dataclass(frozen=True, kw_only=True, slots=True)
class Init:
    """Flags of `accord init`."""

    folder: Annotated[Path, tyro.conf.Positional]
    """The folder to make; it must be new or empty."""
    recipe: str = "smollm2"
    """Where the settings' values come from: smollm2 for your own data, tiny for the demonstration
    that brings its own."""


def main(words: Sequence[str], options: Options) -> int:
    """Write the folder and say what comes next."""
    asked = parse(Init, words, command="init", about="Make a workspace that explains itself.")
    if asked.recipe not in RECIPES:
        near = get_close_matches(asked.recipe, RECIPES, n=1)
        raise ConfigError(
            "there is no such recipe",
            got=asked.recipe,
            do=f"use one of {', '.join(RECIPES)}" + (f": {near[0]}?" if near else ""),
        )
    config = RECIPES[asked.recipe]()
    workspace = Workspace.create(asked.folder, asked.recipe, config)
    brings_data = config.data.world is not None
    follow = "accord run" if brings_data else "accord import FILE, then accord run"
    print(
        f"{workspace.root} is ready: accord.toml explains itself\nnext: cd {asked.folder}; {follow}"
    )
    return 0
