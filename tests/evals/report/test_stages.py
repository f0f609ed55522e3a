from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType

from accord.core.metrics import BY_NAME
from accord.evals.report.data import KLSpent, ReportData, RunFacts, StageReport
from accord.evals.report.stages import flatten, key_charts, said, stage_views


def _report(*rows: dict[str, float], **more: object) -> ReportData:
    stage = StageReport(name="sft", seconds=3, peak_memory_gib=0.5, steps=len(rows), rows=rows)
    return ReportData(run=RunFacts(title="t", model="tiny"), stages=(replace(stage, **more),))  # type: ignore[arg-type]


def test_numbers_are_first_last_smallest_and_largest() -> None:
    data = _report({"loss": 2.0}, {"loss": 0.5}, {"loss": math.nan}, {"loss": 1.0})
    (row,) = stage_views(data)[0].numbers
    assert (row.first, row.last, row.least, row.most) == tuple(
        f"{v}\xa0nats" for v in ("2.00", "1.00", "0.50", "2.00")
    )
    assert (row.better, row.meaning) == ("lower", BY_NAME["loss"].meaning)


def test_gaps_are_counted_and_never_printed() -> None:
    view = stage_views(_report({"loss": math.nan}, {"loss": 1.0}, {"loss": math.inf}))[0]
    assert view.notes == ("2 logged values no finite number: drawn as a gap.",)
    assert "nan" not in view.groups[0].charts[0].svg
    assert stage_views(_report({"loss": math.nan}))[0].groups == ()


def test_captions_come_from_the_metric_table() -> None:
    rows = ({"preference/accuracy": 0.5, "preference/dev_accuracy": 0.6, "kl/sequence": 1.0},) * 2
    charts = {c.title: c for g in stage_views(_report(*rows))[0].groups for c in g.charts}
    assert charts["Accuracy on pairs"].captions == (
        ("trained", BY_NAME["preference/accuracy"].meaning),
        ("held out", BY_NAME["preference/dev_accuracy"].meaning),
    )
    assert charts["KL of an answer"].captions == (("", BY_NAME["kl/sequence"].meaning),)
    assert charts["Accuracy on pairs"].span == (
        "trained 50.0\xa0% to 50.0\xa0%; held out 60.0\xa0% to 60.0\xa0%"
    )


def test_steps_of_rows_are_drawn_where_they_were_logged() -> None:
    view = stage_views(_report({"loss": 1.0}, {"loss": 2.0}, row_steps=(5, 25)))[0]
    drawn = view.groups[0].charts[0].svg
    assert "step 5: Loss 1.00" in drawn
    assert "step 25: Loss 2.00" in drawn


def test_budget_is_drawn_only_on_the_policy_that_has_it() -> None:
    data = _report({"kl/sequence": 1.0}, {"kl/sequence": 2.0})
    named = replace(data, kl=KLSpent(nats=2, budget=8), run=replace(data.run, after="sft"))
    assert "budget 8" in stage_views(named)[0].groups[0].charts[0].svg
    other = replace(named, run=replace(data.run, after="ppo"))
    assert "budget" not in stage_views(other)[0].groups[0].charts[0].svg


def test_key_charts_are_those_of_the_final_policy(sample: ModuleType) -> None:
    data = sample.full()
    titles = [chart.title for chart in key_charts(data)]
    assert titles == ["Reward-model score", "Known truth (gold)", "KL of an answer"]
    direct = replace(data, run=replace(data.run, after="dpo"))
    titles = [chart.title for chart in key_charts(direct)]
    assert titles == ["Accuracy on pairs", "Lead of the better answer", "Drift from the reference"]
    assert key_charts(sample.without_policy()) == ()


def test_settings_are_flattened_and_not_rounded() -> None:
    config = {"kl": {"coefficient": 0.0517263, "target": None}, "list": (1, True), "empty": {}}
    assert flatten(config) == [
        ("kl.coefficient", "0.0517263"),
        ("kl.target", "not set"),
        ("list", "1, yes"),
        ("empty", "(none)"),
    ]
    assert said(math.nan) == "no number"
    assert said("") == "(empty)"
