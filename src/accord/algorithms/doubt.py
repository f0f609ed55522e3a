"""How unsure a trained reward model is of a score: a Laplace approximation over its head.

The trunk is frozen, so this is doubt about how to read what it says of a text, not about what it
says. The prior is the distribution that the head started from.

Shape letters:  P = pairs of a data set; R = responses; D = hidden size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from accord.algorithms.comparisons import TokenComparisons
from accord.models.head import Doubt
from accord.models.ragged import Masked, Ragged, micro_batches
from accord.models.role import Role
from accord.stats.laplace import head_covariance


@torch.no_grad()
def last_states(rows: Sequence[Masked], model: Role, micro_batch_tokens: int) -> Tensor:
    """`[R, D]` what the head reads of token rows, in float32 on the processor."""
    found: list[Tensor] = []
    for group in micro_batches([len(row.ids) for row in rows], micro_batch_tokens):
        ragged = Ragged.of([rows[i] for i in group], model.backbone.machine.device)
        found.append(model.hidden(ragged)[ragged.last_rows_B].float().cpu())
    return torch.cat(found)


@torch.no_grad()
def doubt_of(
    model: Role,
    data: TokenComparisons,
    zero: Sequence[Masked],
    *,
    pairs: int,
    seed: int,
    micro_batch_tokens: int,
) -> Doubt:
    """The posterior of the mean head, from at most `pairs` training pairs, drawn by `seed`.

    A comparison counts as one observation however many pairs it has: they are of one judgement.
    Where pairs were drawn, each stands for as many as it was drawn from. `zero` are texts from
    whose average a score is doubted.
    """
    chosen = np.arange(data.pairs)
    if data.pairs > pairs:
        chosen = np.sort(np.random.default_rng((seed, 2)).permutation(data.pairs)[:pairs])
    weight_P = data.weight_P[chosen].astype(np.float64)
    weight_P *= len(data.kept) / weight_P.sum()
    first_P, second_P = data.first_P[chosen], data.second_P[chosen]
    used = np.unique(np.concatenate([first_P, second_P]))
    states_RD = last_states([data.responses[int(i)] for i in used], model, micro_batch_tokens)
    place = {int(response): row for row, response in enumerate(used)}

    def states(of_P: NDArray[np.int64]) -> NDArray[np.float64]:
        wide: NDArray[np.float64] = states_RD[[place[int(i)] for i in of_P]].double().numpy()
        return wide

    apart_PD = states(first_P) - states(second_P)
    head = model.mean_head()
    lead_P = apart_PD @ head.weight.detach().double().cpu().numpy()
    # The head's weights began as N(0, 1 / (D + 1)).
    covariance = head_covariance(apart_PD, lead_P, weight_P, precision=apart_PD.shape[1] + 1)
    centre_D = last_states(zero, model, micro_batch_tokens).double().mean(0)
    return Doubt(centre_D, torch.from_numpy(covariance))
