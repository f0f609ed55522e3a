"""Checks of training rows: each passes on the tiny world and catches the fault it is for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from torch import Tensor

from accord.core.types import Comparison, Conversation, Demonstration
from accord.models.ragged import Ragged
from accord.pipeline.doctor import Check, Outcome, Patient, examine
from accord.pipeline.doctor.patient import Example
from accord.pipeline.doctor.rows import CHECKS, nothing_is_doubled, pad_is_no_end
from accord.pipeline.doctor.shown import counted, pieces
from accord.store.datasets import write_dataset
from accord.text.template import ChatTemplate
from accord.text.tokenized import Tokenized
from tests.pipeline.doctor.clinic import Clinic, artifact

BY_NAME = {check.name: check for check in CHECKS}
Change = Callable[[ChatTemplate, Tokenized], Tokenized]


class Altered(ChatTemplate):
    """The tiny model's template, with a fault in the tokens that it gives to a trainer."""

    def __init__(self, real: ChatTemplate, change: Change) -> None:
        super().__init__(real.tokenizer)
        self._change = change

    def tokenize(self, conversation: Conversation) -> Tokenized:
        return self._change(self, super().tokenize(conversation))

    def tokenize_answer(self, prompt: Conversation, answer: str) -> Tokenized:
        return self._change(self, super().tokenize_answer(prompt, answer))


class Unopened(ChatTemplate):
    """A template that asks the sampler something else than it trains on."""

    def prompt_ids(self, conversation: Conversation) -> list[int]:
        return super().prompt_ids(conversation)[:-1]


def stop_masked(template: ChatTemplate, row: Tokenized) -> Tokenized:
    """The mask leaves out the end of each turn, as where it ends with the message."""
    mask = tuple(
        on and token != template.stop_id for token, on in zip(row.ids, row.mask, strict=True)
    )
    return Tokenized(row.ids, mask)


def stop_doubled(template: ChatTemplate, row: Tokenized) -> Tokenized:
    return Tokenized((*row.ids, template.stop_id), (*row.mask, True))


def word_lost(template: ChatTemplate, row: Tokenized) -> Tokenized:
    """The first word of the answer is its neighbour in the vocabulary."""
    at = row.mask.index(True)
    return replace(row, ids=(*row.ids[:at], row.ids[at] + 1, *row.ids[at + 1 :]))


def outcome(check: str, patient: Patient) -> tuple[Outcome, str]:
    finding = examine(BY_NAME[check], patient).finding
    return finding.outcome, finding.told


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_sound_stage_passes(clinic: Clinic, check: Check) -> None:
    result = examine(check, clinic.patient("sft"))
    assert result.finding.outcome is Outcome.PASSED, result.finding.told
    assert result.finding.told
    assert not result.finding.do


@pytest.mark.parametrize(
    ("change", "caught"),
    [
        (stop_masked, {"stop token trained", "pad is no end"}),
        (stop_doubled, {"nothing doubled"}),
        (word_lost, {"round trip"}),
    ],
)
def test_a_planted_fault_is_caught_by_its_check(
    clinic: Clinic, change: Change, caught: set[str]
) -> None:
    patient = clinic.patient("sft")
    patient.template = Altered(patient.template, change)
    results = [examine(check, patient) for check in CHECKS]
    failed = {one.check.name for one in results if one.failed}
    assert failed == caught
    assert all(one.finding.do for one in results if one.failed)


def test_a_sampler_that_is_asked_something_else_is_caught(clinic: Clinic) -> None:
    patient = clinic.patient("sft")
    patient.template = Unopened(patient.template.tokenizer)
    found, told = outcome("round trip", patient)
    assert found is Outcome.FAILED
    assert "asked something else" in told


@pytest.mark.parametrize("pad_is_stop", [False, True])
def test_rows_masked_by_the_pads_id_lose_their_end_where_pad_and_stop_are_one(
    clinic: Clinic, pad_is_stop: bool
) -> None:
    """The fault of masking by id: harmless with a pad of its own, silent with a shared one."""
    patient = clinic.patient("sft")
    stop = patient.template.stop_id
    pad = stop if pad_is_stop else 0
    assert pad_is_no_end(patient.examples, pad, stop).outcome is Outcome.PASSED
    by_id = [
        replace(one, tokens=Tokenized(one.tokens.ids, tuple(m and t != pad for t, m in both(one))))
        for one in patient.examples
    ]
    found = pad_is_no_end(by_id, pad, stop)
    assert (found.outcome is Outcome.FAILED) is pad_is_stop
    assert ("the pad is the stop token" in found.told) is pad_is_stop


def both(one: Example) -> Sequence[tuple[int, bool]]:
    return list(zip(one.tokens.ids, one.tokens.mask, strict=True))


def test_pads_that_are_found_by_id_are_caught(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that takes every token of the pad's id for a pad loses the ends of its rows."""
    patient = clinic.patient("sft")
    stop, real = patient.template.stop_id, Ragged.padded

    def by_id(self: Ragged, side: str = "right") -> tuple[Tensor, Tensor, Tensor]:
        ids_BT, positions_BT, real_BT = real(self, side)
        return ids_BT, positions_BT, real_BT & (ids_BT != stop)

    monkeypatch.setattr(Ragged, "padded", by_id)
    assert outcome("pad is no end", patient)[0] is Outcome.FAILED


@pytest.mark.parametrize(
    ("ids", "mask", "fine"),
    [
        ((9, 5, 6, 1), (False, False, True, True), True),
        ((9, 9, 6, 1), (False, False, True, True), False),
        ((9, 5, 9, 6, 1), (False, False, True, True, True), False),
        ((9, 5, 9, 6, 1), (False, False, False, True, True), True),
        ((9, 5, 6, 1, 1), (False, False, True, True, True), False),
        ((9, 5, 6, 1, 1), (False, False, True, True, False), False),
        ((9, 5, 1, 6, 1), (False, False, False, True, True), True),
    ],
)
def test_doubled_tokens_by_hand(ids: tuple[int, ...], mask: tuple[bool, ...], fine: bool) -> None:
    """BOS is 9 and stop is 1: twice in a row, or a BOS inside an answer, is one too many."""
    row = Example(None, "", 1, Tokenized(ids, mask))
    assert (nothing_is_doubled([row], 1, 9).outcome is Outcome.PASSED) is fine


def test_a_template_that_cannot_train_is_what_the_check_found(clinic: Clinic) -> None:
    """It ends a turn twice, and is refused where it is read."""
    patient = clinic.patient("sft")
    folder = clinic.folder / "twice" / "model"
    if not folder.is_dir():
        folder.mkdir(parents=True)
        for file in (clinic.base.folder / "model").iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        source = (folder / "chat_template.jinja").read_text()
        (folder / "chat_template.jinja").write_text(source.replace("<|end|>", "<|end|><|end|>"))
    patient.base = folder
    found, told = outcome("chat template", patient)
    assert found is Outcome.FAILED
    assert "twice" in told


def rows_of(clinic: Clinic, folder: Path, answers: Sequence[str]) -> Patient:
    """An SFT stage on a set of these answers."""
    rows = [
        Demonstration(conversation=Conversation.of(f"ask {i}").answered(text))
        for i, text in enumerate(answers)
    ]
    write_dataset(folder / "set", rows, kind="demonstrations", source="test", dev=0.0)
    return clinic.patient("sft", demonstrations__a=artifact("demonstrations/a", folder / "set"))


@pytest.mark.parametrize(("said", "fine"), [(0, True), (1, True), (10, False)])
def test_texts_that_bring_a_stop_token(
    clinic: Clinic, tmp_path: Path, said: int, fine: bool
) -> None:
    texts = ["a fox<|end|>"] * said + ["a fox"] * (40 - said)
    found, told = outcome("stop token not said", rows_of(clinic, tmp_path, texts))
    assert (found is Outcome.PASSED) is fine
    assert told.startswith(f"{said} of 40 drawn rows")


@pytest.mark.parametrize(("long", "fine"), [(0, True), (20, True), (21, False)])
def test_rows_that_do_not_fit(clinic: Clinic, tmp_path: Path, long: int, fine: bool) -> None:
    texts = ["fox " * 200] * long + ["a fox"] * (40 - long)
    found, told = outcome("rows fit", rows_of(clinic, tmp_path, texts))
    assert (found is Outcome.PASSED) is fine
    assert told.startswith(f"{long} of 40 drawn rows")


def test_where_no_row_can_be_used_the_reasons_are_told(clinic: Clinic, tmp_path: Path) -> None:
    texts = ["fox " * 200] * 3 + ["a fox<|end|>"] * 4
    found, told = outcome("rows fit", rows_of(clinic, tmp_path, texts))
    assert found is Outcome.FAILED
    assert "no demonstration can be trained on" in told
    assert "left out: 3 too long, 4 says the stop token; the limit is 128 tokens" in told


def test_comparisons_are_looked_at_response_by_response(clinic: Clinic, tmp_path: Path) -> None:
    row = Comparison(
        prompt=Conversation.of("ask"), responses=("one", "two", "three"), tiers=(0, 1, 2)
    )
    write_dataset(tmp_path / "set", [row], kind="preferences", source="test", dev=0.0)
    patient = clinic.patient("dpo", preferences__a=artifact("preferences/a", tmp_path / "set"))
    assert [one.answer for one in patient.examples] == ["one", "two", "three"]
    assert outcome("stop token trained", patient) == (Outcome.PASSED, "3 of 3 in 3 rows")


def test_a_stage_that_samples_has_no_rows_to_look_at(clinic: Clinic) -> None:
    found, told = outcome("stop token trained", clinic.patient("ppo"))
    assert found is Outcome.NOT_APPLICABLE
    assert "samples" in told


def test_a_row_is_shown_with_what_is_trained(clinic: Clinic) -> None:
    patient = clinic.patient("sft")
    one = patient.examples[0]
    row = pieces(one, patient.template)
    assert [piece.trained for piece in row] == [False, True]
    assert row[0].text.startswith("<|user|>")
    assert row[1].text == one.answer + "<|end|>"
    assert counted(row) == (len(one.tokens), sum(one.tokens.mask))
