"""`accord quickstart` as a new user meets it, and what the recipe is worth over five seeds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from accord.stats import intervals
from tests.cli.small import accord, environment
from tests.e2e.small import artifact, make, manifest

pytest.importorskip("torch")
SEEDS = range(5)
HOURS = 3600
MEASURES = ("score", "gold")
"""The proxy that PPO is trained on, and the truth that nothing but the raters ever saw."""


def unbound(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command line with as many threads as it would take for itself: nothing runs beside it."""
    free = {name: value for name, value in environment().items() if name != "OMP_NUM_THREADS"}
    return subprocess.run(
        [sys.executable, "-m", "accord.cli", *words],
        cwd=cwd,
        env=free,
        capture_output=True,
        check=False,
        text=True,
        timeout=HOURS,
    )


def changes(folder: Path, policy: str) -> dict[str, dict[str, float]]:
    """What a policy changed against SFT on the held-out prompts, with paired intervals."""
    text = (artifact(folder, "eval") / "evaluation.json").read_text()
    found: dict[str, dict[str, float]] = json.loads(text)["changes"][policy]
    return found


def audit(folder: Path) -> Mapping[str, Any]:
    """The reward model's figures on held-out comparisons."""
    found: Mapping[str, Any] = manifest(folder, "reward").figures["audit"]
    return found


def bayes_bound(folder: Path) -> float:
    """Accuracy of someone who knows the truth, against raters as noisy as these."""
    return float(manifest(folder, "compare").figures["bayes_bound"])


def shown(values: Sequence[Mapping[str, float]]) -> str:
    return "  ".join(
        f"{one['value']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]" for one in values
    )


@pytest.mark.slow
def test_quickstart_as_a_new_user(tmp_path: Path) -> None:
    """From an empty folder to figures, a report, and a policy that its reward model prefers.

    With one thread, for other tests run beside it; the study below takes as many as a user has.
    """
    done = accord("quickstart", "--model", "tiny", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["accord-quickstart"]
    folder = tmp_path / "accord-quickstart"
    assert "reward model: held-out accuracy" in done.stdout
    assert "best possible" in done.stdout
    interval = r"[+-]\d\.\d\d \[[+-]\d\.\d\d, [+-]\d\.\d\d\]"
    for policy in ("Best of 4", "PPO", "DPO"):
        figures = rf"{interval} +{interval} +(<= )?\d+\.\d\d +\d+\.\d +\d+% +\d\.\d\d"
        assert re.search(rf"^{policy} +{figures}$", done.stdout, re.MULTILINE)
    assert f"report: {folder / 'report.html'}" in done.stdout
    (invited,) = re.findall(r"accord rate (\S+) --workspace accord-quickstart", done.stdout)
    numbers = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert numbers["invitation"] == f"accord rate {invited}"
    assert numbers["truth"]["short"] == "gold"
    assert numbers["evaluation"]["changes"]["ppo"]["gold"] == changes(folder, "ppo")["gold"]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    for heading in ("Arms: what else would have done it?", "Known truth (gold)", "Drawn by seed"):
        assert heading in page
    assert "Can the judge be believed?" not in page
    assert f"accord rate {invited}" in page
    assert not re.search(r"(src|href)=.https?:", page)
    for measure in MEASURES:
        found = changes(folder, "ppo")[measure]
        assert found["low"] > 0, f"{measure}: {found}"
    lowest, highest = audit(folder)["interval"]
    assert 0.5 < lowest <= bayes_bound(folder)
    assert highest <= 1
    again = accord("quickstart", "--model", "tiny", "--quiet", "accord-quickstart", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert [line for line in again.stdout.splitlines() if "took" not in line] == (
        [line for line in done.stdout.splitlines() if "took" not in line]
    )


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The quickstart's recipe, finished once for each seed of training and of the tiny world."""
    folders = []
    for seed in SEEDS:
        folder = tmp_path_factory.mktemp("seeds") / f"seed-{seed}"
        make(folder, f'recipe = "tiny"\nseed = {seed}\ndata.world = {{ seed = {seed} }}\n')
        done = unbound("run", "--quiet", cwd=folder)
        assert done.returncode == 0, done.stderr
        folders.append(folder)
    return folders


@pytest.mark.slow
@pytest.mark.study
@pytest.mark.parametrize("measure", MEASURES)
def test_proxy_and_truth_rise_over_seeds(seeded: list[Path], measure: str) -> None:
    """The mean change over seeds lies above 0 with its t interval, and so does every seed's own."""
    found = [changes(folder, "ppo")[measure] for folder in seeded]
    over_seeds = intervals.mean([one["value"] for one in found])
    print(f"ppo {measure} by seed: {shown(found)}")
    print(
        f"ppo {measure} over {len(found)} seeds: {over_seeds.estimate:+.3f} "
        f"[{over_seeds.low:+.3f}, {over_seeds.high:+.3f}]"
    )
    assert over_seeds.low > 0
    assert [one for one in found if one["low"] <= 0] == []


@pytest.mark.slow
@pytest.mark.study
def test_reward_model_lies_between_length_and_the_bound(seeded: list[Path]) -> None:
    """Far better than the longer answer, not better than can be; its lead over words is printed.

    In a world whose truth is mostly counted words, counting words is hard to beat.
    """
    accuracy = [float(audit(folder)["accuracy"]) for folder in seeded]
    rules = [max(audit(folder)["baselines"].values()) for folder in seeded]
    bounds = [bayes_bound(folder) for folder in seeded]
    lines = zip(SEEDS, rules, accuracy, bounds, strict=True)
    for seed, rule, own, bound in lines:
        print(f"seed {seed}: best rule {rule:.3f}, reward model {own:.3f}, bound {bound:.3f}")
    lead = intervals.mean([own - rule for own, rule in zip(accuracy, rules, strict=True)])
    print(f"lead over the best rule {lead.estimate:+.3f} [{lead.low:+.3f}, {lead.high:+.3f}]")
    longer = [float(audit(folder)["baselines"]["longer wins"]) for folder in seeded]
    ahead = intervals.mean([own - rule for own, rule in zip(accuracy, longer, strict=True)])
    short = intervals.mean([bound - own for own, bound in zip(accuracy, bounds, strict=True)])
    assert ahead.low > 0.15
    assert short.low > 0
