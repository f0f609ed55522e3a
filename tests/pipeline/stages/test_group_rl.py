"""What the stages without a critic say of their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from accord.algorithms.settings import GRPOConfig, Ratio, RLOOConfig
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.stages import StageConfig
from accord.pipeline.stages.group_rl import tell_of_clip
from tests.pipeline.toy import MACHINE


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (GRPOConfig(ratio=Ratio.SEQUENCE), True),
        (GRPOConfig(ratio=Ratio.SEQUENCE, clip=3e-4, clip_high=4e-4), False),
        (GRPOConfig(), False),
        (RLOOConfig(clip=0.2), False),
    ],
)
def test_a_clip_of_tokens_beside_a_ratio_of_answers_is_told(
    tmp_path: Path, own: Any, told: bool
) -> None:
    stage = Stage(name="grpo", kind="policy", config=StageConfig(own=own), body=lambda _: iter(()))
    said: list[str] = []
    context = StageContext(
        stage=stage, inputs={}, output=tmp_path, machine=MACHINE, on_notice=said.append
    )
    tell_of_clip(context)
    assert bool(said) is told
    assert all("clip_high = 4e-4" in text for text in said)
