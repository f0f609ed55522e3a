"""Reward models of other objectives and of several heads, through the command line and into PPO."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.pipeline.artifact import read_manifest
from tests.e2e.small import make, run
from tests.forked import accord

pytest.importorskip("torch")
SMALL = """\
recipe = "tiny"
stages = ["pretrain", "sft", "compare", "reward", "ppo"]
data.world = { documents = 60, demonstrations = 60 }
pretrain = { steps = 3, batch_rows = 4 }
sft = { epochs = 0.5, batch_size = 9 }
compare = { prompts = 24, samples = 3, max_tokens = 8 }
ppo = { steps = 1, batch_prompts = 4, max_tokens = 8 }
[reward]
objective = "davidson"
heads = 2
doubt_pairs = 30
centring = 0.01
epochs = 0.5
batch_prompts = 6
scale_prompts = 8
"""


@pytest.mark.slow
def test_options_of_the_reward_model_reach_its_artifact_and_ppo(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder = make(tmp_path / "work", SMALL)
    run(folder, "run")
    (made,) = (folder / "artifacts").glob("reward-*")
    assert {"parts.0.weight", "parts.1.weight"} < set(load_file(made / "head.safetensors"))
    assert set(load_file(made / "doubt.safetensors")) == {"centre", "covariance"}
    figures = read_manifest(made).figures
    calibration = json.loads((made / "calibration.json").read_text())
    assert figures["calibration"] == calibration
    assert calibration["temperature"] > 0
    assert isinstance(figures["tie"], float)
    first = json.loads((made / "metrics.jsonl").read_text().splitlines()[0])
    assert {"preference/tie", "preference/disagreement", "preference/centre"} < set(first)
    (policy,) = (folder / "artifacts").glob("ppo-*")
    assert "reward" in read_manifest(policy).inputs

    run(folder, "reward", "--objective", "plackett-luce", "--heads", "1", "--doubt-pairs", "0")
    (other,) = set((folder / "artifacts").glob("reward-*")) - {made}
    first = json.loads((other / "metrics.jsonl").read_text().splitlines()[0])
    assert "preference/best_first" in first
    assert not (other / "doubt.safetensors").exists()
    assert "weight" in load_file(other / "head.safetensors")


OTHER = SMALL.replace('objective = "davidson"\nheads = 2\ndoubt_pairs = 30', 'model = "small"')


@pytest.mark.slow
def test_a_reward_model_of_another_base_and_tokenizer_works_through_words(tmp_path: Path) -> None:
    """A narrower model with other ids and another stop token, from training to PPO; its files are
    part of the key."""
    from tests.models.workshop import make_other

    folder = make(tmp_path / "work", OTHER)
    make_other(folder / "small", seed=0)
    refused = accord("run", "--quiet", cwd=folder)
    assert refused.returncode == 2
    assert 'critic.start = "zero"' in refused.stderr
    assert not list(folder.glob("artifacts/*"))
    run(folder, "run", "--to", "reward")
    (reward,) = (folder / "artifacts").glob("reward-*")
    (base,) = (folder / "artifacts").glob("reward_base-*")
    assert read_manifest(reward).inputs["reward_base"].key == read_manifest(base).key
    assert read_manifest(reward).figures["scale_from"] == "samples of the reference policy"
    again = [accord(word, "--quiet", cwd=folder) for word in ("ppo", "doctor")]
    assert [one.returncode for one in again] == [2, 2]
    assert {one.stderr for one in again} == {refused.stderr}
    run(folder, "ppo", "--critic.start", "zero")
    (policy,) = (folder / "artifacts").glob("ppo-*")
    row = json.loads((policy / "metrics.jsonl").read_text().splitlines()[0])
    assert row["reward/spread"] > 0
    zero = OTHER.replace("ppo = { ", 'ppo = { critic = { start = "zero" }, ')
    (folder / "accord.toml").write_text(zero)
    looked = json.loads(accord("doctor", "--json", "--stage", "ppo", cwd=folder).stdout)
    outcomes = {one["check"]: one["outcome"] for one in looked["checks"]}
    assert outcomes["score stands alone"] == "passed"
    looked = json.loads(accord("doctor", "--json", "--stage", "reward", cwd=folder).stdout)
    outcomes = {one["check"]: one["outcome"] for one in looked["checks"]}
    assert outcomes["score stands alone"] == "passed"

    make_other(folder / "another", seed=2)
    run(folder, "reward", "--model", "another")
    (flagged,) = set((folder / "artifacts").glob("reward-*")) - {reward}
    assert read_manifest(flagged).inputs["reward_base"].key != read_manifest(base).key

    (shown,) = [one for one in status(folder) if one.startswith("reward ")]
    assert "done" in shown
    make_other(folder / "small", seed=1)
    (shown,) = [one for one in status(folder) if one.startswith("reward ")]
    assert "done" not in shown


def status(folder: Path) -> list[str]:
    """Lines of `accord status`."""
    return run(folder, "status").stdout.splitlines()


CRITERIA = """\
recipe = "smollm2"
model = "tiny"
stages = ["reward", "ppo"]
ppo = { steps = 1, batch_prompts = 4, max_tokens = 8 }
dpo = { epochs = 0.2 }
[reward]
criteria = ["wit", "safety"]
epochs = 0.5
batch_prompts = 6
scale_prompts = 8
"""


@pytest.mark.slow
def test_heads_of_criteria_go_from_a_file_to_ppo(tmp_path: Path) -> None:
    """What is imported for two criteria is learned apart; weights come from a flag; a model of
    whole answers and DPO leave it out."""
    folder = make(tmp_path / "work", CRITERIA)
    rows = [
        {"prompt": f"name fox {n}", "responses": ["a red fox", "no"], "tiers": tiers}
        | {"criterion": name}
        for n in range(30)
        for name, tiers in (("wit", [0, 1]), ("safety", [1, 0]), ("overall", [0, 1]))
    ]
    (folder / "judged.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(folder, "import", "judged.jsonl")
    run(folder, "reward", "--criteria-weights", "1", "-0.5")
    (made,) = (folder / "artifacts").glob("reward-*")
    told = json.loads((made / "criteria.json").read_text())
    assert [(one["name"], one["weight"]) for one in told] == [("wit", 1.0), ("safety", -0.5)]
    figures = read_manifest(made).figures
    assert figures["other_criteria"].keys() == {"overall"}
    run(folder, "ppo")
    (policy,) = (folder / "artifacts").glob("ppo-*")
    assert json.loads((policy / "metrics.jsonl").read_text().splitlines()[0])["reward/spread"] > 0
    run(folder, "dpo")
    (aligned,) = (folder / "artifacts").glob("dpo-*")
    figures = read_manifest(aligned).figures
    assert figures["other_criteria"].keys() == {"wit", "safety"}
    refused = accord("reward", "--criteria", "taste", "--quiet", cwd=folder)
    assert refused.returncode == 2
    assert "safety" in refused.stderr
