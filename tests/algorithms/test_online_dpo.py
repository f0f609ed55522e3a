"""Online and iterative DPO: which pairs there are, what a step learns of them, and whose answers
they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from accord.algorithms import online_dpo
from accord.algorithms.online_dpo import Paired, answer, learn, pair
from accord.algorithms.rollouts import Sampled
from accord.algorithms.settings import OnlineDPOConfig, OptimizerSettings, ShapingSettings
from accord.core.errors import ConfigError, DataError, DivergenceError, InvariantError, ModelError
from accord.core.metrics import check_row
from accord.models.role import Role
from accord.rollout.engine import TorchSampler
from accord.text.tokenized import Tokenized
from tests.algorithms.arena import STOPS
from tests.algorithms.loops import Run, check_resume, first_gradients, pads_left, weights
from tests.algorithms.ring import SLOPE, Ring, ring_of
from tests.models.workshop import Folders, furthest, load, perturb, take_gradients

CONFIG = OnlineDPOConfig(
    steps=3,
    batch_prompts=4,
    samples=4,
    max_tokens=8,
    missing_stop_score=None,
    beta=0.3,
    optimizer=OptimizerSettings(learning_rate=5e-3, epsilon=1e-5),
)
ROUNDS = replace(CONFIG, steps=5, round_steps=2)
SOFT = {"pairs": "all", "labels": "soft"}


def made(scores: Sequence[float], slope: float = 1.0, **settings: Any) -> Paired:
    """The pairs of answers with these scores."""
    return pair(replace(CONFIG, **settings), torch.tensor(scores), slope)


def listed(pairs: Paired) -> list[tuple[int, int]]:
    return list(zip(pairs.first_N.tolist(), pairs.second_N.tolist(), strict=True))


def test_online_dpo_by_hand_best_and_worst() -> None:
    """Of equal scores the first; a prompt whose answers all score the same makes no pair."""
    found = made([1, 3, 3, 0, 2, 2, 2, 2, -1, -4, -2, -4])
    assert listed(found) == [(1, 3), (8, 9)]
    assert found.gap_N.tolist() == [3, 3]
    assert found.label_N.tolist() == [1, 1]
    assert found.weight_N.tolist() == [1, 1]
    assert (found.candidates, found.tied) == (3, 1)


def test_online_dpo_by_hand_all_pairs() -> None:
    """Five pairs of the first prompt weigh 1/5 each, two of the third 1/4 less the tied ones."""
    found = made([1, 3, 3, 0, 2, 2, 2, 2, 5, 4, 5, 4], pairs="all")
    assert listed(found)[:5] == [(1, 0), (2, 0), (0, 3), (1, 3), (2, 3)]
    assert listed(found)[5:] == [(8, 9), (8, 11), (10, 9), (10, 11)]
    assert found.gap_N.tolist() == [2, 2, 1, 3, 3, 1, 1, 1, 1]
    assert found.weight_N.tolist() == pytest.approx([0.2] * 5 + [0.25] * 4)
    assert (found.candidates, found.tied) == (18, 1 + 6 + 2)


def test_online_dpo_by_hand_soft_labels() -> None:
    """A gap of 2 at a slope of .5 is log-odds of 1: e / (1 + e)."""
    found = made([0, 2, 1, 1], slope=0.5, labels="soft")
    assert found.label_N.tolist() == pytest.approx([math.e / (1 + math.e)])


@given(
    scores=st.lists(st.integers(-40, 40), min_size=4, max_size=4, unique=True),
    order=st.permutations(range(4)),
    kind=st.sampled_from(["extremes", "all"]),
    shift=st.sampled_from([-3.0, 0.0, 7.0]),
    unit=st.sampled_from([0.5, 1.0, 4.0]),
)
def test_online_dpo_property_order_origin_and_unit_of_scores_do_not_count(
    scores: list[int], order: list[int], kind: str, shift: float, unit: float
) -> None:
    """Soft labels too, where the slope knows the unit."""

    def seen(values: Sequence[float], slope: float, names: Sequence[int]) -> list[list[float]]:
        found = made(values, slope, pairs=kind, labels="soft")
        columns = (found.label_N, found.weight_N)
        sides = [(names[one], names[other]) for one, other in listed(found)]
        return sorted(
            [*side, *figures]
            for side, *figures in zip(sides, *(c.tolist() for c in columns), strict=True)
        )

    other = seen([unit * scores[i] + shift for i in order], 0.1 / unit, order)
    for one, same in zip(seen(scores, 0.1, range(4)), other, strict=True):
        assert one == pytest.approx(same, abs=1e-6)


def moved_ring(folder: Path, config: OnlineDPOConfig) -> tuple[Ring, Sampled, Paired]:
    """A policy that has left its reference further than the one that answered, and its pairs."""
    ring = ring_of(folder, config)
    perturb(ring.parts.policy.backbone, "rl", seed=7, size=0.05)
    batch = answer(config, ring.parts, ring.state, seed=4)
    perturb(ring.parts.policy.backbone, "rl", seed=8, size=0.1)
    return ring, batch, pair(config, batch.rollout.score_B, SLOPE)


def learnt(ring: Ring, batch: Sampled, pairs: Paired) -> tuple[dict[str, float], dict[str, Tensor]]:
    metrics = learn(ring.config, batch, pairs, ring.parts)
    return metrics, take_gradients(ring.state.parameters.items())


def summed(role: Role, rows: Sequence[Tokenized], heat: float) -> list[Tensor]:
    """Log-probability of each answer by transformers' own forward pass, one by one, in float64."""
    role.backbone.activate(role.adapters)
    found = []
    for row in rows:
        logits_TV = role.backbone.model(input_ids=torch.tensor([row.ids]), use_cache=False).logits
        logp_TV = (logits_TV[0, :-1].double() / heat).log_softmax(-1)
        logp_T = logp_TV.gather(1, torch.tensor(row.ids[1:])[:, None])[:, 0]
        found.append(logp_T[torch.tensor(row.mask[1:])].sum())
    return found


def oracle(ring: Ring, batch: Sampled) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradient of a step in float64, by loops over prompts and pairs, from the papers."""
    config, rows, scores = ring.config, batch.rollout.rows, batch.rollout.score_B.tolist()
    with torch.no_grad():
        ref = [float(one) for one in summed(ring.parts.reference, rows, config.temperature)]
    if config.reference == "round":
        ref = [float(one.sum()) for one in batch.logp_M.double().split(batch.rollout.counts)]
    now = summed(ring.parts.policy, rows, config.temperature)
    losses = []
    for start in range(0, len(rows), config.samples):
        group = range(start, start + config.samples)
        chosen = [sorted(both, key=lambda i: -scores[i]) for both in combinations(group, 2)]
        if config.pairs == "extremes":
            chosen = [[max(group, key=scores.__getitem__), min(group, key=scores.__getitem__)]]
        chosen = [(w, o) for w, o in chosen if scores[w] > scores[o]]
        each = []
        for w, o in chosen:
            h = (now[w] - ref[w]) - (now[o] - ref[o])
            p = 1.0
            if config.labels == "soft":
                p = 1 / (1 + math.exp(-SLOPE * (scores[w] - scores[o])))
            target = 1 / (2 * config.beta)
            each.append(
                p * (h - target) ** 2 + (1 - p) * (h + target) ** 2
                if config.objective == "ipo"
                else -p * torch.log(torch.sigmoid(config.beta * h))
                - (1 - p) * torch.log(torch.sigmoid(-config.beta * h))
            )
        if each:
            losses.append(sum(each) / len(each))
    total = torch.stack(losses).mean()
    total.backward()
    return total.item(), take_gradients(ring.state.parameters.items())


VARIANTS = {
    "dpo": CONFIG,
    "dpo, all pairs, soft": replace(CONFIG, **SOFT, temperature=0.7),
    "ipo": replace(CONFIG, objective="ipo", pairs="all"),
    "ipo, soft, against the round": replace(
        CONFIG, objective="ipo", labels="soft", round_steps=2, reference="round"
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_online_dpo_parity_with_a_float64_oracle(tiny_folder: Path, name: str) -> None:
    ring, batch, pairs = moved_ring(tiny_folder, VARIANTS[name])
    metrics, gradients = learnt(ring, batch, pairs)
    loss, expected = oracle(ring, batch)
    assert metrics["loss"] == pytest.approx(loss, rel=1e-5)
    assert furthest(gradients, expected) < 1e-4
    assert metrics["preference/chosen_drift"] != metrics["preference/rejected_drift"]


@pytest.mark.parametrize("objective", ["dpo", "ipo"])
def test_online_dpo_gradient_at_the_reference(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch, objective: Any
) -> None:
    """There h = 0: dL/dh is -beta / 2 for DPO, whose loss is log 2, and -1 / beta for IPO."""
    ring = ring_of(tiny_folder, replace(CONFIG, objective=objective))
    metrics, gradients = first_gradients(monkeypatch, online_dpo, ring.rows())
    ring.state.step = 0
    batch = answer(ring.config, ring.parts, ring.state, seed=4)
    pairs = pair(ring.config, batch.rollout.score_B, 1.0)
    slope, loss = (-0.15, math.log(2)) if objective == "dpo" else (-1 / 0.3, (1 / 0.6) ** 2)
    assert metrics["loss"] == pytest.approx(loss, rel=1e-5)
    now = summed(ring.parts.policy, batch.rollout.rows, 1.0)
    leads = [now[first] - now[second] for first, second in listed(pairs)]
    (slope * torch.stack(leads).mean()).backward()
    assert furthest(gradients, take_gradients(ring.state.parameters.items())) < 1e-4


def test_online_dpo_property_micro_batches_and_padding_change_nothing(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring, batch, pairs = moved_ring(tiny_folder, VARIANTS["dpo, all pairs, soft"])
    metrics, gradients = learnt(ring, batch, pairs)

    def same(how: str) -> None:
        again, other = learnt(ring, batch, pairs)
        assert again == pytest.approx(metrics, rel=2e-5, abs=1e-6), how
        assert furthest(other, gradients) < 2e-5, how

    for tokens in (1, 60, 10_000):
        ring.change(micro_batch_tokens=tokens)
        same(f"micro-batches of {tokens}")
    ring.parts.policy.packing = False
    same("padded right")
    pads_left(monkeypatch)
    same("padded left")


def test_answers_in_no_pair_are_not_run(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring, batch, pairs = moved_ring(tiny_folder, CONFIG)
    ran: list[int] = []
    real = Role.logprobs
    monkeypatch.setattr(
        Role,
        "logprobs",
        lambda role, part, **more: (ran.append(len(part.lengths)), real(role, part, **more))[1],
    )
    learn(CONFIG, batch, pairs, ring.parts)
    assert sum(ran) == 2 * len(pairs.gap_N) <= 8 < len(batch.rollout.rows)


@pytest.mark.parametrize(
    ("config", "dtype"), [(CONFIG, "float32"), (ROUNDS, "float32"), (CONFIG, "bfloat16")]
)
def test_the_first_steps(tiny_folder: Path, config: OnlineDPOConfig, dtype: str) -> None:
    rows = [dict(row) for row in ring_of(tiny_folder, config, dtype=dtype).rows()]
    assert len(rows) == config.steps
    for number, row in enumerate(rows):
        check_row(row, where=f"step {number}")
        assert row["grad_norm"] > 0
        assert row["engine/gap_max"] < (1e-4 if dtype == "float32" else 0.5)
        assert row["pairs/gap"] > 0
        # Of the policy that answers: still the reference for the whole of the first round.
        assert (row["kl/sequence"] == 0) == (number < config.round_steps)
        assert not {"reward/total", "kl/coefficient"} & row.keys()
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert rows[1]["loss"] != pytest.approx(math.log(2), abs=1e-6)


def test_a_rounds_answers_are_those_of_its_start(tiny_folder: Path) -> None:
    """Its second batch is what an untrained policy says to the same prompts; the third is not."""
    ring, untrained = ring_of(tiny_folder, ROUNDS), ring_of(tiny_folder, ROUNDS)
    rows = [dict(row) for row in islice(ring.rows(), 4)]
    for step in range(4):
        untrained.state.step = step
        score_B = answer(ROUNDS, untrained.parts, untrained.state, seed=4).rollout.score_B
        assert (rows[step]["reward/score"] == float(score_B.mean())) == (step < 2)
    assert rows[2]["kl/sequence"] != rows[3]["kl/sequence"]  # other answers of one policy


def test_a_reference_of_the_round_starts_each_round_at_log_2(tiny_folder: Path) -> None:
    config = replace(ROUNDS, reference="round")
    losses = [row["loss"] for row in ring_of(tiny_folder, config).rows()]
    at_log_2 = [loss == pytest.approx(math.log(2), abs=1e-6) for loss in losses]
    assert at_log_2 == [True, False, True, False, True]
    still = [row["loss"] for row in ring_of(tiny_folder, ROUNDS).rows()]
    assert still[:2] == losses[:2]
    assert still[2] != pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize(
    ("config", "stop"),
    [(CONFIG, 2), (ROUNDS, 3), (replace(ROUNDS, reference="round", kl_budget=50.0), 1)],
    ids=["online", "inside a round", "against the round"],
)
def test_a_stopped_run_goes_on_to_the_bit(
    tiny_folder: Path, tmp_path: Path, config: OnlineDPOConfig, stop: int
) -> None:
    def make() -> Run:
        ring = ring_of(tiny_folder, config)
        return ring.state, ring.rows()

    check_resume(make, tmp_path, stop=stop)


@pytest.mark.parametrize("round_steps", [1, 3])
def test_a_spent_budget_ends_the_run_with_weights_that_met_it(
    tiny_folder: Path, round_steps: int
) -> None:
    spending = replace(
        CONFIG, steps=18, samples=8, round_steps=round_steps, kl_budget=0.05, beta=0.05
    )
    ring = ring_of(tiny_folder, spending)
    rows, moments = [], [weights(ring.state)]
    for row in ring.rows():
        rows.append(row)
        moments.append(weights(ring.state))
    assert round_steps < len(rows) < spending.steps
    assert "grad_norm" not in rows[-1]
    assert ring.state.numbers["budget_spent"] == 1
    last_round = (len(rows) - 1) // round_steps
    kept, ended = moments[(last_round - 1) * round_steps], weights(ring.state)
    assert all(torch.equal(ended[name], kept[name]) for name in kept)


@pytest.mark.parametrize("config", [CONFIG, ROUNDS], ids=["online", "rounds"])
def test_a_budget_that_is_not_spent_costs_no_step(
    tiny_folder: Path, config: OnlineDPOConfig
) -> None:
    ended = []
    for budget in (None, 100.0):
        ring = ring_of(tiny_folder, replace(config, kl_budget=budget))
        list(ring.rows())
        ended.append(weights(ring.state))
    assert all(torch.equal(ended[0][name], ended[1][name]) for name in ended[0])


@pytest.mark.parametrize("config", [CONFIG, ROUNDS], ids=["online", "rounds"])
def test_a_sampler_that_never_gets_the_adapter_is_caught(
    tiny_folder: Path, config: OnlineDPOConfig
) -> None:
    """It is right for the first round, in which the adapter is zero."""
    ring = ring_of(tiny_folder, config)
    ring.change(sampler=TorchSampler(ring.parts.reference, stop_ids=STOPS))
    rows = ring.rows()
    assert len(list(islice(rows, config.round_steps))) == config.round_steps
    with pytest.raises(InvariantError, match="disagree on log-probabilities"):
        next(rows)


def test_a_reference_that_is_not_the_start_is_caught(tiny_folder: Path) -> None:
    ring = ring_of(tiny_folder, CONFIG)
    ring.change(reference=Role(ring.parts.policy.backbone, ()))
    with pytest.raises(InvariantError, match="not its reference"):
        next(ring.rows())


def test_a_reference_of_another_vocabulary_is_refused(
    tiny_folder: Path, folder_of: Folders
) -> None:
    ring = ring_of(tiny_folder, CONFIG)
    ring.change(reference=Role(load(folder_of("llama"))))
    with pytest.raises(ModelError, match="another vocabulary"):
        next(ring.rows())


def test_steps_without_a_pair_change_nothing_and_are_counted(tiny_folder: Path) -> None:
    ring = ring_of(tiny_folder, replace(CONFIG, steps=2))
    ring.change(score=lambda asked, rows: [0.3] * len(rows))
    before, run = weights(ring.state), ring.rows()
    rows = [next(run), next(run)]
    with pytest.raises(DataError, match="no pair to learn from") as caught:
        next(run)
    assert "8 pairs" in str(caught.value)
    assert [row["pairs/tied"] for row in rows] == [1, 1]
    assert not any({"loss", "pairs/gap", "grad_norm"} & row.keys() for row in rows)
    after = weights(ring.state)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_tied_pairs_are_counted_among_others(tiny_folder: Path) -> None:
    ring = ring_of(tiny_folder, replace(CONFIG, steps=1, pairs="all"))
    ring.change(score=lambda asked, rows: [1.0, 1.0, 0.0, 0.0] * (len(rows) // 4))
    (row,) = ring.rows()
    assert row["pairs/tied"] == pytest.approx(2 / 6)
    assert row["pairs/gap"] == 1
    assert (ring.state.numbers["pairs"], ring.state.numbers["tied"]) == (24, 8)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [([0.0] * 3, DataError), ([math.nan] * 16, DivergenceError)],
    ids=["of another length", "not a number"],
)
def test_rewards_that_cannot_be_used_stop_the_run(
    tiny_folder: Path, wrong: list[float], error: type[Exception]
) -> None:
    ring = ring_of(tiny_folder, CONFIG)
    ring.change(score=lambda asked, rows: wrong)
    with pytest.raises(error):
        next(ring.rows())


def test_an_answer_without_its_stop_token_is_not_the_better_one(tiny_folder: Path) -> None:
    """Cut answers may score at most the fixed score, whatever the reward model says of them."""
    ring = ring_of(tiny_folder, replace(CONFIG, steps=1, missing_stop_score=-9.0, pairs="all"))
    ring.change(score=lambda asked, rows: [float(len(row)) for row in rows])
    (row,) = ring.rows()
    assert 0 < row["answer/stopped"] < 1
    assert row["pairs/gap"] > 9  # longer, so better without it by 8 at most


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"samples": 1}, "samples must be at least 2"),
        ({"round_steps": 0}, "round_steps must be at least 1"),
        ({"reference": "round"}, "reference = round needs rounds"),
        ({"shaping": ShapingSettings(references=2)}, "shaping.references has no place"),
        ({"shaping": ShapingSettings(overlong=48)}, "shaping.overlong must be less"),
        ({"beta": 0.0}, "beta must be"),
        ({"kl_budget": 0.0}, "kl_budget must be"),
        ({"score_clip": 0.0}, "score_clip must be"),
        ({"missing_stop_score": math.nan}, "missing_stop_score"),
    ],
)
def test_settings_out_of_bounds_are_refused(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        OnlineDPOConfig(**settings)
