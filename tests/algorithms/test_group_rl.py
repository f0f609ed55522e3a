"""GRPO and its like, RLOO and REINFORCE++ by hand and by their invariants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import Tensor

from accord.algorithms import group_rl
from accord.algorithms.group_rl import Constants, GroupConfig, estimate
from accord.algorithms.rollouts import Sampled
from accord.algorithms.settings import (
    Denominator,
    GRPOConfig,
    KLEstimator,
    KLPlace,
    KLSettings,
    OptimizerSettings,
    Ratio,
    ReinforceConfig,
    RLOOConfig,
    ShapingSettings,
)
from accord.core.errors import ConfigError, DataError, DivergenceError, InvariantError
from accord.core.metrics import check_row
from accord.models.ragged import Ragged
from accord.models.role import Role
from accord.rollout.engine import TorchSampler
from accord.text.tokenized import Tokenized
from tests.algorithms.arena import PROMPTS, STOPS
from tests.algorithms.loops import Run, check_resume, pads_left, weights
from tests.algorithms.ring import Ring, ring_of
from tests.algorithms.test_rollouts import rollout
from tests.models.workshop import furthest, take_gradients

SMALL: dict[str, Any] = {
    "steps": 3,
    "batch_prompts": 4,
    "samples": 4,
    "max_tokens": 8,
    "missing_stop_score": None,
    "optimizer": OptimizerSettings(learning_rate=5e-3, epsilon=1e-5),
}
GRPO = GRPOConfig(**SMALL)
DR_GRPO = replace(GRPO, normalise=False, denominator=Denominator.CONSTANT)
RLOO = RLOOConfig(**SMALL)
REINFORCE = ReinforceConfig(**SMALL)
CONFIGS = {"grpo": GRPO, "dr-grpo": DR_GRPO, "rloo": RLOO, "reinforce": REINFORCE}
DAPO = replace(
    GRPO, denominator=Denominator.TOKEN, clip_high=0.28, dual_clip=1.3, kl=KLSettings(coefficient=0)
)
GSPO = replace(GRPO, ratio=Ratio.SEQUENCE, clip=0.05, clip_high=0.1)
CISPO = replace(GRPO, ratio=Ratio.DETACHED, denominator=Denominator.TOKEN, ratio_bound=1.2)
BASELINE = replace(REINFORCE, samples=2, baseline=True)
IN_REWARD = KLSettings(coefficient=0.1)


def sampled(counts: Sequence[int], scores: Sequence[float], drift: Sequence[float]) -> Sampled:
    """A rollout batch with this log-ratio to the reference a token."""
    reference_M = torch.full((sum(counts),), -2.0)
    return Sampled(
        rollout=rollout(scores, counts=counts, stops=[True] * len(counts)),
        logp_M=reference_M + torch.tensor(drift),
        reference_M=reference_M,
        entropy_M=torch.zeros(sum(counts)),
    )


def test_every_token_of_an_answer_gets_the_answers_advantage() -> None:
    """The golden group 1, 0, 0, 0 in answers of 2, 1, 1 and 3 tokens."""
    batch = sampled([2, 1, 1, 3], [1, 0, 0, 0], [0.0] * 7)
    found = {name: estimate(config, batch, 0.0).tolist() for name, config in CONFIGS.items()}
    assert found["grpo"] == pytest.approx([1.4997] * 2 + [-0.4999] * 5, abs=5e-5)
    assert found["dr-grpo"] == pytest.approx([0.75] * 2 + [-0.25] * 5)
    assert found["rloo"] == pytest.approx([1.0] * 2 + [-1 / 3] * 5)
    # Over 7 tokens, two of them with 1 to come: mean 2/7, variance 2/7 - 4/49 = 10/49.
    high, low = (5 / 7) / math.sqrt(10 / 49), (-2 / 7) / math.sqrt(10 / 49)
    assert found["reinforce"] == pytest.approx([high] * 2 + [low] * 5, abs=1e-6)


def test_groups_are_the_answers_to_one_prompt() -> None:
    batch = sampled([1] * 4, [1, 0, 10, 30], [0.0] * 4)
    config = replace(RLOO, samples=2, score_clip=None)
    assert estimate(config, batch, 0.0).tolist() == pytest.approx([1, -1, -20, 20])


def test_a_baseline_takes_the_groups_mean_before_the_batchs_scale() -> None:
    """Leads 1, 1 (two tokens), -1 of an easy prompt and 3, -3 of a hard one: mean .2, variance
    (1 + 1 + 1 + 9 + 9) / 5 - .04 = 4.16. Without it the hard prompt's better answer is below 0."""
    batch = sampled([2, 1, 1, 1], [12, 10, 3, -3], [0.0] * 5)
    free = replace(BASELINE, score_clip=None)
    leads = torch.tensor([1.0, 1.0, -1.0, 3.0, -3.0])
    expected = (leads - 0.2) / math.sqrt(4.16)
    assert estimate(free, batch, 0.0).tolist() == pytest.approx(expected.tolist(), abs=1e-5)
    assert estimate(replace(free, baseline=False), batch, 0.0)[3] < 0 < expected[3]


def test_kl_in_the_reward_is_taken_off_the_whole_answers_score() -> None:
    """Coefficient .1: the first answer earns 1 - .1 * (2 + 3) = .5, the second 0 - .1 * -2 = .2;
    by k2 it is 1 - .1 * (2 + 4.5) = .35 and 0 - .1 * 2 = -.2."""
    batch = sampled([2, 1], [1, 0], [2.0, 3.0, -2.0])
    config = replace(RLOO, samples=2)
    assert estimate(config, batch, 0.1).tolist() == pytest.approx([0.3, 0.3, -0.3])
    in_loss = replace(config, kl=KLSettings(place=KLPlace.LOSS, estimator=KLEstimator.K2))
    assert estimate(in_loss, batch, 0.1).tolist() == pytest.approx([1, 1, -1])
    by_k2 = replace(config, kl=KLSettings(estimator=KLEstimator.K2))
    assert estimate(by_k2, batch, 0.1).tolist() == pytest.approx([0.55, 0.55, -0.55])


def test_reinforce_pays_kl_token_by_token() -> None:
    """To come, coefficient .1: 1 - .5 and 1 - .3; 0 + .1. Whitened they keep their order."""
    batch = sampled([2, 1], [1, 0], [2.0, 3.0, -1.0])
    to_come = torch.tensor([0.5, 0.7, 0.1])
    white = (to_come - to_come.mean()) / to_come.std(correction=0)
    config = replace(REINFORCE, samples=1)
    assert estimate(config, batch, 0.1).tolist() == pytest.approx(white.tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("config", "dtype"),
    [
        (GRPO, "float32"),
        (GRPO, "bfloat16"),
        (GSPO, "float32"),
        (CISPO, "float32"),
        (RLOO, "float32"),
        (REINFORCE, "float32"),
        (BASELINE, "float32"),
    ],
)
def test_the_first_step_starts_from_the_reference(
    tiny_folder: Path, config: GroupConfig, dtype: str
) -> None:
    ring = ring_of(tiny_folder, replace(config, steps=2), dtype=dtype)
    rows = [dict(row) for row in ring.rows()]
    assert len(rows) == 2
    for number, row in enumerate(rows):
        check_row(row, where=f"step {number}")
    assert rows[0]["kl/sequence"] == 0
    assert rows[0]["policy/ratio_max"] == 1
    assert rows[0]["policy/approx_kl"] == 0
    assert rows[1]["kl/sequence"] != 0
    assert all(row["grad_norm"] > 0 for row in rows)
    assert all(row["engine/gap_max"] < (1e-4 if dtype == "float32" else 0.5) for row in rows)
    assert all(row["group/spread"] > 0 for row in rows)


@pytest.mark.parametrize("config", [GRPO, RLOO], ids=["grpo", "rloo"])
def test_a_loss_near_0_is_normal(tiny_folder: Path, config: GroupConfig) -> None:
    """Advantages of a group add up to 0; what is learned shows in the gradient."""
    lengths = replace(config, kl=KLSettings(coefficient=0.0))
    if isinstance(lengths, RLOOConfig):
        lengths = replace(lengths, clip=0.2)  # the surrogate's value; that of the score is no mean
        row = next(ring_of(tiny_folder, replace(lengths, max_tokens=1)).rows())
    else:
        row = next(ring_of(tiny_folder, lengths).rows())
    assert abs(row["loss"]) < 1e-6
    assert row["grad_norm"] > 1e-3


def test_only_the_policys_adapter_learns(tiny_folder: Path) -> None:
    ring = ring_of(tiny_folder, GRPO)
    mine = {id(p): p.detach().clone() for p in ring.state.parameters.values()}
    named = dict(ring.parts.policy.backbone.model.named_parameters())
    others = {n: p.detach().clone() for n, p in named.items() if id(p) not in mine}
    for _ in ring.rows():
        pass
    assert all(torch.equal(named[n], p) for n, p in others.items())
    assert not any(torch.equal(p, mine[id(p)]) for p in ring.state.parameters.values())


def minibatch(ring: Ring) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Metrics and gradients of one minibatch of made-up experience, off the old policy."""
    rows = [
        Tokenized((*prompt, *range(100, 100 + n)), (False,) * len(prompt) + (True,) * n)
        for n, prompt in enumerate(PROMPTS[:8], 1)
    ]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        logp_M = ring.parts.policy.logprobs(Ragged.of(rows))[0]
    noise = torch.randn(4, len(logp_M), generator=generator)
    old_M = logp_M + 0.3 * noise[0]
    fixed = Constants(old_M, logp_M + 0.5 * noise[1], noise[2], noise[3].abs())
    lengths = list(range(1, 9))
    metrics = group_rl._minibatch(ring.config, rows, lengths, fixed, 0.1, ring.parts)
    return metrics, take_gradients(ring.state.parameters.items())


@pytest.mark.parametrize(
    "config",
    [
        GRPO,
        replace(DR_GRPO, kl=KLSettings(place=KLPlace.LOSS, estimator=KLEstimator.K2)),
        RLOO,
        replace(REINFORCE, clip=0.2),
        DAPO,
        GSPO,
        CISPO,
    ],
    ids=[*CONFIGS, "dapo", "gspo", "cispo"],
)
def test_nothing_but_the_minibatch_changes_loss_and_gradient(
    tiny_folder: Path, config: GroupConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = ring_of(tiny_folder, config)
    metrics, gradients = minibatch(ring)
    assert max(g.abs().max() for g in gradients.values()) > 1e-3

    def same(how: str) -> None:
        again, other = minibatch(ring)
        assert again == pytest.approx(metrics, rel=2e-5, abs=1e-6), how
        assert furthest(other, gradients) < 2e-5, how

    for tokens in (1, 30, 10_000):
        ring.change(micro_batch_tokens=tokens)
        same(f"micro-batches of {tokens}")
    ring.parts.policy.packing = False
    same("padded right")
    pads_left(monkeypatch)
    same("padded left")


@pytest.mark.parametrize("kind", Denominator)
def test_each_denominator_is_the_mean_it_is_called(kind: Denominator, tiny_folder: Path) -> None:
    """By a loop over the answers, ratio and KL included."""
    ring = ring_of(tiny_folder, replace(GRPO, denominator=kind))
    metrics, _ = minibatch(ring)
    lengths = list(range(1, 9))
    rows = [
        Tokenized((*prompt, *range(100, 100 + n)), (False,) * len(prompt) + (True,) * n)
        for n, prompt in enumerate(PROMPTS[:8], 1)
    ]
    with torch.no_grad():
        logp_M = ring.parts.policy.logprobs(Ragged.of(rows))[0].double()
    noise = torch.randn(4, len(logp_M), generator=torch.Generator().manual_seed(0)).double()
    ratio_M = (-0.3 * noise[0]).exp()
    u_M = 0.5 * noise[1]  # log(reference / policy)
    surrogate_M = torch.minimum(ratio_M * noise[2], ratio_M.clamp(0.8, 1.2) * noise[2])
    loss_M = noise[3].abs() * (-surrogate_M + 0.1 * (u_M.exp() - 1 - u_M))
    parts = loss_M.split(lengths)
    expected = {
        Denominator.TOKEN: loss_M.mean(),
        Denominator.ANSWER: torch.stack([part.mean() for part in parts]).mean(),
        Denominator.CONSTANT: loss_M.sum() / (8 * GRPO.max_tokens),
    }[kind]
    assert metrics["loss"] == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("config", [DAPO, GSPO, CISPO], ids=["dapo", "gspo", "cispo"])
def test_each_ratio_is_used_as_its_method_says(config: GRPOConfig, tiny_folder: Path) -> None:
    """By a loop over the answers; the KL of GSPO and CISPO, k3 in the loss, included."""
    ring = ring_of(tiny_folder, config)
    metrics, _ = minibatch(ring)
    lengths = list(range(1, 9))
    noise = torch.randn(4, 36, generator=torch.Generator().manual_seed(0)).double()
    ratio_M, u_M, gain_M = (-0.3 * noise[0]).exp(), 0.5 * noise[1], noise[2]
    price_M = noise[3].abs() * 0.1 * (u_M.exp() - 1 - u_M)
    rows = [
        Tokenized((*prompt, *range(100, 100 + n)), (False,) * len(prompt) + (True,) * n)
        for n, prompt in enumerate(PROMPTS[:8], 1)
    ]
    if config is DAPO:
        gained_M = torch.minimum(ratio_M * gain_M, ratio_M.clamp(0.8, 1.28) * gain_M)
        gained_M = torch.where(gain_M < 0, torch.maximum(gained_M, 1.3 * gain_M), gained_M)
        expected = (noise[3].abs() * -gained_M).mean()
        assert metrics["policy/dual_clip_fraction"] > 0
    elif config is GSPO:
        root_B = torch.stack([part.mean().exp() for part in (-0.3 * noise[0]).split(lengths)])
        gain_B = torch.stack([part[-1] for part in gain_M.split(lengths)])
        gained_B = torch.minimum(root_B * gain_B, root_B.clamp(0.95, 1.1) * gain_B)
        price = torch.stack([part.mean() for part in price_M.split(lengths)]).mean()
        expected = -gained_B.mean() + price
    else:
        with torch.no_grad():
            logp_M = ring.parts.policy.logprobs(Ragged.of(rows))[0].double()
        weight_M = noise[3].abs() * ratio_M.clamp_max(1.2)
        expected = (-weight_M * gain_M * logp_M + price_M).mean()
    assert metrics["loss"] == pytest.approx(expected.item(), rel=1e-4)
    assert 0 < metrics["policy/clip_fraction"] < 1


@pytest.mark.parametrize("config", [GRPO, DR_GRPO, RLOO], ids=["grpo", "dr-grpo", "rloo"])
def test_a_group_of_zero_spread_is_counted_and_moves_nothing(
    tiny_folder: Path, config: GroupConfig
) -> None:
    free = replace(config, kl=KLSettings(coefficient=0.0), steps=1)
    ring = ring_of(tiny_folder, free)
    flat = dict.fromkeys(range(0, 24, 2), 0.3)  # every second prompt's answers all score the same
    real = ring.parts.score

    def score(asked: Sequence[int], rows: Sequence[Tokenized]) -> list[float]:
        mixed = zip(asked, real(asked, rows), strict=True)
        return [flat.get(p, own) for p, own in mixed]

    ring.change(score=score)
    asked = group_rl.collect(free, ring.parts, ring.state, 4).rollout.asked[::4]
    (row,) = ring.rows()
    assert row["group/zero_spread"] >= fmean(p in flat for p in asked) > 0
    ring = ring_of(tiny_folder, free)
    ring.change(score=lambda asked, rows: [0.3] * len(rows))
    before = weights(ring.state)
    (row,) = ring.rows()
    assert row["group/zero_spread"] == 1
    assert row["group/spread"] == pytest.approx(0, abs=1e-6)
    assert row["grad_norm"] < 1e-3
    after = weights(ring.state)
    if row["grad_norm"] == 0:
        assert all(torch.equal(before[name], after[name]) for name in before)


def test_passes_end_once_the_policy_has_moved_too_far(tiny_folder: Path) -> None:
    steps = []
    for limit in (None, 1e-9):
        ring = ring_of(tiny_folder, replace(GRPO, steps=1, epochs=3, stop_kl=limit))
        (_,) = ring.rows()
        steps.append(int(next(iter(ring.state.optimizer.state.values()))["step"]))
    assert steps == [3, 2]


def test_a_spent_budget_ends_the_run_with_weights_that_met_it(tiny_folder: Path) -> None:
    spending = replace(
        DR_GRPO,
        steps=12,
        epochs=2,
        kl=KLSettings(coefficient=0.0, budget=0.01),
        optimizer=OptimizerSettings(learning_rate=4e-3, epsilon=1e-5),
    )
    ring = ring_of(tiny_folder, spending)
    rows, moments = [], [weights(ring.state)]
    for row in ring.rows():
        rows.append(row)
        moments.append(weights(ring.state))
    assert 2 <= len(rows) < spending.steps
    assert "grad_norm" not in rows[-1]
    assert ring.state.numbers["budget_spent"] == 1
    kept, ended = moments[len(rows) - 2], weights(ring.state)
    assert all(torch.equal(ended[name], kept[name]) for name in kept)


def test_the_adaptive_coefficient_moves(tiny_folder: Path) -> None:
    settings = replace(RLOO, kl=KLSettings(coefficient=0.1, target=0.05, horizon=64))
    rows = list(ring_of(tiny_folder, settings).rows())
    assert rows[1]["kl/coefficient"] == pytest.approx(0.1 * (1 - 0.2 * 16 / 64))


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(replace(GRPO, epochs=2, minibatches=2), id="grpo"),
        pytest.param(replace(GSPO, epochs=2, minibatches=2), id="gspo", marks=pytest.mark.slow),
        pytest.param(replace(CISPO, epochs=2), id="cispo", marks=pytest.mark.slow),
        pytest.param(BASELINE, id="baseline", marks=pytest.mark.slow),
        pytest.param(RLOO, id="rloo", marks=pytest.mark.slow),
        pytest.param(REINFORCE, id="reinforce", marks=pytest.mark.slow),
    ],
)
def test_a_stopped_run_goes_on_to_the_bit(
    tiny_folder: Path, tmp_path: Path, config: GroupConfig
) -> None:
    def make() -> Run:
        ring = ring_of(tiny_folder, config)
        return ring.state, ring.rows()

    check_resume(make, tmp_path, stop=2)


def test_a_correction_reports_the_raw_ratios(tiny_folder: Path) -> None:
    first = next(ring_of(tiny_folder, replace(GRPO, correction=2.0)).rows())
    assert first["importance/max"] == pytest.approx(1, abs=1e-3)
    assert first["importance/truncated"] == 0
    assert "importance/max" not in next(ring_of(tiny_folder, GRPO).rows())


@pytest.mark.parametrize(
    ("wrong", "error"),
    [([0.0] * 3, DataError), ([math.nan] * 16, DivergenceError)],
    ids=["of another length", "not a number"],
)
def test_rewards_that_cannot_be_used_stop_the_run(
    tiny_folder: Path, wrong: list[float], error: type[Exception]
) -> None:
    ring = ring_of(tiny_folder, GRPO)
    ring.change(score=lambda asked, rows: wrong)
    with pytest.raises(error):
        next(ring.rows())


def test_a_reference_that_is_not_the_start_is_caught(tiny_folder: Path) -> None:
    ring = ring_of(tiny_folder, GRPO)
    ring.change(reference=Role(ring.parts.policy.backbone, ()))
    with pytest.raises(InvariantError, match="not its reference"):
        next(ring.rows())


def test_a_sampler_of_another_policy_is_caught(tiny_folder: Path) -> None:
    ring = ring_of(tiny_folder, GRPO)
    other = TorchSampler(Role(ring.parts.policy.backbone, ()), stop_ids=STOPS)
    ring.change(sampler=other)
    with pytest.raises(InvariantError, match="disagree on log-probabilities"):
        next(ring.rows())


@pytest.mark.parametrize("kind", [GRPOConfig, RLOOConfig])
def test_groups_of_one_are_refused(kind: type) -> None:
    with pytest.raises(ConfigError, match="samples must be at least 2"):
        kind(samples=1)
    assert ReinforceConfig(samples=1).samples == 1


@pytest.mark.parametrize("kind", [RLOOConfig, ReinforceConfig])
def test_the_score_function_takes_one_step_a_batch(kind: type) -> None:
    with pytest.raises(ConfigError, match="clip must be a number"):
        kind(clip=None, epochs=2)
    assert kind(clip=0.2, epochs=2).epochs == 2


def test_a_baseline_needs_answers_to_compare() -> None:
    with pytest.raises(ConfigError, match="samples must be at least 2 where baseline"):
        ReinforceConfig(baseline=True)


SEQUENCE, DETACHED = {"ratio": Ratio.SEQUENCE}, {"ratio": Ratio.DETACHED}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (SEQUENCE | {"denominator": Denominator.TOKEN}, "denominator must be answer"),
        (SEQUENCE | {"denominator": Denominator.CONSTANT}, "denominator must be answer"),
        (SEQUENCE | {"correction": 2.0}, "correction weighs tokens"),
        (DETACHED | {"clip_high": 4.0}, "clip_high holds a clipped surrogate"),
        (DETACHED | {"dual_clip": 3.0}, "dual_clip holds a clipped surrogate"),
        ({"ratio_bound": 0.2}, "ratio_bound must be greater than 1"),
        ({"ratio_bound": 2.0}, "ratio_bound is not read"),
        ({"ratio": Ratio.DETACHED, "clip": 0.5}, "clip is not read"),
        ({"dual_clip": 1.0}, "dual_clip must be greater than 1"),
        ({"clip_high": 0.0}, "clip_high must be greater than 0"),
        ({"resample": -1}, "resample must be at least 0"),
        ({"shaping": ShapingSettings(overlong=48)}, "overlong must be less than max_tokens"),
    ],
)
def test_contradictions_are_refused_with_what_to_do(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        GRPOConfig(**settings)
    assert refused.value.do


def test_what_may_stand_beside_each_other() -> None:
    assert GRPOConfig(**SEQUENCE, clip=3e-4, clip_high=4e-4, dual_clip=3.0)
    assert GRPOConfig(**DETACHED, correction=2.0, denominator=Denominator.TOKEN)


def test_k1_as_a_loss_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected gradient of 0"):
        KLSettings(place=KLPlace.LOSS)
