"""The reward model's loop: what changes nothing, the plain loss, its unit, stop and resume."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from accord.algorithms import reward_model
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.descent import batch_rows, fresh_state
from accord.algorithms.reward_model import leads, raw_scores, scale_of, train
from accord.algorithms.settings import OptimizerSettings, RewardConfig
from accord.core.errors import DataError
from accord.core.types import Comparison, Conversation
from accord.models.ragged import Ragged
from accord.models.role import Role, ScalarHead
from tests.algorithms.loops import (
    Run,
    check_resume,
    close,
    comparisons,
    first_gradients,
    judged_again,
    pads_left,
    raw_comparisons,
    template,
)
from tests.models.workshop import furthest, load, take_gradients, with_adapters

CONFIG = RewardConfig(batch_prompts=6, optimizer=OptimizerSettings(learning_rate=3e-3))


def scorer(folder: Path, *, full: bool = False) -> Role:
    if full:
        backbone = load(folder, train_all=True)
        return Role(backbone, (), ScalarHead(backbone.hidden_size, seed=1))
    backbone = with_adapters(folder, "reward")
    return Role(backbone, ("reward",), ScalarHead(backbone.hidden_size, seed=1))


def run(
    model: Role,
    data: TokenComparisons,
    *,
    steps: int = 1,
    tokens: int = 200,
) -> Run:
    state = fresh_state(model.trained(), CONFIG.optimizer)
    rows = train(
        CONFIG,
        data=data,
        model=model,
        state=state,
        steps=steps,
        seed=3,
        micro_batch_tokens=tokens,
    )
    return state, rows


@pytest.mark.parametrize("full", [False, True])
def test_nothing_but_the_batch_changes_loss_and_gradient(
    tiny_folder: Path, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, model = comparisons(tiny_folder, 14), scorer(tiny_folder, full=full)
    metrics, gradients = first_gradients(monkeypatch, reward_model, run(model, data)[1])

    def same(how: str) -> None:
        again, other = first_gradients(
            monkeypatch, reward_model, run(model, data, tokens=10 if how == "small" else 9999)[1]
        )
        close(again, metrics)
        assert furthest(other, gradients) < 2e-5, how

    same("small")
    same("large")
    monkeypatch.setattr(reward_model, "batch_rows", lambda *a: batch_rows(*a)[::-1])
    same("other company")
    model.packing = False
    same("padded right")
    pads_left(monkeypatch)
    same("padded left")


def test_the_loss_pair_by_pair(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, model = comparisons(tiny_folder, 14), scorer(tiny_folder)
    state, rows = run(model, data)
    metrics, gradients = first_gradients(monkeypatch, reward_model, rows)
    chat, raw = template(tiny_folder), raw_comparisons(14)
    total, weight, right, clear = torch.zeros(()), 0.0, 0.0, 0.0
    assert model.head is not None
    for number in batch_rows(14, 6, 0, 3):
        row = raw[number]
        model.backbone.activate(model.adapters)
        score = []
        for text in row.responses:
            ids = torch.tensor([chat.tokenize_answer(row.prompt, text).ids])
            last = model.backbone.decoder(input_ids=ids).last_hidden_state[0, -1]
            score.append(last @ model.head.weight + model.head.bias)
        pairs = list(row.pairs())
        for pair in pairs:
            share = row.weight / len(pairs)
            lead = score[pair.first] - score[pair.second]
            held = lead - row.margin * (pair.label > 0.5) + row.margin * (pair.label < 0.5)
            nll = -pair.label * F.logsigmoid(held) - (1 - pair.label) * F.logsigmoid(-held)
            total, weight = total + share * nll, weight + share
            if pair.label != 0.5:
                clear += share
                right += share * float((lead.detach() > 0) == (pair.label > 0.5))
    (total / weight).backward()
    assert metrics["loss"] == pytest.approx(total.item() / weight, rel=1e-5)
    assert metrics["preference/accuracy"] == pytest.approx(right / clear)
    assert furthest(gradients, take_gradients(state.parameters.items())) < 2e-5


def test_judgements_of_one_task_are_computed_once(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, chat = scorer(tiny_folder), template(tiny_folder)
    monkeypatch.setattr(reward_model, "batch_rows", lambda rows, *_: list(range(rows)))
    together, apart = (
        TokenComparisons.build(rows, chat.tokenize_answer, max_tokens=500)
        for rows in judged_again(raw_comparisons(6))
    )
    assert (len(together), len(apart)) == (6, 18)
    metrics, gradients = first_gradients(monkeypatch, reward_model, run(model, together)[1])
    plain, same = first_gradients(monkeypatch, reward_model, run(model, apart)[1])
    assert 3 * metrics.pop("tokens") == plain.pop("tokens")
    close(metrics, plain)
    assert furthest(gradients, same) < 2e-5


def test_it_learns_who_is_better(tiny_folder: Path) -> None:
    data, model = comparisons(tiny_folder, 6), scorer(tiny_folder)
    _, rows = run(model, data, steps=12)
    found = list(rows)
    assert found[-1]["loss"] < found[0]["loss"]
    lead = leads(data, model, 100)
    clear = data.label_P != 0.5
    right = (lead[clear] > 0) == (data.label_P[clear] > 0.5)
    assert right.mean() > 0.9


def test_a_response_in_several_comparisons_is_scored_once(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["It is red.", "It is blue.", "It is a long way off."]
    rows = [
        Comparison(prompt=Conversation.of("What is it?"), responses=(a, b), tiers=(0, 1))
        for a, b in permutations(texts, 2)
    ]
    data = TokenComparisons.build(rows, template(tiny_folder).tokenize_answer, max_tokens=500)
    model, scored = scorer(tiny_folder), []
    whole = model.raw_scores
    monkeypatch.setattr(Role, "raw_scores", lambda _, batch: scored.append(batch) or whole(batch))
    lead = leads(data, model, 10_000)
    assert sum(len(batch.lengths) for batch in scored) == len(texts)
    every = [data.responses[i] for i in range(len(data.responses))]
    raw = raw_scores(every, model, 10_000)
    assert lead == pytest.approx(raw[data.first_P] - raw[data.second_P], abs=1e-4)


def test_a_stopped_run_goes_on_to_the_bit(tiny_folder: Path, tmp_path: Path) -> None:
    data = comparisons(tiny_folder, 10)
    check_resume(lambda: run(scorer(tiny_folder), data, steps=5), tmp_path, stop=3)


def test_raw_scores_ignore_the_unit_and_the_cut(tiny_folder: Path) -> None:
    model, data = scorer(tiny_folder), comparisons(tiny_folder, 5)
    rows = [data.responses[i] for i in range(len(data.responses))]
    want = raw_scores(rows, model, 10_000)
    scaled = replace(model, scale=scale_of(want, want, shift_from="a", scale_from="b"))
    np.testing.assert_allclose(raw_scores(rows, scaled, 30), want, atol=1e-5)
    assert not np.isnan(want).any()
    with torch.no_grad():
        unit = scaled.scores(Ragged.of(rows)).double().numpy()
    assert unit.mean() == pytest.approx(0, abs=1e-5)
    assert unit.std() == pytest.approx(1, abs=1e-5)


def test_the_unit_by_hand() -> None:
    scale = scale_of(
        np.array([1.0, 3.0]), np.array([0.0, 4.0, 8.0]), shift_from="a", scale_from="b"
    )
    assert (scale.shift, scale.scale) == (2.0, pytest.approx(math.sqrt(32 / 3)))
    assert (scale.shift_from, scale.scale_from) == ("a", "b")


@pytest.mark.parametrize("same", [[2.0, 2.0], [5.0], [math.nan, 1.0]])
def test_scores_that_do_not_differ_have_no_unit(same: list[float]) -> None:
    with pytest.raises(DataError, match="the same score"):
        scale_of(np.array([0.0]), np.array(same), shift_from="a", scale_from="b")
