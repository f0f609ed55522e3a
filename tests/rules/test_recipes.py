"""Everything that can be loaded as settings is loaded."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from accord.core.hashing import canonical_json
from accord.pipeline import starter
from accord.pipeline.config import PipelineConfig
from accord.pipeline.settings import load
from accord.recipes import RECIPES
from tests.rules.source import name_of, tracked

TOML = [pytest.param(path, id=name_of(path)) for path in tracked() if path.suffix == ".toml"]

BLOCK = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHOWN = [
    pytest.param(name_of(path), text, id=f"{path.stem}-{number}")
    for path in tracked()
    if path.suffix == ".md" and path.parent.name == "algorithms"
    for number, text in enumerate(BLOCK.findall(path.read_text(encoding="utf-8")))
]
"""Blocks of `accord.toml` in the manual."""


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


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_new_workspace_has_the_settings_of_its_recipe(name: str, tmp_path: Path) -> None:
    path = tmp_path / "accord.toml"
    path.write_text(starter.settings(name, RECIPES[name]()), encoding="utf-8")
    assert load(path, RECIPES) == RECIPES[name]()


def test_every_key_that_a_new_workspace_shows_exists(tmp_path: Path) -> None:
    text = starter.settings("tiny", RECIPES["tiny"]())
    shown = re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE)
    assert len(tomllib.loads(shown)) > 8
    path = tmp_path / "accord.toml"
    path.write_text(shown, encoding="utf-8")
    assert isinstance(load(path, RECIPES), PipelineConfig)


@pytest.mark.parametrize(("page", "text"), SHOWN)
def test_settings_that_a_page_of_an_algorithm_shows_load(
    page: str, text: str, tmp_path: Path
) -> None:
    path = tmp_path / "accord.toml"
    path.write_text(f'recipe = "tiny"\n{text}', encoding="utf-8")
    assert load(path, RECIPES) != RECIPES["tiny"](), page


@pytest.mark.parametrize("path", TOML)
def test_toml_loads(path: Path) -> None:
    assert tomllib.loads(path.read_text(encoding="utf-8"))
    if path.name == "accord.toml":
        assert isinstance(load(path, RECIPES), PipelineConfig)
