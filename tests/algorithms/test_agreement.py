"""Checks of the first steps: they pass where all is well, and catch each silent error."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from accord.algorithms.agreement import first_ratio, first_steps, gaps
from accord.core.errors import InvariantError
from accord.core.types import Completion, StopReason
from accord.models.role import Role
from accord.rollout.engine import TorchSampler
from tests.algorithms.arena import CONFIG, STOPS, arena
from tests.models.workshop import load, perturb

GOOD = {
    "kl/sequence": 0.0,
    "answer/length": 10.0,
    "engine/gap_mean": 1e-6,
    "engine/gap_p99": 1e-5,
    "engine/gap_max": 5e-5,
}


@pytest.mark.parametrize(
    ("change", "step", "dtype", "fine"),
    [
        ({}, 0, "float32", True),
        ({"kl/sequence": 1e-3}, 0, "float32", False),
        ({"kl/sequence": -1e-3}, 0, "float32", False),
        ({"kl/sequence": math.nan}, 0, "float32", False),
        ({"kl/sequence": 1e-3}, 0, "bfloat16", False),
        ({"kl/sequence": 5.0}, 1, "float32", True),
        ({"engine/gap_max": 2e-4}, 0, "float32", False),
        ({"engine/gap_max": 2e-4}, 1, "float32", False),
        ({"engine/gap_max": math.nan}, 1, "float32", False),
        ({"engine/gap_max": 2e-4}, 2, "float32", True),
        ({"engine/gap_max": 3.0}, 1, "bfloat16", True),
        ({"engine/gap_mean": 0.03}, 1, "bfloat16", False),
        ({"engine/gap_p99": 0.2}, 0, "bfloat16", False),
    ],
)
def test_limits_of_the_first_steps(
    change: dict[str, float], step: int, dtype: str, fine: bool
) -> None:
    if fine:
        first_steps(GOOD | change, step, dtype)
        return
    with pytest.raises(InvariantError):
        first_steps(GOOD | change, step, dtype)


@pytest.mark.parametrize(
    ("log_ratio", "clipped", "dtype", "fine"),
    [
        (0.0, 0.0, "float32", True),
        (5e-5, 0.0, "float32", True),
        (3e-4, 0.0, "float32", False),
        (0.0, 0.1, "float32", False),
        (0.05, 0.01, "bfloat16", True),
        (0.3, 0.0, "bfloat16", False),
    ],
)
def test_limits_of_the_first_ratio(
    log_ratio: float, clipped: float, dtype: str, fine: bool
) -> None:
    metrics = {"policy/approx_kl": 0.5 * log_ratio**2, "policy/clip_fraction": clipped}
    if fine:
        first_ratio(metrics, dtype)
        return
    with pytest.raises(InvariantError, match="ratio is not 1"):
        first_ratio(metrics, dtype)


def test_gaps_by_hand() -> None:
    answers = [
        Completion(tokens=(1, 2), logprobs=(-1.0, -2.0), stop=StopReason.STOP),
        Completion(tokens=(3,), logprobs=(-3.0,), stop=StopReason.LENGTH),
    ]
    found = gaps(answers, torch.tensor([-1.5, -2.0, -2.0]))
    assert found["engine/gap_mean"] == pytest.approx(0.5)
    assert found["engine/gap_max"] == pytest.approx(1.0)
    assert found["engine/gap_p99"] == pytest.approx(0.99)


def test_an_adapter_that_never_reaches_the_sampler_is_caught_after_the_first_update(
    tiny_folder: Path,
) -> None:
    ring = arena(tiny_folder)
    stale = Role(ring.backbone, ("sft",))
    ring.change(sampler=TorchSampler(stale, stop_ids=STOPS))
    rows = ring.rows()
    next(rows)  # a fresh adapter is zero: nothing shows yet
    with pytest.raises(InvariantError, match=r"(?s)sampler and trainer disagree.*step 2"):
        next(rows)


@pytest.mark.parametrize("missing", ["sft", "ppo"])
def test_one_of_two_stacked_adapters_missing_in_the_sampler_is_caught(
    tiny_folder: Path, missing: str
) -> None:
    ring = arena(tiny_folder)
    perturb(ring.backbone, "ppo", seed=3)
    left = tuple(name for name in ("sft", "ppo") if name != missing)
    ring.change(
        reference=ring.parts.policy,
        sampler=TorchSampler(Role(ring.backbone, left), stop_ids=STOPS),
    )
    with pytest.raises(InvariantError, match="sampler and trainer disagree"):
        next(ring.rows())
    ring.change(sampler=TorchSampler(ring.parts.policy, stop_ids=STOPS))
    assert next(ring.rows())["engine/gap_max"] < 1e-4  # both there: all is well


def test_a_sampler_of_another_temperature_is_caught(tiny_folder: Path) -> None:
    ring = arena(tiny_folder)
    real = ring.parts.sampler

    class Cooler:
        def sample(self, prompts, *, n, settings, seed):  # type: ignore[no-untyped-def]
            return real.sample(prompts, n=n, settings=replace(settings, temperature=0.8), seed=seed)

    ring.change(sampler=Cooler())
    with pytest.raises(InvariantError, match="sampler and trainer disagree"):
        next(ring.rows())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_reference_that_is_not_the_start_is_caught(tiny_folder: Path, dtype: str) -> None:
    ring = arena(tiny_folder, dtype=dtype)
    ring.change(reference=Role(ring.backbone, ()))  # the base, not the SFT model
    with pytest.raises(InvariantError, match="not its reference"):
        next(ring.rows())


def test_another_model_as_the_reference_of_all_weights_is_caught(tiny_folder: Path) -> None:
    ring = arena(tiny_folder, dtype="bfloat16", full=True)
    other = load(tiny_folder, "bfloat16")
    other.add_adapter("x", rank=4, alpha=8, seed=0)
    perturb(other, "x", seed=0, size=0.3)
    ring.change(reference=Role(other, ("x",)))
    with pytest.raises(InvariantError, match="not its reference"):
        next(ring.rows())


def test_old_logprobs_of_another_policy_are_caught(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = arena(tiny_folder)
    from accord.algorithms import ppo

    real = ppo.collect

    def drifted(*arguments: object) -> ppo.Sampled:
        sampled = real(*arguments)  # type: ignore[arg-type]
        return replace(sampled, logp_M=sampled.logp_M + 0.01)

    monkeypatch.setattr(ppo, "collect", drifted)
    monkeypatch.setattr("accord.algorithms.agreement.first_steps", lambda *a, **k: None)
    with pytest.raises(InvariantError, match="ratio is not 1"):
        next(ring.rows())


def test_checks_are_of_the_first_steps_alone(tiny_folder: Path) -> None:
    ring = arena(tiny_folder, config=replace(CONFIG, steps=4))
    rows = list(islice(ring.rows(), 2))
    assert len(rows) == 2
    ring.change(sampler=TorchSampler(Role(ring.backbone, ("sft",)), stop_ids=STOPS))
    third = next(ring.rows())
    assert third["engine/gap_max"] > 1e-4  # reported, where it is no longer checked
