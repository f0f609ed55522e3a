"""What a frozen model makes of texts: the mean hidden state of each, for linear models of them.

Shape letters:  I = sequences;  D = hidden size;  N = real tokens;  T = tokens of one sequence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from accord.core.errors import DataError
from accord.models.backbone import Backbone
from accord.models.ragged import Masked, Ragged, micro_batches


def mean_states(backbone: Backbone, rows: Sequence[Masked], *, layers: int) -> NDArray[np.float32]:
    """`[I, D]` hidden states after so many `layers`, a mean over the tokens that each mask names.

    By the weights without any adapter. Raises DataError for a row whose mask names none, and
    ConfigError as `Backbone.hidden_after`.
    """
    states = np.zeros((len(rows), backbone.hidden_size), dtype=np.float32)
    backbone.activate(())
    lengths = [len(row.ids) for row in rows]
    for group in micro_batches(lengths, backbone.machine.micro_batch_tokens):
        batch = Ragged.of([rows[i] for i in group], device=backbone.machine.device)
        with torch.no_grad():
            _, inner_ND = backbone.hidden_after(batch, layers)
        for i, inner_TD in zip(group, inner_ND.split(batch.lengths), strict=True):
            mask = torch.as_tensor(np.asarray(rows[i].mask, dtype=np.bool_))
            if not mask.any():
                raise DataError("a sequence names no token to take a mean of", got=f"row {i + 1}")
            states[i] = inner_TD[mask.to(inner_TD.device)].float().mean(0).cpu().numpy()
    return states
