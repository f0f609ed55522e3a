"""Proximal policy optimisation for language models, with a critic and a per-token KL penalty.

Read top to bottom: sample, score, estimate, update. One step of `train` is one rollout batch.

Sources: Schulman et al. 2017 (arXiv:1707.06347); Ziegler et al. 2019 (arXiv:1909.08593) for the
per-token KL penalty and its controller; "The N implementation details of RLHF with PPO" (Huang et
al. 2024, arXiv:2403.17031) for most defaults. Departures: T actions have T values and the score is
added to the last token's reward (that code keeps one slot more); the old log-probabilities are
computed by the trainer, not taken from the sampler, so that the first ratio is 1 exactly.

Shape letters: B = answers of the rollout batch; T = tokens of the longest answer; M = answer tokens
of all answers, one after the other. Log-probabilities are in nats, rewards in score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from accord.algorithms import agreement
from accord.algorithms.descent import add, batch_rows, descend, texts
from accord.algorithms.settings import PPOConfig
from accord.core.errors import DivergenceError
from accord.core.protocols import Row, Sampler
from accord.core.types import Completion, SamplingSettings, StopReason
from accord.models.ragged import Ragged, micro_batches, pad
from accord.models.role import Role
from accord.models.state import TrainState
from accord.objectives import advantage, kl, policy, value
from accord.text.tokenized import Tokenized

WINDOW = 4
"""Rollout batches whose mean KL is held against the budget."""

Score = Callable[[Sequence[int], Sequence[Tokenized]], Sequence[float]]
"""Prompt numbers and prompt + answer token rows to one finite score an answer."""
Watch = Callable[[Sequence[int], Sequence[Completion]], Row]
"""Prompt numbers and answers to further metrics: seen, never trained on."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a step works with. `prompts` are token ids; policy and critic are trained."""

    prompts: Sequence[Sequence[int]]
    policy: Role
    reference: Role
    critic: Role
    sampler: Sampler
    score: Score
    watch: Watch
    micro_batch_tokens: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """A rollout batch: answers, what they earned, and what the roles say of every token."""

    asked: list[int]
    answers: list[Completion]
    rows: list[Tokenized]
    score_B: Tensor
    logp_M: Tensor
    reference_M: Tensor
    value_M: Tensor
    entropy_M: Tensor

    @property
    def counts(self) -> list[int]:
        """Tokens of each answer."""
        return [len(answer.tokens) for answer in self.answers]


class Experience(NamedTuple):
    """A rollout batch with what its updates learn from."""

    sampled: Sampled
    advantage_M: Tensor
    return_M: Tensor


def train(config: PPOConfig, *, parts: Parts, state: TrainState, seed: int) -> Iterator[Row]:
    """Raise the score less the price of KL, one rollout batch a step.

    `state.numbers` holds the KL coefficient and the last sequence KLs. With a KL budget the run
    ends where the mean of the last 4 exceeds it, and the weights it ends with are the last whose
    KL was measured and met it. Raises InvariantError where the first steps show that policy,
    reference, sampler and trainer do not agree, DivergenceError on a number that is not finite.
    """
    state.numbers.setdefault("kl/coefficient", config.kl.coefficient)
    while state.step < config.steps and not state.numbers.get("budget_spent"):
        batch = collect(config, parts, state, seed)
        metrics = describe(batch, state.numbers["kl/coefficient"], parts)
        agreement.first_steps(metrics, state.step, parts.policy.backbone.machine.dtype)
        if _within_budget(config, state, metrics["kl/sequence"]):
            metrics |= update(config, batch, parts, state, seed)
            if config.kl.target is not None:
                state.numbers["kl/coefficient"] = kl.adapt(
                    state.numbers["kl/coefficient"],
                    observed=metrics["kl/sequence"],
                    target=config.kl.target,
                    episodes=len(batch.sampled.answers),
                    horizon=config.kl.horizon,
                )
        state.step += 1
        yield metrics
    state.restore_kept()


def collect(config: PPOConfig, parts: Parts, state: TrainState, seed: int) -> Experience:
    """Sample answers, score them, and estimate every token's advantage."""
    numbers = batch_rows(len(parts.prompts), config.batch_prompts, state.step, seed)
    said = parts.sampler.sample(
        [parts.prompts[p] for p in numbers],
        n=config.samples,
        settings=SamplingSettings(temperature=config.temperature, max_tokens=config.max_tokens),
        seed=int(np.random.SeedSequence((seed, state.step)).generate_state(1)[0]),
    )
    asked = [p for p in numbers for _ in range(config.samples)]
    answers = [answer for group in said for answer in group]
    rows = [
        Tokenized.answered(parts.prompts[p], answer.tokens)
        for p, answer in zip(asked, answers, strict=True)
    ]
    score_B = torch.tensor([float(s) for s in parts.score(asked, rows)])
    if not torch.isfinite(score_B).all():
        raise DivergenceError(
            "a reward is not a finite number",
            got=score_B[~torch.isfinite(score_B)][0].item(),
            where=f"rollout batch {state.step + 1}",
            batch=texts(rows),
            do="look at the saved answers and the reward model's scale",
        )
    heat = config.temperature
    logp_M, entropy_M = _each(
        parts, rows, lambda r: parts.policy.logprobs(r, temperature=heat, entropy=True)
    )
    (reference_M,) = _each(parts, rows, lambda r: parts.reference.logprobs(r, temperature=heat)[:1])
    (value_M,) = _each(parts, rows, lambda r: (parts.critic.values(r),))
    sampled = Sampled(asked, answers, rows, score_B, logp_M, reference_M, value_M, entropy_M)
    return Experience(sampled, *estimate(config, sampled, state.numbers["kl/coefficient"]))


def estimate(config: PPOConfig, batch: Sampled, coefficient: float) -> tuple[Tensor, Tensor]:
    """`(advantage_M, return_M)` from the per-token KL penalty and the score at the last token."""
    counts = batch.counts
    reward_M = -coefficient * kl.k1(batch.logp_M, batch.reference_M)
    last_B = torch.tensor(counts).cumsum(0) - 1
    reward_M[last_B] += _paid(config, batch).to(reward_M)
    mask_BT = pad(torch.ones_like(reward_M), counts).bool()
    advantage_BT, return_BT = advantage.gae(
        reward_BT=pad(reward_M, counts),
        value_BT=pad(batch.value_M, counts),
        mask_BT=mask_BT,
        gamma=config.gamma,
        lam=config.lam,
    )
    return advantage_BT[mask_BT], return_BT[mask_BT]


def update(
    config: PPOConfig, batch: Experience, parts: Parts, state: TrainState, seed: int
) -> dict[str, float]:
    """Inner passes over one rollout batch; the metrics of the last minibatch."""
    metrics: dict[str, float] = {}
    sampled, advantage_M, return_M = batch
    flat = (sampled.logp_M, sampled.value_M, advantage_M, return_M)
    slices = [values_M.split(sampled.counts) for values_M in flat]
    size = len(sampled.rows)
    for epoch in range(config.epochs):
        # One minibatch keeps the order of the pass before it: then its first ratio is 1 to the bit.
        order = list(range(size))
        if config.minibatches > 1:
            order = np.random.default_rng((seed, state.step, epoch)).permutation(size).tolist()
        for chosen in np.array_split(order, config.minibatches):
            picked = [int(i) for i in chosen]
            rows = [sampled.rows[i] for i in picked]
            old = [torch.cat([parted[i] for i in picked]) for parted in slices]
            metrics = _minibatch(config, rows, old, parts)
            if state.step == 0 and epoch == 0 and "checked" not in state.numbers:
                agreement.first_ratio(metrics, parts.policy.backbone.machine.dtype)
                state.numbers["checked"] = 1.0
            metrics |= descend(state, config.optimizer, steps=config.steps, batch=texts(rows))
            if config.stop_kl is not None and metrics["policy/approx_kl"] > config.stop_kl:
                return metrics
    return metrics


def _minibatch(
    config: PPOConfig, rows: list[Tokenized], old: list[Tensor], parts: Parts
) -> dict[str, float]:
    """Accumulate the gradients of policy and critic over some answers of the batch.

    `old` holds their old log-probabilities and values, advantages and returns, each `[M]`.
    """
    old_logp, old_value, advantages, returns = old
    if config.whiten_advantages:
        advantages = advantage.whiten(advantages)
    tokens = len(old_logp)
    metrics: dict[str, float] = {"loss": 0.0, "policy/ratio_max": 0.0}
    start = 0
    for ragged in _ragged(parts, rows):
        here = slice(start, start + len(ragged.targets_M))
        start = here.stop
        logp_M, _ = parts.policy.logprobs(ragged, temperature=config.temperature)
        actor = policy.clipped(
            logp_M=logp_M,
            old_logp_M=old_logp[here],
            advantage_M=advantages[here],
            clip=config.clip,
            global_tokens=tokens,
        )
        actor.value.backward()
        critic = value.clipped(
            value_M=parts.critic.values(ragged),
            old_value_M=old_value[here],
            return_M=returns[here],
            clip=config.value_clip,
            global_tokens=tokens,
        )
        (config.value_coefficient * critic.value).backward()
        add(metrics, {**actor.metrics, **critic.metrics})
        largest = float((logp_M.detach() - old_logp[here]).max().exp())
        metrics["policy/ratio_max"] = max(metrics["policy/ratio_max"], largest)
    metrics["loss"] = metrics["policy/loss"] + config.value_coefficient * metrics["value/loss"]
    return metrics


def describe(experience: Experience, coefficient: float, parts: Parts) -> dict[str, float]:
    """What the rollout batch looks like, before any update."""
    batch = experience.sampled
    counts = batch.counts
    kl_M = kl.k1(batch.logp_M, batch.reference_M)
    kl_B = torch.stack([part.sum() for part in kl_M.split(counts)])
    unexplained = (experience.return_M - batch.value_M).var(correction=0)
    spread = experience.return_M.var(correction=0).clamp_min(1e-12)
    return {
        "reward/score": float(batch.score_B.mean()),
        "reward/spread": float(batch.score_B.std(correction=0)),
        "reward/total": float(batch.score_B.mean() - coefficient * kl_B.mean()),
        "kl/sequence": float(kl_B.mean()),
        "kl/token": float(kl_M.mean()),
        "kl/coefficient": coefficient,
        "policy/entropy": float(batch.entropy_M.mean()),
        "value/explained_variance": float(1 - unexplained / spread),
        "answer/length": fmean(counts),
        "answer/stopped": fmean(answer.stop is StopReason.STOP for answer in batch.answers),
        **agreement.gaps(batch.answers, batch.logp_M),
        "tokens": float(sum(len(row) for row in batch.rows)),
        **parts.watch(batch.asked, batch.answers),
    }


def _within_budget(config: PPOConfig, state: TrainState, sequence_kl: float) -> bool:
    """Note this batch's KL; remember the weights that made it, or say that the budget is spent."""
    if config.kl.budget is None:
        return True
    state.numbers[f"kl:{state.step % WINDOW}"] = sequence_kl
    recent = [state.numbers[f"kl:{i}"] for i in range(WINDOW) if f"kl:{i}" in state.numbers]
    if fmean(recent) > config.kl.budget:
        state.numbers["budget_spent"] = 1.0
        return False
    state.keep()
    return True


def _paid(config: PPOConfig, batch: Sampled) -> Tensor:
    """Scores as they are trained on: an answer without stop token earns little; clipped."""
    score_B = batch.score_B
    if config.missing_stop_score is not None:
        stopped_B = torch.tensor([answer.stop is StopReason.STOP for answer in batch.answers])
        # Not more than its own score: a weak policy must not gain by never stopping.
        cut_B = score_B.clamp_max(config.missing_stop_score)
        score_B = torch.where(stopped_B, score_B, cut_B)
    if config.score_clip is not None:
        score_B = score_B.clamp(-config.score_clip, config.score_clip)
    return score_B


def _ragged(parts: Parts, rows: list[Tokenized]) -> Iterator[Ragged]:
    for group in micro_batches([len(row) for row in rows], parts.micro_batch_tokens):
        yield Ragged.of([rows[i] for i in group], parts.policy.backbone.machine.device)


@torch.no_grad()
def _each(
    parts: Parts, rows: list[Tokenized], run: Callable[[Ragged], tuple[Tensor | None, ...]]
) -> tuple[Tensor, ...]:
    """Run a role over all rows in micro-batches: its results, flat."""
    results = zip(*(run(ragged) for ragged in _ragged(parts, rows)), strict=True)
    return tuple(torch.cat([part for part in result if part is not None]) for result in results)
