"""Proximal policy optimisation for language models, with a critic and a per-token KL penalty.

Read top to bottom: collect (sample, score, look up), estimate, update. One step of `train` is one
rollout batch; how it is asked for, scored and described is in `rollouts`.

Sources: Schulman et al. 2017 (arXiv:1707.06347); Ziegler et al. 2019 (arXiv:1909.08593) for the
per-token KL penalty and its controller; "The N implementation details of RLHF with PPO" (Huang et
al. 2024, arXiv:2403.17031) for most defaults; Ouyang et al. 2022 (arXiv:2203.02155) for PPO-ptx.
Departures: T actions have T values and the score is added to the last token's reward (the N details
keep one slot more); the old log-probabilities are computed by the trainer, not taken from the
sampler, so that the first ratio is 1 exactly.

Shape letters: B = answers of the rollout batch; T = tokens of the longest answer; M = answer tokens
of all answers, one after the other. Log-probabilities are in nats, rewards in score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from accord.algorithms import agreement, rollouts
from accord.algorithms.descent import add, batch_rows, descend, texts
from accord.algorithms.rollouts import Rollout, Score, Shape, Watch
from accord.algorithms.settings import KLPlace, PPOConfig
from accord.core.errors import ConfigError
from accord.core.protocols import Row, Sampler
from accord.models.ragged import Masked, pad
from accord.models.role import Role
from accord.models.state import TrainState
from accord.objectives import advantage, kl, language, policy, value
from accord.text.tokenized import Tokenized, TokenRows


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
    shape: Shape | None = None
    """What is trained on in place of the scores; None: the scores."""
    demonstrations: TokenRows | None = None
    """What PPO-ptx imitates; needed where `ptx` is not 0."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A rollout batch and what the roles say of every token, before any update."""

    rollout: Rollout
    logp_M: Tensor
    reference_M: Tensor
    value_M: Tensor
    entropy_M: Tensor

    @property
    def counts(self) -> list[int]:
        """Tokens of each answer."""
        return self.rollout.counts


class Constants(NamedTuple):
    """What the losses of a batch's tokens hold fixed, each `[M]`."""

    old_logp_M: Tensor
    reference_M: Tensor
    old_value_M: Tensor
    advantage_M: Tensor
    return_M: Tensor
    weight_M: Tensor
    """1, or the correction for a sampler that is not the trainer."""

    def answers(self, counts: Sequence[int], picked: Sequence[int]) -> Constants:
        """Those of some answers, in the order of `picked`; `counts` has the tokens of each."""
        split = [flat_M.split(list(counts)) for flat_M in self]
        return Constants(*(torch.cat([parts[i] for i in picked]) for parts in split))

    def tokens(self, here: slice) -> Constants:
        """Those of some tokens."""
        return Constants(*(flat_M[here] for flat_M in self))


def train(config: PPOConfig, *, parts: Parts, state: TrainState, seed: int) -> Iterator[Row]:
    """Raise the score less the price of KL, one rollout batch a step.

    Of the first `critic.steps` batches the critic alone learns. `state.numbers` holds the KL
    coefficient and the last sequence KLs. With a KL budget the run ends where the mean of the last
    4 exceeds it, and the weights it ends with are the last whose KL was measured and met it. Raises
    InvariantError where the first steps show that policy, reference, sampler and trainer do not
    agree, DivergenceError on a number that is not finite.
    """
    if config.ptx and not parts.demonstrations:
        raise ConfigError("ptx needs demonstrations to imitate", got=f"ptx = {config.ptx}")
    state.numbers.setdefault("kl/coefficient", config.kl.coefficient)
    while state.step < config.batches and not state.numbers.get("budget_spent"):
        sampled = collect(config, parts, state, seed)
        coefficient = state.numbers["kl/coefficient"]
        weight_M, ratios = rollouts.correction(config, sampled.rollout, sampled.logp_M)
        advantage_M, return_M = estimate(config, sampled, coefficient)
        metrics = describe(config, sampled, return_M, coefficient, parts)
        metrics |= {name: float(figure) for name, figure in ratios.items()}
        updates = max(0, state.step - config.critic.steps)
        agreement.first_steps(metrics, updates, parts.policy.backbone.machine.dtype)
        if rollouts.within_budget(config.kl, state, metrics["kl/sequence"]):
            constants = Constants(
                sampled.logp_M,
                sampled.reference_M,
                sampled.value_M,
                advantage_M,
                return_M,
                weight_M,
            )
            metrics |= update(config, sampled, constants, parts, state, seed)
            if state.step >= config.critic.steps:
                episodes = len(sampled.counts)
                rollouts.adapt(config.kl, state, metrics["kl/sequence"], episodes)
        state.step += 1
        yield metrics
    state.restore_kept()


def collect(config: PPOConfig, parts: Parts, state: TrainState, seed: int) -> Sampled:
    """Sample answers, score them, and ask policy, reference and critic about every token."""
    batch = rollouts.ask(config, parts, state.step, seed)
    heat = config.temperature
    logp_M, entropy_M = rollouts.each(
        parts, batch.rows, lambda r: parts.policy.logprobs(r, temperature=heat, entropy=True)
    )
    (reference_M,) = rollouts.each(
        parts, batch.rows, lambda r: parts.reference.logprobs(r, temperature=heat)[:1]
    )
    (value_M,) = rollouts.each(parts, batch.rows, lambda r: (parts.critic.values(r),))
    return Sampled(batch, logp_M, reference_M, value_M, entropy_M)


def estimate(config: PPOConfig, batch: Sampled, coefficient: float) -> tuple[Tensor, Tensor]:
    """`(advantage_M, return_M)` from the score at the last token and, where it is paid in the
    reward, the per-token KL penalty."""
    counts = batch.counts
    reward_M = torch.zeros_like(batch.logp_M)
    if config.kl.place is KLPlace.REWARD:
        price = kl.ESTIMATORS[config.kl.estimator]
        reward_M -= coefficient * price(batch.logp_M, batch.reference_M)
    last_B = torch.tensor(counts).cumsum(0) - 1
    reward_M[last_B] += rollouts.paid(config, batch.rollout).to(reward_M)
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
    config: PPOConfig,
    batch: Sampled,
    constants: Constants,
    parts: Parts,
    state: TrainState,
    seed: int,
) -> dict[str, float]:
    """Inner passes over one rollout batch; the metrics of the last minibatch."""
    metrics: dict[str, float] = {}
    coefficient = state.numbers["kl/coefficient"]
    critic_alone = state.step < config.critic.steps
    minibatches = rollouts.passes(config, len(batch.counts), state.step, seed)
    for number, picked in enumerate(minibatches):
        rows = [batch.rollout.rows[i] for i in picked]
        fixed = constants.answers(batch.counts, picked)
        metrics = _minibatch(config, rows, fixed, coefficient, parts, critic_alone)
        if "checked" not in state.numbers:
            agreement.first_ratio(metrics, parts.policy.backbone.machine.dtype)
            state.numbers["checked"] = 1.0
        if parts.demonstrations and config.ptx and not critic_alone:
            turn = state.step * config.epochs * config.minibatches + number
            some = batch_rows(len(parts.demonstrations), len(rows), turn, seed)
            metrics |= _imitate(config, [parts.demonstrations[i] for i in some], parts)
            metrics["loss"] += config.ptx * metrics["language/nll"]
        metrics |= descend(state, config.optimizer, steps=config.batches, batch=texts(rows))
        if config.stop_kl is not None and metrics["policy/approx_kl"] > config.stop_kl:
            break
    return metrics


def _minibatch(
    config: PPOConfig,
    rows: list[Tokenized],
    constants: Constants,
    coefficient: float,
    parts: Parts,
    critic_alone: bool = False,
) -> dict[str, float]:
    """Accumulate the gradients of policy and critic over some answers of the batch."""
    if config.whiten_advantages:
        constants = constants._replace(advantage_M=advantage.whiten(constants.advantage_M))
    tokens = len(constants.old_logp_M)
    metrics: dict[str, float] = {"loss": 0.0, "policy/ratio_max": 0.0}
    start = 0
    for ragged in rollouts.ragged(parts, rows):
        here = constants.tokens(slice(start, start + len(ragged.targets_M)))
        start += len(ragged.targets_M)
        logp_M, _ = parts.policy.logprobs(ragged, temperature=config.temperature)
        actor = policy.clipped(
            logp_M=logp_M,
            old_logp_M=here.old_logp_M,
            advantage_M=here.advantage_M,
            clip=config.clip,
            clip_high=config.clip_high,
            dual_clip=config.dual_clip,
            global_tokens=tokens,
            weight_M=here.weight_M,
        )
        objective = actor.value
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
        if not critic_alone:
            objective.backward()
        critic = value.clipped(
            value_M=parts.critic.values(ragged),
            old_value_M=here.old_value_M,
            return_M=here.return_M,
            clip=config.critic.clip,
            global_tokens=tokens,
        )
        (config.critic.coefficient * critic.value).backward()
        loss = objective.detach() + config.critic.coefficient * critic.value.detach()
        add(metrics, {"loss": loss, **actor.metrics, **critic.metrics})
        largest = float((logp_M.detach() - here.old_logp_M).max().exp())
        metrics["policy/ratio_max"] = max(metrics["policy/ratio_max"], largest)
    return metrics


def _imitate(config: PPOConfig, rows: Sequence[Masked], parts: Parts) -> dict[str, float]:
    """Accumulate PPO-ptx's gradient over some demonstrations."""
    trained = int(sum(row.mask[1:].sum() for row in rows))
    metrics: dict[str, float] = {}
    for ragged in rollouts.ragged(parts, rows):
        logp_M, _ = parts.policy.logprobs(ragged)
        loss = language.next_token(logp_M=logp_M, global_tokens=trained)
        (config.ptx * loss.value).backward()
        add(metrics, loss.metrics)
    return metrics


def describe(
    config: PPOConfig, batch: Sampled, return_M: Tensor, coefficient: float, parts: Parts
) -> dict[str, float]:
    """What the rollout batch looks like, before any update."""
    unexplained = (return_M - batch.value_M).var(correction=0)
    spread = return_M.var(correction=0).clamp_min(1e-12)
    return {
        **rollouts.describe(config, batch, parts, coefficient=coefficient),
        "value/explained_variance": float(1 - unexplained / spread),
    }
