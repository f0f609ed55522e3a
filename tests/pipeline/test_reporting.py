"""From the notes of stages to a report's values."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from accord.algorithms.settings import KLSettings, PPOConfig
from accord.core.errors import WorkspaceError
from accord.core.protocols import Row
from accord.evals.report.data import KLSpent, Measure
from accord.evals.report.findings import find
from accord.evals.report.parts import Estimate
from accord.pipeline.arms import truth_of
from accord.pipeline.config import PipelineConfig
from accord.pipeline.figures import (
    eval_figures,
    judge_trial,
    kl_spent,
    reward_calibration,
    samples,
)
from accord.pipeline.reporting import chain, gather, write_report
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES
from tests.pipeline.test_runner import Notices
from tests.pipeline.toy import run_toy, stages


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.5, "high": value + 0.5}


def measured(shift: float) -> dict[str, dict[str, float]]:
    return {name: figure(shift) for name in ("kl", "length", "stopped", "score", "gold")}


EVALUATION = {
    "before": "sft",
    "prompts": 64,
    "samples": 4,
    "policies": {"ppo": measured(2.0), "sft": measured(0.0)},
    "changes": {"ppo": measured(2.0)},
    "best_of": [
        {
            "n": n,
            "kl": kl,
            "levels": {"gold": figure(level / 2), "score": figure(level)},
            "changes": {"gold": figure(level + 4), "score": figure(level + 3)},
        }
        for n, kl, level in ((1, 0.0, 0.0), (4, 0.636, 1.0))
    ],
}
AUDIT = {
    "pairs": 40,
    "ties": 2,
    "accuracy": 0.7,
    "interval": [0.6, 0.8],
    "baselines": {"longer wins": 0.5},
    "by_length_gap": [{"name": "a", "pairs": 4, "accuracy": 0.5, "low": 0.1, "high": 0.9}],
    "by_source": [],
    "ece": 0.1,
    "brier": 0.2,
    "temperature": 1.5,
    "bins": [{"predicted": 0.6, "observed": 0.7, "count": 40}],
}


def test_levels_changes_and_best_of() -> None:
    figures = eval_figures(EVALUATION)
    levels = [f for f in figures if not f.versus and "best" not in f.name]
    assert {(f.policy, f.name) for f in levels} == {
        (policy, name) for policy in ("sft", "ppo") for name in measured(0)
    }
    changed = {f.name: f for f in figures if f.versus and "best" not in f.policy}
    assert set(changed) == {"length", "stopped", "score", "gold"}
    assert changed["score"].measure is Measure.PROXY
    assert changed["gold"].measure is Measure.GOLD
    assert (changed["gold"].value, changed["gold"].low, changed["gold"].n) == (2.0, 1.5, 64)
    best = [f for f in figures if "best of 4" in f"{f.name} {f.policy}"]
    assert [(f.versus, f.value, f.low) for f in best] == [
        ("", 1.0, 0.5),
        ("", 0.5, 0.0),
        ("sft", 4.0, 3.5),
        ("sft", 5.0, 4.5),
    ]
    assert [f.policy for f in best] == ["sft", "sft", "best of 4", "best of 4"]
    assert {f.measure for f in best} == {Measure.OTHER}  # a headline is of what was trained
    assert not [f for f in figures if "best of 1 " in f.name]
    assert [f.name for f in levels[:2]] == ["score", "gold"]
    assert list(dict.fromkeys(f.policy for f in levels)) == ["sft", "ppo"]


def test_what_is_an_arm_is_not_told_twice_and_old_notes_are_read() -> None:
    arm = {**EVALUATION["policies"], "best of 4": measured(1.0)}
    changes = {**EVALUATION["changes"], "best of 4": measured(1.0)}
    figures = eval_figures({**EVALUATION, "policies": arm, "changes": changes})
    found = [f for f in figures if f.policy == "best of 4"]
    assert {(f.name, f.versus) for f in found if f.versus} == {
        (name, "sft") for name in ("length", "stopped", "score", "gold")
    }
    assert not [f for f in figures if "by score" in f.name]
    old = {**EVALUATION, "best_of": [{"n": 4, "kl": 0.6, "score": figure(1.0)}]}
    assert not [f for f in eval_figures(old) if "best of" in f"{f.name} {f.policy}"]


def test_a_judge_is_called_so_wherever_the_truth_is_named() -> None:
    figures = eval_figures(EVALUATION, truth_of("judge"))
    gold = [f for f in figures if f.measure is Measure.GOLD]
    assert {(f.name, f.unit) for f in gold} == {("grade", "rating points")}
    assert not [f for f in figures if "gold" in f.name]
    assert "grade, best of 4 by score" in {f.name for f in figures}
    assert {f.name for f in eval_figures(EVALUATION, truth_of("vader"))} >= {"VADER"}


def test_the_least_change_that_shows_is_kept() -> None:
    ppo = {name: {**value, "detectable": 0.7} for name, value in measured(2.0).items()}
    figures = eval_figures({**EVALUATION, "changes": {"ppo": ppo}})
    assert {f.detectable for f in figures if f.versus == "sft" and f.policy == "ppo"} == {0.7}
    assert {f.detectable for f in figures if not f.versus} == {None}


TRIAL = {
    "texts": 10,
    "liked": 4,
    "r": 0.5,
    "gap": 1.0,
    "accuracy": figure(0.5),
    "doubted": figure(0.5),
    "liked_doubted": figure(0.5),
    "tricks": [
        {
            "name": "listed",
            "shown": True,
            "texts": 40,
            "above": figure(0.5),
            "median": -1.0,
            "doubted": 1.0,
            "beside": {"VADER": 0.9},
        }
    ],
    "heap": {
        "text": "great best",
        "grade": -1.0,
        "above": False,
        "beside": {"VADER": {"score": 0.9, "median_liked": 0.4}},
    },
}


def test_a_trial_of_a_judge() -> None:
    found = judge_trial(TRIAL, trained_on=99)
    assert found is not None
    assert (found.texts, found.trained_on) == (10, 99)
    assert found.accuracy == Estimate(value=0.5, low=0.0, high=1.0)
    assert [(t.name, t.above.high, dict(t.beside)) for t in found.tricks] == [
        ("listed", 1.0, {"VADER": 0.9})
    ]
    assert found.heap is not None
    assert (found.heap.above, dict(found.heap.beside)) == (False, {"VADER": True})
    assert judge_trial({}) is None
    bare = {name: value for name, value in TRIAL.items() if name not in ("tricks", "heap")}
    found = judge_trial(bare)
    assert found is not None
    assert (found.tricks, found.heap) == ((), None)


def test_how_prompts_were_chosen_becomes_a_heading(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    ways = ("drawn by seed", "ppo gained most", "dpo lost most", None)
    rows = [{"prompt": "a", "answers": []} | ({"why": w} if w else {}) for w in ways]
    path.write_text(json.dumps(rows))
    assert [pair.why for pair in samples(path)] == [
        "Drawn by seed",
        "Where PPO gained most",
        "Where DPO lost most",
        "",
    ]


def test_calibration_and_kl() -> None:
    found = reward_calibration(AUDIT, bayes_bound=0.8)
    assert found is not None
    assert (found.accuracy, found.interval, found.bayes_bound) == (0.7, (0.6, 0.8), 0.8)
    assert found.by_length_gap[0].pairs == 4
    assert reward_calibration({}, bayes_bound=None) is None
    human = reward_calibration(AUDIT, bayes_bound=None, human_ceiling=figure(0.5))
    assert human is not None
    assert human.human_ceiling == Estimate(value=0.5, low=0.0, high=1.0)
    spent = kl_spent(EVALUATION, "ppo", budget=5.0, ended=True)
    assert spent is not None
    assert (spent.nats, spent.budget, spent.ended_by_budget) == (2.0, 5.0, True)
    assert kl_spent(EVALUATION, "dpo", budget=None, ended=False) is None


def test_damaged_answers_are_named(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    for text in ("{", '[{"prompt": "a"}]', '[{"prompt": "a", "answers": [{"who": 1}]}]'):
        path.write_text(text)
        with pytest.raises(WorkspaceError, match="cannot be read"):
            samples(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Owned:
    """Settings as the stages of a pipeline hold them."""

    own: PPOConfig


def with_eval(config: PipelineConfig) -> list[Stage]:
    """A toy walk as SFT, a policy that does nothing, and an evaluation of both."""

    def policy(context):
        context.note("budget_spent", True)
        yield {"loss": 1.0}

    def evaluation(context):
        context.note("evaluation", EVALUATION)
        shown = [{"prompt": "Say a.", "answers": [{"policy": "sft", "text": "a"}]}]
        (context.output / "answers.json").write_text(json.dumps(shown))
        yield {"progress": 1.0}

    ppo = Owned(own=PPOConfig(kl=KLSettings(budget=5.0)))
    return [
        replace(stages()[0], name="sft"),
        Stage(name="ppo", kind="policy", config=ppo, body=policy, inputs=("sft",)),
        Stage(
            name="eval",
            kind="evaluation",
            config=config.eval,
            body=evaluation,
            inputs=("sft", "ppo"),
        ),
    ]


def test_gathered_from_artifacts_alone(tmp_path: Path) -> None:
    workspace = Workspace.create(tmp_path / "ws", "tiny")
    config = RECIPES["tiny"]()
    plan = with_eval(config)
    with pytest.raises(WorkspaceError, match="nothing to report"):
        gather(workspace, config, plan)
    run_toy(workspace, plan=plan)
    data = gather(workspace, config, plan)
    assert [stage.name for stage in data.stages] == ["sft", "ppo", "eval"]
    assert data.stages[0].inputs == ("tiny world",)
    assert data.stages[0].row_steps[:2] == (1, 2)
    assert "step" not in data.stages[0].rows[0]
    assert data.samples[0].answers[0].text == "a"
    assert (data.run.before, data.run.after) == ("sft", "ppo")
    assert data.kl == KLSpent(nats=2.0, budget=5.0, ended_by_budget=True)
    assert data.run.title == "ws"
    assert find(data, Measure.PROXY) is not None
    path = write_report(workspace, config, plan)
    assert path == workspace.root / "report.html"
    assert "Say a." in path.read_text(encoding="utf-8")
    assert [arm.label for arm in data.arms] == ["SFT", "PPO"]
    numbers = json.loads((workspace.root / "result.json").read_text())
    assert numbers["evaluation"] == EVALUATION
    assert not (workspace.root / "accord.db").exists()


def test_one_consistent_chain(tmp_path: Path) -> None:
    """The evaluation decides which of two SFT artifacts the report is about."""
    workspace = Workspace.create(tmp_path / "ws", "tiny")
    plan = with_eval(RECIPES["tiny"]())
    run_toy(workspace, plan=plan)
    used = chain(workspace, plan)["sft"].key
    newer = [replace(plan[0], seed=9), *plan[1:]]
    run_toy(workspace, plan=newer, to="sft")
    assert len(workspace.history("sft")) == 2
    assert chain(workspace, newer)["sft"].key == used


def test_what_is_stale_is_named(tmp_path: Path) -> None:
    """After a change of settings the old evaluation is still shown, and the page says so."""
    workspace = Workspace.create(tmp_path / "ws", "tiny")
    config = RECIPES["tiny"]()
    plan = with_eval(config)
    run_toy(workspace, plan=plan)
    assert not [text for text in gather(workspace, config, plan).not_shown if "accord" in text]
    changed = [plan[0], replace(plan[1], seed=9), plan[2]]
    told = gather(workspace, config, changed).not_shown[0]
    assert "accord.toml asks for now: ppo, eval on this page" in told
    assert "`accord run`" in told


def test_a_stage_made_later_by_hand_is_named(tmp_path: Path) -> None:
    """On the page and by the command; the page keeps showing what was evaluated."""
    workspace = Workspace.create(tmp_path / "ws", "tiny")
    config = RECIPES["tiny"]()
    plan = with_eval(config)
    run_toy(workspace, plan=plan)
    by_hand = run_toy(workspace, plan=[plan[0], replace(plan[1], seed=9)])[1].artifact
    notices = Notices()
    page = write_report(workspace, config, plan, sink=notices).read_text(encoding="utf-8")
    (told,) = notices.said
    assert re.fullmatch(
        rf"This page shows ppo-[0-9a-f]+, not ppo-{by_hand.key}, which was made after it with "
        r"other settings\. To show that one, put its settings into accord\.toml and run again\.",
        told,
    )
    assert gather(workspace, config, plan).not_shown[0] == told
    assert by_hand.key in page


def test_a_gone_artifact_is_left_out_and_named(tmp_path: Path) -> None:
    """Another one of the same stage does not take its place: nothing shown was made from it."""
    workspace = Workspace.create(tmp_path / "ws", "tiny")
    config = RECIPES["tiny"]()
    plan = with_eval(config)
    sft = run_toy(workspace, plan=plan)[0].artifact
    run_toy(workspace, plan=[replace(plan[0], seed=9)])
    shutil.rmtree(sft.folder)
    assert list(chain(workspace, plan)) == ["ppo", "eval"]
    said = gather(workspace, config, plan).not_shown
    assert any(text.startswith("sft: what the others were made from") for text in said)


def test_what_was_made_from_other_artifacts_is_left_out_and_named(tmp_path: Path) -> None:
    """Without an evaluation to hold them together: DPO on one SFT model, PPO on another."""
    workspace = Workspace.create(tmp_path / "ws", "tiny")
    config = RECIPES["tiny"]()
    sft, ppo, _ = with_eval(config)
    old = run_toy(workspace, plan=[sft, ppo])[1].artifact
    plan = [replace(sft, seed=9), ppo, replace(ppo, name="dpo")]
    run_toy(workspace, plan=plan, to="dpo")
    assert list(chain(workspace, plan)) == ["sft", "dpo"]
    assert gather(workspace, config, plan).not_shown[0].startswith(f"ppo-{old.key}: it was made")


def test_what_the_start_model_is_stands_on_the_page(tmp_path: Path) -> None:
    def body(context: StageContext) -> Iterator[Row]:
        context.note("about", "a model that was rounded")
        yield {"progress": 1.0}

    workspace = Workspace.create(tmp_path / "ws", "tiny")
    config = RECIPES["tiny"]()
    plan = [Stage(name="base", kind="model", config={}, body=body), *with_eval(config)]
    run_toy(workspace, plan=plan)
    data = gather(workspace, config, plan)
    assert "What becomes of a base model: the start is a model that was rounded." in data.not_shown
    assert [source.note for source in data.sources if source.name == "base"] == [
        "a model that was rounded"
    ]
