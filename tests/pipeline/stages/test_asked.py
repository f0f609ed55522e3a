"""Prompts of stages whose answers a reward model with a tokenizer of its own scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from accord.core.errors import DataError
from accord.models.tiny import make_tiny
from accord.pipeline.config import REWARD_BASE
from accord.pipeline.stage import StageContext
from accord.pipeline.stages.fitting import asked_prompts
from accord.pipeline.stages.roles import Roles
from accord.text.template import ChatTemplate
from accord.text.tokenizer import TextTokenizer
from tests.models.workshop import make_other
from tests.pipeline.doctor.clinic import artifact, context


def stage(folder: Path, tokens: int | None) -> StageContext:
    """PPO on the tiny world, whose reward model reads `tokens` of its own; None: the policy's."""
    make_tiny(folder / "base" / "model", seed=0)
    inputs = {"base": artifact("base", folder / "base")}
    if tokens is not None:
        other = folder / "other" / "model"
        make_other(other, seed=0)
        config = json.loads((other / "config.json").read_text())
        (other / "config.json").write_text(json.dumps(config | {"max_position_embeddings": tokens}))
        inputs[REWARD_BASE] = artifact(REWARD_BASE, folder / "other")
    output = folder / "output"
    output.mkdir()
    return context("ppo", inputs, output)


def test_those_it_cannot_read_are_left_out_counted_and_listed(tmp_path: Path) -> None:
    here = stage(tmp_path / "all", None)
    whole, _ = asked_prompts(here, Roles(here), held_out=False, answer_tokens=16)
    assert "left_out" not in here.notes

    make_other(tmp_path / "look", seed=0)
    template = ChatTemplate(TextTokenizer.load(tmp_path / "look"))
    lengths = [len(template.prompt_ids(prompt.conversation)) for prompt in whole]
    room = sorted(lengths)[len(lengths) // 2]
    unread = [row for row, length in enumerate(lengths) if length >= room]
    assert 0 < len(unread) < len(whole)

    here = stage(tmp_path / "some", room)
    prompts, ids = asked_prompts(here, Roles(here), held_out=False, answer_tokens=16)
    assert prompts == [prompt for row, prompt in enumerate(whole) if row not in unread]
    assert len(ids) == len(prompts) == here.notes["prompts"]
    assert here.notes["left_out"] == {"too long for the reward model": len(unread)}
    text = (here.output / "left_out.jsonl").read_text()
    listed = [json.loads(line) for line in text.splitlines()]
    assert [one["row"] for one in listed] == unread
    assert {one["why"] for one in listed} == {"too long for the reward model"}


def test_where_it_can_read_none_the_error_says_whose_limit_that_is(tmp_path: Path) -> None:
    here = stage(tmp_path, 3)
    with pytest.raises(DataError, match="no prompt can be answered") as raised:
        asked_prompts(here, Roles(here), held_out=False, answer_tokens=16)
    assert "of the reward model 2 and <|over|>" in str(raised.value.got)
    assert "reward.model" in str(raised.value.do)
