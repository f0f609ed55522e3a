"""Folders of the quickstart: which recipe may go on in which."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.cli.commands import Options
from accord.cli.quickstart import main, settle
from accord.core.errors import ConfigError
from accord.pipeline import starter
from accord.pipeline.settings import load, recipe_of
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES

FLAGS = {"tiny": ["--model", "tiny"], "films": [], "films-all": ["--all"]}


@pytest.mark.parametrize(
    ("there", "asked"),
    [("tiny", "films"), ("tiny", "films-all"), ("films", "tiny"), ("smollm2", "films")],
)
def test_another_recipes_folder_is_left_as_it_is(tmp_path: Path, there: str, asked: str) -> None:
    folder = tmp_path / "ws"
    Workspace.create(folder, there, RECIPES[there]())
    before = sorted((path, path.is_file() and path.read_bytes()) for path in folder.rglob("*"))
    with pytest.raises(ConfigError, match="another recipe") as refused:
        main([*FLAGS[asked], str(folder)], Options(command="quickstart", quiet=True))
    assert there in str(refused.value.got)
    assert refused.value.where == folder / "accord.toml"
    assert "name another folder" in str(refused.value.do)
    assert before == sorted(
        (path, path.is_file() and path.read_bytes()) for path in folder.rglob("*")
    )


def test_a_new_folder_names_the_recipe_that_was_asked_for(tmp_path: Path) -> None:
    settle(tmp_path / "ws", "films-all")
    settings = tmp_path / "ws" / "accord.toml"
    assert settings.read_text() == starter.settings("films-all", RECIPES["films-all"]())


@pytest.mark.parametrize("own", [False, True])
def test_films_grow_by_all_their_arms_and_shrink_again_aloud(
    tmp_path: Path, own: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    settle(tmp_path / "ws", "films")
    settings = tmp_path / "ws" / "accord.toml"
    if own:
        settings.write_text("recipe='films'\nseed = 7\n[eval]\nprompts = 20\n")
    assert capsys.readouterr().err == ""
    for before, after in (("films", "films-all"), ("films-all", "films")):
        settle(tmp_path / "ws", after)
        assert f"recipe {before} is now {after}" in capsys.readouterr().err
        assert recipe_of(settings, RECIPES) == after
        config = load(settings, RECIPES)
        assert ("dpo" in config.stages) is (after == "films-all")
        assert config.seed == (7 if own else 0)
        settle(tmp_path / "ws", after)
        assert capsys.readouterr().err == ""
    if not own:
        assert settings.read_text() == starter.settings("films", RECIPES["films"]())


def test_a_recipe_that_stands_in_no_line_of_its_own_is_not_guessed_at(tmp_path: Path) -> None:
    settle(tmp_path / "ws", "films")
    settings = tmp_path / "ws" / "accord.toml"
    settings.write_text('recipe = """films"""\n')
    with pytest.raises(ConfigError, match="cannot be replaced"):
        settle(tmp_path / "ws", "films-all")
    assert settings.read_text() == 'recipe = """films"""\n'


@pytest.mark.parametrize(("gib", "told"), [(3, True), (4.4, True), (4.6, False), (24, False)])
def test_too_little_memory_is_told_before_it_begins(
    gib: float, told: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = pytest.importorskip("accord.models.machine")
    from accord.cli.films import warn_of_memory

    monkeypatch.setattr(machine, "total_memory", lambda device: int(gib * 2**30))
    warn_of_memory(4.5, quiet=True)
    said = capsys.readouterr().err
    assert (f"there are {gib:.1f} GiB" in said) is told
    assert bool(said) is told
