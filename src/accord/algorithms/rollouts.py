"""What every online method does around its objective: ask, score, look, and mind the KL budget.

One rollout batch is a number of prompts, the policy's answers to them and what these earn. Nothing
here says what is learned from it: that is `ppo` and `group_rl`.

Shape letters:  B = answers of the rollout batch; M = answer tokens of all answers, one after the
other. Log-probabilities are in nats, rewards in score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from accord.algorithms import agreement
from accord.algorithms.descent import batch_rows, texts
from accord.algorithms.settings import Asking, KLSettings, Rollouts
from accord.core.errors import DataError, DivergenceError
from accord.core.protocols import Row, Sampler
from accord.core.types import Completion, SamplingSettings, StopReason
from accord.models.ragged import Masked, Ragged, micro_batches
from accord.models.role import Role
from accord.models.state import TrainState
from accord.objectives import kl, policy
from accord.text.tokenized import Tokenized

WINDOW = 4
"""Rollout batches whose mean KL is held against the budget."""
NO_SPREAD = 1e-6
"""Scores of answers that differ by no more than this, in score, are the same but for rounding."""

Score = Callable[[Sequence[int], Sequence[Tokenized]], Sequence[float]]
"""Prompt numbers and prompt + answer token rows to one finite score an answer."""
Shape = Callable[["Rollout"], Sequence[float]]
"""A rollout batch with its scores to what is trained on in their place, one number an answer."""
Watch = Callable[[Sequence[int], Sequence[Completion]], Row]
"""Prompt numbers and answers to further metrics: seen, never trained on."""


class Cast(Protocol):
    """What a rollout batch is made with. `prompts` are token ids; `shape` None trains on scores."""

    @property
    def prompts(self) -> Sequence[Sequence[int]]: ...
    @property
    def policy(self) -> Role: ...
    @property
    def sampler(self) -> Sampler: ...
    @property
    def score(self) -> Score: ...
    @property
    def shape(self) -> Shape | None: ...
    @property
    def watch(self) -> Watch: ...
    @property
    def micro_batch_tokens(self) -> int: ...


class Read(Protocol):
    """A rollout batch and what is said of its tokens, before any update."""

    @property
    def rollout(self) -> Rollout: ...
    @property
    def logp_M(self) -> Tensor: ...
    @property
    def reference_M(self) -> Tensor: ...
    @property
    def entropy_M(self) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Rollout:
    """Who was asked, what they answered, the scores, and what of them is trained on."""

    asked: list[int]
    answers: list[Completion]
    rows: list[Tokenized]
    score_B: Tensor
    shaped_B: Tensor

    @property
    def counts(self) -> list[int]:
        """Tokens of each answer."""
        return [len(answer.tokens) for answer in self.answers]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a step works with that needs no critic. `prompts` are token ids; the policy is
    trained, and the sampler reads its weights anew at every call."""

    prompts: Sequence[Sequence[int]]
    policy: Role
    reference: Role
    sampler: Sampler
    score: Score
    watch: Watch
    micro_batch_tokens: int
    shape: Shape | None = None
    """What is trained on in place of the scores; None: the scores."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A rollout batch and what policy and reference say of every token, before any update."""

    rollout: Rollout
    logp_M: Tensor
    reference_M: Tensor
    entropy_M: Tensor
    replaced: Row = field(default_factory=dict)
    """Figures of the prompts that were replaced before the step; none where none may be."""

    @property
    def counts(self) -> list[int]:
        """Tokens of each answer."""
        return self.rollout.counts


def ask(config: Asking, cast: Cast, step: int, seed: int) -> Rollout:
    """Answers to the prompts of step `step`, the samples of a prompt side by side, and scores.

    Raises DataError where the scores are not one an answer, DivergenceError where one is not a
    finite number.
    """
    numbers = batch_rows(len(cast.prompts), config.batch_prompts, step, seed)
    return answered(config, cast, numbers, step, key=(seed, step))


def answered(
    config: Asking, cast: Cast, numbers: Sequence[int], step: int, *, key: Sequence[int]
) -> Rollout:
    """Answers to these prompts and their scores; `key` is what sampling is seeded by.

    Raises as `ask` does.
    """
    said = cast.sampler.sample(
        [cast.prompts[p] for p in numbers],
        n=config.samples,
        settings=SamplingSettings(temperature=config.temperature, max_tokens=config.max_tokens),
        seed=int(np.random.SeedSequence(key).generate_state(1)[0]),
    )
    asked = [p for p in numbers for _ in range(config.samples)]
    answers = [answer for group in said for answer in group]
    rows = [
        Tokenized.answered(cast.prompts[p], answer.tokens)
        for p, answer in zip(asked, answers, strict=True)
    ]
    score_B = checked(cast.score(asked, rows), rows, step)
    batch = Rollout(asked, answers, rows, score_B, shaped_B=score_B)
    if cast.shape is None:
        return batch
    return replace(batch, shaped_B=checked(cast.shape(batch), rows, step))


def checked(scores: Sequence[float], rows: Sequence[Tokenized], step: int) -> Tensor:
    """`[B]` scores, if there is a finite one for every row. Raises as `ask` does."""
    if len(scores) != len(rows):
        raise DataError(
            "the reward gives another number of scores than there are answers",
            got=f"{len(scores)} scores, {len(rows)} answers",
            where=f"rollout batch {step + 1}",
            do="let the reward function return one number for each row, in their order",
        )
    score_B = torch.tensor([float(score) for score in scores])
    if not torch.isfinite(score_B).all():
        raise DivergenceError(
            "a reward is not a finite number",
            got=score_B[~torch.isfinite(score_B)][0].item(),
            where=f"rollout batch {step + 1}",
            batch=texts(rows),
            do="look at the saved answers and the reward model's scale",
        )
    return score_B


def paid(config: Asking, batch: Rollout) -> Tensor:
    """`[B]` what each answer earns: its score as `held`, or a preference, made of held scores; less
    what its length costs."""
    earned_B = batch.shaped_B
    if not config.shaping.references:
        earned_B = held(config, earned_B, batch.answers)
    if not config.shaping.overlong:
        return earned_B
    return earned_B - overlong(batch.counts, ramp=config.shaping.overlong, most=config.max_tokens)


def overlong(counts: Sequence[int], *, ramp: int, most: int) -> Tensor:
    """`[B]` what is taken off answers of so many tokens: DAPO's soft overlong punishment (Yu et al.
    2025, arXiv:2503.14476, eq. 13), from 0 where `ramp` tokens are left to 1 where none is."""
    return ((torch.tensor(counts) - (most - ramp)) / ramp).clamp(0, 1)


def held(config: Asking, score_B: Tensor, answers: Sequence[Completion]) -> Tensor:
    """`[B]` scores within their bounds: an answer without stop token scores little; clipped."""
    if config.missing_stop_score is not None:
        stopped_B = torch.tensor([answer.stop is StopReason.STOP for answer in answers])
        # Not more than its own score: a weak policy must not gain by never stopping.
        cut_B = score_B.clamp_max(config.missing_stop_score)
        score_B = torch.where(stopped_B, score_B, cut_B)
    if config.score_clip is not None:
        score_B = score_B.clamp(-config.score_clip, config.score_clip)
    return score_B


def correction(
    config: Rollouts, batch: Rollout, logp_M: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """`weight_M` that corrects for a sampler that is not the trainer, and the raw ratios' metrics.

    Without a correction all weights are 1 and nothing is reported.
    """
    if config.correction is None:
        return torch.ones_like(logp_M), {}
    sampled_M = torch.tensor([logp for answer in batch.answers for logp in answer.logprobs])
    return policy.importance(
        logp_M=logp_M, sampled_logp_M=sampled_M.to(logp_M), cap=config.correction
    )


def describe(
    config: Asking,
    read: Read,
    cast: Cast,
    *,
    coefficient: float | None,
) -> dict[str, float]:
    """What the rollout batch looks like, before any update. The KL is k1's, whatever is paid;
    without a coefficient none is."""
    batch = read.rollout
    kl_M = kl.k1(read.logp_M, read.reference_M)
    kl_B = torch.stack([part.sum() for part in kl_M.split(batch.counts)])
    more = {} if cast.shape is None else {"reward/shaped": float(batch.shaped_B.mean())}
    cost = 0.0
    if ramp := config.shaping.overlong:
        cost = float(overlong(batch.counts, ramp=ramp, most=config.max_tokens).mean())
        more["reward/overlong"] = cost
    if coefficient is not None:
        more["reward/total"] = float(batch.shaped_B.mean() - coefficient * kl_B.mean()) - cost
        more["kl/coefficient"] = coefficient
    return {
        "reward/score": float(batch.score_B.mean()),
        "reward/spread": float(batch.score_B.std(correction=0)),
        **more,
        "kl/sequence": float(kl_B.mean()),
        "kl/token": float(kl_M.mean()),
        "policy/entropy": float(read.entropy_M.mean()),
        "answer/length": fmean(batch.counts),
        "answer/stopped": fmean(answer.stop is StopReason.STOP for answer in batch.answers),
        **agreement.gaps(batch.answers, read.logp_M),
        "tokens": float(sum(len(row) for row in batch.rows)),
        **cast.watch(batch.asked, batch.answers),
    }


def within_budget(
    settings: KLSettings, state: TrainState, sequence_kl: float, *, keep: bool = True
) -> bool:
    """Note this batch's KL; remember the weights that made it, or say that the budget is spent.

    Without `keep` they are not remembered: those of a round are once all of its batches met it.
    """
    if settings.budget is None:
        return True
    state.numbers[f"kl:{state.step % WINDOW}"] = sequence_kl
    recent = [state.numbers[f"kl:{i}"] for i in range(WINDOW) if f"kl:{i}" in state.numbers]
    if fmean(recent) > settings.budget:
        state.numbers["budget_spent"] = 1.0
        return False
    if keep:
        state.keep()
    return True


def adapt(settings: KLSettings, state: TrainState, sequence_kl: float, episodes: int) -> None:
    """Move the KL coefficient towards its target, where there is one."""
    if settings.target is not None:
        state.numbers["kl/coefficient"] = kl.adapt(
            state.numbers["kl/coefficient"],
            observed=sequence_kl,
            target=settings.target,
            episodes=episodes,
            horizon=settings.horizon,
        )


def passes(config: Rollouts, size: int, step: int, seed: int) -> Iterator[list[int]]:
    """Answer numbers of each minibatch of a rollout batch, `epochs` times over all of them.

    One minibatch keeps the order of the pass before it: then its first ratio is 1 to the bit.
    """
    for epoch in range(config.epochs):
        order = list(range(size))
        if config.minibatches > 1:
            order = np.random.default_rng((seed, step, epoch)).permutation(size).tolist()
        for chosen in np.array_split(order, config.minibatches):
            yield [int(i) for i in chosen]


def ragged(cast: Cast, rows: Sequence[Masked]) -> Iterator[Ragged]:
    """Rows in micro-batches, in order."""
    for group in micro_batches([len(row.ids) for row in rows], cast.micro_batch_tokens):
        yield Ragged.of([rows[i] for i in group], cast.policy.backbone.machine.device)


@torch.no_grad()
def each(
    cast: Cast, rows: Sequence[Masked], run: Callable[[Ragged], tuple[Tensor | None, ...]]
) -> tuple[Tensor, ...]:
    """Run a role over all rows in micro-batches: its results, flat."""
    results = zip(*(run(part) for part in ragged(cast, rows)), strict=True)
    return tuple(torch.cat([part for part in result if part is not None]) for result in results)
