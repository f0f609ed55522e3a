"""DPO's loop: starts at log 2, nothing but the batch counts, drift, stop and resume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from accord.algorithms import direct
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.descent import batch_rows, fresh_state
from accord.algorithms.direct import Known, answer_logprobs, reference_logprobs, train
from accord.algorithms.settings import DPOConfig, OptimizerSettings
from accord.models.role import Role
from tests.algorithms.loops import (
    Run,
    check_resume,
    comparisons,
    first_gradients,
    judged_again,
    pads_left,
    raw_comparisons,
    template,
)
from tests.models.workshop import furthest, load, perturb, take_gradients, with_adapters

CONFIG = DPOConfig(batch_prompts=6, beta=0.3, optimizer=OptimizerSettings(learning_rate=2e-3))


def roles(folder: Path, *, moved: bool = True, full: bool = False) -> tuple[Role, Role]:
    """Policy and reference; `moved` where the policy has left the reference."""
    if full:
        policy, reference = Role(load(folder, train_all=True)), Role(load(folder))
        if moved:
            with torch.no_grad():
                for _, parameter in policy.trained():
                    parameter.mul_(1.02)
        return policy, reference
    backbone = with_adapters(folder, "sft")
    backbone.train_adapter("sft", False)
    backbone.add_adapter("dpo", rank=4, alpha=8, seed=1)
    if moved:
        perturb(backbone, "dpo", seed=1, size=0.02)
    return Role(backbone, ("sft", "dpo")), Role(backbone, ("sft",))


def run(
    pair: tuple[Role, Role],
    data: TokenComparisons,
    *,
    dev: TokenComparisons | None = None,
    config: DPOConfig = CONFIG,
    steps: int = 1,
    tokens: int = 200,
) -> Run:
    policy, reference = pair
    state = fresh_state(policy.trained(), config.optimizer)
    nothing = TokenComparisons.build([], None, max_tokens=1)  # type: ignore[arg-type]
    rows = train(
        config,
        data=data,
        dev=nothing if dev is None else dev,
        policy=policy,
        reference=reference,
        state=state,
        steps=steps,
        seed=3,
        micro_batch_tokens=tokens,
    )
    return state, rows


def test_at_the_reference_the_loss_is_log_2(tiny_folder: Path) -> None:
    """Where no margin asks for a lead."""
    config = replace(CONFIG, margin=0.0)
    rows = run(roles(tiny_folder, moved=False), comparisons(tiny_folder, 14), config=config)[1]
    first = next(rows)
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert first["preference/margin"] == pytest.approx(0, abs=1e-6)
    assert first["preference/chosen_drift"] == pytest.approx(0, abs=1e-4)
    assert first["grad_norm"] > 0


def test_judgements_of_one_task_are_computed_once(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair, chat = roles(tiny_folder), template(tiny_folder)
    monkeypatch.setattr(direct, "batch_rows", lambda rows, *_: list(range(rows)))
    together, apart = (
        TokenComparisons.build(rows, chat.tokenize_answer, max_tokens=500)
        for rows in judged_again(raw_comparisons(6))
    )
    metrics, gradients = first_gradients(monkeypatch, direct, run(pair, together)[1])
    plain, same = first_gradients(monkeypatch, direct, run(pair, apart)[1])
    assert 3 * metrics.pop("tokens") == plain.pop("tokens")
    assert metrics == pytest.approx(plain, rel=5e-5, abs=2e-5)
    assert furthest(gradients, same) < 5e-5


@pytest.mark.parametrize("full", [False, True])
def test_nothing_but_the_batch_changes_loss_and_gradient(
    tiny_folder: Path, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, pair = comparisons(tiny_folder, 14), roles(tiny_folder, full=full)
    metrics, gradients = first_gradients(monkeypatch, direct, run(pair, data)[1])

    def same(how: str, config: DPOConfig = CONFIG) -> None:
        tokens = 10 if how == "small" else 9999
        again, other = first_gradients(
            monkeypatch, direct, run(pair, data, config=config, tokens=tokens)[1]
        )
        assert again == pytest.approx(metrics, rel=5e-5, abs=2e-5), how
        assert furthest(other, gradients) < 5e-5, how

    same("small")
    same("large")
    same("reference computed batch by batch", replace(CONFIG, cache_reference=False))
    monkeypatch.setattr(direct, "batch_rows", lambda *a: batch_rows(*a)[::-1])
    same("other company")
    for role in pair:
        role.packing = False
    same("padded right")
    pads_left(monkeypatch)
    same("padded left")


def test_the_loss_pair_by_pair(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, pair = comparisons(tiny_folder, 14), roles(tiny_folder)
    state, rows = run(pair, data)
    metrics, gradients = first_gradients(monkeypatch, direct, rows)
    chat, raw = template(tiny_folder), raw_comparisons(14)

    def answer(role: Role, row: object, text: str) -> Tensor:
        tokens = chat.tokenize_answer(row.prompt, text)  # type: ignore[attr-defined]
        role.backbone.activate(role.adapters)
        logits = role.backbone.model(input_ids=torch.tensor([tokens.ids])).logits[0]
        logp = logits[:-1].log_softmax(-1).gather(-1, torch.tensor(tokens.ids[1:])[:, None])
        return (logp[:, 0] * torch.tensor(tokens.mask[1:])).sum()

    policy, reference = pair
    total, weight, drift, clear = torch.zeros(()), 0.0, 0.0, 0.0
    for number in batch_rows(14, 6, 0, 3):
        row = raw[number]
        with torch.no_grad():
            old = [answer(reference, row, text) for text in row.responses]
        moved = [answer(policy, row, t) - o for t, o in zip(row.responses, old, strict=True)]
        pairs = list(row.pairs())
        for one in pairs:
            share = row.weight / len(pairs)
            h = 0.3 * (moved[one.first] - moved[one.second])
            h = h - row.margin * (1 if one.label > 0.5 else -1 if one.label < 0.5 else 0)
            nll = -one.label * F.logsigmoid(h) - (1 - one.label) * F.logsigmoid(-h)
            total, weight = total + share * nll, weight + share
            if one.label != 0.5:
                better = one.first if one.label > 0.5 else one.second
                drift, clear = drift + share * moved[better].item(), clear + share
    (total / weight).backward()
    assert metrics["loss"] == pytest.approx(total.item() / weight, rel=2e-5)
    assert metrics["preference/chosen_drift"] == pytest.approx(drift / clear, rel=1e-3)
    assert furthest(gradients, take_gradients(state.parameters.items())) < 5e-5


def test_it_learns_the_better_answer(tiny_folder: Path) -> None:
    data = comparisons(tiny_folder, 6)
    _, rows = run(roles(tiny_folder, moved=False), data, dev=data, steps=10)
    found = list(rows)
    assert found[-1]["loss"] < 0.65
    assert found[-1]["preference/dev_accuracy"] > 0.8
    assert found[-1]["preference/dev_loss"] < found[0]["loss"]
    assert found[-1]["preference/chosen_drift"] > found[-1]["preference/rejected_drift"]
    assert ["preference/dev_loss" in row for row in found] == [False] * 9 + [True]


def test_dev_is_measured_without_learning(tiny_folder: Path) -> None:
    data, pair = comparisons(tiny_folder, 6), roles(tiny_folder)
    state, rows = run(pair, data, dev=data)
    last = next(rows)
    held = direct.Learner(CONFIG, *pair, 100).measure(data, range(6), Known(), learn=False)
    assert last["preference/dev_loss"] == pytest.approx(held["loss"], rel=1e-5)
    assert last["preference/dev_accuracy"] == pytest.approx(held["preference/accuracy"])
    assert all(parameter.grad is None for parameter in state.parameters.values())


def test_the_reference_stays_what_it_was(tiny_folder: Path) -> None:
    data, pair = comparisons(tiny_folder, 6), roles(tiny_folder)
    before = reference_logprobs(pair[1], data, range(6), 100)
    for _ in run(pair, data, steps=4)[1]:
        pass
    assert torch.equal(reference_logprobs(pair[1], data, range(6), 100), before)
    torch.testing.assert_close(reference_logprobs(pair[1], data, range(6), 9999), before)
    assert len(before) == len(data.responses)


def test_the_reference_reads_what_is_wanted_and_nothing_else(tiny_folder: Path) -> None:
    data, (_, reference) = comparisons(tiny_folder, 6), roles(tiny_folder)
    found = reference_logprobs(reference, data, [4, 1, 4], 100)
    wanted = data.batch([1, 4]).response_ids
    every = reference_logprobs(reference, data, range(6), 100)
    torch.testing.assert_close(found[wanted], every[wanted])
    assert sorted((~found.isnan()).nonzero().flatten().tolist()) == sorted(wanted)


def test_answers_are_sums_of_their_trained_tokens(tiny_folder: Path) -> None:
    data, (policy, _) = comparisons(tiny_folder, 4), roles(tiny_folder)
    every: Sequence[int] = range(len(data.responses))
    with torch.no_grad():
        together = answer_logprobs(policy, [data.responses[i] for i in every])
        alone = torch.cat([answer_logprobs(policy, [data.responses[i]]) for i in every])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-5)
    assert (together < 0).all()


@pytest.mark.parametrize("cached", [True, False])
def test_a_stopped_run_goes_on_to_the_bit(tiny_folder: Path, tmp_path: Path, cached: bool) -> None:
    data, dev = comparisons(tiny_folder, 10), comparisons(tiny_folder, 4, seed=8)
    config = replace(CONFIG, cache_reference=cached)

    def make() -> Run:
        return run(roles(tiny_folder, moved=False), data, dev=dev, config=config, steps=4)

    check_resume(make, tmp_path, stop=2)
