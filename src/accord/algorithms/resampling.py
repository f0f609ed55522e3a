"""Dynamic sampling (DAPO, Yu et al. 2025, arXiv:2503.14476, section 3.2): prompts of whose answers
nothing can be learned are replaced by others before a step.

A group whose answers all earned the same has advantages of 0: the larger the share of such groups,
the smaller the batch in truth. Which prompts come in their place, and their answers, follow from
seed, step and try alone: a run that was killed asks the same again. What is thrown away was sampled
and scored all the same, and is counted. The paper samples until the batch is full; here a step has
so many tries, and what is without a spread after the last is trained on.

Shape letters:  P = prompts; K = answers a prompt. Rewards are in score.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from accord.algorithms import rollouts
from accord.algorithms.rollouts import Cast, Rollout
from accord.algorithms.settings import GRPOConfig

SERIES = 2
"""Tells the seeds of answers in place of others from those of a step's own answers."""


def flat(earned_PK: Tensor) -> Tensor:
    """`[P]` whether all answers to a prompt earned the same."""
    return earned_PK.amax(1) - earned_PK.amin(1) <= rollouts.NO_SPREAD


def resample(
    config: GRPOConfig, cast: Cast, batch: Rollout, step: int, seed: int
) -> tuple[Rollout, dict[str, float]]:
    """The batch with other prompts where answers all earned the same, and what that took.

    A prompt that was asked in this step is not asked again: where there are too few others, what is
    without a spread stays. Raises as `rollouts.ask` does.
    """
    first, seen = batch, set(batch.asked)
    replaced = thrown_away = 0
    for attempt in range(1, config.resample + 1):
        order = np.random.default_rng((seed, step, SERIES, attempt)).permutation(len(cast.prompts))
        others = [int(p) for p in order if int(p) not in seen]
        earned_PK = rollouts.paid(config, batch).view(-1, config.samples)
        poor = flat(earned_PK).nonzero().flatten().tolist()[: len(others)]
        if not poor:
            break
        key = (seed, step, SERIES, attempt)
        fresh = rollouts.answered(config, cast, others[: len(poor)], step, key=key)
        seen.update(fresh.asked)
        places = {group: number for number, group in enumerate(poor)}
        replaced += len(poor)
        thrown_away += sum(len(batch.rows[i]) for p in poor for i in _answers(config, p))
        batch = _with(config, batch, fresh, places)
    return batch, {
        "group/replaced": float(replaced),
        "group/replaced_tokens": float(thrown_away),
        "group/first_score": float(first.score_B.mean()),
    }


def _answers(config: GRPOConfig, group: int) -> range:
    return range(group * config.samples, (group + 1) * config.samples)


def _with(config: GRPOConfig, batch: Rollout, fresh: Rollout, places: Mapping[int, int]) -> Rollout:
    """`batch` with the groups of `fresh` at `places`: number there by number here."""
    picked = [
        (fresh, i) if group in places else (batch, i)
        for group in range(len(batch.asked) // config.samples)
        for i in _answers(config, places.get(group, group))
    ]
    return Rollout(
        asked=[source.asked[i] for source, i in picked],
        answers=[source.answers[i] for source, i in picked],
        rows=[source.rows[i] for source, i in picked],
        score_B=torch.stack([source.score_B[i] for source, i in picked]),
        shaped_B=torch.stack([source.shaped_B[i] for source, i in picked]),
    )
