"""What soft labels of online DPO are made with, and whether the reward model was calibrated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import torch

from accord.algorithms.online_dpo import pair
from accord.algorithms.settings import OnlineDPOConfig
from accord.models.ragged import Ragged
from accord.models.role import Role, ScalarHead, Scale
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.stages.online_dpo import label_slope
from accord.pipeline.stages.roles import CALIBRATION_FILE
from tests.models.workshop import machine, rows, with_adapters
from tests.pipeline.doctor.clinic import Settings, artifact


def context(folder: Path, labels: Any, heard: list[str]) -> StageContext:
    """Of a stage whose reward model lies in `folder`."""
    own = OnlineDPOConfig(labels=labels, samples=3, pairs="all")
    config = Settings(own=own)
    stage = Stage(name="online_dpo", kind="policy", config=config, body=lambda _: iter(()))
    return StageContext(
        stage=stage,
        inputs={"reward": artifact("reward", folder)},
        output=folder,
        machine=machine(),
        on_notice=heard.append,
    )


def reward(folder: Path) -> Role:
    backbone = with_adapters(folder, "reward")
    head = ScalarHead(backbone.hidden_size, seed=1)
    return Role(backbone, ("reward",), head, Scale(shift=0.3, scale=1.7), temperature=2.5)


def test_soft_labels_are_the_calibrated_odds_of_raw_scores(
    tiny_folder: Path, tmp_path: Path
) -> None:
    heard: list[str] = []
    (tmp_path / CALIBRATION_FILE).write_text(json.dumps({"temperature": 2.5, "fitted": True}))
    here, model = context(tmp_path, "soft", heard), reward(tiny_folder)
    with torch.no_grad():
        batch = Ragged.of(rows(3, (7, 9, 6)))
        raw_B, score_B = model.raw_scores(batch), model.scores(batch)
    found = pair(here.config.own, score_B, label_slope(here, model))
    by_raw = torch.sigmoid((raw_B[found.first_N] - raw_B[found.second_N]) / 2.5)
    assert found.label_N.tolist() == pytest.approx(by_raw.tolist(), abs=1e-6)
    assert 0.5 < min(found.label_N.tolist()) < max(found.label_N.tolist()) < 1
    assert here.notes["label_slope"] == pytest.approx(1.7 / 2.5)
    assert not heard


@pytest.mark.parametrize("text", [None, json.dumps({"temperature": 1.0, "fitted": False})])
def test_a_reward_model_without_a_temperature_is_told(
    tiny_folder: Path, tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / CALIBRATION_FILE).write_text(text)
    model = reward(tiny_folder)
    for labels, times in (("hard", 0), ("soft", 1)):
        heard: list[str] = []
        label_slope(context(tmp_path, labels, heard), model)
        assert len(heard) == times
        assert all("no temperature fitted" in line for line in heard)
