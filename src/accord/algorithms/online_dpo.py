"""Online and iterative DPO: the policy learns from pairs of its own answers, by their scores.

Read top to bottom: answer (sample, score, look up), pair, learn. Online (Guo et al. 2024,
arXiv:2402.04792, algorithm 1), the present policy answers at every step. In rounds (Xiong et al.
2024, arXiv:2312.11456; Pang et al. 2024, arXiv:2404.19733), the policy that the round began with
answers: its weights are in the state, and are put in the place of the trained ones while it does.
All log-probabilities are those of the distribution that sampled, temperature included.

A pair's label is 1, or sigmoid(slope * gap), where the gap is that of the scores and the slope
turns it into the reward model's calibrated log-odds. With soft labels, DPO's least is
pi_ref exp(slope * score / beta) / Z whatever policy answers; hard labels have no such point, for a
pair that is sure asks for an endless lead.

Shape letters:  B = answers of the rollout batch; P = prompts; K = answers a prompt; C = candidate
pairs of a prompt; N = pairs that are trained on; R = answers of a micro-batch; M = answer tokens of
all answers, one after the other. Log-probabilities are in nats, rewards in score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from accord.algorithms import agreement, rollouts
from accord.algorithms.descent import add, descend, texts
from accord.algorithms.rollouts import NO_SPREAD, Parts, Sampled
from accord.algorithms.settings import KLSettings, OnlineDPOConfig
from accord.core.errors import DataError
from accord.core.protocols import Row
from accord.models.ragged import Ragged, micro_batches
from accord.models.state import TrainState
from accord.objectives import preference
from accord.objectives.loss import Loss
from accord.objectives.pairs import totals


class Paired(NamedTuple):
    """Pairs of a rollout batch, by prompt; the first side is the better one.

    `first_N` and `second_N` are answer numbers of the batch. `weight_N` adds up to 1 for each
    prompt that has a pair. `candidates` counts the pairs that were looked at, `tied` those of them
    that are none because their scores are equal.
    """

    first_N: Tensor
    second_N: Tensor
    gap_N: Tensor
    label_N: Tensor
    weight_N: Tensor
    candidates: int
    tied: int


def train(
    config: OnlineDPOConfig, *, parts: Parts, state: TrainState, seed: int, slope: float = 1.0
) -> Iterator[Row]:
    """Lower the loss on pairs of the policy's own answers, one optimiser step a row.

    `slope` is the calibrated log-odds of a score's unit, which soft labels are made with.
    A step without a pair changes no weight and is counted; `state.numbers` holds how many pairs
    there were, and how many were tied. Ends early once the KL budget is spent, and keeps the last
    weights that met it, in rounds in all batches of theirs. Raises ModelError for a reference of
    another vocabulary, InvariantError where the first steps are not what they must be,
    DivergenceError on a number that is not finite, DataError where no step had a pair.
    """
    agreement.same_vocabulary(parts.policy, parts.reference)
    while state.step < config.steps and not state.numbers.get("budget_spent"):
        if config.round_steps > 1 and state.step % config.round_steps == 0:
            begin_round(state)
        batch = answer(config, parts, state, seed)
        pairs = pair(config, rollouts.paid(config, batch.rollout), slope)
        metrics = describe(config, batch, pairs, parts)
        dtype = parts.policy.backbone.machine.dtype
        # A round has one policy that answers: that of the second is the first that moved.
        agreement.first_steps(metrics, state.step // config.round_steps, dtype)
        whole = (state.step + 1) % config.round_steps == 0
        if rollouts.within_budget(_budget(config), state, metrics["kl/sequence"], keep=whole):
            if len(pairs.gap_N):
                metrics |= learn(config, batch, pairs, parts)
                rows = texts(batch.rollout.rows)
                metrics |= descend(state, config.optimizer, steps=config.steps, batch=rows)
            for name, count in (("pairs", pairs.candidates), ("tied", pairs.tied)):
                state.numbers[name] = state.numbers.get(name, 0.0) + count
        state.step += 1
        yield metrics
    _end(config, parts, state, seed)


def begin_round(state: TrainState) -> None:
    """Let the present weights answer from now on; the KL of those before them says nothing more."""
    state.freeze()
    for name in [name for name in state.numbers if name.startswith("kl:")]:
        del state.numbers[name]


def answer(config: OnlineDPOConfig, parts: Parts, state: TrainState, seed: int) -> Sampled:
    """Sample and score answers by the policy that is to answer, and ask about every token."""
    heat = config.temperature
    with state.frozen_weights():
        batch = rollouts.ask(config, parts, state.step, seed)
        logp_M, entropy_M = rollouts.each(
            parts, batch.rows, lambda r: parts.policy.logprobs(r, temperature=heat, entropy=True)
        )
    (reference_M,) = rollouts.each(
        parts, batch.rows, lambda r: parts.reference.logprobs(r, temperature=heat)[:1]
    )
    return Sampled(batch, logp_M, reference_M, entropy_M)


def pair(config: OnlineDPOConfig, earned_B: Tensor, slope: float) -> Paired:
    """The pairs that scores make of the answers to each prompt.

    Of the best (or worst) with equal scores the first is taken. Scores no further apart than
    `NO_SPREAD` are equal.
    """
    earned_PK = earned_B.double().view(-1, config.samples)
    if config.pairs == "extremes":
        first_PC, second_PC = earned_PK.argmax(1, keepdim=True), earned_PK.argmin(1, keepdim=True)
    else:
        one_C, other_C = torch.triu_indices(config.samples, config.samples, 1)
        leads_PC = earned_PK[:, one_C] >= earned_PK[:, other_C]
        first_PC = torch.where(leads_PC, one_C, other_C)
        second_PC = torch.where(leads_PC, other_C, one_C)
    gap_PC = earned_PK.gather(1, first_PC) - earned_PK.gather(1, second_PC)
    differ_PC = gap_PC > NO_SPREAD
    weight_PC = differ_PC / differ_PC.sum(1, keepdim=True).clamp_min(1)
    start_P1 = config.samples * torch.arange(len(earned_PK))[:, None]
    gap_N = gap_PC[differ_PC]
    soft = config.labels == "soft"
    return Paired(
        first_N=(start_P1 + first_PC)[differ_PC],
        second_N=(start_P1 + second_PC)[differ_PC],
        gap_N=gap_N,
        label_N=(torch.sigmoid(slope * gap_N) if soft else torch.ones_like(gap_N)).float(),
        weight_N=weight_PC[differ_PC].float(),
        candidates=gap_PC.numel(),
        tied=int((~differ_PC).sum()),
    )


def describe(
    config: OnlineDPOConfig, batch: Sampled, pairs: Paired, parts: Parts
) -> dict[str, float]:
    """What the policy that answered says, before any update, and what pairs there are."""
    metrics = rollouts.describe(config, batch, parts, coefficient=None)
    metrics["pairs/tied"] = pairs.tied / pairs.candidates
    if len(pairs.gap_N):
        metrics["pairs/gap"] = float((pairs.weight_N * pairs.gap_N).sum() / pairs.weight_N.sum())
    return metrics


def learn(config: OnlineDPOConfig, batch: Sampled, pairs: Paired, parts: Parts) -> dict[str, float]:
    """Accumulate the gradient of the pairs' loss, a mean over prompts; answers in no pair are not
    run. The answers to one prompt stay in one micro-batch."""
    rollout, counts = batch.rollout, batch.rollout.counts
    compared_M = batch.logp_M if config.reference == "round" else batch.reference_M
    ref_B = torch.stack([part.sum() for part in compared_M.split(counts)])
    objective = _objective(config, pairs)
    prompt_N = pairs.first_N // config.samples
    used = torch.cat([pairs.first_N, pairs.second_N]).unique()
    of = [used[used // config.samples == prompt].tolist() for prompt in prompt_N.unique()]
    sizes = [sum(len(rollout.rows[i]) for i in ids) for ids in of]
    metrics: dict[str, float] = {"loss": 0.0}
    for group in micro_batches(sizes, parts.micro_batch_tokens):
        ids = [i for unit in group for i in of[unit]]
        place_B = torch.full((len(counts),), -1)
        place_B[ids] = torch.arange(len(ids))
        here_N = place_B[pairs.first_N] >= 0
        ragged = Ragged.of([rollout.rows[i] for i in ids], parts.policy.backbone.machine.device)
        logp_M, _ = parts.policy.logprobs(ragged, temperature=config.temperature)
        logp_R = torch.stack([part.sum() for part in logp_M.split(list(ragged.counts))])
        first_N, second_N = pairs.first_N[here_N], pairs.second_N[here_N]
        loss = objective(
            first_B=logp_R[place_B[first_N]],
            second_B=logp_R[place_B[second_N]],
            ref_first_B=ref_B[first_N],
            ref_second_B=ref_B[second_N],
            label_B=pairs.label_N[here_N].to(logp_R),
            weight_B=pairs.weight_N[here_N].to(logp_R),
        )
        loss.value.backward()
        add(metrics, {"loss": loss.value.detach(), **loss.metrics})
    return metrics


def _objective(config: OnlineDPOConfig, pairs: Paired) -> Callable[..., Loss]:
    """The loss of a part of these pairs."""
    weight, clear = totals(label_B=pairs.label_N, weight_B=pairs.weight_N)
    chosen: Callable[..., Loss] = preference.dpo if config.objective == "dpo" else preference.ipo
    return lambda **columns: chosen(
        beta=config.beta, global_weight=weight, global_clear=clear, **columns
    )


def _budget(config: OnlineDPOConfig) -> KLSettings:
    return KLSettings(budget=config.kl_budget)


def _end(config: OnlineDPOConfig, parts: Parts, state: TrainState, seed: int) -> None:
    """Go back to the last weights that met the budget; the very last are asked first.

    Without that, a budget that was never spent would cost a whole round of steps.
    """
    if config.kl_budget is not None and not state.numbers.get("budget_spent"):
        if config.round_steps > 1:
            begin_round(state)
        last = answer(config, parts, state, seed)
        kl_sum = float((last.logp_M - last.reference_M).sum())
        rollouts.within_budget(_budget(config), state, kl_sum / len(last.rollout.answers))
    state.restore_kept()
    if state.numbers.get("pairs", 0.0) == state.numbers.get("tied", 0.0):
        raise DataError(
            "no two answers to a prompt had different scores: there was no pair to learn from",
            got=f"{state.numbers.get('tied', 0.0):g} pairs of equal scores",
            do="raise samples or temperature, or look at the reward model, missing_stop_score and "
            "score_clip",
        )
