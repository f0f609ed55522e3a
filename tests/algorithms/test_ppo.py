"""PPO by hand and by its invariants: what a token earns, what a step changes, and when it stops."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from torch import Tensor

from accord.algorithms import ppo
from accord.algorithms.descent import fresh_state
from accord.algorithms.ppo import Constants, Parts, Sampled, collect, describe, estimate, train
from accord.algorithms.rollouts import Rollout
from accord.algorithms.settings import (
    CriticSettings,
    KLEstimator,
    KLPlace,
    KLSettings,
    OptimizerSettings,
    PPOConfig,
    Schedule,
)
from accord.core.errors import ConfigError, DivergenceError
from accord.core.metrics import check_row
from accord.core.types import Completion
from accord.models.ragged import Ragged
from accord.models.role import Role, ScalarHead
from accord.objectives import kl, policy, value
from accord.rollout.engine import TorchSampler
from accord.text.tokenized import Tokenized, TokenRows
from tests.algorithms.arena import CONFIG, PROMPTS, Arena, arena, said
from tests.algorithms.loops import Run, check_resume, pads_left, weights
from tests.models.workshop import (
    Folders,
    furthest,
    load,
    perturb,
    take_gradients,
    true_logits,
)

ADAPTIVE = KLSettings(coefficient=0.1, target=0.05, horizon=64)
WANDERING = replace(
    CONFIG,
    steps=20,
    epochs=2,
    kl=KLSettings(coefficient=0.0, budget=0.03),
    optimizer=OptimizerSettings(learning_rate=2e-3, epsilon=1e-5),
)
"""Spends its budget after some steps."""


def sampled(
    counts: list[int], scores: list[float], drift: list[float], values: list[float], **how: object
) -> Sampled:
    """A rollout batch with this k1 and these values a token."""
    stops = how.get("stops", [True] * len(counts))
    assert isinstance(stops, list)
    reference_M = torch.full((sum(counts),), -2.0)
    return Sampled(
        rollout=Rollout(
            asked=[0] * len(counts),
            answers=said(counts, stops),
            rows=[Tokenized((5,) + (1,) * n, (False,) + (True,) * n) for n in counts],
            score_B=torch.tensor(scores),
            shaped_B=torch.tensor(scores),
        ),
        logp_M=reference_M + torch.tensor(drift),
        reference_M=reference_M,
        value_M=torch.tensor(values),
        entropy_M=torch.zeros(sum(counts)),
    )


def test_advantages_and_returns_of_the_golden_case() -> None:
    """Rewards -.1, 0, 1 and values .5, .4, .3; and beside it an answer of one token."""
    batch = sampled([3, 1], [1.0, 0.25], [1.0, 0.0, 0.0, -0.5], [0.5, 0.4, 0.3, 0.2])
    advantage_M, return_M = estimate(PPOConfig(), batch, 0.1)
    assert advantage_M.tolist() == pytest.approx([0.33675, 0.565, 0.7, 0.3 - 0.2], abs=1e-6)
    assert return_M.tolist() == pytest.approx([0.83675, 0.965, 1.0, 0.3], abs=1e-6)


def test_the_score_is_paid_at_the_last_token() -> None:
    batch = sampled([2, 3], [1.0, -3.0], [0.0] * 5, [0.0] * 5)
    config = PPOConfig(lam=0.0, gamma=0.5)
    advantage_M, _ = estimate(config, batch, 0.1)
    assert advantage_M.tolist() == pytest.approx([0, 1, 0, 0, -3])
    discounted, _ = estimate(replace(config, lam=1.0), batch, 0.1)
    assert discounted.tolist() == pytest.approx([0.5, 1, -0.75, -1.5, -3])


def test_without_a_coefficient_only_the_score_counts() -> None:
    drifting, still = (
        estimate(PPOConfig(), sampled([3], [1.0], drift, [0.1, 0.2, 0.3]), 0.0)[0]
        for drift in ([5.0, -3.0, 2.0], [0.0, 0.0, 0.0])
    )
    assert torch.equal(drifting, still)


def test_a_rollout_batch_by_the_models_own_numbers(tiny_folder: Path) -> None:
    ring = arena(tiny_folder)
    for _ in itertools.islice(ring.rows(), 2):
        pass
    ring.config = replace(CONFIG, temperature=0.8)
    batch = collect(ring.config, ring.parts, ring.state, seed=4)
    rows, answers = batch.rollout.rows, batch.rollout.answers
    assert len(rows) == 16
    assert batch.rollout.asked[::2] == batch.rollout.asked[1::2]
    parts = ring.parts
    for role, found in ((parts.policy, batch.logp_M), (parts.reference, batch.reference_M)):
        role.backbone.activate(role.adapters)
        want = []
        for row in rows:
            (logits,) = true_logits(role.backbone, [row.ids])
            logp = (logits / 0.8).log_softmax(-1)
            want += [logp[t - 1, i] for t, (i, m) in enumerate(zip(*_pair(row), strict=True)) if m]
        torch.testing.assert_close(found, torch.stack(want), atol=2e-5, rtol=0)
    parts.critic.backbone.activate(parts.critic.adapters)
    head, scale = parts.critic.head, parts.critic.scale
    assert head is not None
    values = []
    for row in rows:
        with torch.no_grad():
            hidden = parts.critic.backbone.decoder(input_ids=torch.tensor([row.ids]))
            raw = head(hidden.last_hidden_state[0])
        values += [(raw[t - 1] - scale.shift) / scale.scale for t, m in enumerate(row.mask) if m]
    torch.testing.assert_close(batch.value_M, torch.stack(values), atol=2e-5, rtol=0)
    # And what is reported of it.
    _, return_M = estimate(ring.config, batch, 0.1)
    metrics = describe(ring.config, batch, return_M, 0.1, ring.parts)
    k1 = [part.sum().item() for part in (batch.logp_M - batch.reference_M).split(batch.counts)]
    scores = [sum(i in ring.good for i in answer.tokens) - 3 for answer in answers]
    unexplained = (return_M - batch.value_M).var(correction=0) / return_M.var(correction=0)
    assert metrics == pytest.approx(
        metrics
        | {
            "reward/score": fmean(scores),
            "reward/total": fmean(scores) - 0.1 * fmean(k1),
            "kl/sequence": fmean(k1),
            "kl/token": sum(k1) / sum(batch.counts),
            "value/explained_variance": 1 - unexplained.item(),
            "answer/length": fmean(batch.counts),
            "answer/stopped": fmean(a.stop == "stop" for a in answers),
            "tokens": sum(len(row.ids) for row in rows),
            "reward/gold": 16.0,
        },
        rel=1e-4,
        abs=1e-5,
    )


def _pair(row: Tokenized) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    return row.ids, row.mask


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_first_step_starts_from_the_reference(tiny_folder: Path, dtype: str) -> None:
    ring = arena(tiny_folder, dtype=dtype)
    rows = [dict(row) for row in ring.rows()]
    assert len(rows) == 3
    for number, row in enumerate(rows):
        check_row(row, where=f"step {number}")
    assert rows[0]["kl/sequence"] == 0
    assert rows[0]["policy/ratio_max"] == 1
    assert rows[0]["policy/clip_fraction"] == rows[0]["policy/approx_kl"] == 0
    assert rows[1]["kl/sequence"] != 0
    assert all(row["engine/gap_max"] < (1e-4 if dtype == "float32" else 0.5) for row in rows)
    assert ring.state.step == 3


def test_updates_are_at_the_temperature_that_sampled(tiny_folder: Path) -> None:
    config = replace(CONFIG, steps=2, temperature=0.7)
    for row in arena(tiny_folder, config=config).rows():
        assert row["policy/ratio_max"] == 1
        assert row["engine/gap_max"] < 1e-4


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_all_weights_can_be_trained(tiny_folder: Path, dtype: str) -> None:
    config = replace(CONFIG, optimizer=replace(CONFIG.optimizer, learning_rate=3e-4))
    ring = arena(tiny_folder, dtype=dtype, full=True, config=config)
    rows = list(ring.rows())
    assert len(rows) == 3
    assert abs(rows[0]["kl/sequence"]) < 1e-4
    assert rows[2]["kl/sequence"] != 0


def test_only_the_policys_and_the_critics_adapters_learn(tiny_folder: Path) -> None:
    ring = arena(tiny_folder)
    mine = {id(p): p.detach().clone() for p in ring.state.parameters.values()}
    named = dict(ring.backbone.model.named_parameters())
    others = {n: p.detach().clone() for n, p in named.items() if id(p) not in mine}
    for _ in ring.rows():
        pass
    assert all(torch.equal(named[n], p) for n, p in others.items())
    assert {n.split(".")[-2] for n in others if ".lora_" in n} == {"sft", "reward"}
    assert not any(torch.equal(p, mine[id(p)]) for p in ring.state.parameters.values())


def minibatch(ring: Arena) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Metrics and gradients of one minibatch of made-up experience, off the old policy."""
    rows = [
        Tokenized((*prompt, *range(100, 100 + n)), (False,) * len(prompt) + (True,) * n)
        for n, prompt in enumerate(PROMPTS[:9], 1)
    ]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        logp_M = ring.parts.policy.logprobs(Ragged.of(rows))[0]
    noise = torch.randn(4, len(logp_M), generator=generator)
    fixed = Constants(
        old_logp_M=logp_M + 0.3 * noise[0],
        reference_M=logp_M,
        old_value_M=noise[1],
        advantage_M=3 + noise[2],
        return_M=noise[3],
        weight_M=torch.ones_like(logp_M),
    )
    metrics = ppo._minibatch(ring.config, rows, fixed, 0.1, ring.parts)
    return metrics, take_gradients(ring.state.parameters.items())


def test_nothing_but_the_minibatch_changes_loss_and_gradient(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = arena(tiny_folder)
    metrics, gradients = minibatch(ring)
    assert 0 < metrics["policy/clip_fraction"] < 1
    assert 0 < metrics["value/clip_fraction"] < 1
    assert {name.partition(".")[0] for name in gradients} == {"policy", "critic"}

    def same(how: str) -> None:
        again, other = minibatch(ring)
        assert again == pytest.approx(metrics, rel=2e-5, abs=1e-6), how
        assert furthest(other, gradients) < 2e-5, how

    for tokens in (1, 30, 10_000):
        ring.change(micro_batch_tokens=tokens)
        same(f"micro-batches of {tokens}")
    for role in (ring.parts.policy, ring.parts.critic):
        role.packing = False
    same("padded right")
    pads_left(monkeypatch)
    same("padded left")


def test_further_bounds_of_the_ratio_reach_the_loss(tiny_folder: Path) -> None:
    """A wider clip above lowers the loss, and so does a bound on what bad tokens count."""
    found = []
    for clips in ({}, {"clip_high": 0.5}, {"clip_high": 0.5, "dual_clip": 1.2}):
        metrics, _ = minibatch(arena(tiny_folder, config=replace(CONFIG, **clips)))
        found.append(metrics)
    assert found[0]["policy/loss"] > found[1]["policy/loss"] > found[2]["policy/loss"]
    assert found[2]["policy/dual_clip_fraction"] > 0
    assert "policy/dual_clip_fraction" not in found[1]
    with pytest.raises(ConfigError, match="dual_clip must be greater than 1"):
        PPOConfig(dual_clip=1.0)


def test_a_minibatch_is_the_two_clipped_losses(tiny_folder: Path) -> None:
    ring = arena(tiny_folder)
    metrics, gradients = minibatch(ring)
    rows = [
        Tokenized((*prompt, *range(100, 100 + n)), (False,) * len(prompt) + (True,) * n)
        for n, prompt in enumerate(PROMPTS[:9], 1)
    ]
    logp_M = ring.parts.policy.logprobs(Ragged.of(rows))[0]
    noise = torch.randn(4, len(logp_M), generator=torch.Generator().manual_seed(0))
    white = (3 + noise[2] - (3 + noise[2]).mean()) / (3 + noise[2]).std(correction=0)
    actor = policy.clipped(
        logp_M=logp_M,
        old_logp_M=logp_M.detach() + 0.3 * noise[0],
        advantage_M=white,
        clip=0.2,
        global_tokens=len(logp_M),
    )
    actor.value.backward()
    critic = value.clipped(
        value_M=ring.parts.critic.values(Ragged.of(rows)),
        old_value_M=noise[1],
        return_M=noise[3],
        clip=0.2,
        global_tokens=len(logp_M),
    )
    (0.1 * critic.value).backward()
    assert metrics["loss"] == pytest.approx((actor.value + 0.1 * critic.value).item(), rel=1e-4)
    assert metrics["policy/ratio_max"] == pytest.approx((-0.3 * noise[0]).exp().max().item())
    assert furthest(gradients, take_gradients(ring.state.parameters.items())) < 2e-5


def test_every_pass_takes_every_answer_once(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = arena(tiny_folder, config=replace(CONFIG, steps=1, epochs=3, minibatches=4))
    taken: list[list[tuple[int, ...]]] = []
    real = ppo._minibatch

    def spy(
        config: PPOConfig, rows: list[Tokenized], fixed: Constants, *rest: Any
    ) -> dict[str, float]:
        assert all(len(flat) == sum(sum(row.mask) for row in rows) for flat in fixed)
        taken.append([row.ids for row in rows])
        return real(config, rows, fixed, *rest)

    monkeypatch.setattr(ppo, "_minibatch", spy)
    (_,) = ring.rows()
    assert [len(part) for part in taken] == [4] * 12
    passes = [sorted(row for part in taken[4 * e : 4 * e + 4] for row in part) for e in range(3)]
    assert passes[0] == passes[1] == passes[2]
    assert taken[:4] != taken[4:8]
    assert next(iter(ring.state.optimizer.state.values()))["step"] == 12


def test_passes_end_once_the_policy_has_moved_too_far(tiny_folder: Path) -> None:
    steps = []
    for limit in (None, 1e-9):
        config = replace(CONFIG, steps=1, epochs=5, stop_kl=limit)
        ring = arena(tiny_folder, config=config)
        (_,) = ring.rows()
        steps.append(int(next(iter(ring.state.optimizer.state.values()))["step"]))
    assert steps == [5, 2]  # the first minibatch has moved nothing yet


def test_the_adaptive_coefficient_follows_its_controller(tiny_folder: Path) -> None:
    config = replace(CONFIG, steps=4, kl=ADAPTIVE)
    rows = list(arena(tiny_folder, config=config).rows())
    coefficient = 0.1
    for row in rows:
        assert row["kl/coefficient"] == pytest.approx(coefficient, rel=1e-12)
        coefficient = kl.adapt(
            coefficient, observed=row["kl/sequence"], target=0.05, episodes=16, horizon=64
        )
    assert rows[1]["kl/coefficient"] == pytest.approx(0.1 * (1 - 0.2 * 16 / 64))
    fixed = list(arena(tiny_folder).rows())
    assert {row["kl/coefficient"] for row in fixed} == {0.1}


def test_a_spent_budget_ends_the_run_with_the_last_weights_that_met_it(tiny_folder: Path) -> None:
    ring = arena(tiny_folder, config=WANDERING)
    budget = WANDERING.kl.budget
    assert budget is not None
    found, moments, learnt = [], [weights(ring.state)], []
    for row in ring.rows():
        found.append(row["kl/sequence"])
        learnt.append("grad_norm" in row)
        moments.append(weights(ring.state))
    means = [fmean(found[max(0, t - 3) : t + 1]) for t in range(len(found))]
    assert 4 < len(found) < WANDERING.steps
    assert max(means[:-1]) <= budget < means[-1]
    assert learnt == [True] * (len(found) - 1) + [False]  # what breaks it is not learnt from
    assert ring.state.numbers["budget_spent"] == 1
    # moments[t] made batch t; the last batch that met the budget is the one before the last.
    kept = moments[len(found) - 2]
    ended = weights(ring.state)
    assert all(torch.equal(ended[name], kept[name]) for name in kept)
    assert not all(torch.equal(ended[name], moments[-1][name]) for name in kept)
    assert list(ring.rows()) == []  # taken up again it does nothing


def test_a_budget_that_is_never_spent_ends_with_measured_weights(tiny_folder: Path) -> None:
    config = replace(CONFIG, kl=KLSettings(coefficient=0.1, budget=1e6))
    ring = arena(tiny_folder, config=config)
    moments = [weights(ring.state)]
    moments += [weights(ring.state) for _ in ring.rows()]
    ended = weights(ring.state)
    assert all(torch.equal(ended[name], moments[2][name]) for name in ended)
    assert "budget_spent" not in ring.state.numbers


@pytest.mark.parametrize(
    "config", [replace(CONFIG, steps=4, epochs=2, minibatches=2, kl=ADAPTIVE), WANDERING]
)
def test_a_stopped_run_goes_on_to_the_bit(
    tiny_folder: Path, tmp_path: Path, config: PPOConfig
) -> None:
    def make() -> Run:
        ring = arena(tiny_folder, config=config)
        return ring.state, ring.rows()

    rows = check_resume(make, tmp_path, stop=2)
    assert (len(rows) < config.steps) is (config is WANDERING)


def test_a_reward_that_is_no_number_stops_the_run_with_its_batch(tiny_folder: Path) -> None:
    ring = arena(tiny_folder)
    rows = ring.rows()
    next(rows)
    ring.change(score=lambda asked, rows: [0.0] * (len(rows) - 1) + [math.nan])
    before = weights(ring.state)
    with pytest.raises(DivergenceError, match=r"(?s)reward is not a finite.*batch 2") as caught:
        next(ring.rows())
    assert isinstance(caught.value.batch, list)
    assert len(caught.value.batch) == 16
    assert all(isinstance(i, int) for row in caught.value.batch for i in row)
    after = weights(ring.state)
    assert all(torch.equal(after[name], before[name]) for name in before)


IN_LOSS = KLSettings(coefficient=0.1, place=KLPlace.LOSS, estimator=KLEstimator.K2)


def test_kl_in_the_loss_is_not_in_the_reward(tiny_folder: Path) -> None:
    batch = sampled([3], [1.0], [1.0, -0.5, 2.0], [0.5, 0.4, 0.3])
    in_loss = estimate(PPOConfig(kl=IN_LOSS), batch, 0.1)
    without = estimate(PPOConfig(), batch, 0.0)
    assert torch.equal(in_loss[0], without[0])
    ring = arena(tiny_folder, config=replace(CONFIG, kl=IN_LOSS))
    metrics, gradients = minibatch(ring)
    ring.config = CONFIG
    plain, others = minibatch(ring)
    # Made-up experience has the policy itself as reference: nothing to pay, and no pull of k2.
    assert metrics["kl/loss"] == pytest.approx(0, abs=1e-9)
    assert metrics["loss"] == pytest.approx(plain["loss"], rel=1e-5)
    assert furthest(gradients, others) < 2e-5


@pytest.mark.parametrize("estimator", ["k2", "k3"])
def test_kl_in_the_loss_holds_the_policy(tiny_folder: Path, estimator: str) -> None:
    """With nothing else to gain, a policy that was moved away goes back."""
    config = replace(
        CONFIG,
        steps=4,
        kl=KLSettings(coefficient=5.0, place=KLPlace.LOSS, estimator=KLEstimator(estimator)),
        optimizer=OptimizerSettings(learning_rate=2e-3, epsilon=1e-5),
    )
    ring = arena(tiny_folder, config=config)
    ring.change(score=lambda asked, rows: [0.0] * len(rows))
    next(ring.rows())
    perturb(ring.backbone, "ppo", seed=3, size=0.05)
    rows = list(ring.rows())
    assert rows[0]["kl/sequence"] > 1.4 * rows[-1]["kl/sequence"] > 0
    assert rows[0]["kl/loss"] > 0


def test_the_critic_learns_alone_before_the_policys_first_update(tiny_folder: Path) -> None:
    config = replace(CONFIG, steps=1, critic=CriticSettings(steps=2), kl=ADAPTIVE)
    ring = arena(tiny_folder, config=config)
    moments, rows = [weights(ring.state)], []
    for row in ring.rows():
        rows.append(row)
        moments.append(weights(ring.state))
    assert len(rows) == config.batches == 3
    for step, (before, after) in enumerate(itertools.pairwise(moments)):
        learns = step == 2
        moved = {name for name in before if not torch.equal(before[name], after[name])}
        assert {name for name in moved if name.startswith("critic.")}
        assert bool({name for name in moved if name.startswith("policy.")}) is learns
    assert [row["kl/sequence"] for row in rows] == [0, 0, 0]
    assert [row["kl/coefficient"] for row in rows] == [0.1] * 3  # nothing to steer yet


def demonstrations(count: int) -> TokenRows:
    return TokenRows.build(
        Tokenized((5, 6, *range(100 + i, 106 + i)), (False,) * 2 + (True,) * 6)
        for i in range(count)
    )


def test_ppo_ptx_imitates_beside_what_it_earns(tiny_folder: Path) -> None:
    """With nothing to earn, the demonstrations' likelihood is all that moves the policy."""
    config = replace(
        CONFIG, steps=6, ptx=1.0, whiten_advantages=False, kl=KLSettings(coefficient=0)
    )
    ring = arena(tiny_folder, config=config)
    ring.change(score=lambda asked, rows: [0.0] * len(rows), demonstrations=demonstrations(5))
    rows = list(ring.rows())
    assert rows[-1]["language/nll"] < rows[0]["language/nll"] - 0.5
    check_row(rows[0], where="step 1")


def test_ppo_ptx_adds_its_share_of_the_loss(tiny_folder: Path) -> None:
    found = []
    for ptx in (0.0, 0.5):
        ring = arena(tiny_folder, config=replace(CONFIG, ptx=ptx))
        ring.change(demonstrations=demonstrations(5))
        found.append(dict(next(ring.rows())))
    assert "language/nll" not in found[0]
    assert found[1]["loss"] == pytest.approx(found[0]["loss"] + 0.5 * found[1]["language/nll"])
    assert found[1]["grad_norm"] != found[0]["grad_norm"]


def test_ppo_ptx_needs_demonstrations(tiny_folder: Path) -> None:
    ring = arena(tiny_folder, config=replace(CONFIG, ptx=0.5))
    with pytest.raises(ConfigError, match="needs demonstrations"):
        next(ring.rows())


def test_a_correction_weighs_the_policys_loss(tiny_folder: Path) -> None:
    """A sampler whose log-probabilities are off by ln 2 everywhere: all ratios are 2."""
    ring = arena(tiny_folder, config=replace(CONFIG, correction=1.5))
    real = ring.parts.sampler

    class Off:
        def sample(self, *given: Any, **how: Any) -> list[list[Completion]]:
            return [
                [
                    replace(one, logprobs=tuple(logp - math.log(2) for logp in one.logprobs))
                    for one in group
                ]
                for group in real.sample(*given, **how)
            ]

    ring.state.step = 2  # after the steps whose agreement is checked
    ring.change(sampler=Off())
    row = next(ring.rows())
    assert row["importance/max"] == pytest.approx(2, rel=1e-3)
    assert row["importance/mean"] == pytest.approx(2, rel=1e-3)
    assert row["importance/truncated"] == 1
    assert row["engine/gap_mean"] == pytest.approx(math.log(2), rel=1e-3)


def test_prompts_and_samples_change_from_step_to_step(tiny_folder: Path) -> None:
    ring = arena(tiny_folder)
    batches = []
    for step in range(3):
        ring.state.step = step
        batches.append(collect(ring.config, ring.parts, ring.state, seed=4).rollout)
    assert sorted({p for batch in batches for p in batch.asked}) == list(range(24))
    ring.state.step = 0
    again = collect(ring.config, ring.parts, ring.state, seed=4).rollout
    other = collect(ring.config, ring.parts, ring.state, seed=5).rollout
    assert again.answers == batches[0].answers
    assert other.answers != again.answers


def test_a_bandit_converges_to_the_reference_times_exp_of_the_reward(folder_of: Folders) -> None:
    """One token an answer: pi* = pi_ref exp(r / beta) / Z, by enumeration."""
    tokens, beta = 8, 0.5
    folder = folder_of("llama", vocab_size=tokens)
    actor = Role(load(folder, train_all=True), packing=False)
    reference = Role(load(folder), packing=False)
    critic = Role(load(folder, train_all=True), (), ScalarHead(32, seed=0), packing=False)
    earned = torch.tensor([0.0, 0.6, -0.4, 0.2, -0.8, 0.5, 0.1, -0.2])
    config = PPOConfig(
        steps=60,
        batch_prompts=1,
        samples=256,
        max_tokens=1,
        kl=KLSettings(coefficient=beta),
        missing_stop_score=None,
        whiten_advantages=False,
        critic=CriticSettings(coefficient=0.5),
        optimizer=OptimizerSettings(
            learning_rate=2e-3, schedule=Schedule.LINEAR, final_share=0.02, epsilon=1e-5
        ),
    )
    prompt = [3, 5, 6]
    parameters = [(f"p.{n}", p) for n, p in actor.trained()]
    parameters += [(f"c.{n}", p) for n, p in critic.trained()]
    parts = Parts(
        prompts=[prompt],
        policy=actor,
        reference=reference,
        critic=critic,
        sampler=TorchSampler(actor, stop_ids=[], rows=256),
        score=lambda asked, rows: [float(earned[row.ids[-1]]) for row in rows],
        watch=lambda asked, answers: {},
        micro_batch_tokens=4096,
    )
    state = fresh_state(iter(parameters), config.optimizer)
    for _ in train(config, parts=parts, state=state, seed=0):
        pass
    (old,), (new,) = (
        [logits[-1].softmax(-1) for logits in true_logits(role.backbone, [tuple(prompt)])]
        for role in (reference, actor)
    )
    best = old * (earned / beta).exp()
    best = best / best.sum()
    assert 0.5 * (old - best).abs().sum().item() > 0.2
    assert 0.5 * (new - best).abs().sum().item() < 0.04
