"""Everything that can be loaded as settings is loaded."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from accord.core.hashing import canonical_json
from accord.pipeline.config import PipelineConfig
from accord.recipes import RECIPES
from tests.rules.source import name_of, tracked

TOML = [pytest.param(path, id=name_of(path)) for path in tracked() if path.suffix == ".toml"]


def test_there_are_recipes() -> None:
    assert "tiny" in RECIPES


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_is_a_full_config(name: str) -> None:
    config = RECIPES[name]()
    assert isinstance(config, PipelineConfig)
    assert canonical_json(config) == canonical_json(RECIPES[name]())


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_says_what_it_is_for(name: str) -> None:
    assert RECIPES[name].__doc__


@pytest.mark.parametrize("path", TOML)
def test_toml_loads(path: Path) -> None:
    assert tomllib.loads(path.read_text(encoding="utf-8"))
