"""From settings to the objective of direct alignment: the loop is one, the objective is a value.

Shape letters:  R = responses of one part of a batch; B = pairs among them; K = heads of a reward
model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    PairLoss,
    SimPOConfig,
)
from accord.algorithms.settings.pair_loss import WITH_MARGIN
from accord.algorithms.thumbs import ThumbBatch
from accord.core.errors import InvariantError
from accord.objectives import distilled, feedback, pair_losses, preference, reference_free
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


BESIDE: Mapping[PairLoss, Callable[..., Loss]] = {
    PairLoss.HINGE: pair_losses.hinge,
    PairLoss.EXO: pair_losses.exo,
    PairLoss.NCA: pair_losses.nca,
    PairLoss.BCO: pair_losses.bco,
    PairLoss.SPPO: pair_losses.sppo,
    PairLoss.APO_ZERO: pair_losses.apo_zero,
    PairLoss.APO_DOWN: pair_losses.apo_down,
}
"""What each loss but DPO's own is beside a reference."""


def reads_reference(config: DirectConfig) -> bool:
    """Whether the objective compares the policy with a reference."""
    if isinstance(config, DPOConfig):
        return not config.reference_free
    return not isinstance(config, ORPOConfig | SimPOConfig)


def reads_margins(config: DirectConfig) -> bool:
    """Whether a comparison's margin reaches the objective."""
    return isinstance(config, DPOConfig) and config.loss in WITH_MARGIN and config.margin > 0


def shifts(config: DirectConfig) -> bool:
    """Whether the objective needs the mean reward of answers (BCO)."""
    return isinstance(config, DPOConfig) and config.loss is PairLoss.BCO


def pair_objective(
    config: DirectConfig, whole: PairBatch, head: int | None, shift: float = 0.0
) -> Objective:
    """The objective over the pairs of the batch `whole`, by settings.

    `head` is the reward model's head that distillation takes; None the mean of them. `shift` is
    BCO's.
    """
    weight, clear = totals(label_B=whole.label_B, weight_B=whole.weight_B)
    shared: dict[str, Any] = {"global_weight": weight, "global_clear": clear}
    match config:
        case DPOConfig():
            return _direct(config, shared, shift)
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


def _direct(config: DPOConfig, shared: dict[str, Any], shift: float) -> Objective:
    """DPO's objective, or the relative that the settings name; its likelihood beside it."""
    chosen, own = _named(config, shift)
    own |= {"beta": config.beta, **shared}
    if config.nll == 0 or config.reference_free:
        return lambda part, said: chosen(**_asked(config, part, said), **own)
    return lambda part, said: chosen(**_asked(config, part, said), **own).plus(
        reference_free.nll(
            **_columns(part, said), **_lengths(part, said), alpha=config.nll, **shared
        )
    )


def _asked(config: DPOConfig, part: PairBatch, said: Said) -> dict[str, Any]:
    """The columns that its loss reads."""
    if config.reference_free:
        found = _columns(part, said) | _lengths(part, said)
    else:
        found = _against(part, said)
    if config.loss in WITH_MARGIN:
        found["margin_B"] = config.margin * part.margin_B.to(said.logp_R.device)
    return found


def _named(config: DPOConfig, shift: float) -> tuple[Callable[..., Loss], dict[str, Any]]:
    """The loss, and those of its settings that others do not have."""
    smoothed = {"smoothing": config.smoothing}
    if config.reference_free:
        if config.loss is PairLoss.HINGE:
            return reference_free.slic, {"alpha": config.nll}
        return reference_free.cpo, {"alpha": config.nll, **smoothed}
    if config.loss is not PairLoss.SIGMOID:
        own = {PairLoss.EXO: smoothed, PairLoss.BCO: {"shift": shift}}
        return BESIDE[config.loss], own.get(config.loss, {})
    if config.robust:
        return preference.rdpo, smoothed
    if config.dpop > 0:
        return preference.dpop, {"lam": config.dpop}
    return (preference.cdpo, smoothed) if config.smoothing > 0 else (preference.dpo, {})


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


def drifts(part: PairBatch, said: Said) -> tuple[Tensor, Tensor]:
    """`[B]` log-ratio to the reference of either side, in nats."""
    drift_R = said.logp_R - _anchored(said)
    return drift_R[part.first_B], drift_R[part.second_B]


def leads(part: PairBatch, said: Said) -> Tensor:
    """`[B]` lead of the first side in log-ratio to the reference, in nats."""
    first_B, second_B = drifts(part, said)
    return first_B - second_B


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
