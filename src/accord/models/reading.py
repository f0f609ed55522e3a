"""What a frozen model makes of texts: the mean hidden state of each, for linear models of them.

Shape letters:  I = sequences;  D = hidden size;  N = real tokens;  T = tokens of one sequence;
V = vocabulary;  M = targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from accord.core.errors import DataError
from accord.models.backbone import Backbone
from accord.models.logprobs import token_logprobs
from accord.models.ragged import Masked, Ragged, micro_batches

State = NDArray[np.float32]


def mean_states(backbone: Backbone, rows: Sequence[Masked], *, layers: int) -> State:
    """`[I, D]` hidden states after so many `layers`, a mean over the tokens that each mask names.

    By the weights without any adapter. Raises DataError for a row whose mask names none, and
    ConfigError as `Backbone.hidden_after`.
    """
    states = np.zeros((len(rows), backbone.hidden_size), dtype=np.float32)
    backbone.activate(())
    for group, batch in _batches(backbone, rows):
        with torch.no_grad():
            inner_ND = backbone.states_after(batch, layers)
        for i, inner_TD in zip(group, inner_ND.split(batch.lengths), strict=True):
            states[i] = _mean(inner_TD, rows[i], i)
    return states


def states_and_logprobs(
    backbone: Backbone, rows: Sequence[Masked], *, layers: int
) -> tuple[State, list[State]]:
    """`mean_states`, and the log-probability of each token that a row's mask names, in nats.

    One pass for both. A row's first token follows none and has no log-probability. Raises as
    `mean_states`, and DataError where a mask names the first token alone.
    """
    states = np.zeros((len(rows), backbone.hidden_size), dtype=np.float32)
    known: list[State] = []
    backbone.activate(())
    weight_VD, bias_V = backbone.wide_head()
    for group, batch in _batches(backbone, rows):
        with torch.no_grad():
            last_ND, inner_ND = backbone.hidden_after(batch, layers)
            logp_M, _ = token_logprobs(
                last_ND[batch.rows_M],
                weight_VD,
                batch.targets_M,
                bias_V=bias_V,
                mixed=backbone.mixed,
            )
        known += [logp.cpu().numpy() for logp in logp_M.split(batch.counts)]
        for i, inner_TD in zip(group, inner_ND.split(batch.lengths), strict=True):
            states[i] = _mean(inner_TD, rows[i], i)
            if not len(known[i]):
                raise DataError("a sequence names no token behind its first", got=f"row {i + 1}")
    return states, known


def _batches(backbone: Backbone, rows: Sequence[Masked]) -> Iterator[tuple[list[int], Ragged]]:
    """Micro-batches of the rows, in their order, with the places of the rows in each."""
    lengths = [len(row.ids) for row in rows]
    for group in micro_batches(lengths, backbone.machine.micro_batch_tokens):
        yield group, Ragged.of([rows[i] for i in group], device=backbone.machine.device)


def _mean(inner_TD: torch.Tensor, row: Masked, number: int) -> State:
    mask = torch.as_tensor(np.asarray(row.mask, dtype=np.bool_))
    if not mask.any():
        raise DataError("a sequence names no token to take a mean of", got=f"row {number + 1}")
    mean: State = inner_TD[mask.to(inner_TD.device)].float().mean(0).cpu().numpy()
    return mean
