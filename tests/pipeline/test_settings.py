"""accord.toml: overrides, and one clear message with file and line for every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.algorithms.settings import PPOConfig
from accord.core.errors import ConfigError
from accord.core.hashing import plain
from accord.pipeline import starter
from accord.pipeline.config import PipelineConfig
from accord.pipeline.settings import Source, line_of, load, override, structure
from accord.recipes import RECIPES


def read(folder: Path, text: str) -> PipelineConfig:
    path = folder / "accord.toml"
    path.write_text(text)
    return load(path, RECIPES)


def refused(folder: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    assert caught.value.exit_code == 2
    return caught.value


def test_file_only_overrides(tmp_path: Path) -> None:
    recipe = RECIPES["tiny"]()
    config = read(
        tmp_path,
        'recipe = "tiny"\nseed = 3\n[ppo]\nsteps = 7\nkl = { coefficient = 1 }\n'
        '[sft.optimizer]\nschedule = "linear"\n[eval]\nbest_of = [1, 2]\n',
    )
    assert (config.seed, config.ppo.steps, config.ppo.kl.coefficient) == (3, 7, 1.0)
    assert isinstance(config.ppo.kl.coefficient, float)
    assert config.sft.optimizer.schedule == "linear"
    assert config.sft.optimizer.learning_rate == recipe.sft.optimizer.learning_rate
    assert config.eval.best_of == (1, 2)
    assert config.ppo.batch_prompts == recipe.ppo.batch_prompts
    assert config.dpo == recipe.dpo


def test_recipe_alone_is_the_recipe(tmp_path: Path) -> None:
    for name, make in RECIPES.items():
        assert read(tmp_path, f'recipe = "{name}"\n') == make()


def test_none_is_a_word(tmp_path: Path) -> None:
    config = read(tmp_path, 'recipe = "tiny"\n[ppo]\nmissing_stop_score = "none"\nstop_kl = 1\n')
    assert config.ppo.missing_stop_score is None
    assert config.ppo.stop_kl == 1.0


@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_what_init_writes_shows_the_recipe(tmp_path: Path, recipe: str) -> None:
    """Taking the comment off any line changes nothing: the values are the recipe's own."""
    text = starter.settings(recipe, RECIPES[recipe]())
    assert read(tmp_path, text) == RECIPES[recipe]()
    opened = [
        line[2:] if line.startswith("# ") and ("=" in line or line[2] == "[") else line
        for line in text.splitlines()
    ]
    settings = [line for line in opened if not line.startswith("#")]
    assert len(settings) > 25
    assert read(tmp_path, "\n".join(settings)) == RECIPES[recipe]()
    assert read(tmp_path, starter.settings(recipe)) == RECIPES[recipe]()


MISTAKES = [
    ("[ppo]\nstpes = 3\n", 3, "ppo.stpes", "steps"),
    ("sead = 3\n", 2, "sead", "seed"),
    ("[ppo]\n\nkl = { coeficient = 3 }\n", 4, "ppo.kl.coeficient", "coefficient"),
    ("[ppo.kl]\ncoeficient = 3\n", 3, "ppo.kl.coeficient", "coefficient"),
    ("ppo.kl.coeficient = 3\n", 2, "ppo.kl.coeficient", "coefficient"),
    ("[pppo]\nsteps = 3\n", 2, "pppo", "ppo"),
    ("[ppo]\nkl_coefficient = 3\n", 3, "ppo.kl_coefficient", "kl.coefficient"),
    ("[ppo]\ncritic_start = 'zero'\n", 3, "ppo.critic_start", "critic.start"),
    (
        "[grpo]\noptimizer_learning_rate = 3\n",
        3,
        "grpo.optimizer_learning_rate",
        "optimizer.learning_rate",
    ),
]


@pytest.mark.parametrize(("text", "line", "key", "near"), MISTAKES)
def test_unknown_key_has_line_and_nearest(
    tmp_path: Path, text: str, line: int, key: str, near: str
) -> None:
    error = refused(tmp_path, 'recipe = "tiny"\n' + text)
    assert error.got == key
    assert error.where == f"{tmp_path / 'accord.toml'}:{line}"
    assert repr(near) in str(error.do)


def test_a_world_at_its_old_place_is_told_the_new_one(tmp_path: Path) -> None:
    for text in ("world = { documents = 60 }\n", "[world]\ndocuments = 60\n"):
        error = refused(tmp_path, 'recipe = "tiny"\n' + text)
        assert (error.got, error.where) == ("world", f"{tmp_path / 'accord.toml'}:2")
        assert "[data.world]" in str(error.do)
    for text in ("data.world = { documents = 60 }\n", "[data.world]\ndocuments = 60\n"):
        world = read(tmp_path, 'recipe = "tiny"\n' + text).data.world
        assert world is not None
        assert (world.documents, world.demonstrations) == (60, 1200)


TYPES = [
    ('[ppo]\nsteps = "3"\n', "ppo.steps must be a whole number", 3),
    ("[ppo]\nsteps = 3.0\n", "ppo.steps must be a whole number", 3),
    ("[ppo]\nsteps = true\n", "ppo.steps must be a whole number", 3),
    ('[ppo]\nclip = "wide"\n', "ppo.clip must be a number", 3),
    ("[ppo]\nwhiten_advantages = 1\n", "ppo.whiten_advantages must be true or false", 3),
    ("model = 3\n", "model must be a text", 2),
    ('stages = "ppo"\n', "stages must be a list", 2),
    ("[eval]\nbest_of = [1, '2']\n", "eval.best_of must be a whole number", 3),
    ('machine.precision = "fp8"\n', "machine.precision must be one of auto, float32, bfloat16", 2),
    ("[sft.optimizer]\nschedule = 'cosin'\n", "sft.optimizer.schedule must be one of", 3),
    ("ppo = 3\n", "ppo must be a table", 2),
    ("[ppo]\nsteps = 0\n", "steps must be at least 1", 3),
    ("[ppo.kl]\nhorizon = 5\ncoefficient = -1\n", "kl.coefficient must be at least 0", 4),
    ('stages = ["sft", "pp0"]\n', "stages names a stage that does not exist", 2),
    ('stages = ["sft", "sft"]\n', "stages names a stage twice", 2),
    ("[data.world]\ndocuments = 0\n", "data.world.documents must be at least 1", 3),
    ('[data]\nprompts = ["own"]\n', "imported sets are named, and the tiny world", 2),
]


@pytest.mark.parametrize(("text", "what", "line"), TYPES)
def test_wrong_value_has_line(tmp_path: Path, text: str, what: str, line: int) -> None:
    error = refused(tmp_path, 'recipe = "tiny"\n' + text)
    assert error.what.startswith(what)
    assert error.where == f"{tmp_path / 'accord.toml'}:{line}"
    assert error.got is not None
    assert error.do


def test_recipe_must_exist(tmp_path: Path) -> None:
    assert "smollm2, tiny" in str(refused(tmp_path, 'recipe = "tyni"\n'))
    assert "no recipe" in str(refused(tmp_path, "seed = 1\n"))


def test_not_toml_has_line(tmp_path: Path) -> None:
    assert refused(tmp_path, 'recipe = "tiny"\nseed = = 3\n').where == (
        f"{tmp_path / 'accord.toml'}:2"
    )


def test_unreadable_text(tmp_path: Path) -> None:
    (tmp_path / "accord.toml").write_bytes(b"recipe = '\xff\xfe'")
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load(tmp_path / "accord.toml", RECIPES)
    assert "UTF-8" in str(caught.value.do)


def test_json_of_settings_gives_them_back() -> None:
    source = Source(Path("accord.toml"), "")
    for make in RECIPES.values():
        config = make()
        assert structure(plain(config), PipelineConfig, source) == config


@given(steps=st.integers(1, 10_000), clip=st.floats(0.001, 10), whiten=st.booleans())
def test_override_changes_what_it_names_alone(steps: int, clip: float, whiten: bool) -> None:
    values = {"steps": steps, "clip": clip, "whiten_advantages": whiten}
    changed = override(PPOConfig(), values, Source(Path("x"), ""))
    assert {**plain(changed), **plain(PPOConfig()), **values} == plain(changed)  # type: ignore[dict-item]


def test_line_of_finds_tables_and_dotted_keys() -> None:
    text = 'a = 1\n[b]\nc.d = 2\n  [ b . e ]\n"f" = 3\n'
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("b",)) == 2
    assert line_of(text, ("b", "c", "d")) == 3
    assert line_of(text, ("b", "e")) == 4
    assert line_of(text, ("b", "e", "f")) == 5
    assert line_of(text, ("b", "f")) is None
