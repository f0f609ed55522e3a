"""Pretraining and supervised fine-tuning: both imitate, and differ only in the rows they are given.

Pretraining rows train every token and all weights; fine-tuning rows train the assistant's turns.

Shape letters:  M = trained tokens of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from accord.algorithms.descent import add, batch_rows, descend, texts
from accord.algorithms.settings import OptimizerSettings
from accord.core.protocols import Row
from accord.models.ragged import Ragged, micro_batches
from accord.models.role import Role
from accord.models.state import TrainState
from accord.objectives import language
from accord.text.tokenized import Tokenized, TokenRows


def packed_rows(documents: Iterable[list[int]], *, end_id: int, length: int) -> Iterator[Tokenized]:
    """Documents joined by `end_id` and cut into rows of exactly `length` tokens; a rest is dropped.

    Attention may look back over an `end_id` into the document before, as in GPT-2 and GPT-3.
    """
    waiting: list[int] = []
    for document in documents:
        waiting += [*document, end_id]
        while len(waiting) >= length:
            yield Tokenized(tuple(waiting[:length]), (True,) * length)
            waiting = waiting[length:]


def train(
    *,
    rows: TokenRows,
    dev: TokenRows | None,
    policy: Role,
    state: TrainState,
    optimizer: OptimizerSettings,
    batch_size: int,
    steps: int,
    seed: int,
    micro_batch_tokens: int,
) -> Iterator[Row]:
    """Lower the negative log-likelihood of the trained tokens, one optimiser step a row.

    `dev` rows, where given, are measured after the last step. The loss is a mean over the trained
    tokens of the whole batch.
    """
    while state.step < steps:
        batch = [rows[i] for i in batch_rows(len(rows), batch_size, state.step, seed)]
        targets = int(sum(row.mask[1:].sum() for row in batch))
        metrics: dict[str, float] = {"loss": 0.0}
        for group in micro_batches([len(row.ids) for row in batch], micro_batch_tokens):
            ragged = Ragged.of([batch[i] for i in group], policy.backbone.machine.device)
            logp_M, _ = policy.logprobs(ragged)
            loss = language.next_token(logp_M=logp_M, global_tokens=targets)
            loss.value.backward()
            add(metrics, {"loss": loss.value.detach(), **loss.metrics})
        metrics |= descend(state, optimizer, steps=steps, batch=texts(batch))
        metrics["tokens"] = sum(len(row.ids) for row in batch)
        state.step += 1
        if state.step == steps and dev is not None and len(dev):
            metrics["language/dev_nll"] = evaluate(dev, policy, micro_batch_tokens)
        yield metrics


@torch.no_grad()
def evaluate(rows: TokenRows, policy: Role, micro_batch_tokens: int) -> float:
    """Mean negative log-likelihood of the trained tokens of `rows`, in nats a token."""
    total, count = 0.0, 0
    for group in micro_batches(rows.lengths.tolist(), micro_batch_tokens):
        ragged = Ragged.of([rows[i] for i in group], policy.backbone.machine.device)
        logp_M, _ = policy.logprobs(ragged)
        total, count = total - float(logp_M.sum()), count + len(logp_M)
    return total / count
