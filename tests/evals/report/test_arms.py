"""Every arm in one table, in sentences and in pictures."""

from __future__ import annotations

import re
from dataclasses import replace
from types import ModuleType

import pytest

from accord.evals.report import arms as view
from accord.evals.report import evidence
from accord.evals.report.data import Measure, ReportData
from accord.evals.report.findings import Tone

MINUS = "\N{MINUS SIGN}"


@pytest.fixture
def many(sample: ModuleType, arms: ModuleType) -> ReportData:
    return arms.many(sample)


def test_a_row_an_arm_and_a_column_a_figure(many: ReportData) -> None:
    columns, rows = view.table(many)
    titles = [column.title for column in columns]
    assert titles[:4] == ["Judge's grade", "Change from SFT", "Detectable", "KL"]
    assert titles[4:] == ["Length", "Ended", "Log-prob.", "Distinct-2", "Repeated", "VADER"]
    assert [row.label for row in rows] == [arm.label for arm in many.arms]
    assert [row.policy for row in rows if row.focus] == ["ppo"]
    said = dict(zip(titles, rows[5].cells, strict=True))
    assert (said["Judge's grade"].value, said["Judge's grade"].detail) == ("0.47", "0.39 to 0.55")
    assert said["Change from SFT"].value == "+0.68"
    assert said["Change from SFT"].detail == "+0.59 to +0.77"
    assert said["Change from SFT"].tone is Tone.GOOD
    assert said["Detectable"].value == "0.13"
    assert said["Log-prob."].detail == "+0.34"


def test_distinct_pairs_are_told_beside_those_of_the_start(many: ReportData) -> None:
    columns, rows = view.table(many)
    place = [column.title for column in columns].index("Distinct-2")
    levels = {f.policy: f.value for f in many.figures if f.name == "distinct"}
    assert rows[0].cells[place].detail == ""
    share = 100 * levels["ppo"] / levels["sft"]
    assert rows[5].cells[place].detail == f"{share:.1f}\N{NO-BREAK SPACE}%"


def test_the_start_has_no_change_and_best_of_n_a_bound(many: ReportData) -> None:
    columns, rows = view.table(many)
    titles = [column.title for column in columns]
    assert rows[0].cells[titles.index("Change from SFT")].value == "the start"
    assert rows[0].cells[titles.index("Detectable")].value == "-"
    assert [row.label for row in rows if row.cells[titles.index("KL")].detail] == ["Best of 4"]


def test_a_column_that_no_arm_has_is_not_shown(many: ReportData) -> None:
    figures = tuple(f for f in many.figures if f.name not in ("vader", "distinct", "start_logp"))
    columns, rows = view.table(replace(many, figures=figures))
    assert {column.title for column in columns}.isdisjoint({"VADER", "Distinct-2", "Log-prob."})
    assert all(len(row.cells) == len(columns) for row in rows)
    missing = tuple(f for f in many.figures if (f.name, f.policy) != ("vader", "dpo"))
    assert view.table(replace(many, figures=missing))[1][6].cells[-1].value == "-"


def test_sentences_say_no_more_than_an_interval_supports(many: ReportData) -> None:
    said = {s.text: s.tone for s in view.sentences(many)}
    assert said["PPO beats SFT: +0.68 (interval +0.59 to +0.77)."] is Tone.GOOD
    assert said["PPO beats prompting the base: +0.16 (interval +0.070 to +0.25)."] is Tone.GOOD
    open_one = f"better or worse than best of 4: +0.030 (interval {MINUS}0.060 to +0.12)."
    assert said[f"PPO is not shown to be {open_one}"] is Tone.FLAT
    assert (
        "Of the two ways to prompt, prompting the base has the higher mean (0.31): PPO beats it."
        in said
    )
    assert "DPO beats SFT, prompting SFT; is worse than prompting the base, best of 4." in said


@pytest.mark.parametrize(
    ("low", "high", "verb", "tone"),
    [
        (0.01, 0.2, "beats", Tone.GOOD),
        (0.0, 0.2, "is not shown", Tone.FLAT),
        (-0.2, -0.01, "is worse than", Tone.BAD),
        (None, None, "against best of 4: +0.10, without an interval", Tone.UNKNOWN),
    ],
)
def test_a_duel_is_read_by_its_ends(
    many: ReportData, low: float | None, high: float | None, verb: str, tone: Tone
) -> None:
    figures = tuple(
        replace(f, value=0.1 if low is None or low >= 0 else -0.1, low=low, high=high)
        if (f.measure, f.policy, f.versus) == (Measure.GOLD, "ppo", "best of 4")
        else f
        for f in many.figures
    )
    found = [s for s in view.sentences(replace(many, figures=figures)) if "best of 4" in s.text]
    assert found[0].text.startswith("PPO")
    assert verb in found[0].text
    assert found[0].tone is tone


def test_the_better_prompt_is_never_said_to_be_beaten_without_an_interval(
    many: ReportData,
) -> None:
    figures = tuple(
        replace(f, low=-0.1, high=0.4)
        if (f.measure, f.policy, f.versus) == (Measure.GOLD, "ppo", "base told")
        else f
        for f in many.figures
    )
    last = view.sentences(replace(many, figures=figures))[-1]
    assert last.text.endswith("(0.31): PPO is not shown to beat it.")


def test_without_a_truth_the_score_is_what_arms_are_compared_by(many: ReportData) -> None:
    figures = tuple(f for f in many.figures if f.measure is not Measure.GOLD)
    data = replace(many, figures=figures)
    columns, _ = view.table(data)
    assert columns[0].title == "Reward-model score"
    assert "the score that training pushed up" in view.rule(data)
    assert view.sentences(data)[0].text.startswith("PPO beats SFT: +1.36")
    titles = [picture.title for picture in view.pictures(data)]
    assert titles[0] == "Reward-model score: change from SFT"
    assert titles[-1] == "Score against the root of KL"


def test_pictures_hold_every_arm_and_every_step(many: ReportData) -> None:
    forest, grade, score = view.pictures(many)
    assert forest.title == "Judge's grade: change from SFT"
    assert len(re.findall(r"<circle", forest.svg)) == len(many.arms) - 1
    for picture in (grade, score):
        assert picture.svg.count('class="step"') == 40
        assert all(arm.label in picture.svg for arm in many.arms)
        assert "40 logged steps of ppo" in picture.caption


def test_a_distance_below_zero_is_drawn_at_zero(many: ReportData) -> None:
    stages = tuple(
        replace(s, rows=({"kl/sequence": -0.5, "reward/gold": 1.0},) * 2, row_steps=())
        if s.name == "ppo"
        else s
        for s in many.stages
    )
    grade = view.pictures(replace(many, stages=stages))[1]
    assert "2 logged steps" in grade.caption
    assert "nan" not in grade.svg


def test_no_arms_show_nothing(sample: ModuleType) -> None:
    data = sample.nothing()
    assert view.table(data)[1] == ()
    assert view.sentences(data) == ()
    assert view.pictures(data) == ()


def test_a_distance_that_rounding_left_is_none(many: ReportData) -> None:
    figures = tuple(
        replace(f, value=-7e-8, low=None, high=None)
        if (f.measure, f.policy) == (Measure.KL, "sft")
        else f
        for f in many.figures
    )
    columns, rows = view.table(replace(many, figures=figures))
    assert rows[0].cells[[column.title for column in columns].index("KL")].value == "0"


def test_changes_stand_figure_by_figure_and_say_once_what_each_is(many: ReportData) -> None:
    rows = evidence.changes(many)
    names = [row.name for row in rows]
    heads = [i for i, name in enumerate(names) if i == 0 or names[i - 1] != name]
    assert len(heads) == len(set(names))
    assert [i for i, row in enumerate(rows) if row.meaning] == heads
    assert rows[0].pair == "SFT to Prompting SFT"
    titles = [picture.title for picture in evidence.change_pictures(many)]
    assert titles == [f"Change of {names[i]}" for i in heads]
