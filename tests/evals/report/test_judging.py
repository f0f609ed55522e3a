"""Whether a judge can be believed, as far as its trial tells."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from accord.core.errors import DataError
from accord.evals.report.findings import Tone
from accord.evals.report.judging import judge_view, verdict
from accord.evals.report.parts import Estimate, JudgeTrial, Trick
from accord.evals.report.render import render


def _with(trial: JudgeTrial, *ends: tuple[float, float, float]) -> JudgeTrial:
    tricks = tuple(
        Trick(name=f"t{number}", texts=40, above=Estimate(value=v, low=low, high=high), shown=False)
        for number, (v, low, high) in enumerate(ends)
    )
    return replace(trial, tricks=tricks)


@pytest.mark.parametrize(
    ("ends", "tone", "said"),
    [
        (((0.1, 0.0, 0.2), (0.3, 0.2, 0.45)), Tone.GOOD, "most of t1, 30.0"),
        (((0.1, 0.0, 0.2), (0.4, 0.3, 0.5)), Tone.FLAT, "Of t1 the interval does not leave out"),
        (((0.5, 0.4, 0.6), (0.1, 0.0, 0.2)), Tone.BAD, "can be fooled: of t0 at least half"),
        ((), Tone.UNKNOWN, "tried on none"),
    ],
)
def test_what_is_said_of_tricks(
    arms: ModuleType, ends: tuple[tuple[float, float, float], ...], tone: Tone, said: str
) -> None:
    found = verdict(_with(arms.judge(), *ends))
    assert found.tone is tone
    assert said in found.text


def test_every_trick_stands_beside_other_graders(arms: ModuleType) -> None:
    view = judge_view(arms.judge())
    assert view is not None
    assert view.others == ("VADER",)
    assert len(view.tricks) == 12
    assert [row.name for row in view.tricks if row.shown == "never shown"] == [
        "echoed",
        "chained",
        "framed",
        "joined",
    ]
    assert view.heap.endswith("below the median liked text; VADER puts it above its own.")
    assert judge_view(None) is None


def test_a_trial_without_tricks_or_heap_is_shown(arms: ModuleType, sample: ModuleType) -> None:
    bare = replace(arms.judge(), tricks=(), heap=None, trained_on=None)
    view = judge_view(bare)
    assert view is not None
    assert (view.picture, view.tricks, view.heap) == (None, (), "")
    page = render(replace(sample.full(), judge=bare))
    assert "Can the judge be believed?" in page
    assert "Tricks as a table" not in page
    assert "Can the judge be believed?" not in render(sample.full())


def test_shares_outside_their_range_are_refused() -> None:
    with pytest.raises(DataError, match="in \\[0, 1\\]"):
        Trick(name="t", texts=1, above=Estimate(value=1.5), shown=True)
    with pytest.raises(DataError, match="needs a text"):
        Trick(name="t", texts=0, above=Estimate(value=0.5), shown=True)
    with pytest.raises(DataError, match="upside down"):
        Estimate(value=0.5, low=0.6, high=0.4)
