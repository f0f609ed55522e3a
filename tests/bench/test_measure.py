"""What the benchmark makes of its times, by hand; and one quick run of all of it."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from bench.measure import Lap, Result, Spread, Workload, alternate, step_seconds

ROOT = Path(__file__).resolve().parents[2]


def workload(seconds: dict[str, list[float]], heard: list[str], *, warm: bool = False) -> Workload:
    """Contestants that claim these seconds, lap by lap."""

    def runner(name: str) -> Lap:
        heard.append(name)
        return Lap(seconds={"step": seconds[name].pop(0)})

    return Workload(
        name="w",
        about="",
        runners={name: lambda name=name: runner(name) for name in seconds},  # type: ignore[misc]
        ours="a",
        peers=tuple(name for name in seconds if name.startswith("peer")),
        tokens={"step": 10},
        warm=warm,
    )


def test_contestants_take_turns_and_a_warm_lap_is_not_counted() -> None:
    heard: list[str] = []
    seconds = {"a": [9.0, 1.0, 2.0], "peer": [9.0, 3.0, 4.0]}
    result = alternate(workload(seconds, heard, warm=True), rounds=2, say=lambda line: None)
    assert heard == ["a", "peer"] * 3
    assert result.seconds("step", "a") == [1.0, 2.0]
    assert result.seconds("step", "peer") == [3.0, 4.0]


def run(seconds: dict[str, list[float]]) -> Result:
    rounds = len(seconds["a"])
    return alternate(workload(seconds, []), rounds=rounds, say=lambda line: None)


def test_the_ratio_is_round_by_round_against_the_faster_peer() -> None:
    result = run({"a": [1, 2, 4], "peer 1": [3, 4, 4], "peer 2": [9, 9, 1], "beside": [0.1] * 3})
    assert result.fastest_peer("step") == "peer 1"  # medians 4 and 9: one lucky lap counts little
    assert result.ratio("step") == Spread(median=2.0, low=1.0, high=3.0)


def test_without_a_peer_there_is_no_ratio() -> None:
    assert run({"a": [1.0]}).ratio("step") is None


def test_the_first_step_is_not_timed() -> None:
    assert step_seconds([0.0, 10.0, 11.0, 14.0]) == 2.0
    with pytest.raises(ValueError, match="1 steps are too few"):
        step_seconds([0.0, 10.0])


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["--lora", "--workloads", "sft", "dpo", "rm"]])
def test_a_quick_run_measures_everything(flags: list[str], tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "bench/run.py", "--quick", "--out", str(tmp_path / "b.json"), *flags],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "src", "OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        timeout=600,
    )
    body = json.loads((tmp_path / "b.json").read_text())
    assert [w["name"].split(",")[0] for w in body["workloads"]][-3:] == ["sft", "dpo", "rm"]
    for found in body["workloads"]:
        missing = found["left_out"] != []
        assert missing is (importlib.util.find_spec("trl") is None and "step" in found["tokens"])
        assert missing or set(found["ratios"]) == set(found["tokens"])
        losses = {name: laps[0]["losses"] for name, laps in found["laps"].items()}
        for other in losses.values():
            assert other == pytest.approx(losses["accord"], abs=0.05)
