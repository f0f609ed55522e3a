"""The forecast: what it adds up by hand, and that it measures something."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("torch")

from accord.core.types import Comparison, Conversation
from accord.pipeline.doctor import Outcome, examine
from accord.pipeline.doctor.forecast import Pace, forecast, memory_and_time, seconds, texts
from tests.pipeline.doctor.clinic import OWN, Clinic

PACE = Pace(train=0.01, sample=0.1, peak=1.0, total=4.0)


def test_memory_that_would_run_out_is_caught() -> None:
    for peak, outcome in ((3.5, Outcome.PASSED), (3.7, Outcome.FAILED), (9.0, Outcome.FAILED)):
        finding = memory_and_time(Pace(train=1, sample=1, peak=peak, total=4.0), {"sft": 30.0})
        assert finding.outcome is outcome
        assert "sft 30 s" in finding.told
        assert "roughly" in finding.told


def test_a_stage_that_samples_by_hand(clinic: Clinic) -> None:
    """100 steps of 32 answers: 16 tokens sampled, and prompt and answer read by four roles and
    learnt from by two."""
    patient, own = clinic.patient("ppo"), OWN["ppo"]
    prompt = sum(len(ids) for _, ids in patient.asked) / len(patient.asked)
    answers = own.steps * own.batch_prompts
    by_hand = answers * (16 * 0.1 + (prompt + 16) * (4 / 3 + 2) * 0.01)
    assert seconds(patient, PACE) == pytest.approx(by_hand)


def test_a_stage_that_reads_rows_by_hand(clinic: Clinic) -> None:
    """All 54 training rows are in the draw: their tokens twice over."""
    patient = clinic.patient("sft")
    tokens = sum(len(one.tokens) for one in patient.examples)
    assert len(patient.examples) == 54
    assert seconds(patient, PACE) == pytest.approx(tokens * OWN["sft"].epochs * 0.01)


def test_an_answer_that_comparisons_share_is_run_once() -> None:
    def pair(question: str, *answers: str) -> Comparison:
        return Comparison(prompt=Conversation.of(question), responses=answers, tiers=(0, 1))

    rows = [pair("a?", "x", "y"), pair("a?", "y", "z"), pair("a?", "x", "z"), pair("b?", "x", "y")]
    assert texts(rows) == 5
    assert texts(["a demonstration", "another"]) == 2


def test_it_is_measured_on_this_machine(clinic: Clinic) -> None:
    patient = clinic.patient("ppo")
    before = {name: p.detach().clone() for name, p in patient.policy.trained()}
    result = examine(forecast([clinic.patient("sft"), patient]), patient)
    assert result.finding.outcome is Outcome.PASSED
    figures = result.finding.figures
    assert {"seconds/sft", "seconds/ppo", "peak", "total", "train", "sample"} == set(figures)
    assert all(math.isfinite(value) and value > 0 for value in figures.values())
    for name, parameter in patient.policy.trained():
        assert parameter.grad is None
        assert bool((parameter == before[name]).all())
