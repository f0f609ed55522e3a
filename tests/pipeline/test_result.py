"""Everything of a report as numbers."""

from __future__ import annotations

import json
from dataclasses import replace

from accord.evals.report.data import ReportData, RunFacts, StageReport
from accord.evals.report.parts import Blind, DataSet, Estimate
from accord.pipeline.figures import reward_calibration
from accord.pipeline.result import result, to_json
from tests.pipeline.test_judged import stage
from tests.pipeline.test_reporting import AUDIT, EVALUATION, TRIAL, figure

KEYS = {
    *("schema", "run", "cost", "lineage", "data", "evaluation", "arms", "truth", "alarms"),
    *("judge", "reward_model", "agreement", "blind", "invitation", "not_shown"),
}


def data(**parts: object) -> ReportData:
    stages = tuple(
        StageReport(name=name, seconds=seconds, peak_memory_gib=size, steps=3)
        for name, seconds, size in (("sft", 2.0, 0.5), ("ppo", 3.0, 0.75))
    )
    run = RunFacts(title="t", model="tiny", after="ppo", machine={"device": "cpu"})
    return replace(ReportData(run=run, stages=stages), **parts)  # type: ignore[arg-type]


def test_a_whole_run_is_kept_in_numbers() -> None:
    made = {
        "judge": replace(stage("judge"), figures={"judge": TRIAL}),
        "reward": replace(stage("reward", **{"preferences/a": "d" * 64}), figures={"audit": AUDIT}),
        "eval": replace(stage("eval"), figures={"evaluation": EVALUATION}),
    }
    calibration = reward_calibration(AUDIT, bayes_bound=0.8, human_ceiling=figure(0.5))
    blind = Blind(
        policy="ppo",
        versus="sft",
        share=Estimate(value=0.5),
        judgements=2,
        prompts=2,
        ties=2,
        raters=1,
    )
    learnt = DataSet(name="a", kind="preferences", rows=3, held_out=1, digest="d" * 64)
    shown = data(
        calibration=calibration,
        blind=blind,
        data_sets=(learnt,),
        invitation="accord rate x",
        not_shown=("Safety.",),
    )
    found = json.loads(to_json(result(made, shown)))
    assert set(found) == KEYS
    assert found["cost"]["seconds"] == 5.0
    assert found["cost"]["peak_memory_gib"] == 0.75
    assert found["cost"]["stages"]["ppo"] == {"seconds": 3.0, "peak_memory_gib": 0.75, "steps": 3}
    assert found["run"]["machine"] == {"device": "cpu"}
    assert found["evaluation"] == EVALUATION
    assert found["truth"]["short"] == "gold"
    assert found["judge"] == TRIAL
    assert found["reward_model"]["accuracy"] == AUDIT["accuracy"]
    assert found["reward_model"]["human_ceiling"] == figure(0.5)
    assert found["reward_model"]["bayes_bound"] == 0.8
    assert found["blind"]["share"] == {"value": 0.5, "low": None, "high": None}
    assert found["data"][0]["digest"] == "d" * 64
    reward = found["lineage"]["stages"]["reward"]
    assert reward["inputs"] == {"preferences/a": {"key": "d" * 16, "digest": "d" * 64}}
    assert reward["digest"] == made["reward"].digest


def test_what_a_run_does_not_have_is_none_and_not_left_out() -> None:
    found = json.loads(to_json(result({"sft": stage("sft")}, data())))
    assert set(found) == KEYS
    assert [name for name, value in found.items() if value is None] == [
        "evaluation",
        "truth",
        "judge",
        "reward_model",
        "blind",
        "invitation",
    ]
    assert found["agreement"] == found["data"] == found["arms"] == []


def test_an_audit_without_pairs_is_none() -> None:
    made = {"reward": replace(stage("reward"), figures={"audit": {}})}
    assert result(made, data())["reward_model"] is None
