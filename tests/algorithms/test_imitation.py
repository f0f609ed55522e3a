"""Imitation: the loss by hand, what changes nothing, packing of documents, and stop and resume."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from accord.algorithms import imitation
from accord.algorithms.descent import batch_rows, fresh_state
from accord.algorithms.imitation import evaluate, packed_rows, train
from accord.algorithms.settings import OptimizerSettings
from accord.core.errors import DataError, DivergenceError
from accord.models.role import Role
from accord.models.state import TrainState
from accord.text.tokenized import Tokenized, TokenRows
from tests.algorithms.loops import (
    Run,
    check_resume,
    close,
    demonstrations,
    first_gradients,
    pads_left,
)
from tests.models.workshop import furthest, load, take_gradients, with_adapters

OPTIMIZER = OptimizerSettings(learning_rate=3e-3)


def role(folder: Path, *, full: bool = False, dtype: str = "float32") -> Role:
    if full:
        return Role(load(folder, dtype, train_all=True))
    return Role(with_adapters(folder, "sft", dtype=dtype), ("sft",))


def run(
    policy: Role,
    data: TokenRows,
    *,
    dev: TokenRows | None = None,
    steps: int = 1,
    batch: int = 8,
    tokens: int = 80,
    optimizer: OptimizerSettings = OPTIMIZER,
) -> Run:
    state = fresh_state(policy.trained(), optimizer)
    rows = train(
        rows=data,
        dev=dev,
        policy=policy,
        state=state,
        optimizer=optimizer,
        batch_size=batch,
        steps=steps,
        seed=3,
        micro_batch_tokens=tokens,
    )
    return state, rows


@pytest.mark.parametrize("full", [False, True])
def test_nothing_but_the_batch_changes_loss_and_gradient(
    tiny_folder: Path, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = demonstrations(tiny_folder, 20)
    policy = role(tiny_folder, full=full)
    metrics, gradients = first_gradients(monkeypatch, imitation, run(policy, data)[1])

    def same(how: str) -> None:
        again, other = first_gradients(
            monkeypatch, imitation, run(policy, data, tokens=10 if how == "small" else 10_000)[1]
        )
        close(again, metrics)
        assert furthest(other, gradients) < 2e-5, how

    same("small")
    same("large")
    monkeypatch.setattr(imitation, "batch_rows", lambda *a: batch_rows(*a)[::-1])
    same("small, other company")
    policy.packing = False
    same("padded right")
    pads_left(monkeypatch)
    same("padded left")


def test_the_loss_is_transformers_own(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = demonstrations(tiny_folder, 20)
    policy = role(tiny_folder, full=True)
    state, rows = run(policy, data)
    metrics, gradients = first_gradients(monkeypatch, imitation, rows)
    chosen = [data[i] for i in batch_rows(20, 8, 0, 3)]
    count = sum(int(row.mask[1:].sum()) for row in chosen)
    total = torch.zeros(())
    for row in chosen:
        ids = torch.as_tensor(row.ids).long()[None]
        labels = torch.where(torch.as_tensor(row.mask)[None], ids, -100)
        loss = policy.backbone.model(input_ids=ids, labels=labels, use_cache=False).loss
        total = total + loss * int(row.mask[1:].sum())
    (total / count).backward()
    assert metrics["loss"] == pytest.approx(total.item() / count, rel=1e-5)
    assert metrics["language/nll"] == metrics["loss"]
    assert metrics["tokens"] == sum(len(row.ids) for row in chosen)
    assert furthest(gradients, take_gradients(state.parameters.items())) < 2e-5


def test_only_trained_tokens_and_trained_weights_learn(tiny_folder: Path) -> None:
    policy = role(tiny_folder)
    frozen = {
        n: p.detach().clone()
        for n, p in policy.backbone.model.named_parameters()
        if not p.requires_grad
    }
    data = demonstrations(tiny_folder, 8)
    state, rows = run(policy, data, steps=12)
    metrics = list(rows)
    assert metrics[-1]["loss"] < metrics[0]["loss"] - 0.3
    assert metrics[-1]["learning_rate"] < metrics[5]["learning_rate"]
    after = dict(policy.backbone.model.named_parameters())
    assert all(torch.equal(after[n], p) for n, p in frozen.items())
    assert state.step == 12
    assert "language/dev_nll" not in metrics[-1]


def test_rows_without_a_trained_token_are_no_error_beside_others(tiny_folder: Path) -> None:
    silent = Tokenized((5, 6, 7), (True, False, False))  # nothing predicts a first token
    loud = Tokenized((5, 6, 7), (False, True, True))
    policy = role(tiny_folder)
    _, rows = run(policy, TokenRows.build([silent, loud]), batch=2, tokens=3)
    assert next(rows)["loss"] > 0
    _, rows = run(policy, TokenRows.build([silent]), batch=1)
    with pytest.raises(DataError, match="without trained items"):
        next(rows)


def test_dev_is_measured_after_the_last_step_alone(tiny_folder: Path) -> None:
    policy = role(tiny_folder)
    dev = demonstrations(tiny_folder, 10, seed=9)
    _, rows = run(policy, demonstrations(tiny_folder, 12), dev=dev, steps=3)
    found = list(rows)
    assert ["language/dev_nll" in row for row in found] == [False, False, True]
    nll, count = 0.0, 0
    policy.backbone.activate(policy.adapters)
    for i in range(len(dev)):
        ids = torch.as_tensor(dev[i].ids).long()
        with torch.no_grad():
            logp = policy.backbone.model(input_ids=ids[None]).logits[0].log_softmax(-1)
        for t in range(1, len(ids)):
            if dev[i].mask[t]:
                nll, count = nll - float(logp[t - 1, ids[t]]), count + 1
    assert found[-1]["language/dev_nll"] == pytest.approx(nll / count, rel=1e-5)
    assert evaluate(dev, policy, 50) == pytest.approx(nll / count, rel=1e-5)


@pytest.mark.parametrize("full", [False, True])
def test_a_stopped_run_goes_on_to_the_bit(tiny_folder: Path, tmp_path: Path, full: bool) -> None:
    data, dev = demonstrations(tiny_folder, 20), demonstrations(tiny_folder, 5, seed=9)

    def make() -> Run:
        return run(role(tiny_folder, full=full), data, dev=dev, steps=5)

    rows = check_resume(make, tmp_path, stop=2)
    assert len(rows) == 5


def test_a_gradient_that_is_no_number_stops_the_run_with_its_batch(tiny_folder: Path) -> None:
    policy = role(tiny_folder)
    state, rows = run(policy, demonstrations(tiny_folder, 8), steps=3)
    next(rows)
    name = next(n for n in state.parameters if ".lora_B." in n)
    with torch.no_grad():
        state.parameters[name][0, 0] = float("nan")
    with pytest.raises(DivergenceError, match=r"(?s)no longer finite.*step 2") as caught:
        next(rows)
    assert isinstance(caught.value.batch, list)
    assert len(caught.value.batch) == 8
    assert state.step == 1


def test_documents_become_full_rows() -> None:
    rows = list(packed_rows([[1, 2, 3], [4], [5, 6, 7, 8, 9, 10]], end_id=0, length=4))
    assert [row.ids for row in rows] == [(1, 2, 3, 0), (4, 0, 5, 6), (7, 8, 9, 10)]
    assert all(row.mask == (True,) * 4 for row in rows)
    endless = packed_rows(([7] for _ in iter(int, 1)), end_id=0, length=3)
    assert [row.ids for row in islice(endless, 2)] == [(7, 0, 7), (0, 7, 0)]


def test_pretraining_learns_every_token(tiny_folder: Path) -> None:
    policy = role(tiny_folder, full=True)
    data = TokenRows.build(packed_rows([[5, 6, 7, 8]] * 40, end_id=1, length=20))
    assert isinstance(run(policy, data)[0], TrainState)
    _, rows = run(policy, data, steps=8, optimizer=OptimizerSettings(learning_rate=5e-3))
    losses = [row["loss"] for row in rows]
    assert losses[-1] < 0.5 * losses[0]
