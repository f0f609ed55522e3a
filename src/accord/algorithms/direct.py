"""Direct alignment: the policy itself learns from judgements, held to its reference or to nothing.

One loop for every objective: which it is, the settings say (`accord.algorithms.alignment`). The
metric to read beside the margin is the drift of the better answer's log-probability: it may fall
while the margin grows, and that is not a bug (see `docs/algorithms/dpo.md`).

Shape letters:  B = rows; M = trained tokens of all rows; R = responses of one part of a batch;
K = heads of a reward model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from accord.algorithms.agreement import same_vocabulary
from accord.algorithms.alignment import (
    Batch,
    Objective,
    Said,
    drifts,
    gaps,
    leads,
    pair_objective,
    reads_reference,
    shifts,
    thumb_objective,
)
from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.descent import add, batch_rows, descend, texts
from accord.algorithms.settings import DirectConfig, DistilledConfig, DPOConfig, KTOConfig
from accord.algorithms.thumbs import TokenThumbs, balanced
from accord.core.errors import ConfigError, DivergenceError
from accord.core.protocols import Row
from accord.models.ragged import Masked, Ragged, micro_batches
from accord.models.role import Role
from accord.models.state import TrainState
from accord.objectives.distilled import member
from accord.objectives.feedback import reference_point
from accord.objectives.pair_losses import centre

Data = TokenComparisons | TokenThumbs
SHIFT, SEEN = "bco/shift", "bco/weight"
"""What BCO remembers between steps: the mean reward so far, and the weight of its pairs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What was computed of a data set's responses before the first step, by response number; what
    was not asked for is not a number."""

    reference: Tensor | None = None
    """Summed log-probabilities under the reference, in nats."""
    rewards: Tensor | None = None
    """`[responses, K]` raw scores of a reward model's heads: distillation needs them."""


def answer_logprobs(role: Role, rows: Sequence[Masked]) -> Tensor:
    """`[B]` summed log-probabilities of the rows' trained tokens, in nats, stop token included."""
    ragged = Ragged.of(rows, role.backbone.machine.device)
    logp_M, _ = role.logprobs(ragged)
    return torch.stack([part.sum() for part in logp_M.split(list(ragged.counts))])


def raw_heads(reward: Role, rows: Sequence[Masked]) -> Tensor:
    """`[B, K]` raw scores of the rows under each head of a reward model."""
    ragged = Ragged.of(rows, reward.backbone.machine.device)
    return reward.raw_scores_each(ragged)


@torch.no_grad()
def read_once(
    read: Callable[[Role, Sequence[Masked]], Tensor],
    role: Role,
    rows: Sequence[Masked],
    micro_batch_tokens: int,
) -> Tensor:
    """`read(role, rows)` of many rows, micro-batch by micro-batch, in one order.

    Raises DivergenceError where something of it is no finite number.
    """
    parts: list[Tensor] = []
    for group in micro_batches([len(row.ids) for row in rows], micro_batch_tokens):
        some = [rows[i] for i in group]
        found = read(role, some)
        if not found.isfinite().all():
            raise DivergenceError(
                "a model gives an answer a number that is not finite",
                got=found[~found.isfinite()][0].item(),
                batch=texts(some),
                do="look at the saved rows; if the model is frozen, make its stage again",
            )
        parts.append(found)
    return torch.cat(parts)


def wanted(data: Data, units: Sequence[int]) -> list[int]:
    """Numbers of the responses of these units, each once, in order."""
    return sorted({i for unit in set(units) for i in data.batch([unit]).response_ids})


def spread(values: Tensor, ids: Sequence[int], responses: int) -> Tensor:
    """`values` of the responses `ids` at their places among all; the others are not a number."""
    found = values.new_full((responses, *values.shape[1:]), torch.nan)
    found[list(ids)] = values
    return found


def reference_logprobs(
    reference: Role, data: Data, rows: Sequence[int], micro_batch_tokens: int
) -> Tensor:
    """Summed log-probabilities of responses under the reference, by response id.

    `rows` are the units that are wanted; responses of others are not a number. One pass before
    training, in one order, so that a run that was killed finds the same to the bit.
    """
    ids = wanted(data, rows)
    some = [data.responses[i] for i in ids]
    values = read_once(answer_logprobs, reference, some, micro_batch_tokens)
    return spread(values, ids, len(data.responses))


def units_of(steps: int, rows: int, batch_prompts: int, seed: int) -> list[int]:
    """Units that a run of so many steps takes."""
    return [unit for s in range(steps) for unit in batch_rows(rows, batch_prompts, s, seed)]


def train(
    config: DirectConfig,
    *,
    data: Data,
    dev: Data,
    policy: Role,
    reference: Role | None,
    state: TrainState,
    steps: int,
    seed: int,
    micro_batch_tokens: int,
    known: Known | None = None,
    dev_known: Known | None = None,
) -> Iterator[Row]:
    """Lower the objective that `config` is, one optimiser step a row.

    KTO takes `TokenThumbs`, the others `TokenComparisons`. `known` is of the responses in `data`,
    `dev_known` of those in `dev`, which is measured after the last step. Raises ModelError for a
    reference of another vocabulary, ConfigError for a distillation without rewards, DataError for
    thumbs in one direction alone.
    """
    found, held = known or Known(), dev_known or Known()
    if isinstance(config, KTOConfig) != isinstance(data, TokenThumbs):
        raise ConfigError(
            "KTO learns from single answers (TokenThumbs), every other objective from pairs",
            got=f"{type(config).__name__} and {type(data).__name__}",
        )
    _check(config, policy, reference, found, held if len(dev) else found)
    if isinstance(config, KTOConfig) and isinstance(data, TokenThumbs):
        config = balanced(config, data)
    cached = reads_reference(config) and getattr(config, "cache_reference", False)
    if cached and found.reference is None:
        assert reference is not None
        used = units_of(steps, len(data), config.batch_prompts, seed)
        values = reference_logprobs(reference, data, used, micro_batch_tokens)
        found = replace(found, reference=values)
    learner = Learner(config, policy, reference, micro_batch_tokens, state.numbers)
    while state.step < steps:
        chosen = batch_rows(len(data), config.batch_prompts, state.step, seed)
        metrics = learner.measure(data, chosen, found, learn=True)
        rows = data.batch(chosen).rows
        metrics |= descend(state, config.optimizer, steps=steps, batch=texts(rows))
        metrics["tokens"] = sum(len(row.ids) for row in rows)
        state.step += 1
        if state.step == steps and len(dev):
            last = learner.measure(dev, range(len(dev)), held, learn=False)
            metrics["preference/dev_loss"] = last["loss"]
            if "preference/accuracy" in last:
                metrics["preference/dev_accuracy"] = last["preference/accuracy"]
        yield metrics


@dataclass(frozen=True, slots=True)
class Learner:
    """An objective with the models that it is about."""

    config: DirectConfig
    policy: Role
    reference: Role | None
    micro_batch_tokens: int
    numbers: dict[str, float] = field(default_factory=dict)
    """The state's own: what is remembered between steps."""

    def measure(
        self, data: Any, chosen: Sequence[int], known: Known, *, learn: bool
    ) -> dict[str, float]:
        """Loss and metrics of these units; with `learn`, gradients are accumulated."""
        metrics: dict[str, float] = {"loss": 0.0}
        objective = self._objective(data, chosen, known, metrics, learn=learn)
        for part in data.micro_batches(chosen, self.micro_batch_tokens):
            loss = objective(part, self._said(part, known, learn=learn))
            if learn:
                loss.value.backward()
            add(metrics, {"loss": loss.value.detach(), **loss.metrics})
        return metrics

    def _objective(
        self,
        data: Any,
        chosen: Sequence[int],
        known: Known,
        metrics: dict[str, float],
        *,
        learn: bool,
    ) -> Objective:
        """The objective with what it needs of the whole batch before its first part."""
        config, whole = self.config, data.batch(chosen)
        if isinstance(config, KTOConfig):
            z0 = self._reference_point(data.mismatched(chosen))
            metrics["preference/kl"] = z0
            return thumb_objective(config, whole, z0)
        head = None
        if isinstance(config, DistilledConfig) and config.pessimism > 0:
            head = self._member(config, data, chosen, known)
        if not shifts(config):
            return pair_objective(config, whole, head)
        if learn:
            self._remember(config, data, chosen, known)
        metrics["preference/shift"] = self.numbers.get(SHIFT, 0.0)
        return pair_objective(config, whole, head, metrics["preference/shift"])

    def _remember(
        self, config: DirectConfig, data: Any, chosen: Sequence[int], known: Known
    ) -> None:
        """Take the whole batch, however it is cut, into BCO's running mean reward."""
        assert isinstance(config, DPOConfig)
        first, second, weight = [], [], []
        for part in data.micro_batches(chosen, self.micro_batch_tokens):
            said = self._said(part, known, learn=False)
            one_B, other_B = drifts(part, said)
            first.append(config.beta * one_B)
            second.append(config.beta * other_B)
            weight.append(part.weight_B.to(said.logp_R.device))
        weight_B = torch.cat(weight)
        here = centre(first_B=torch.cat(first), second_B=torch.cat(second), weight_B=weight_B)
        added = float(weight_B.double().sum())
        seen = self.numbers.get(SEEN, 0.0) + added
        before = self.numbers.get(SHIFT, 0.0)
        self.numbers[SHIFT] = before + (here - before) * added / seen
        self.numbers[SEEN] = seen

    def _reference_point(self, rows: Sequence[Masked]) -> float:
        """KTO's z0 of the whole batch, however it is cut."""
        if not rows:
            return 0.0
        logp_B, ref_B = (
            read_once(answer_logprobs, role, rows, self.micro_batch_tokens)
            for role in (self.policy, self._anchor())
        )
        return reference_point(logp_B=logp_B, ref_logp_B=ref_B)

    def _member(
        self, config: DistilledConfig, data: Any, chosen: Sequence[int], known: Known
    ) -> int:
        """The head that the policy is nearest to over the whole batch, however it is cut."""
        assert known.rewards is not None
        if known.rewards.shape[1] == 1:
            return 0
        lead, gap, weight = [], [], []
        for part in data.micro_batches(chosen, self.micro_batch_tokens):
            said = self._said(part, known, learn=False)
            lead.append(leads(part, said))
            gap.append(gaps(part, said))
            weight.append(part.weight_B.to(said.logp_R.device))
        return member(
            lead_B=torch.cat(lead),
            gap_BK=torch.cat(gap),
            weight_B=torch.cat(weight),
            beta=config.beta,
        )

    def _said(self, part: Batch, known: Known, *, learn: bool) -> Said:
        # The reference first: roles share a backbone, and a backward pass must find the adapters
        # as its forward pass left them.
        ref_R = self._reference(part, known) if reads_reference(self.config) else None
        with torch.set_grad_enabled(learn):
            logp_R = answer_logprobs(self.policy, part.rows)
        counts = [int(row.mask.sum()) for row in part.rows]
        return Said(
            logp_R=logp_R,
            tokens_R=torch.tensor(counts, dtype=logp_R.dtype, device=logp_R.device),
            ref_R=ref_R,
            reward_RK=None if known.rewards is None else known.rewards[part.response_ids],
        )

    @torch.no_grad()
    def _reference(self, part: Batch, known: Known) -> Tensor:
        if known.reference is not None:
            return known.reference[part.response_ids]
        return answer_logprobs(self._anchor(), part.rows)

    def _anchor(self) -> Role:
        assert self.reference is not None
        return self.reference


def _check(config: DirectConfig, policy: Role, reference: Role | None, *known: Known) -> None:
    """Refuse what would train on numbers that mean something else."""
    if isinstance(config, DistilledConfig) and any(one.rewards is None for one in known):
        raise ConfigError(
            "distillation needs a reward model's scores",
            do="give `known` and `dev_known` with `rewards`, or run the stage `reward` first",
        )
    if not reads_reference(config):
        return
    if reference is None:
        raise ConfigError("this objective needs a reference", got=type(config).__name__)
    same_vocabulary(policy, reference)
