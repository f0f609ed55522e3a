"""All of direct alignment through the command line, in one run; one of its stages killed."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from accord.pipeline.artifact import METRICS
from accord.pipeline.config import DIRECT
from tests.e2e import small
from tests.e2e.small import artifact, killed, make, manifest, rows, run

pytest.importorskip("torch")
STAGES = ["pretrain", "sft", "compare", "reward", *DIRECT, "eval"]
SETTINGS = f"""\
recipe = "tiny"
stages = {json.dumps(STAGES)}
machine.checkpoint_every = 2
data.world = {{ documents = 60, demonstrations = 60 }}
pretrain = {{ steps = 3, batch_rows = 4 }}
sft = {{ epochs = 0.4, batch_size = 9 }}
compare = {{ prompts = 60, samples = 2, max_tokens = 12 }}
reward = {{ epochs = 0.3, batch_prompts = 8, scale_prompts = 8 }}
dpo = {{ epochs = 1, batch_prompts = 8 }}
ipo = {{ epochs = 1, batch_prompts = 8 }}
kto = {{ epochs = 1, batch_prompts = 8 }}
orpo = {{ epochs = 0.3, batch_prompts = 8 }}
simpo = {{ epochs = 0.3, batch_prompts = 8 }}
distilled = {{ epochs = 1, batch_prompts = 8, pessimism = 0.01 }}
eval = {{ prompts = 6, samples = 1, best_of = [1], max_tokens = 12 }}
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make(tmp_path_factory.mktemp("direct") / "ws", SETTINGS)
    run(folder, "run")
    return folder


@pytest.mark.slow
def test_every_objective_runs_and_is_compared(workspace: Path) -> None:
    first = {name: rows(workspace, name)[0] for name in DIRECT}
    assert first["dpo"]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert first["ipo"]["loss"] == pytest.approx(25, abs=1e-3)
    assert first["kto"]["preference/kl"] == pytest.approx(0, abs=1e-4)
    assert "preference/chosen_nll" in first["orpo"]
    assert "preference/chosen_nll" in first["simpo"]
    assert "preference/reward_margin" in first["distilled"]
    compared = manifest(workspace, "eval").figures["evaluation"]["policies"]
    assert set(DIRECT) < set(compared)
    run(workspace, "report")
    page = (workspace / "report.html").read_text()
    assert "SimPO" in page
    assert "Distilled DPO" in page


@pytest.mark.slow
def test_the_reference_of_all_pairs_is_read_once(workspace: Path) -> None:
    """By DPO, for IPO and distillation as well; KTO leaves ties out, and may have its own."""
    found = sorted(path.name.partition("-")[0] for path in (workspace / "cache").iterdir())
    assert found[:1] == ["reference"]
    assert 1 <= found.count("reference") <= 2
    assert 1 <= found.count("rewards") <= 2


@pytest.mark.slow
@pytest.mark.parametrize("cached", [True, False])
def test_killed_and_resumed_is_as_never_killed(
    workspace: Path, tmp_path: Path, cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the reference said on disk, and without."""
    steps = len(rows(workspace, "kto"))
    monkeypatch.setitem(small.STEPS, "kto", steps)
    assert steps > 4
    folder = tmp_path / "ws"
    shutil.copytree(workspace, folder)
    shutil.rmtree(artifact(folder, "kto"))
    if not cached:
        shutil.rmtree(folder / "cache")
    killed(folder, ("run", "--to", "kto"), stage="kto", rows=3)
    if not cached:
        shutil.rmtree(folder / "cache")
    run(folder, "resume")
    ours, other = manifest(folder, "kto"), manifest(workspace, "kto")
    assert {n: f.sha256 for n, f in ours.files.items() if n != METRICS} == {
        n: f.sha256 for n, f in other.files.items() if n != METRICS
    }
    assert rows(folder, "kto") == rows(workspace, "kto")
