"""What training changed besides the score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType

import pytest

from accord.evals.report import arms as arms_view
from accord.evals.report.alarms import State, alarms, of_others, sentences, unaccounted
from accord.evals.report.data import Measure, ReportData
from accord.evals.report.findings import Tone
from accord.evals.report.verdict import headline

NAMES = ["length", "variety", "likelihood", "repetition", "ending"]


@pytest.fixture
def many(sample: ModuleType, arms: ModuleType) -> ReportData:
    return arms.many(sample)


def moved(
    data: ReportData, name: str, value: float, *, versus: str = "", half: float | None = 0.01
) -> ReportData:
    """The report with another figure of the trained policy."""
    ends = (None, None) if half is None else (value - half, value + half)
    return replace(
        data,
        figures=tuple(
            replace(f, value=value, low=ends[0], high=ends[1])
            if (f.name, f.policy, f.versus) == (name, "ppo", versus)
            else f
            for f in data.figures
        ),
    )


def states(data: ReportData) -> Mapping[str, State]:
    return {alarm.name: alarm.state for alarm in alarms(data) if alarm.state is not State.QUIET}


def lengthened(data: ReportData, length: float, half: float = 0.5) -> ReportData:
    start = 23.79
    return moved(moved(data, "length", length), "length", length - start, versus="sft", half=half)


def test_all_quiet_is_one_line_that_says_what_was_looked_at(many: ReportData) -> None:
    assert [alarm.name for alarm in alarms(many)] == NAMES
    assert not states(many)
    (line,) = sentences(many)
    assert line.tone is Tone.GOOD
    assert line.text.startswith("Also looked at, and within its limits: length (3% longer); vari")
    assert line in headline(many).sentences
    assert headline(many).tone is Tone.GOOD


@pytest.mark.parametrize(
    ("name", "value", "versus", "alarm", "clause"),
    [
        ("distinct", 0.5, "", "variety", "answers became alike"),
        ("start_logp", -0.6, "sft", "likelihood", "answers drift from what people write"),
        ("repeated", 0.08, "sft", "repetition", "answers repeat themselves"),
        ("stopped", -0.2, "sft", "ending", "fewer answers end"),
    ],
)
def test_each_is_raised_beyond_its_limit_alone(
    many: ReportData, name: str, value: float, versus: str, alarm: str, clause: str
) -> None:
    found = moved(many, name, value, versus=versus)
    assert states(found) == {alarm: State.RAISED}
    first, rest = sentences(found)
    (raised,) = unaccounted(found)
    assert first.text == f"{raised.said} {raised.do}"
    assert (first.tone, rest.tone) == (Tone.BAD, Tone.FLAT)
    whole = headline(found)
    assert whole.title.endswith(f"went up; {clause}")
    assert whole.tone is Tone.FLAT


@pytest.mark.parametrize(
    ("name", "value", "versus"),
    [
        ("distinct", 0.58, ""),
        ("start_logp", -0.48, "sft"),
        ("start_logp", 0.48, "sft"),
        ("repeated", 0.03, "sft"),
        ("stopped", -0.08, "sft"),
        ("stopped", 0.4, "sft"),
    ],
)
def test_none_is_raised_within_it(many: ReportData, name: str, value: float, versus: str) -> None:
    assert not states(moved(many, name, value, versus=versus))


@pytest.mark.parametrize(
    ("name", "value", "half"),
    [
        ("stopped", -0.11, 0.24),  # beyond the limit, and perhaps nothing
        ("stopped", 0.0, 0.2),  # nothing, and perhaps beyond the limit
        ("start_logp", -0.9, None),  # without an interval
    ],
)
def test_what_an_interval_leaves_open_is_called_so(
    many: ReportData, name: str, value: float, half: float | None
) -> None:
    found = moved(many, name, value, versus="sft", half=half)
    assert list(states(found).values()) == [State.UNCLEAR]
    first, _ = sentences(found)
    assert first.text.startswith("Whether these changed too far is not clear: ")
    assert first.tone is Tone.FLAT
    assert headline(found).tone is Tone.GOOD


def test_a_shorter_answer_is_held_against_others_of_its_length(many: ReportData) -> None:
    short = lengthened(many, 11.9)
    (alarm,) = [alarm for alarm in alarms(short) if alarm.state is State.RAISED]
    assert alarm.said == (
        "Answers became 50% shorter than SFT's (23.8 to 11.9 tokens); against SFT's answers of "
        "like length the change of the judge's grade is +0.66 (interval +0.56 to +0.76)."
    )
    assert alarm.accounted
    assert sentences(short)[0].text == alarm.said
    assert sentences(short)[0].tone is Tone.FLAT
    assert headline(short).title == headline(many).title
    nothing = moved(short, "grade at like length", 0.02, versus="sft", half=0.1)
    assert sentences(nothing)[0].tone is Tone.BAD
    assert sentences(nothing)[0].text.endswith("or price length.")
    assert headline(nothing).title.endswith("; answers became shorter")
    assert headline(nothing).tone is Tone.FLAT
    assert states(lengthened(many, 11.9, half=12.5)) == {"length": State.UNCLEAR}
    assert states(lengthened(many, 40.0)) == {"length": State.RAISED}
    assert not states(lengthened(many, 19.0))


def test_plainer_answers_are_told_and_no_mistake_where_the_truth_gains(many: ReportData) -> None:
    found = moved(many, "start_logp", 0.6, versus="sft")
    assert states(found) == {"likelihood": State.RAISED}
    assert sentences(found)[0].text.startswith("The base model finds the answers more likely than")
    assert sentences(found)[0].tone is Tone.FLAT
    assert headline(found).title == headline(many).title
    worse = moved(found, "grade", 0.0, versus="sft", half=0.1)
    assert sentences(worse)[0].tone is Tone.BAD
    assert headline(worse).title.endswith("; answers became plainer")


def test_without_answers_of_like_length_their_part_cannot_be_told(many: ReportData) -> None:
    kept = [f for f in many.figures if f.measure is not Measure.GOLD_AT_LENGTH]
    (alarm,) = unaccounted(lengthened(replace(many, figures=tuple(kept)), 40.0))
    assert "68% longer" in alarm.said
    assert alarm.said.endswith("cannot be told, for too few of SFT's are of such a length.")
    kept = [f for f in kept if f.measure is not Measure.GOLD]
    (alarm,) = unaccounted(lengthened(replace(many, figures=tuple(kept)), 40.0))
    assert alarm.said.endswith("cannot be told, for no truth is known.")


def test_what_was_not_measured_is_not_judged_and_said(many: ReportData) -> None:
    nothing = replace(many, figures=())
    assert alarms(nothing) == ()
    assert sentences(nothing) == ()
    kept = tuple(f for f in many.figures if f.name != "start_logp")
    last = sentences(replace(many, figures=kept))[-1]
    assert last.text == "Not measured, so not looked at: likelihood."
    assert last.tone is Tone.UNKNOWN


def test_other_trained_arms_are_looked_at_too(many: ReportData) -> None:
    figures = tuple(
        replace(f, value=0.3) if (f.name, f.policy) == ("distinct", "dpo") else f
        for f in many.figures
    )
    assert of_others(many) == ()
    found = replace(many, figures=figures)
    (said,) = of_others(found)
    assert said.text.startswith("DPO: Answers became alike: their distinct pairs of words are ")
    assert said in arms_view.sentences(found)
    assert not states(found)
