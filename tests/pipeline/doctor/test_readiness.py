"""Whether a start policy is fit to be aligned: each figure by hand, and at its limit."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from accord.core.types import Completion, Conversation, StopReason
from accord.pipeline.doctor import Finding, Outcome, examine
from accord.pipeline.doctor.readiness import (
    CHECKS,
    DRAWS,
    INSTRUCTIONS,
    copies,
    empties,
    follows,
    it_stops,
    loops,
)
from tests.pipeline.doctor.clinic import Clinic

FINE = "The fox runs over the hill and looks at the river."
LOOP = "the fox the fox the fox the fox the fox"
ASKED = Conversation.of("Tell me about the fox that runs over the hill.")
DONE = ["Yes.", "7", "Blue", "river", "The rain falls today.", "HELLO", "Why?", "ox, cow, hen"]


def said(stopped: bool) -> Completion:
    stop = StopReason.STOP if stopped else StopReason.LENGTH
    return Completion(tokens=(1,), logprobs=(-1.0,), stop=stop)


def is_fine(finding: Finding) -> bool:
    assert bool(finding.do) is (finding.outcome is Outcome.FAILED)
    return finding.outcome is Outcome.PASSED


@pytest.mark.parametrize(("stopped", "fine"), [(10, True), (5, True), (4, False), (0, False)])
def test_answers_that_stop(stopped: int, fine: bool) -> None:
    finding = it_stops([said(place < stopped) for place in range(10)], 12)
    assert is_fine(finding) is fine
    assert finding.figures["stopped"] == stopped / 10


@pytest.mark.parametrize(("looping", "fine"), [(0, True), (2, True), (3, False)])
def test_answers_that_loop(looping: int, fine: bool) -> None:
    """Of the 8 runs of 3 words in LOOP 6 were said before; none is in FINE."""
    finding = loops([LOOP] * looping + [FINE] * (10 - looping))
    assert is_fine(finding) is fine
    assert finding.figures["loops"] == looping / 10


@pytest.mark.parametrize(("empty", "fine"), [(0, True), (1, True), (2, False)])
def test_answers_that_say_nothing(empty: int, fine: bool) -> None:
    assert is_fine(empties([" \n"] * empty + [FINE] * (10 - empty))) is fine


@pytest.mark.parametrize(
    ("copy", "caught"),
    [
        ("tell me about THE FOX that runs over the hill.", True),
        ("Tell me about the fox that runs over", True),
        (FINE, False),
        ("The fox", False),
    ],
)
def test_answers_that_are_the_prompt_again(copy: str, caught: bool) -> None:
    texts = [copy] * 3 + ["No idea."] * 7
    finding = copies([ASKED] * 10, texts)
    assert is_fine(finding) is not caught
    assert finding.figures["copies"] == (0.3 if caught else 0.0)


def test_each_instruction_can_be_followed_and_not() -> None:
    assert all(one.done(text) for one, text in zip(INSTRUCTIONS, DONE, strict=True))
    assert not any(one.done("") for one in INSTRUCTIONS)


@pytest.mark.parametrize(("kept", "fine"), [(8, True), (6, True), (5, False), (0, False)])
def test_a_policy_that_unlearned_what_its_base_follows_is_caught(kept: int, fine: bool) -> None:
    base = [[text] * DRAWS for text in DONE]
    start = [[text if i < kept else ""] * DRAWS for i, text in enumerate(DONE)]
    finding = follows(start, base)
    assert is_fine(finding) is fine
    assert (finding.figures["start"], finding.figures["base"]) == (kept / 8, 1.0)
    assert is_fine(follows(base, start))


def test_a_policy_that_was_never_taught_to_stop_is_caught(clinic: Clinic) -> None:
    """The tiny model without any training stops where chance has it: hardly ever."""
    patient = clinic.patient("ppo")
    results = {check.name: examine(check, patient) for check in CHECKS}
    assert results["answers stop"].failed
    assert results["answers stop"].finding.figures["stopped"] < 0.3
    assert {one.finding.outcome for one in results.values()} <= {Outcome.PASSED, Outcome.FAILED}


def test_a_base_model_is_not_asked_whether_it_is_ready(clinic: Clinic) -> None:
    outcomes = {examine(check, clinic.patient("sft")).finding.outcome for check in CHECKS}
    assert outcomes == {Outcome.NOT_APPLICABLE}
