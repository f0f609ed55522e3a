"""What is held out and was trained on: word for word, and but for case and blanks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("torch")

from accord.core.types import Comparison, Conversation, Demonstration, Prompt, Split
from accord.pipeline.doctor import Outcome, examine
from accord.pipeline.doctor.leaks import CHECKS, folded, leaks
from accord.store.datasets import Dataset, Row, write_dataset
from accord.store.splits import Splitter
from tests.pipeline.doctor.clinic import Clinic, artifact

(CHECK,) = CHECKS


def told(text: str, answer: str = "yes") -> Demonstration:
    return Demonstration(conversation=Conversation.of(text).answered(answer))


def compared(first: str, second: str) -> Comparison:
    return Comparison(prompt=Conversation.of("one"), responses=(first, second), tiers=(0, 1))


@pytest.mark.parametrize(
    ("held", "outcome", "exact", "near"),
    [
        ("What is new?", Outcome.PASSED, 0, 0),
        ("What is a fox?", Outcome.FAILED, 1, 1),
        ("what is  a FOX?\n", Outcome.FAILED, 0, 1),
        ("\uff37hat is a fox?", Outcome.FAILED, 0, 1),
        ("What is a fox", Outcome.PASSED, 0, 0),
    ],
)
def test_by_hand(held: str, outcome: Outcome, exact: int, near: int) -> None:
    finding = leaks([("What is a fox?",), ("Other",)], [(held,), ("Third",)], "prompt")
    assert finding.outcome is outcome
    assert (finding.figures["exact"], finding.figures["near"]) == (exact, near)


def test_one_near_copy_among_many_is_told_and_an_exact_one_is_never_let_through() -> None:
    held = [(f"question {i}",) for i in range(200)]
    near = leaks([("Question 3",)], held, "prompt")
    assert (near.outcome, near.figures["near"]) == (Outcome.PASSED, 1)
    assert leaks([("Question 3",), ("QUESTION 4",), ("question  5",)], held, "prompt").do
    assert leaks([("question 3",)], held, "prompt").outcome is Outcome.FAILED


def test_what_is_folded() -> None:
    assert folded(("A  b\n", "Stra\u00dfe")) == ("a b", "strasse")
    assert folded(("x+1",)) != folded(("x-1",))


def split_by(monkeypatch: pytest.MonkeyPatch, part: Callable[[Row], Split]) -> None:
    """A splitter that decides by something else than the words."""
    monkeypatch.setattr(Splitter, "split", lambda self, row: part(row))


def test_a_set_that_was_split_by_row_is_caught(
    clinic: Clinic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault of a split that is drawn row by row: one prompt stands on both sides."""
    rows = [told(f"ask {i // 4}", f"answer {i}") for i in range(80)]
    number = count()
    write_dataset(tmp_path / "fine", rows, kind="demonstrations", source="test", dev=0.3)
    with monkeypatch.context() as patch:
        split_by(patch, lambda row: Split.DEV if next(number) % 4 == 0 else Split.TRAIN)
        write_dataset(tmp_path / "bad", rows, kind="demonstrations", source="test", dev=0.3)
    for name, outcome in (("fine", Outcome.PASSED), ("bad", Outcome.FAILED)):
        given = artifact("demonstrations/a", tmp_path / name)
        patient = clinic.patient("sft", demonstrations__a=given)
        assert examine(CHECK, patient).finding.outcome is outcome


def test_the_same_question_in_another_case_is_caught(clinic: Clinic, tmp_path: Path) -> None:
    """A hash of the words puts it into another split: no splitter sees it."""
    rows = [told(text) for i in range(60) for text in (f"ask about {i}", f"Ask  about {i}")]
    write_dataset(tmp_path / "set", rows, kind="demonstrations", source="test", dev=0.3)
    given = artifact("demonstrations/a", tmp_path / "set")
    finding = examine(CHECK, clinic.patient("sft", demonstrations__a=given)).finding
    assert finding.outcome is Outcome.FAILED
    assert finding.figures["exact"] == 0
    dev = Dataset(tmp_path / "set").count(Split.DEV)
    assert 0 < finding.figures["near"] <= dev


def test_where_responses_are_the_unit_prompts_may_be_shared(clinic: Clinic, tmp_path: Path) -> None:
    """One prompt for everything; a response on both sides is caught."""
    rows = [compared(f"text {i}", f"text {(7 * i + 1) % 300}") for i in range(300)]
    how = {"kind": "preferences", "source": "test", "dev": 0.4, "unit": "response"}
    write_dataset(tmp_path / "fine", rows, **how)  # type: ignore[arg-type]
    loud = [compared(*(text.upper() for text in row.responses)) for row in rows]
    write_dataset(tmp_path / "bad", [*rows, *loud], **how)  # type: ignore[arg-type]
    for name, outcome in (("fine", Outcome.PASSED), ("bad", Outcome.FAILED)):
        patient = clinic.patient("dpo", preferences__a=artifact("preferences/a", tmp_path / name))
        finding = examine(CHECK, patient).finding
        assert finding.outcome is outcome
        assert "held-out responses" in finding.told


def test_prompts_that_a_policy_is_asked(clinic: Clinic, tmp_path: Path) -> None:
    fine = [Prompt(conversation=Conversation.of(f"ask {i}")) for i in range(100)]
    loud = [Prompt(conversation=Conversation.of(f"ASK {i}")) for i in range(100)]
    write_dataset(tmp_path / "fine", fine, kind="prompts", source="test", dev=0.3)
    write_dataset(tmp_path / "bad", [*fine, *loud], kind="prompts", source="test", dev=0.3)
    for name, outcome in (("fine", Outcome.PASSED), ("bad", Outcome.FAILED)):
        patient = clinic.patient("ppo", prompts__a=artifact("prompts/a", tmp_path / name))
        assert examine(CHECK, patient).finding.outcome is outcome


def test_nothing_held_out_is_nothing_to_look_at(clinic: Clinic, tmp_path: Path) -> None:
    rows = [told(f"ask {i}") for i in range(5)]
    write_dataset(tmp_path / "set", rows, kind="demonstrations", source="test", dev=0.0)
    given = artifact("demonstrations/a", tmp_path / "set")
    finding = examine(CHECK, clinic.patient("sft", demonstrations__a=given)).finding
    assert (finding.outcome, finding.told) == (Outcome.NOT_APPLICABLE, "no prompt is held out")
