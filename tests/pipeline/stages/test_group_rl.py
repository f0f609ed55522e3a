"""What the stages without a critic say of their settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from accord.algorithms.settings import GRPOConfig, PPOConfig, Ratio, RLOOConfig
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.stages import StageConfig
from accord.pipeline.stages.online import tell_of_clip
from tests.pipeline.toy import MACHINE


@pytest.mark.parametrize(
    ("own", "told"),
    [
        (GRPOConfig(ratio=Ratio.SEQUENCE, epochs=2), "clip_high = 4e-4"),
        (GRPOConfig(ratio=Ratio.SEQUENCE, epochs=2, clip=3e-4, clip_high=4e-4), ""),
        (GRPOConfig(), ""),
        (GRPOConfig(epochs=2, clip_high=0.28), ""),
        (RLOOConfig(clip=0.2), ""),
        (GRPOConfig(clip_high=0.28, dual_clip=3.0), "clip_high and dual_clip: with epochs = 1"),
        (GRPOConfig(ratio=Ratio.DETACHED), "ratio: with epochs = 1"),
        (PPOConfig(dual_clip=3.0), "dual_clip: with epochs = 1"),
        (PPOConfig(dual_clip=3.0, minibatches=4), ""),
    ],
)
def test_a_clip_that_holds_nothing_is_told(tmp_path: Path, own: Any, told: str) -> None:
    stage = Stage(name="grpo", kind="policy", config=StageConfig(own=own), body=lambda _: iter(()))
    said: list[str] = []
    context = StageContext(
        stage=stage, inputs={}, output=tmp_path, machine=MACHINE, on_notice=said.append
    )
    tell_of_clip(context)
    assert bool(said) is bool(told)
    assert all(told in text for text in said)
