"""Names of other libraries lead to something that there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from accord.cli.commands import BY_NAME
from accord.core.errors import ConfigError
from accord.pipeline.called import METHODS, SETTINGS, method, setting
from accord.pipeline.config import PipelineConfig
from accord.pipeline.settings import load
from accord.recipes import RECIPES
from tests.cli.small import ROOT


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_method_is_a_command_whose_flags_are_settings(name: str) -> None:
    command, page = METHODS[name]
    stage, *flags = command.split()
    assert stage in BY_NAME
    assert name not in BY_NAME
    own = getattr(PipelineConfig(), stage)
    for flag in flags:
        if flag.startswith("--"):
            assert hasattr(own, flag.removeprefix("--").removeprefix("no-").replace("-", "_"))
    assert (ROOT / "docs" / "algorithms" / f"{page}.md").is_file()
    with pytest.raises(ConfigError) as caught:
        PipelineConfig(stages=(name,))
    assert command in str(caught.value.do)


def test_methods_are_found_as_people_write_them() -> None:
    assert method("CPO") == method("cpo")
    assert method("dr-grpo") == method("dr_grpo")
    assert method("reinforce++") == method("reinforcepp")
    assert method("poetry") is None


def test_every_setting_is_one_of_some_stage() -> None:
    def keys(own: Any) -> set[str]:
        found = set(own.__dataclass_fields__)
        for name in tuple(found):
            if hasattr(getattr(own, name), "__dataclass_fields__"):
                found |= {f"{name}.{inner}" for inner in getattr(own, name).__dataclass_fields__}
        return found

    config = PipelineConfig()
    stages = ("sft", "ppo", "grpo", "dpo", "kto", "orpo", "simpo")
    known = {stage: keys(getattr(config, stage)) for stage in stages}
    for name, meant in SETTINGS.items():
        for one in meant:
            assert any(one in found for found in known.values()), (name, one)
    assert setting("beta", known["grpo"]) == "kl.coefficient"
    assert setting("beta", known["orpo"]) == "lam"
    assert setting("epsilon", known["grpo"]) == "clip"
    assert setting("epsilon", known["dpo"]) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("[dpo]\nloss_type = 'ipo'\n", "'loss'"),
        ("[grpo]\nbeta = 0.1\n", "'kl.coefficient'"),
        ("[grpo]\nnum_generations = 8\n", "'samples'"),
    ],
)
def test_a_key_of_another_library_is_told_ours(tmp_path: Path, text: str, meant: str) -> None:
    path = tmp_path / "accord.toml"
    path.write_text(f'recipe = "tiny"\n{text}')
    with pytest.raises(ConfigError, match="unknown key") as caught:
        load(path, RECIPES)
    assert re.search(re.escape(meant), str(caught.value.do))
