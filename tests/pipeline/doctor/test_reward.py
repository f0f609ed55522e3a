"""A score is about the answer: pads and company do not move it, and what lets them is caught.

Shape letters:  B = answers.
"""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from accord.models.backbone import Backbone
from accord.models.ragged import Ragged
from accord.models.role import Role
from accord.pipeline.doctor import Outcome, Patient, examine
from accord.pipeline.doctor.reward import CHECKS, MOVES
from tests.pipeline.doctor.clinic import Clinic

(CHECK,) = CHECKS


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return clinic.patient("ppo")


def test_a_sound_head_passes(patient: Patient) -> None:
    finding = examine(CHECK, patient).finding
    assert finding.outcome is Outcome.PASSED, finding.told
    assert max(finding.figures.values()) < MOVES["float32"] / 10


def test_pads_that_are_seen_are_caught(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Causal attention hides the pads on the right by itself, and not those on the left."""
    patient.roles.backbone(patient.base)  # loading proves the model's own padding
    real = Backbone._decode

    def unmasked(self: Backbone, **given: Any) -> Any:
        if "attention_mask" in given:
            given["attention_mask"] = torch.ones_like(given["attention_mask"])
        return real(self, **given)

    monkeypatch.setattr(Backbone, "_decode", unmasked)
    finding = examine(CHECK, patient).finding
    assert finding.outcome is Outcome.FAILED
    assert "padded on the left" in finding.told
    assert finding.figures["right"] < MOVES["float32"] < finding.figures["left"]


def test_a_score_that_is_read_at_the_last_slot_is_caught(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fault of reading position -1: right for the longest row, a pad for all others."""
    patient.roles.backbone(patient.base)
    real = Ragged.padded

    def last_slot(self: Ragged, side: str = "right") -> tuple[Tensor, Tensor, Tensor]:
        ids_BT, positions_BT, real_BT = real(self, side)
        return (
            (ids_BT, positions_BT, real_BT.flip(1))
            if side == "right"
            else (
                ids_BT,
                positions_BT,
                real_BT,
            )
        )

    monkeypatch.setattr(Ragged, "padded", last_slot)
    finding = examine(CHECK, patient).finding
    assert finding.outcome is Outcome.FAILED
    assert "padded on the right" in finding.told


def test_a_score_that_depends_on_the_company_is_caught(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Role.raw_scores

    def centred(self: Role, batch: Ragged) -> Tensor:
        raw_B = real(self, batch)
        return raw_B - raw_B.mean() * (len(raw_B) > 1)

    monkeypatch.setattr(Role, "raw_scores", centred)
    finding = examine(CHECK, patient).finding
    assert finding.outcome is Outcome.FAILED


def test_scores_without_spread_are_nothing_to_look_at(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Role, "raw_scores", lambda self, batch: torch.zeros(len(batch.lengths)))
    assert examine(CHECK, patient).finding.outcome is Outcome.NOT_APPLICABLE
