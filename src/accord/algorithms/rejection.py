"""Rejection sampling: the start policy answers, the best is kept, and the policy imitates it.

Best-of-n written into the weights (Touvron et al. 2023, arXiv:2307.09288, section 3.2.3). The
answers are the start policy's from the first step to the last, never the trained policy's: what is
learned is its best-of-n, and each step samples only what it imitates.

Shape letters:  M = trained tokens of a micro-batch; P = prompts; K = answers a prompt.
Scores are in the reward model's unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch

from accord.algorithms.descent import add, batch_rows, descend, texts
from accord.algorithms.rollouts import Score, Watch, checked
from accord.algorithms.settings import RejectionConfig
from accord.core.errors import DataError
from accord.core.protocols import Row, Sampler
from accord.core.types import Completion, SamplingSettings, StopReason
from accord.models.ragged import Ragged, micro_batches
from accord.models.role import Role
from accord.models.state import TrainState
from accord.objectives import language
from accord.text.tokenized import Tokenized


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a step works with. `prompts` are token ids; the sampler is the start policy's."""

    prompts: Sequence[Sequence[int]]
    policy: Role
    sampler: Sampler
    score: Score
    watch: Watch
    micro_batch_tokens: int


@dataclass(frozen=True, slots=True)
class Picked:
    """The answers that are imitated, and what all answers of the batch looked like."""

    rows: list[Tokenized]
    figures: dict[str, float]


def train(config: RejectionConfig, *, parts: Parts, state: TrainState, seed: int) -> Iterator[Row]:
    """Imitate the best of the start policy's answers, one optimiser step a row.

    A step whose answers are all refused (below the threshold, or cut) changes no weight and is
    counted. `state.numbers` holds how many prompts were asked and how many gave an answer. Raises
    DivergenceError on a number that is not finite, DataError where no step had anything to imitate.
    """
    while state.step < config.steps:
        picked = pick(config, parts, state.step, seed)
        metrics = dict(picked.figures)
        if picked.rows:
            metrics |= imitate(picked.rows, parts)
            metrics |= descend(
                state, config.optimizer, steps=config.steps, batch=texts(picked.rows)
            )
        for name, count in (("asked", config.batch_prompts), ("kept", len(picked.rows))):
            state.numbers[name] = state.numbers.get(name, 0.0) + count
        state.step += 1
        yield metrics
    if not state.numbers["kept"]:
        raise DataError(
            "no answer was good enough to be imitated",
            got=f"0 of {state.numbers['asked']:g} prompts, threshold = {config.threshold}, "
            f"finished = {config.finished}",
            do="lower threshold, raise samples or max_tokens, or set finished = false",
        )


def pick(config: RejectionConfig, parts: Parts, step: int, seed: int) -> Picked:
    """The best answer to each prompt of the step, where one may be kept.

    Of equal scores the first is taken. Raises as `rollouts.checked` does.
    """
    numbers = batch_rows(len(parts.prompts), config.batch_prompts, step, seed)
    said = parts.sampler.sample(
        [parts.prompts[p] for p in numbers],
        n=config.samples,
        settings=SamplingSettings(temperature=config.temperature, max_tokens=config.max_tokens),
        seed=int(np.random.SeedSequence((seed, step)).generate_state(1)[0]),
    )
    asked = [p for p in numbers for _ in range(config.samples)]
    answers = [answer for group in said for answer in group]
    rows = [
        Tokenized.answered(parts.prompts[p], answer.tokens)
        for p, answer in zip(asked, answers, strict=True)
    ]
    score_PK = checked(parts.score(asked, rows), rows, step).view(-1, config.samples)
    usable_PK = torch.tensor([_usable(config, answer) for answer in answers]).view(score_PK.shape)
    if config.threshold is not None:
        usable_PK &= score_PK >= config.threshold
    best_P = score_PK.masked_fill(~usable_PK, -torch.inf).argmax(1)
    kept = [p for p in range(len(numbers)) if usable_PK[p, best_P[p]]]
    chosen = [p * config.samples + int(best_P[p]) for p in kept]
    figures = {
        "reward/score": float(score_PK.mean()),
        "reward/spread": float(score_PK.std(correction=0)),
        "rejection/kept": len(kept) / len(numbers),
        "answer/length": fmean(len(answer.tokens) for answer in answers),
        "answer/stopped": fmean(answer.stop is StopReason.STOP for answer in answers),
        "tokens": float(sum(len(rows[i]) for i in chosen)),
        **parts.watch(asked, answers),
    }
    if kept:
        figures["rejection/score"] = float(score_PK.flatten()[chosen].mean())
    return Picked([rows[i] for i in chosen], figures)


def imitate(rows: Sequence[Tokenized], parts: Parts) -> dict[str, float]:
    """Accumulate the gradient of the answers' negative log-likelihood, a mean over their tokens."""
    trained = sum(sum(row.mask[1:]) for row in rows)
    metrics: dict[str, float] = {"loss": 0.0}
    for group in micro_batches([len(row) for row in rows], parts.micro_batch_tokens):
        ragged = Ragged.of([rows[i] for i in group], parts.policy.backbone.machine.device)
        logp_M, _ = parts.policy.logprobs(ragged)
        loss = language.next_token(logp_M=logp_M, global_tokens=trained)
        loss.value.backward()
        add(metrics, {"loss": loss.value.detach(), **loss.metrics})
    return metrics


def _usable(config: RejectionConfig, answer: Completion) -> bool:
    return answer.stop is StopReason.STOP or not config.finished
