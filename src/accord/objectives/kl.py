"""The price of leaving the reference: the estimator of the divergence, and its controller.

Shape letters:  M = any selection of tokens. Log-probabilities are in nats.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from accord.core.errors import ConfigError, DataError
from accord.objectives.loss import check_positive, same_shape

LARGEST_ERROR = 0.2
"""The controller sees a relative error of at most this much (Ziegler et al. 2019, section 2.2)."""


def k1(logp_M: Float[Tensor, "*M"], ref_logp_M: Float[Tensor, "*M"]) -> Float[Tensor, "*M"]:
    """log(policy / reference) of tokens that the policy sampled: unbiased for KL(policy || ref).

    One token's value may be negative. Use it in the reward, not as a loss: with the samples held
    fixed, the expected gradient of its mean is 0.
    Raises InvariantError for mixed shapes.
    """
    same_shape(logp=logp_M, ref_logp=ref_logp_M)
    return logp_M - ref_logp_M


def adapt(
    coefficient: float, *, observed: float, target: float, episodes: int, horizon: int
) -> float:
    """The next KL coefficient of the adaptive controller (Ziegler et al. 2019, section 2.2).

    coefficient * (1 + clamp(observed / target - 1, -.2, .2) * episodes / horizon).
    `observed` is the batch's mean sequence KL and `target` the wanted one, both in nats; `episodes`
    counts the batch's answers. The result stays positive: a batch counts as at most `horizon`
    episodes.
    Raises ConfigError unless target and horizon are positive, DataError unless `observed` is a
    finite number.
    """
    check_positive("kl.target", target)
    if horizon < 1:
        raise ConfigError("kl.horizon must be at least 1", got=horizon)
    if not math.isfinite(observed):
        raise DataError("the observed KL is not a finite number", got=observed)
    error = min(max(observed / target - 1, -LARGEST_ERROR), LARGEST_ERROR)
    return coefficient * (1 + error * min(episodes, horizon) / horizon)
