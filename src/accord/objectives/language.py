"""Imitation: next-token prediction for pretraining and supervised fine-tuning.

Shape letters:  M = trained tokens of the local rows, pads and untrained tokens already left out.
Log-probabilities are in nats.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from accord.objectives.loss import Loss, check_denominator


def next_token(*, logp_M: Float[Tensor, " M"], global_tokens: int) -> Loss:
    """Mean negative log-likelihood of the trained tokens, in nats a token.

    L = -sum(logp) / global_tokens. `global_tokens` counts the trained tokens of the whole batch, so
    every token weighs the same whatever conversation or micro-batch it is in.
    Raises DataError for a batch without trained tokens, InvariantError for a local denominator.
    """
    check_denominator("global_tokens", global_tokens, least=logp_M.numel())
    value = -logp_M.sum() / global_tokens
    return Loss(value, {"language/nll": value.detach()})
