"""The bench of learning: its arms are settings that there are, each a method of its own."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from accord.algorithms.settings import OnlineDPOConfig, PairLoss
from accord.pipeline.config import PipelineConfig
from accord.pipeline.settings import Source, override
from accord.recipes import RECIPES
from bench.grammar import BATCH, STEPS, Run
from bench.learning import RUNS, THEN


def config_of(run: Run) -> PipelineConfig:
    values: dict[str, Any] = tomllib.loads(run.settings)
    source = Source(Path("bench"), run.settings)
    return override(RECIPES["tiny"](), {**values, "stages": list(run.stages)}, source)


def test_arms_have_names_of_their_own_and_settings_that_there_are() -> None:
    for runs in (RUNS, THEN):
        names = [name for run in runs for name in run.arms.values()]
        assert len(names) == len(set(names))
        for run in runs:
            assert set(run.arms) <= {*config_of(run).stages, "sft"}


def test_every_relative_of_dpo_is_an_arm_at_one_budget() -> None:
    found = [config_of(run).dpo for run in THEN if "dpo" in run.arms]
    assert {config.loss for config in found} == set(PairLoss)
    assert len({str(config) for config in found}) == len(found)
    assert {(config.beta, config.batch_prompts, config.epochs) for config in found} == {(0.3, 4, 1)}
    usual = [config_of(run).dpo for run in RUNS if run.arms.get("dpo") == "DPO"]
    assert found[:1] == usual


def test_further_methods_that_sample_ask_for_as_many_answers_as_the_others() -> None:
    found = [getattr(config_of(run), stage) for run in THEN for stage in run.arms if stage != "dpo"]
    assert len({str(config) for config in found}) == len(found) == 7
    for config in found:  # with a budget of its own it is asked once more at the end
        steps = config.steps + isinstance(config, OnlineDPOConfig)
        assert steps * config.batch_prompts * config.samples == STEPS * BATCH
