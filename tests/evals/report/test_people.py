"""Whose word was learnt from, and what people made of the outcome."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from accord.core.errors import DataError
from accord.evals.report import people
from accord.evals.report.absent import not_shown
from accord.evals.report.data import Measure
from accord.evals.report.findings import Tone
from accord.evals.report.parts import DataSet, Estimate
from accord.evals.report.render import render
from accord.evals.report.verdict import headline


def test_comparisons_are_counted_by_whose_word_they_are(
    sample: ModuleType, arms: ModuleType
) -> None:
    reward, dpo = people.counted(arms.many(sample))
    assert reward == (
        "The stage reward was given 3,844 comparisons: 3,700 derived from ratings, 144 by simulated"
        " raters; 2,514 of them are held out. No person compared two of the answers."
    )
    assert dpo.startswith("The stage dpo was given 144 comparisons: 144 by simulated raters; 14 of")


@pytest.mark.parametrize("who", [people.PEOPLE, people.IMPORTED])
def test_where_people_may_have_judged_nobody_says_that_none_did(
    sample: ModuleType, who: str
) -> None:
    mine = DataSet(
        name="mine",
        kind="preferences",
        rows=5,
        held_out=0,
        digest="",
        judged_by={who: 5},
        used_by=("dpo",),
    )
    (said,) = people.counted(replace(sample.full(), data_sets=(mine,)))
    assert said == f"The stage dpo was given 5 comparisons: 5 {who}."


def test_agreement_is_told_with_intervals_or_why_not(sample: ModuleType, arms: ModuleType) -> None:
    data = arms.many(sample)
    (row,) = people.round_rows(data)
    assert (row.judgements, row.percent) == (
        "144, 3 ties",
        "64.0\N{NO-BREAK SPACE}% (60.0 to 68.0)",
    )
    assert row.alpha == "0.29 (0.21 to 0.37)"
    assert "at most 80.0" in row.ceiling
    alone = replace(
        data.rounds[0], percent=None, alpha=None, ceiling=None, why="no two raters judged the same"
    )
    (row,) = people.round_rows(replace(data, rounds=(alone,)))
    assert {row.percent, row.alpha, row.ceiling} == {"no two raters judged the same"}
    assert [one.name for one in people.rater_rows(data)][2] == "Cleo (falls for length)"


@pytest.mark.parametrize(
    ("share", "tone", "said"),
    [
        (Estimate(value=0.7, low=0.55, high=0.8), Tone.GOOD, "interval 55.0 to 80.0"),
        (Estimate(value=0.3, low=0.2, high=0.45), Tone.BAD, "interval 20.0 to 45.0"),
        (Estimate(value=0.6, low=0.5, high=0.7), Tone.FLAT, "neither is shown to be preferred"),
        (Estimate(value=1.0), Tone.UNKNOWN, "may be chance"),
    ],
)
def test_blind_judgements_are_read_by_their_interval(
    arms: ModuleType, sample: ModuleType, share: Estimate, tone: Tone, said: str
) -> None:
    found = people.blind_sentence(replace(arms.many(sample).blind, share=share))
    assert found is not None
    assert found.tone is tone
    assert said in found.text
    assert "20 blind judgements by 1 person" in found.text


def test_who_was_not_asked_is_invited(sample: ModuleType, arms: ModuleType) -> None:
    data = replace(arms.many(sample), blind=None)
    assert people.blind_sentence(None) is None
    page = render(data)
    assert "Judge them yourself, blind:" in page
    assert "accord rate ppo-or-sft-1a2b" in page
    assert "no blind pairs were made" in render(replace(data, invitation=""))


def test_what_people_said_counts_where_no_truth_is_known(
    sample: ModuleType, arms: ModuleType
) -> None:
    data = arms.many(sample)
    figures = tuple(f for f in data.figures if f.measure is not Measure.GOLD)
    blind = replace(data, figures=figures)
    assert not [s for s in headline(blind).sentences if "is not known" in s.text]
    assert not [text for text in not_shown(blind) if "truly better" in text]
    nobody = replace(blind, blind=None)
    assert [s for s in headline(nobody).sentences if "is not known" in s.text]
    assert [text for text in not_shown(nobody) if "truly better" in text]


def test_numbers_below_none_are_refused() -> None:
    with pytest.raises(DataError, match="less than none"):
        DataSet(name="a", kind="prompts", rows=-1, held_out=0, digest="")
