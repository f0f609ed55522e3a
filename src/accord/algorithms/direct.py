"""Direct alignment: the policy itself learns from comparisons, held to its reference.

The metric to read beside the margin is the drift of the better answer's log-probability: it may
fall while the margin grows, and that is not a bug (see `docs/metrics.md`).

Shape letters:  B = rows; M = trained tokens of all rows; R = responses of one part of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from accord.algorithms.comparisons import PairBatch, TokenComparisons
from accord.algorithms.descent import add, batch_rows, descend, texts
from accord.algorithms.settings import DPOConfig
from accord.core.protocols import Row
from accord.models.ragged import Masked, Ragged, micro_batches
from accord.models.role import Role
from accord.models.state import TrainState
from accord.objectives import preference
from accord.objectives.pairs import totals


def answer_logprobs(role: Role, rows: Sequence[Masked]) -> Tensor:
    """`[B]` summed log-probabilities of the rows' trained tokens, in nats, stop token included."""
    ragged = Ragged.of(rows, role.backbone.machine.device)
    logp_M, _ = role.logprobs(ragged)
    return torch.stack([part.sum() for part in logp_M.split(list(ragged.counts))])


@torch.no_grad()
def reference_logprobs(
    reference: Role, data: TokenComparisons, rows: Sequence[int], micro_batch_tokens: int
) -> Tensor:
    """Summed log-probabilities of responses under the reference, by response id.

    `rows` are the comparisons that are wanted; responses of others are not a number. One pass
    before training, in one order, so that a run that was killed finds the same to the bit.
    """
    ids = sorted({i for row in set(rows) for i in data.batch([row]).response_ids})
    found = torch.full((len(data.responses),), torch.nan, device=reference.backbone.machine.device)
    lengths = data.responses.lengths[ids].tolist()
    for group in micro_batches(lengths, micro_batch_tokens):
        some = [ids[place] for place in group]
        found[some] = answer_logprobs(reference, [data.responses[i] for i in some])
    return found


def train(
    config: DPOConfig,
    *,
    data: TokenComparisons,
    dev: TokenComparisons,
    policy: Role,
    reference: Role,
    state: TrainState,
    steps: int,
    seed: int,
    micro_batch_tokens: int,
) -> Iterator[Row]:
    """Lower the DPO loss, one optimiser step a row. `dev` is measured after the last step."""
    tokens = micro_batch_tokens
    known = None
    if config.cache_reference:
        used = [
            c for s in range(steps) for c in batch_rows(len(data), config.batch_prompts, s, seed)
        ]
        known = reference_logprobs(reference, data, used, tokens)
    while state.step < steps:
        chosen = batch_rows(len(data), config.batch_prompts, state.step, seed)
        metrics = _batch(config, data, chosen, policy, reference, known, tokens, learn=True)
        whole = data.batch(chosen)
        metrics |= descend(state, config.optimizer, steps=steps, batch=texts(whole.rows))
        metrics["tokens"] = sum(len(row.ids) for row in whole.rows)
        state.step += 1
        if state.step == steps and len(dev):
            every = range(len(dev))
            held = _batch(config, dev, every, policy, reference, None, tokens, learn=False)
            metrics["preference/dev_loss"] = held["loss"]
            if "preference/accuracy" in held:
                metrics["preference/dev_accuracy"] = held["preference/accuracy"]
        yield metrics


def _batch(
    config: DPOConfig,
    data: TokenComparisons,
    chosen: Sequence[int],
    policy: Role,
    reference: Role,
    known: Tensor | None,
    tokens: int,
    *,
    learn: bool,
) -> dict[str, float]:
    """Loss and metrics of these comparisons; with `learn`, gradients are accumulated."""
    whole = data.batch(chosen)
    weight, clear = totals(label_B=whole.label_B, weight_B=whole.weight_B)
    metrics: dict[str, float] = {"loss": 0.0}
    for part in data.micro_batches(chosen, tokens):
        # The reference first: roles share a backbone, and a backward pass must find the adapters
        # as its forward pass left them.
        ref_R = _reference(part, reference, known)
        with torch.set_grad_enabled(learn):
            logp_R = answer_logprobs(policy, part.rows)
        loss = preference.dpo(
            first_B=logp_R[part.first_B],
            second_B=logp_R[part.second_B],
            ref_first_B=ref_R[part.first_B],
            ref_second_B=ref_R[part.second_B],
            label_B=part.label_B.to(logp_R.device),
            weight_B=part.weight_B.to(logp_R.device),
            beta=config.beta,
            global_weight=weight,
            global_clear=clear,
        )
        if learn:
            loss.value.backward()
        add(metrics, {"loss": loss.value.detach(), **loss.metrics})
    return metrics


@torch.no_grad()
def _reference(part: PairBatch, reference: Role, known: Tensor | None) -> Tensor:
    if known is not None:
        return known[part.response_ids]
    return answer_logprobs(reference, part.rows)
