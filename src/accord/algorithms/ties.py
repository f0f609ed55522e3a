"""The tie parameter of a reward model in which ties are an outcome: given, or learned.

In the unit of `accord.stats.bradley_terry`: log t (Rao-Kupper) or log v (Davidson).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.settings import RewardConfig
from accord.algorithms.settings.reward import WITH_TIES
from accord.core.errors import InvariantError
from accord.models.state import TrainState

PACE = 10.0
"""What is learned is the parameter over this: one number that all pairs speak of moves as much
faster than a weight, and a step of AdamW is as long for both."""


def learned(config: RewardConfig) -> bool:
    """Whether there is a tie parameter that training moves."""
    return config.objective in WITH_TIES and config.tie is None


def start(config: RewardConfig, data: TokenComparisons, device: str) -> nn.Parameter:
    """What is learned, where it is right if all scores were equal: from the share of ties alone.

    That share is taken half a pair away from none and from all, where there is no finite value.
    """
    tied = float(data.weight_P[data.label_P == 0.5].sum())
    half = 0.5 * float(data.weight_P.mean())
    share = (tied + half) / (float(data.weight_P.sum()) + 2 * half)
    if config.objective == "rao-kupper":
        free = math.log(math.expm1(math.log((1 + share) / (1 - share))))
    else:
        free = math.log(2 * share / (1 - share))
    return nn.Parameter(torch.tensor(free / PACE, device=device))


def value(config: RewardConfig, state: TrainState) -> Tensor | None:
    """The tie parameter as it stands; None for an objective without one.

    Raises InvariantError for a state that lacks it.
    """
    if config.objective not in WITH_TIES:
        return None
    device = next(iter(state.parameters.values())).device
    if config.tie is not None:
        return torch.tensor(config.tie, device=device)
    if "tie" not in state.parameters:
        raise InvariantError(
            "the tie parameter is to be learned and is not in the state",
            do="make the state by accord.algorithms.reward_model.begin",
        )
    free = PACE * state.parameters["tie"]
    return F.softplus(free) if config.objective == "rao-kupper" else free
