"""Reinforcement learning without a critic: GRPO and its like, RLOO and REINFORCE++.

Read top to bottom: collect (sample, score, look up), estimate, update. They are one loop and differ
in what an answer is compared with and in which mean their loss is:

    stage      advantage                        loss                         mean over tokens
    grpo       group mean and deviation         clipped surrogate            by answer, or as set
    (Dr.)      group mean alone                 clipped surrogate            by a constant
    (DAPO)     group mean and deviation         the same, wider above        by token
    (GSPO)     group mean and deviation         the same, a ratio an answer  by answer
    (CISPO)    group mean and deviation         score function, weighed      by token
    rloo       mean of the group's others       score function               by a constant
    reinforce  what is still to be earned,      clipped surrogate            by token
               normalised over the batch
    (baseline) the same less the group's mean   clipped surrogate            by token

Sources: Shao et al. 2024 (arXiv:2402.03300); Liu et al. 2025 (arXiv:2503.20783); Yu et al. 2025
(arXiv:2503.14476); Zheng et al. 2025 (arXiv:2507.18071); MiniMax 2025 (arXiv:2506.13585); Ahmadian
et al. 2024 (arXiv:2402.14740); Hu 2025 (arXiv:2501.03262). A departure, as in `ppo`: the old
log-probabilities are the trainer's own, so that the first ratio is 1 exactly. The value of these
losses says nothing: advantages of a group add up to 0, and so does the loss at ratio 1. Look at
reward, spread and gradient norm.

Shape letters: B = answers of the rollout batch; P = prompts; K = answers a prompt; T = tokens of
the longest answer; M = answer tokens of all answers, one after the other. Log-probabilities are in
nats, rewards in score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from accord.algorithms import agreement, resampling, rollouts
from accord.algorithms.descent import add, descend, texts
from accord.algorithms.rollouts import Parts, Sampled
from accord.algorithms.settings import (
    Denominator,
    GRPOConfig,
    KLPlace,
    Ratio,
    ReinforceConfig,
    RLOOConfig,
)
from accord.core.protocols import Row
from accord.models.ragged import pad
from accord.models.state import TrainState
from accord.objectives import advantage, kl, policy
from accord.text.tokenized import Tokenized

GroupConfig = GRPOConfig | RLOOConfig | ReinforceConfig


class Constants(NamedTuple):
    """What the losses of a batch's tokens hold fixed, each `[M]`."""

    old_logp_M: Tensor
    reference_M: Tensor
    advantage_M: Tensor
    weight_M: Tensor
    """1, or the correction for a sampler that is not the trainer."""

    def answers(self, counts: Sequence[int], picked: Sequence[int]) -> Constants:
        """Those of some answers, in the order of `picked`; `counts` has the tokens of each."""
        split = [flat_M.split(list(counts)) for flat_M in self]
        return Constants(*(torch.cat([parts[i] for i in picked]) for parts in split))

    def tokens(self, here: slice) -> Constants:
        """Those of some tokens."""
        return Constants(*(flat_M[here] for flat_M in self))


def train(config: GroupConfig, *, parts: Parts, state: TrainState, seed: int) -> Iterator[Row]:
    """Raise the score less the price of KL, one rollout batch a step.

    State, KL budget and the errors raised are those of `ppo.train`. ConfigError where a method that
    compares answers is given one a prompt.
    """
    state.numbers.setdefault("kl/coefficient", config.kl.coefficient)
    while state.step < config.steps and not state.numbers.get("budget_spent"):
        sampled = collect(config, parts, state, seed)
        coefficient = state.numbers["kl/coefficient"]
        weight_M, ratios = rollouts.correction(config, sampled.rollout, sampled.logp_M)
        metrics = describe(config, sampled, coefficient, parts)
        metrics |= {name: float(figure) for name, figure in ratios.items()}
        agreement.first_steps(metrics, state.step, parts.policy.backbone.machine.dtype)
        if rollouts.within_budget(config.kl, state, metrics["kl/sequence"]):
            advantage_M = estimate(config, sampled, coefficient)
            constants = Constants(sampled.logp_M, sampled.reference_M, advantage_M, weight_M)
            metrics |= update(config, sampled, constants, parts, state, seed)
            episodes = len(sampled.counts)
            rollouts.adapt(config.kl, state, metrics["kl/sequence"], episodes)
        state.step += 1
        yield metrics
    state.restore_kept()


def collect(config: GroupConfig, parts: Parts, state: TrainState, seed: int) -> Sampled:
    """Sample answers, score them, and ask policy and reference about every token."""
    batch = rollouts.ask(config, parts, state.step, seed)
    replaced: Row = {}
    if isinstance(config, GRPOConfig) and config.resample:
        batch, replaced = resampling.resample(config, parts, batch, state.step, seed)
    heat = config.temperature
    logp_M, entropy_M = rollouts.each(
        parts, batch.rows, lambda r: parts.policy.logprobs(r, temperature=heat, entropy=True)
    )
    (reference_M,) = rollouts.each(
        parts, batch.rows, lambda r: parts.reference.logprobs(r, temperature=heat)[:1]
    )
    return Sampled(batch, logp_M, reference_M, entropy_M, replaced)


def estimate(config: GroupConfig, batch: Sampled, coefficient: float) -> Tensor:
    """`advantage_M` from what the answers earn, less the KL that is paid in the reward."""
    counts = batch.counts
    reward_M = torch.zeros_like(batch.logp_M)
    if config.kl.place is KLPlace.REWARD:
        price = kl.ESTIMATORS[config.kl.estimator]
        reward_M -= coefficient * price(batch.logp_M, batch.reference_M)
    last_B = torch.tensor(counts).cumsum(0) - 1
    reward_M[last_B] += rollouts.paid(config, batch.rollout).to(reward_M)
    reward_BT = pad(reward_M, counts)
    if isinstance(config, ReinforceConfig):
        mask_BT = pad(torch.ones_like(reward_M), counts).bool()
        if config.baseline:
            return advantage.reinforce_baseline(
                reward_BT=reward_BT, mask_BT=mask_BT, samples=config.samples
            )[mask_BT]
        return advantage.reinforce_pp(reward_BT=reward_BT, mask_BT=mask_BT)[mask_BT]
    score_PK = reward_BT.sum(1).view(-1, config.samples)
    if isinstance(config, RLOOConfig):
        advantage_PK = advantage.rloo(score_PK=score_PK)
    elif config.normalise:
        advantage_PK = advantage.group_relative(score_PK=score_PK)
    else:
        advantage_PK = advantage.dr_grpo(score_PK=score_PK)
    return advantage_PK.flatten().repeat_interleave(torch.tensor(counts).to(advantage_PK.device))


def update(
    config: GroupConfig,
    batch: Sampled,
    constants: Constants,
    parts: Parts,
    state: TrainState,
    seed: int,
) -> dict[str, float]:
    """Inner passes over one rollout batch; the metrics of the last minibatch."""
    metrics: dict[str, float] = {}
    coefficient = state.numbers["kl/coefficient"]
    for picked in rollouts.passes(config, len(batch.counts), state.step, seed):
        rows = [batch.rollout.rows[i] for i in picked]
        lengths = [batch.counts[i] for i in picked]
        fixed = constants.answers(batch.counts, picked)
        metrics = _minibatch(config, rows, lengths, fixed, coefficient, parts)
        if "checked" not in state.numbers:
            agreement.first_ratio(metrics, parts.policy.backbone.machine.dtype)
            state.numbers["checked"] = 1.0
        metrics |= descend(state, config.optimizer, steps=config.steps, batch=texts(rows))
        if config.stop_kl is not None and metrics["policy/approx_kl"] > config.stop_kl:
            break
    return metrics


def _minibatch(
    config: GroupConfig,
    rows: list[Tokenized],
    lengths: Sequence[int],
    constants: Constants,
    coefficient: float,
    parts: Parts,
) -> dict[str, float]:
    """Accumulate the policy's gradient over some answers of the batch."""
    tokens = len(constants.old_logp_M)
    weight_M = constants.weight_M * _mean_of(config, lengths).to(constants.weight_M)
    constants = constants._replace(weight_M=weight_M)
    metrics: dict[str, float] = {"loss": 0.0, "policy/ratio_max": 0.0}
    start = 0
    for ragged in rollouts.ragged(parts, rows):
        here = constants.tokens(slice(start, start + len(ragged.targets_M)))
        start += len(ragged.targets_M)
        logp_M, _ = parts.policy.logprobs(ragged, temperature=config.temperature)
        objective, figures = _surrogate(
            config, logp_M, here, ragged.counts, answers=len(rows), tokens=tokens
        )
        if config.kl.place is KLPlace.LOSS:
            penalty = kl.penalty(
                logp_M=logp_M,
                ref_logp_M=here.reference_M,
                weight_M=here.weight_M,
                estimator=kl.ESTIMATORS[config.kl.estimator],
                global_tokens=tokens,
            )
            objective = objective + coefficient * penalty.value
            add(metrics, penalty.metrics)
        objective.backward()
        add(metrics, {"loss": objective.detach(), **figures})
        largest = float((logp_M.detach() - here.old_logp_M).max().exp())
        metrics["policy/ratio_max"] = max(metrics["policy/ratio_max"], largest)
    return metrics


def _mean_of(config: GroupConfig, lengths: Sequence[int]) -> Tensor:
    """`weight_M` that makes the minibatch's loss the mean which the method is defined by."""
    length_B, answers, tokens = torch.tensor(lengths), len(lengths), sum(lengths)
    match config:
        case ReinforceConfig():
            kind = Denominator.TOKEN
        case RLOOConfig():
            kind = Denominator.CONSTANT
        case _:
            kind = config.denominator
    if kind is Denominator.ANSWER:
        return policy.answer_weights(
            length_B=length_B, global_answers=answers, global_tokens=tokens
        )
    if kind is Denominator.CONSTANT:
        return policy.constant_weights(
            length_B=length_B,
            global_answers=answers,
            global_tokens=tokens,
            longest=config.max_tokens,
        )
    return torch.ones(tokens)


def _surrogate(
    config: GroupConfig,
    logp_M: Tensor,
    here: Constants,
    counts: Sequence[int],
    answers: int,
    tokens: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Value and metrics of the policy's loss on answers of `counts` tokens each: a part of a
    minibatch of so many `answers` and `tokens`."""
    if isinstance(config, GRPOConfig) and config.ratio is Ratio.SEQUENCE:
        length_B = torch.tensor(counts, device=logp_M.device)
        return policy.gspo(
            logp_M=logp_M,
            old_logp_M=here.old_logp_M,
            advantage_B=here.advantage_M[length_B.cumsum(0) - 1],
            length_B=length_B,
            clip=config.clip,
            clip_high=config.clip_high,
            dual_clip=config.dual_clip,
            global_answers=answers,
            global_tokens=tokens,
        )
    each = {
        "logp_M": logp_M,
        "old_logp_M": here.old_logp_M,
        "advantage_M": here.advantage_M,
        "weight_M": here.weight_M,
    }
    if isinstance(config, GRPOConfig) and config.ratio is Ratio.DETACHED:
        return policy.cispo(**each, bound=config.ratio_bound, global_tokens=tokens)
    if config.clip is None:
        return policy.reinforce(**each, global_tokens=tokens)
    high, dual = None, None
    if isinstance(config, GRPOConfig):
        high, dual = config.clip_high, config.dual_clip
    return policy.clipped(
        **each, clip=config.clip, clip_high=high, dual_clip=dual, global_tokens=tokens
    )


def describe(
    config: GroupConfig, batch: Sampled, coefficient: float, parts: Parts
) -> dict[str, float]:
    """What the rollout batch looks like, before any update; of groups, how far they are spread."""
    groups: dict[str, float] = {}
    if config.samples > 1:
        earned_PK = rollouts.paid(config, batch.rollout).view(-1, config.samples)
        groups = {
            "group/spread": float(earned_PK.std(1).mean()),
            "group/zero_spread": float(resampling.flat(earned_PK).float().mean()),
            **batch.replaced,
        }
    return groups | rollouts.describe(config, batch, parts, coefficient=coefficient)
