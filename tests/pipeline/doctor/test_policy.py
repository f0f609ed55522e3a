"""Checks of policy, reference and sampler: each passes, and catches the fault it is for."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from accord.core.protocols import Sampler
from accord.core.types import Completion, SamplingSettings
from accord.models.role import Role
from accord.pipeline.doctor import Check, Outcome, Patient, examine
from accord.pipeline.doctor.policy import CHECKS, FAST, MOVED, logprobs, moved
from tests.models.workshop import perturb
from tests.pipeline.doctor.clinic import Clinic, artifact

BY_NAME = {check.name: check for check in (*FAST, *CHECKS)}


class Heated:
    """A sampler that divides the logits by a temperature of its own."""

    def __init__(self, real: Sampler, heat: float) -> None:
        self.real, self.heat = real, heat

    def sample(
        self, prompts: Sequence[Sequence[int]], *, n: int, settings: SamplingSettings, seed: int
    ) -> list[list[Completion]]:
        """As the real one, at the wrong temperature."""
        own = replace(settings, temperature=self.heat)
        return self.real.sample(prompts, n=n, settings=own, seed=seed)


def failures(patient: Patient) -> set[str]:
    results = [examine(check, patient) for check in (*FAST, *CHECKS)]
    assert all(one.finding.do for one in results if one.failed)
    return {one.check.name for one in results if one.failed}


@pytest.fixture
def patient(clinic: Clinic) -> Patient:
    return clinic.patient("ppo")


@pytest.mark.parametrize("stage", ["ppo", "dpo", "sft"])
def test_a_sound_stage_passes(clinic: Clinic, stage: str) -> None:
    assert failures(clinic.patient(stage)) == set()


def test_an_adapter_that_never_reaches_the_sampler_is_caught_by_the_moved_one_alone(
    patient: Patient,
) -> None:
    """At its start the adapter is zero: the sampler of the reference says the same."""
    patient.sampler = patient.roles.sampler(patient.reference)
    assert failures(patient) == {"adapter delivered"}


def test_a_sampler_of_stale_weights_is_caught(patient: Patient) -> None:
    """The sampler got a copy when it was made, and nothing after that."""
    backbone = patient.policy.backbone
    backbone.copy_adapter("doctor", "stale")
    stale = replace(patient.policy, adapters=(*patient.policy.adapters[:-1], "stale"))
    patient.sampler = patient.roles.sampler(stale)
    assert failures(patient) == {"adapter delivered"}


def test_a_sampler_that_ignores_the_temperature_is_caught(patient: Patient) -> None:
    patient.sampler = Heated(patient.sampler, 1.0)
    assert failures(patient) == {"one temperature"}
    finding = examine(BY_NAME["one temperature"], patient).finding
    assert "at temperature 0.7" in finding.told
    assert "they fit temperature 1" in finding.told


def test_a_sampler_of_another_temperature_is_caught_at_once(patient: Patient) -> None:
    patient.sampler = Heated(patient.sampler, 0.7)
    assert failures(patient) >= {"sampler is trainer", "one temperature"}


def test_a_reference_that_is_the_base_is_caught(patient: Patient) -> None:
    """The RL adapter went off, and the SFT adapter with it."""
    patient.policy  # noqa: B018 - the policy itself is the right one
    patient.reference = patient.roles.bare()
    assert failures(patient) == {"policy starts at reference"}
    finding = examine(BY_NAME["policy starts at reference"], patient).finding
    assert "stack" not in finding.told
    assert patient.roles.start().stack is not None


def test_a_reference_that_only_claims_to_be_the_start_is_caught(patient: Patient) -> None:
    """The right digest on the wrong weights: the log-probabilities tell."""
    patient.policy  # noqa: B018 - the policy itself is the right one
    patient.reference = replace(patient.roles.bare(), stack=patient.roles.start().stack)
    finding = examine(BY_NAME["policy starts at reference"], patient).finding
    assert finding.outcome is Outcome.FAILED
    assert "not its reference at the first step" in finding.told


def test_an_adapter_that_does_not_start_at_zero_is_caught(patient: Patient) -> None:
    perturb(patient.policy.backbone, "doctor", seed=2)
    assert failures(patient) == {"policy starts at reference"}


@pytest.mark.parametrize("what", ["weights", "record"])
def test_a_start_policy_whose_files_changed_is_caught(
    clinic: Clinic, tmp_path: Path, what: str
) -> None:
    shutil.copytree(clinic.sft.folder, tmp_path / "sft")
    inputs = {"base": clinic.base, "sft": artifact("sft", tmp_path / "sft")}
    patient = clinic.patient("ppo")
    patient.context._inputs = inputs
    check = BY_NAME["reference is the start"]
    assert examine(check, patient).finding.outcome is Outcome.PASSED
    if what == "weights":
        file = tmp_path / "sft" / "adapter" / "adapter_model.safetensors"
        body = bytearray(file.read_bytes())
        body[-1] ^= 1
        file.write_bytes(bytes(body))
    else:
        file = tmp_path / "sft" / "stack.json"
        file.write_text(file.read_text().replace('"stack": "', '"stack": "0'))
    assert examine(check, patient).finding.outcome is Outcome.FAILED
    # Loading the weights refuses them too, whichever check asks first.
    assert failures(patient) >= {"reference is the start", "policy starts at reference"}


def test_a_trainer_that_computes_differently_each_time_is_caught(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with dropout left on: the first ratio is not 1."""
    real, generator = Role.logprobs, torch.Generator().manual_seed(0)

    def noisy(self, batch, **given):  # type: ignore[no-untyped-def]
        logp_M, entropy_M = real(self, batch, **given)
        return logp_M + 0.01 * torch.randn(logp_M.shape, generator=generator), entropy_M

    patient.first_answers  # noqa: B018 - sampled before the fault
    monkeypatch.setattr(Role, "logprobs", noisy)
    assert examine(BY_NAME["first ratio is 1"], patient).failed


def test_an_adapter_that_the_trainer_does_not_use_is_caught(patient: Patient) -> None:
    policy = patient.policy

    class Deaf(Role):
        """Trains an adapter that takes no part in what is computed."""

        def logprobs(self, batch, **given):  # type: ignore[no-untyped-def]
            return patient.reference.logprobs(batch, **given)

    patient.policy = Deaf(policy.backbone, policy.adapters)
    finding = examine(BY_NAME["adapter delivered"], patient).finding
    assert finding.outcome is Outcome.FAILED
    assert "does not compute with the adapter" in finding.do


def test_moved_weights_come_back(patient: Patient) -> None:
    _, rows = patient.first_answers
    before_M = logprobs(patient.policy, rows, tokens=64)
    with moved(patient.policy, patient.reference, rows, 64) as change:
        inside_M = logprobs(patient.policy, rows, tokens=64)
        assert change == pytest.approx(float((inside_M - before_M).abs().mean()), rel=1e-4)
        assert change >= MOVED
    assert torch.equal(logprobs(patient.policy, rows, tokens=64), before_M)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_without_a_start_policy_a_check_says_what_makes_one(clinic: Clinic, check: Check) -> None:
    whole = clinic.patient("ppo")
    inputs = {"base": clinic.base}
    whole.context._inputs = inputs
    patient = Patient(whole.context, "ppo", lacking={"sft": "`accord run --to sft` makes it"})
    finding = examine(check, patient).finding
    assert finding.outcome is Outcome.NOT_APPLICABLE
    assert finding.do == "`accord run --to sft` makes it"
