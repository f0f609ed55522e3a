"""From settings to the objective of direct alignment: the loop is one, the objective is a value.

Shape letters:  R = responses of one part of a batch; B = pairs among them; K = heads of a reward
model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from accord.algorithms.comparisons import PairBatch
from accord.algorithms.settings import (
    DirectConfig,
    DistilledConfig,
    DPOConfig,
    IPOConfig,
    KTOConfig,
    ORPOConfig,
    SimPOConfig,
)
from accord.algorithms.thumbs import ThumbBatch
from accord.core.errors import InvariantError
from accord.objectives import distilled, feedback, preference, reference_free
from accord.objectives.loss import Loss
from accord.objectives.pairs import sides, totals

Batch = PairBatch | ThumbBatch


class Said(NamedTuple):
    """What the models said of the responses of one part of a batch."""

    logp_R: Tensor
    """Summed log-probability under the policy, in nats."""
    tokens_R: Tensor
    """Tokens that were summed."""
    ref_R: Tensor | None
    """The same under the reference; None for an objective that has none."""
    reward_RK: Tensor | None
    """Raw scores; None for an objective that reads none."""


Objective = Callable[[Any, Said], Loss]
"""The loss of one part of a batch; a batch of pairs or of answers, as the settings ask for."""


def reads_reference(config: DirectConfig) -> bool:
    """Whether the objective compares the policy with a reference."""
    return not isinstance(config, ORPOConfig | SimPOConfig)


def pair_objective(config: DirectConfig, whole: PairBatch, head: int | None) -> Objective:
    """The objective over the pairs of the batch `whole`, by settings.

    `head` is the reward model's head that distillation takes; None the mean of them.
    """
    weight, clear = totals(label_B=whole.label_B, weight_B=whole.weight_B)
    shared: dict[str, Any] = {"global_weight": weight, "global_clear": clear}
    match config:
        case DPOConfig():
            shared |= {"beta": config.beta}
            if config.smoothing > 0:
                shared |= {"smoothing": config.smoothing}
            plain = preference.cdpo if config.smoothing > 0 else preference.dpo
            chosen: Callable[..., Loss] = preference.rdpo if config.robust else plain
            return lambda part, said: chosen(
                **_against(part, said),
                margin_B=config.margin * part.margin_B.to(said.logp_R.device),
                **shared,
            )
        case IPOConfig(per_token=False):
            return lambda part, said: preference.ipo(
                **_against(part, said), beta=config.beta, **shared
            )
        case IPOConfig():
            return lambda part, said: preference.ipo_tokens(
                **_against(part, said), **_lengths(part, said), beta=config.beta, **shared
            )
        case ORPOConfig():
            return lambda part, said: reference_free.orpo(
                **_columns(part, said), **_lengths(part, said), lam=config.lam, **shared
            )
        case SimPOConfig():
            return lambda part, said: reference_free.simpo(
                **_columns(part, said),
                **_lengths(part, said),
                beta=config.beta,
                gamma=config.gamma,
                **shared,
            )
        case DistilledConfig():
            return lambda part, said: distilled.distilled(
                **_against(part, said),
                gap_B=_taken(gaps(part, said), head),
                beta=config.beta,
                pessimism=config.pessimism,
                **shared,
            )
    raise InvariantError("these settings learn from answers, not from pairs", got=type(config))


def thumb_objective(config: KTOConfig, whole: ThumbBatch, z0: float) -> Objective:
    """KTO over the answers of the batch `whole`; `config` has both weights as numbers."""
    weight, good, bad = sides(label_B=whole.label_B, weight_B=whole.weight_B)
    if config.desirable is None or config.undesirable is None:
        raise InvariantError("KTO's weights were not balanced before the first step")
    fixed: dict[str, Any] = {
        "z0": z0,
        "beta": config.beta,
        "desirable": config.desirable,
        "undesirable": config.undesirable,
        "global_weight": weight,
        "global_desirable": good,
        "global_undesirable": bad,
    }
    return lambda part, said: feedback.kto(
        logp_B=said.logp_R,
        ref_logp_B=_anchored(said),
        label_B=part.label_B.to(said.logp_R.device),
        weight_B=part.weight_B.to(said.logp_R.device),
        **fixed,
    )


def leads(part: PairBatch, said: Said) -> Tensor:
    """`[B]` lead of the first side in log-ratio to the reference, in nats."""
    drift_R = said.logp_R - _anchored(said)
    return drift_R[part.first_B] - drift_R[part.second_B]


def gaps(part: PairBatch, said: Said) -> Tensor:
    """`[B, K]` raw score of the first side less that of the second, a column a head."""
    if said.reward_RK is None:
        raise InvariantError("distillation was given no scores")
    return said.reward_RK[part.first_B] - said.reward_RK[part.second_B]


def _anchored(said: Said) -> Tensor:
    if said.ref_R is None:
        raise InvariantError("an objective that needs a reference was given none")
    return said.ref_R


def _taken(gap_BK: Tensor, head: int | None) -> Tensor:
    return gap_BK.mean(1) if head is None else gap_BK[:, head]


def _columns(part: PairBatch, said: Said) -> dict[str, Any]:
    device = said.logp_R.device
    return {
        "first_B": said.logp_R[part.first_B],
        "second_B": said.logp_R[part.second_B],
        "label_B": part.label_B.to(device),
        "weight_B": part.weight_B.to(device),
    }


def _against(part: PairBatch, said: Said) -> dict[str, Any]:
    ref_R = _anchored(said)
    return _columns(part, said) | {
        "ref_first_B": ref_R[part.first_B],
        "ref_second_B": ref_R[part.second_B],
    }


def _lengths(part: PairBatch, said: Said) -> dict[str, Any]:
    return {
        "first_tokens_B": said.tokens_R[part.first_B],
        "second_tokens_B": said.tokens_R[part.second_B],
    }
