"""A linear probe: how far the frozen model's own hidden states tell which response is better.

What a reward model must beat to have earned its training (Alain and Bengio 2016, arXiv:1610.01644).

Shape letters: P = pairs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accord.algorithms.comparisons import TokenComparisons
from accord.core.errors import DataError
from accord.models.backbone import Backbone
from accord.models.reading import mean_states
from accord.stats.linear import fit_pairs_by_folds

MOST_PAIRS = 4000
"""Training pairs that the probe is fitted on, at most: the first."""


def probe_leads(
    train: TokenComparisons, held: TokenComparisons, backbone: Backbone
) -> NDArray[np.float64] | None:
    """Log-odds that the first response of each pair of `held` wins, by a probe fitted on `train`.

    The probe is a Bradley-Terry model of the mean hidden state of a response's tokens after half of
    the layers, without adapters; its penalty is chosen on folds of `train`. Each criterion has a
    probe of its own. None where `train` is too small for folds.
    """
    layers = max(1, int(backbone.config.num_hidden_layers) // 2)
    first, second = train.first_P[:MOST_PAIRS], train.second_P[:MOST_PAIRS]
    used = np.unique(np.concatenate([first, second]))
    rows, where = train.responses.distinct()
    needed = np.unique(where[used])
    states = np.zeros((len(rows), backbone.hidden_size), dtype=np.float32)
    states[needed] = mean_states(backbone, [rows[int(i)] for i in needed], layers=layers)
    rows, there = held.responses.distinct()
    of_held = mean_states(backbone, rows, layers=layers)
    lead_P = np.zeros(held.pairs)
    for criterion in np.unique(held.criterion_P):
        some = np.flatnonzero(train.criterion_P[:MOST_PAIRS] == criterion)
        try:
            probe = fit_pairs_by_folds(
                states[where[first[some]]],
                states[where[second[some]]],
                train.label_P[some],
                clusters=first[some].tolist(),
                weight_I=train.weight_P[some],
            )
        except DataError:
            return None
        score, own = probe(of_held)[there], held.criterion_P == criterion
        lead_P[own] = (score[held.first_P] - score[held.second_P])[own]
    return lead_P
