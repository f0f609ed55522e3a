"""The stages that learn from scored answers, through the command line, killed and resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e.small import SETTINGS, artifact, copy_before, killed, manifest, rows, run

pytest.importorskip("torch")
GROUP = "batch_prompts = 4\nsamples = 2\nmax_tokens = 12\n"
MADE = {"ppo": 6, "grpo": 5, "rloo": 2, "reinforce": 2, "online_dpo": 5, "rejection": 5}
"""Rows of each stage."""
MORE = {
    "grpo": 'ratio = "sequence"\nclip_high = 0.3\nresample = 1\nscore_clip = 0.01\n',
    "reinforce": "baseline = true\n",
    "online_dpo": "round_steps = 2\nlabels = 'soft'\nkl_budget = 50.0\n"
    "missing_stop_score = 'none'\n",
    "rejection": "finished = false\n",
}
"""Further settings of some. Cut so narrowly, many groups of two answers score alike."""
STAGES = ["pretrain", "sft", "compare", "reward", *MADE]
ONLINE = (
    SETTINGS.replace("\n", f"\nstages = {json.dumps(STAGES)}\n", 1)
    + "ptx = 0.1\ncritic = { steps = 1 }\nshaping = { references = 2 }\ncorrection = 2.0\n"
    + "".join(
        f"[{name}]\nsteps = {MADE[name]}\n{GROUP}{MORE.get(name, '')}"
        for name in MADE
        if name != "ppo"
    )
)


@pytest.fixture(scope="module")
def made(untouched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which every such stage was made, from one SFT and one reward model."""
    folder = copy_before("ppo", untouched, tmp_path_factory.mktemp("online") / "ws")
    (folder / "accord.toml").write_text(ONLINE)
    run(folder, "run")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("stage", MADE)
def test_every_stage_leaves_a_policy(made: Path, stage: str) -> None:
    assert len(rows(made, stage)) == MADE[stage]
    assert (artifact(made, stage) / "adapter").is_dir()
    stack = json.loads((artifact(made, stage) / "stack.json").read_text())
    assert len(stack["adapters"]) == 2  # SFT's and its own
    first = rows(made, stage)[0]
    if stage != "rejection":
        assert first["kl/sequence"] == 0
    assert manifest(made, stage).kind == "policy"


@pytest.mark.slow
def test_ppos_options_show_in_its_rows(made: Path) -> None:
    warm, first = rows(made, "ppo")[:2]
    assert "language/nll" not in warm  # the critic alone learns
    assert first["language/nll"] > 0
    assert 0 < first["reward/shaped"] < 1
    assert first["importance/max"] >= first["importance/mean"]
    assert manifest(made, "ppo").figures["ptx_rows"] == 54


@pytest.mark.slow
def test_counts_of_what_was_imitated_are_noted(made: Path) -> None:
    figures = manifest(made, "rejection").figures
    assert figures["asked"] == 20
    assert 0 < figures["imitated"] <= 20


@pytest.mark.slow
def test_prompts_without_a_spread_were_replaced(made: Path) -> None:
    counted = [row["group/replaced"] for row in rows(made, "grpo")]
    assert 0 < sum(counted) <= 4 * MADE["grpo"]


@pytest.mark.slow
def test_pairs_of_online_dpo_are_noted(made: Path) -> None:
    figures = manifest(made, "online_dpo").figures
    assert figures["pairs"] == 20  # 5 steps of 4 prompts with 2 answers
    assert 0 <= figures["tied_pairs"] < 20
    assert figures["budget_spent"] is False
    assert figures["label_slope"] > 0
    moved = [row["kl/sequence"] != 0 for row in rows(made, "online_dpo")]
    assert moved == [False, False, True, True, True]  # the first round's answers are the start's


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["grpo", "online_dpo", "rejection"])
def test_killed_and_resumed_is_as_never_killed(made: Path, tmp_path: Path, stage: str) -> None:
    folder = tmp_path / "ws"
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns(f"{stage}-*"))
    killed(folder, ("run", "--to", stage), stage=stage, rows=2, of=MADE[stage])
    run(folder, "resume")
    ours, other = manifest(folder, stage), manifest(made, stage)
    assert ours.digest == other.digest
    assert rows(folder, stage) == rows(made, stage)
