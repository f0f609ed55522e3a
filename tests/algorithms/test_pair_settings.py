"""DPO's relatives as settings: each is its own loss, knows what it lacks, and BCO remembers."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from accord.algorithms import direct
from accord.algorithms.alignment import Said, pair_objective, reads_margins, reads_reference, shifts
from accord.algorithms.comparisons import PairBatch
from accord.algorithms.descent import batch_rows, fresh_state
from accord.algorithms.direct import SEEN, SHIFT, Known, answer_logprobs, train
from accord.algorithms.settings import DPOConfig, IPOConfig, OptimizerSettings, PairLoss
from accord.core.errors import ConfigError, InvariantError
from accord.models.role import Role
from tests.algorithms.loops import comparisons
from tests.algorithms.test_alignment import roles, run

GOLDEN = [
    (DPOConfig(), 0.6209570),
    (DPOConfig(dpop=50.0), 0.6209570),
    (DPOConfig(nll=0.5), 1.6209570),
    (DPOConfig(reference_free=True), 0.5981389),
    (DPOConfig(reference_free=True, nll=0.5), 1.5981389),
    (DPOConfig(reference_free=True, smoothing=0.1), 0.6181389),
    (DPOConfig(reference_free=True, loss=PairLoss.HINGE), 0.8),
    (DPOConfig(reference_free=True, loss=PairLoss.HINGE, nll=0.5), 1.8),
    (DPOConfig(loss=PairLoss.HINGE), 0.85),
    (DPOConfig(loss=PairLoss.HINGE, nll=1.0), 2.85),
    (DPOConfig(loss=PairLoss.EXO, smoothing=1e-3), 2.5055166),
    (DPOConfig(loss=PairLoss.NCA), 1.3508248),
    (DPOConfig(loss=PairLoss.BCO), 1.3128563),
    (DPOConfig(loss=PairLoss.SPPO), 36.25),
    (DPOConfig(loss=PairLoss.APO_ZERO), 0.9625234),
    (DPOConfig(loss=PairLoss.APO_DOWN), 0.9875493),
]


def golden(margin: float = 0.0) -> PairBatch:
    """One pair, its better answer first."""
    return PairBatch(
        units=[0],
        unit_B=torch.tensor([0]),
        rows=[],
        response_ids=[0, 1],
        first_B=torch.tensor([0]),
        second_B=torch.tensor([1]),
        label_B=torch.ones(1).double(),
        weight_B=torch.ones(1).double(),
        margin_B=torch.full((1,), margin).double(),
        all_bad_B=torch.zeros(1, dtype=torch.bool),
        criterion_B=torch.zeros(1, dtype=torch.long),
    )


def value(config: DPOConfig, *, margin: float = 0.0, better: float = -10.0) -> float:
    """Of the golden pair, with a reference only where the settings read one."""
    batch = golden(margin)
    said = Said(
        logp_R=torch.tensor([better, -12.0], dtype=torch.float64),
        tokens_R=torch.tensor([5.0, 8.0]).double(),
        ref_R=torch.tensor([-11.0, -11.5]).double() if reads_reference(config) else None,
        reward_RK=None,
    )
    return pair_objective(config, batch, None)(batch, said).value.item()


@pytest.mark.parametrize(("config", "expected"), GOLDEN)
def test_each_setting_is_its_golden_value(config: DPOConfig, expected: float) -> None:
    assert value(config) == pytest.approx(expected, abs=5e-8)
    assert value(replace(config, margin=0.0), margin=3.0) == pytest.approx(expected, abs=5e-8)


def test_every_loss_is_among_them() -> None:
    assert {config.loss for config, _ in GOLDEN} == set(PairLoss)


@pytest.mark.parametrize(("config", "expected"), GOLDEN)
def test_a_margin_reaches_the_losses_that_say_so(config: DPOConfig, expected: float) -> None:
    moved = value(config, margin=0.25) != pytest.approx(expected, abs=5e-8)
    assert moved == reads_margins(config)
    assert not reads_margins(replace(config, margin=0.0))


def test_other_objectives_read_no_margin_and_need_no_shift() -> None:
    assert not reads_margins(IPOConfig())
    assert not shifts(IPOConfig())
    assert [config.loss for config, _ in GOLDEN if shifts(config)] == [PairLoss.BCO]


def test_a_fall_of_the_better_answer_is_fined() -> None:
    assert value(DPOConfig(dpop=50.0), better=-11.2) == pytest.approx(1.2914188, abs=5e-8)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"loss": PairLoss.EXO}, "smoothing must be above 0 with EXO"),
        ({"loss": PairLoss.NCA, "smoothing": 0.1}, "smoothing has no place"),
        ({"loss": PairLoss.HINGE, "smoothing": 0.1}, "smoothing has no place"),
        ({"loss": PairLoss.EXO, "smoothing": 0.1, "robust": True}, "robust is a form of"),
        ({"loss": PairLoss.BCO, "strength_margin": 1.0}, "strength_margin has no place"),
        ({"loss": PairLoss.NCA, "margin": 3.0}, "margin has no place"),
        ({"loss": PairLoss.SPPO, "reference_free": True}, "reference_free belongs to"),
        ({"reference_free": True, "robust": True, "smoothing": 0.1}, "reference_free belongs to"),
        ({"loss": PairLoss.HINGE, "dpop": 50.0}, "dpop is a fine"),
        ({"reference_free": True, "dpop": 50.0}, "dpop is a fine"),
        ({"smoothing": 0.1, "dpop": 50.0}, "dpop is a fine"),
        ({"dpop": -1.0}, "dpop must be at least 0"),
        ({"nll": math.nan}, "nll must be at least 0"),
    ],
)
def test_settings_that_have_no_meaning_together_are_refused(
    given: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        DPOConfig(**given)
    assert caught.value.do


def test_an_objective_beside_a_reference_wants_one(tiny_folder: Path) -> None:
    """And one without trains where there is none."""
    data = comparisons(tiny_folder, 4)
    policy, _ = roles(tiny_folder)

    def begin(config: DPOConfig) -> dict[str, float]:
        rows = train(
            config,
            data=data,
            dev=data,
            policy=policy,
            reference=None,
            state=fresh_state(policy.trained(), config.optimizer),
            steps=1,
            seed=0,
            micro_batch_tokens=200,
        )
        return dict(next(rows))

    with pytest.raises(ConfigError, match="needs a reference"):
        begin(DPOConfig(loss=PairLoss.NCA))
    assert begin(DPOConfig(reference_free=True, nll=1.0))["preference/chosen_nll"] > 0
    nothing = Said(torch.zeros(2), torch.ones(2), None, None)
    objective = pair_objective(DPOConfig(), golden(), None)
    with pytest.raises(InvariantError, match="given none"):
        objective(golden(), nothing)


def mean_reward(pair: tuple[Role, Role], data: Any, step: int) -> tuple[float, float]:
    """Mean of beta times drift over both sides of a step's pairs, and their weight, one by one."""
    total, weight = 0.0, 0.0
    batch = data.batch(batch_rows(len(data), 6, step, 3))
    with torch.no_grad():
        drift = [
            sum(s * float(answer_logprobs(r, [row])) for s, r in zip((1, -1), pair, strict=True))
            for row in batch.rows
        ]
    sides = zip(batch.first_B, batch.second_B, batch.weight_B, strict=True)
    for first, second, share in sides:
        total += float(share) * 0.3 * (drift[first] + drift[second]) / 2
        weight += float(share)
    return total / weight, weight


def test_bco_shifts_by_the_mean_reward_so_far(tiny_folder: Path) -> None:
    """Of whole batches, this step's included; what is held out adds nothing to it."""
    pair, data = roles(tiny_folder), comparisons(tiny_folder, 14)
    state, rows = run(tiny_folder, "bco", pair=pair, dev=4, steps=2)
    first, weight = mean_reward(pair, data, 0)
    assert abs(first) > 0.01
    assert next(rows)["preference/shift"] == pytest.approx(first, rel=1e-3, abs=1e-5)
    second, more = mean_reward(pair, data, 1)
    expected = (first * weight + second * more) / (weight + more)
    assert abs(second - expected) > 1e-4
    last = next(rows)
    assert last["preference/shift"] == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert state.numbers[SHIFT] == last["preference/shift"]
    assert state.numbers[SEEN] == pytest.approx(weight + more)
    assert math.isfinite(last["preference/dev_loss"])


def test_bco_holds_held_out_answers_to_what_it_remembers(tiny_folder: Path) -> None:
    pair, data = roles(tiny_folder), comparisons(tiny_folder, 4)
    config = DPOConfig(loss=PairLoss.BCO, optimizer=OptimizerSettings(learning_rate=1e-3))
    losses = []
    for shift in (0.0, 0.8):
        numbers = {SHIFT: shift, SEEN: 3.0}
        learner = direct.Learner(config, *pair, 200, numbers)
        found = learner.measure(data, range(4), Known(), learn=False)
        assert found["preference/shift"] == shift
        assert numbers == {SHIFT: shift, SEEN: 3.0}
        losses.append(found["loss"])
    assert abs(losses[1] - losses[0]) > 1e-3
