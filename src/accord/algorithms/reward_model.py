"""Reward models: a scalar head on a stack of adapters learns to score like the raters compared.

While it trains, scores are raw head outputs; the unit (`Scale`) is set afterwards, and calibration
is of the raw outputs.

Shape letters:  P = pairs of a data set; R = responses of one part of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from accord.algorithms.comparisons import TokenComparisons
from accord.algorithms.descent import add, batch_rows, descend, texts
from accord.algorithms.settings import RewardConfig
from accord.core.errors import DataError
from accord.core.protocols import Row
from accord.models.ragged import Masked, Ragged, micro_batches
from accord.models.role import Role, Scale
from accord.models.state import TrainState
from accord.objectives import reward
from accord.objectives.pairs import totals


def train(
    config: RewardConfig,
    *,
    data: TokenComparisons,
    model: Role,
    state: TrainState,
    steps: int,
    seed: int,
    micro_batch_tokens: int,
) -> Iterator[Row]:
    """Raise the likelihood of the labels under Bradley-Terry, one optimiser step a row."""
    device = model.backbone.machine.device
    while state.step < steps:
        chosen = batch_rows(len(data), config.batch_prompts, state.step, seed)
        whole = data.batch(chosen)
        weight, clear = totals(label_B=whole.label_B, weight_B=whole.weight_B)
        metrics: dict[str, float] = {"loss": 0.0}
        for part in data.micro_batches(chosen, micro_batch_tokens):
            score_R = model.raw_scores(Ragged.of(part.rows, device))
            loss = reward.bradley_terry(
                first_B=score_R[part.first_B],
                second_B=score_R[part.second_B],
                label_B=part.label_B.to(device),
                weight_B=part.weight_B.to(device),
                margin_B=part.margin_B.to(device),
                global_weight=weight,
                global_clear=clear,
            )
            loss.value.backward()
            add(metrics, {"loss": loss.value.detach(), **loss.metrics})
        metrics |= descend(state, config.optimizer, steps=steps, batch=texts(whole.rows))
        metrics["tokens"] = sum(len(row.ids) for row in whole.rows)
        state.step += 1
        yield metrics


@torch.no_grad()
def raw_scores(rows: Sequence[Masked], model: Role, micro_batch_tokens: int) -> NDArray[np.float64]:
    """Head outputs of token rows, one a row, before the model's unit is applied."""
    scores: list[float] = []
    for group in micro_batches([len(row.ids) for row in rows], micro_batch_tokens):
        ragged = Ragged.of([rows[i] for i in group], model.backbone.machine.device)
        scores += model.raw_scores(ragged).tolist()
    return np.array(scores)


def leads(data: TokenComparisons, model: Role, micro_batch_tokens: int) -> NDArray[np.float64]:
    """Raw score of the first response less that of the second, for each pair of `data`."""
    rows, place = data.responses.distinct()
    raw = raw_scores(rows, model, micro_batch_tokens)[place]
    return raw[data.first_P] - raw[data.second_P]


def scale_of(
    zero: NDArray[np.float64], unit: NDArray[np.float64], *, shift_from: str, scale_from: str
) -> Scale:
    """The unit that gives `zero` mean 0 and `unit` standard deviation 1, from raw scores.

    Raises DataError where the scores of `unit` do not differ: no unit can be made of them.
    """
    spread = float(unit.std())
    if not np.isfinite(spread) or spread < 1e-8:
        raise DataError(
            "the reward model gives every answer the same score",
            got=f"standard deviation {spread:g} over {len(unit)} answers",
            do="train longer, raise the learning rate, or check that the labels carry a signal",
        )
    return Scale(
        shift=float(zero.mean()), scale=spread, shift_from=shift_from, scale_from=scale_from
    )
