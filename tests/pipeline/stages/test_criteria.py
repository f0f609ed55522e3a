"""A reward model of several criteria as a stage: what it learns, leaves out, says and refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from accord.algorithms.settings import AdapterSettings, OptimizerSettings, RewardConfig
from accord.core.errors import DataError
from accord.core.types import Comparison
from accord.models.head import CRITERIA_FILE
from accord.pipeline.artifact import Artifact
from accord.pipeline.figures import reward_calibration
from accord.pipeline.stages import reward
from tests.pipeline.stages.test_direct import base as base
from tests.pipeline.stages.test_direct import pair, run

CONFIG = RewardConfig(
    criteria=("wit", "safety"),
    criteria_weights=(1.0, -2.0),
    epochs=3.0,
    batch_prompts=8,
    scale_prompts=4,
    adapter=AdapterSettings(rank=2),
    optimizer=OptimizerSettings(learning_rate=1e-2),
)


def rows(count: int = 24) -> list[Comparison]:
    """Wit and safety say the contrary of each pair; beside them whole answers, and one more."""
    judged = [
        replace(pair(n), criterion=name, tiers=(0, 1) if name == "wit" else (1, 0))
        for n in range(count)
        for name in ("wit", "safety")
    ]
    return [*judged, *(replace(pair(n), criterion="tone") for n in range(3)), pair(99)]


def trained(folder: Path, base: Artifact, config: RewardConfig, **more: Any) -> Any:
    return run(folder, base, config, name="reward", body=reward.body, **more)


def test_each_criterion_is_learned_measured_and_told(tmp_path: Path, base: Artifact) -> None:
    context, found, told = trained(tmp_path, base, CONFIG, dev=0.3, preferences=rows())
    notes: dict[str, Any] = context.notes
    assert found[-1]["preference/dev_accuracy"] == 1.0
    wit, safety = notes["criteria"]
    assert (wit["name"], wit["weight"], safety["weight"]) == ("wit", 1.0, -2.0)
    assert wit["train_comparisons"] == safety["train_comparisons"] > 0
    # Both speak for the same answers here, as safety counts against.
    assert (wit["score_accuracy"], safety["score_accuracy"]) == (1.0, 0.0)
    alike = notes["criteria_correlation"]
    assert alike[0][1] == pytest.approx(alike[1][0])
    assert alike[0][1] < -0.9
    assert json.loads((context.output / CRITERIA_FILE).read_text()) == [
        {name: one[name] for name in ("name", "weight", "mean", "deviation")}
        for one in (wit, safety)
    ]
    by = {one["name"]: one["accuracy"] for one in notes["audit"]["by_criterion"]}
    assert by == {"wit": 1.0, "safety": 1.0}
    shown = reward_calibration(notes["audit"], bayes_bound=None, human_ceiling=None)
    assert shown is not None
    assert [one.name for one in shown.by_criterion] == ["safety", "wit"]
    # No comparison of whole answers is learned, so nothing says what the sum's leads are worth.
    assert (notes["calibration"]["fitted"], notes["calibration"]["pairs"]) == (False, 0)
    assert notes["other_criteria"].keys() == {"overall", "tone"}
    assert any("comparisons about overall (1), tone" in text for text in told)


def test_a_criterion_that_nobody_judged_is_refused_with_those_there_are(
    tmp_path: Path, base: Artifact
) -> None:
    config = replace(CONFIG, criteria=("wit", "taste"))
    with pytest.raises(DataError) as raised:
        trained(tmp_path / "a", base, config, preferences=rows(6))
    assert "no training comparison is about it" in raised.value.what
    assert raised.value.got == (
        "training comparisons about overall (1), safety (6), tone (3), wit (6)"
    )
    tied = [replace(row, label=0.5) if row.criterion == "wit" else row for row in rows(6)]
    with pytest.raises(DataError, match=r"'wit': all its pairs are ties"):
        trained(tmp_path / "b", base, CONFIG, preferences=tied)


def test_heads_that_say_the_same_are_told(tmp_path: Path, base: Artifact) -> None:
    """The whole answer may be a criterion; the temperature is of its pairs."""
    alike = [replace(pair(n), criterion=name) for n in range(24) for name in ("wit", "")]
    config = replace(CONFIG, criteria=("overall", "wit"), criteria_weights=())
    context, _, told = trained(tmp_path, base, config, dev=0.3, preferences=alike)
    notes: dict[str, Any] = context.notes
    assert "other_criteria" not in notes
    assert notes["criteria"][0]["score_accuracy"] == 1.0
    assert notes["calibration"]["pairs"] == notes["audit"]["pairs"] / 2 > 0
    assert any("overall and wit say the same" in text for text in told)
