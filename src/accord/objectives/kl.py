"""The price of leaving the reference: estimators of the divergence, and its controller.

An estimator looks at one token that the policy sampled. It can be taken off the reward, where it is
a constant that the score function weighs, or it can be a loss, whose gradient goes through it. The
two are not the same, and only two of the six ways pull along the gradient of KL(policy ||
reference): k1 in the reward and k2 as a loss. With u = log(policy / reference), p the policy and q
the reference, the expected gradients over samples of p are

         value       in the reward                          as a loss
    k1   KL(p||q)    grad KL(p||q)                          0
    k2   biased      grad E[u^2/2] - grad KL(p||q)          grad KL(p||q)
    k3   KL(p||q)    grad KL(p||q) - grad KL(q||p)          grad KL(q||p)

Shape letters:  M = any selection of tokens. Log-probabilities are in nats.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from accord.core.errors import ConfigError, DataError
from accord.objectives.loss import Loss, check_denominator, check_positive, same_shape

LARGEST_ERROR = 0.2
"""The controller sees a relative error of at most this much (Ziegler et al. 2019, section 2.2)."""


def k1(logp_M: Float[Tensor, "*M"], ref_logp_M: Float[Tensor, "*M"]) -> Float[Tensor, "*M"]:
    """log(policy / reference) of tokens that the policy sampled: unbiased for KL(policy || ref).

    One token's value may be negative. In the reward its expected gradient is the true one of
    KL(policy || reference). As a loss, with the samples held fixed, it is 0: nothing is held.
    Raises InvariantError for mixed shapes.
    """
    same_shape(logp=logp_M, ref_logp=ref_logp_M)
    return logp_M - ref_logp_M


def k2(logp_M: Float[Tensor, "*M"], ref_logp_M: Float[Tensor, "*M"]) -> Float[Tensor, "*M"]:
    """Half the squared log(policy / reference) of tokens that the policy sampled, never negative.

    Biased for KL(policy || reference), by a third-order term near the reference. As a loss its
    expected gradient is the true one of KL(policy || reference), that of k1 in the reward. In the
    reward it hardly pulls near the reference: 1/2 u^2 is of second order there.
    Raises InvariantError for mixed shapes.
    """
    same_shape(logp=logp_M, ref_logp=ref_logp_M)
    return 0.5 * (logp_M - ref_logp_M).square()


def k3(logp_M: Float[Tensor, "*M"], ref_logp_M: Float[Tensor, "*M"]) -> Float[Tensor, "*M"]:
    """r - 1 - log r with r = reference / policy, of tokens that the policy sampled.

    Unbiased for KL(policy || reference) and never negative, with less variance than k1 near the
    reference. As a loss its expected gradient is that of the forward KL(reference || policy): the
    same to first order near the reference, gentler far from it where the policy leaves tokens out.
    It is not clamped: where the policy all but forbids what the reference says, it overflows and
    the run stops. Raises InvariantError for mixed shapes.
    """
    same_shape(logp=logp_M, ref_logp=ref_logp_M)
    log_r_M = ref_logp_M - logp_M
    return log_r_M.expm1() - log_r_M


Estimator = Callable[[Tensor, Tensor], Tensor]
"""Log-probabilities of policy and reference to one estimate a token."""

ESTIMATORS: dict[str, Estimator] = {"k1": k1, "k2": k2, "k3": k3}
"""The estimators by the name that a setting calls them."""


def penalty(
    *,
    logp_M: Float[Tensor, " M"],
    ref_logp_M: Float[Tensor, " M"],
    weight_M: Float[Tensor, " M"],
    estimator: Estimator,
    global_tokens: int,
) -> Loss:
    """The estimate as a loss, in nats: what is added to the policy's, times a coefficient.

    L = sum weight * estimator(logp, ref_logp) / global_tokens.

    Gradients flow through `logp_M` alone, the samples are held fixed: the module's table says which
    divergence each estimator then lowers (k1 none). `weight_M` are the token weights of the loss
    that it is added to (`policy.answer_weights`), so that both are means of the same kind.
    Raises DataError for a batch without tokens, InvariantError for mixed shapes or a local
    denominator.
    """
    same_shape(logp=logp_M, ref_logp=ref_logp_M, weight=weight_M)
    check_denominator("global_tokens", global_tokens, least=logp_M.numel())
    each_M = estimator(logp_M, ref_logp_M.detach())
    value = (weight_M.detach() * each_M).sum() / global_tokens
    return Loss(value, {"kl/loss": value.detach()})


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
