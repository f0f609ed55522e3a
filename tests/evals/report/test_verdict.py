from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.metrics import Better
from accord.evals.report.data import EvalFigure, KLSpent, Measure, ReportData, RunFacts
from accord.evals.report.findings import Tone, find, tone
from accord.evals.report.verdict import headline

UP, DOWN, FLAT = (0.5, 1.5), (-1.5, -0.5), (-0.2, 0.9)


def _figure(measure: Measure, ends: tuple[float, float] | None, **more: str) -> EvalFigure:
    low, high = ends or (None, None)
    return EvalFigure(
        name=measure.value,
        policy=more.get("policy", "ppo"),
        versus=more.get("versus", "sft"),
        value=sum(ends) / 2 if ends else 1.0,
        low=low,
        high=high,
        unit="score",
        meaning="",
        measure=measure,
        better=Better.UP,
        n=100,
    )


def _report(*figures: EvalFigure, **more: object) -> ReportData:
    run = RunFacts(title="t", model="tiny", before="sft", after="ppo")
    return ReportData(run=run, figures=figures, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("proxy", "gold", "title", "mood"),
    [
        (UP, UP, "Both the score and the truth went up", Tone.GOOD),
        (UP, FLAT, "The score went up; the truth did not clearly move", Tone.FLAT),
        (UP, DOWN, "The score went up, but the truth went down", Tone.BAD),
        (FLAT, UP, "The score did not clearly move, but the truth went up", Tone.GOOD),
        (DOWN, DOWN, "The score went down; the truth went down", Tone.BAD),
    ],
)
def test_title_says_what_the_intervals_allow(
    proxy: tuple[float, float], gold: tuple[float, float], title: str, mood: Tone
) -> None:
    found = headline(_report(_figure(Measure.PROXY, proxy), _figure(Measure.GOLD, gold)))
    assert (found.title, found.tone) == (title, mood)


def test_score_that_rises_alone_is_called_exploitation() -> None:
    text = "exploiting mistakes of the reward model"
    for gold, warned in ((DOWN, True), (FLAT, True), (UP, False), (None, False)):
        data = _report(_figure(Measure.PROXY, UP), _figure(Measure.GOLD, gold))
        said = [s for s in headline(data).sentences if text in s.text]
        assert bool(said) is warned, gold
        assert all(s.tone is Tone.BAD for s in said)


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_nothing_rose_or_fell_where_the_interval_holds_zero(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    data = _report(_figure(Measure.GOLD, (low, high)))
    said = next(s for s in headline(data).sentences if "gold" in s.text)
    moved = "rose by" in said.text or "fell by" in said.text
    assert moved is not (low <= 0 <= high)
    assert ("rose" in said.text) is (low > 0)


def test_missing_gold_is_said_and_never_read_as_success() -> None:
    found = headline(_report(_figure(Measure.PROXY, UP)))
    assert found.title == "The score went up; the truth was not measured"
    assert found.tone is Tone.UNKNOWN
    assert any(
        "Whether the answers are truly better is not known" in s.text for s in found.sentences
    )


def test_a_figure_without_interval_may_be_chance() -> None:
    found = headline(_report(_figure(Measure.PROXY, None)))
    assert found.title == "Nothing was compared before and after"
    assert any("without an interval: it may be chance" in s.text for s in found.sentences)


def test_another_policy_or_start_never_stands_in() -> None:
    other = _figure(Measure.GOLD, UP, policy="dpo")
    start = _figure(Measure.GOLD, UP, versus="base")
    assert find(_report(other, start), Measure.GOLD) is None
    assert (
        find(_report(other, start, wanted := _figure(Measure.GOLD, DOWN)), Measure.GOLD) is wanted
    )


def test_direction_of_better_decides_the_tone() -> None:
    rise = _figure(Measure.OTHER, UP)
    assert tone(rise) is Tone.GOOD
    assert tone(replace(rise, better=Better.DOWN)) is Tone.BAD
    assert tone(replace(rise, better=Better.NEITHER)) is Tone.FLAT
    assert tone(None) is Tone.UNKNOWN


def test_kl_is_read_against_its_budget() -> None:
    def said(kl: KLSpent) -> tuple[str, Tone]:
        found = next(s for s in headline(_report(kl=kl)).sentences if "nats a response" in s.text)
        return found.text, found.tone

    assert said(KLSpent(nats=6.1, budget=8))[1] is Tone.GOOD
    text, mood = said(KLSpent(nats=8.1, budget=8, ended_by_budget=True))
    assert mood is Tone.BAD
    assert text.endswith("beyond its budget of 8. Training ended when the budget was used up.")
    assert "no budget was set" in said(KLSpent(nats=6.1))[0]
    assert "budget of 0" in said(KLSpent(nats=0.1, budget=0.0))[0]


def test_reward_model_is_judged_beside_the_best_simple_rule(sample: ModuleType) -> None:
    model = sample.full().calibration

    def said(**changed: object) -> tuple[str, Tone]:
        data = _report(calibration=replace(model, **changed))
        found = next(s for s in headline(data).sentences if "held-out pairs the" in s.text)
        return found.text, found.tone

    assert said()[1] is Tone.GOOD
    assert "linear probe, in 70.2" in said()[0]
    assert said(baselines={"longer wins": 0.75})[1] is Tone.BAD
    assert "no better than that rule" in said(baselines={"longer wins": 0.75})[0]
    assert said(baselines={"longer wins": 0.72})[1] is Tone.FLAT
    assert said(interval=None)[1] is Tone.FLAT
    assert "no model could exceed" not in said(bayes_bound=None)[0]
