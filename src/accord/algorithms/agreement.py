"""What must hold in the first steps of reinforcement learning, checked on the user's own run.

The field's costliest reports are silent: an adapter that never reached the sampler, a reference
that was not the reference. A run where one of these shows stops before it learns from it.

Shape letters:  M = answer tokens of all answers, one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from accord.core.errors import InvariantError, ModelError
from accord.core.protocols import Row
from accord.core.types import Completion
from accord.models.role import Role

EXACT = 1e-4
"""Largest difference in float32, nats."""
ROUNDED_MEAN, ROUNDED_P99 = 0.02, 0.15
"""Mean and 99th percentile of the difference in bfloat16, nats."""


def gaps(answers: Sequence[Completion], logp_M: Tensor) -> dict[str, float]:
    """|sampler - trainer| log-probability of the answers' tokens, nats."""
    sampled_M = torch.tensor([logp for answer in answers for logp in answer.logprobs])
    gap_M = (sampled_M - logp_M.cpu()).abs()
    return {
        "engine/gap_mean": float(gap_M.mean()),
        "engine/gap_p99": float(np.quantile(gap_M.numpy(), 0.99)),
        "engine/gap_max": float(gap_M.max()),
    }


def first_steps(metrics: Row, step: int, dtype: str) -> None:
    """At step 0 KL is 0; at steps 0 and 1 sampler and trainer agree on log-probabilities.

    The second step is looked at because a fresh adapter is zero: one that never reaches the sampler
    would pass at the first. Raises InvariantError.
    """
    if step == 0 and not abs(metrics["kl/sequence"]) <= EXACT:
        raise InvariantError(
            "the policy is not its reference at the first step",
            got=f"sequence KL {metrics['kl/sequence']:.3g} nats",
            do="report this: the RL adapter must start at zero on the SFT model",
        )
    if step > 1:
        return
    mean, p99, most = (metrics[f"engine/gap_{part}"] for part in ("mean", "p99", "max"))
    fits = most <= EXACT if dtype == "float32" else mean <= ROUNDED_MEAN and p99 <= ROUNDED_P99
    if not fits:
        raise InvariantError(
            "sampler and trainer disagree on log-probabilities",
            got=f"mean {mean:.3g}, 99th percentile {p99:.3g}, largest {most:.3g} nats in {dtype}",
            where=f"step {step + 1}",
            do="run with precision = float32 and report this",
        )


def same_vocabulary(policy: Role, reference: Role) -> None:
    """Raise ModelError where the reference's log-probabilities are of other tokens."""
    ours, theirs = (role.backbone.head.weight.shape[0] for role in (policy, reference))
    if ours != theirs:
        raise ModelError(
            "the reference has another vocabulary than the policy: its log-probabilities are of "
            "other tokens",
            got=f"{theirs} tokens, the policy has {ours}",
            do="take the model that the policy starts from as its reference",
        )


def first_ratio(metrics: Row, dtype: str) -> None:
    """Before any update the ratio is 1 and nothing is clipped. Raises InvariantError."""
    spread = math.sqrt(2 * metrics["policy/approx_kl"])
    clipped = metrics.get("policy/clip_fraction", 0.0)  # the score-function loss clips nothing
    fits = spread <= EXACT and clipped == 0 if dtype == "float32" else spread <= ROUNDED_P99
    if not fits:
        raise InvariantError(
            "the first minibatch's probability ratio is not 1",
            got=f"root mean square log-ratio {spread:.3g}, clipped share {clipped:.3g} in {dtype}",
            do="report this: nothing was updated yet",
        )
