"""What every training loop shares: which rows a step takes, and how gradients become a step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from accord.algorithms.settings import OptimizerSettings
from accord.core.errors import DataError, DivergenceError
from accord.models.state import TrainState


def fresh_state(
    parameters: Iterator[tuple[str, torch.nn.Parameter]], settings: OptimizerSettings
) -> TrainState:
    """A state at step 0 over `parameters`."""
    return TrainState.of(
        parameters,
        betas=(settings.beta1, settings.beta2),
        epsilon=settings.epsilon,
        weight_decay=settings.weight_decay,
    )


def step_count(rows: int, batch_size: int, epochs: float) -> int:
    """Optimiser steps that `epochs` passes over `rows` rows take, at least 1.

    Raises DataError where there is no row.
    """
    if rows == 0:
        raise DataError(
            "there is nothing to train on", got="0 rows", do="import data or widen the limits"
        )
    return max(1, math.ceil(rows * epochs / batch_size - 1e-9))


def batch_rows(rows: int, batch_size: int, step: int, seed: int) -> list[int]:
    """Row numbers of step `step`: a new order every pass, a function of seed and step alone."""
    places = range(step * batch_size, (step + 1) * batch_size)
    orders: dict[int, np.ndarray] = {}
    for epoch in {place // rows for place in places}:
        orders[epoch] = np.random.default_rng((seed, epoch)).permutation(rows)
    return [int(orders[place // rows][place % rows]) for place in places]


def descend(
    state: TrainState, settings: OptimizerSettings, *, steps: int, batch: object
) -> dict[str, float]:
    """One AdamW step from the accumulated gradients; returns rate and gradient norm.

    Raises DivergenceError, with `batch` for the record, where a gradient is not finite: the
    weights are still those of the last good step.
    """
    rate = settings.rate(state.step, steps)
    parameters = list(state.parameters.values())
    most = settings.max_grad_norm or math.inf
    norm = float(torch.nn.utils.clip_grad_norm_(parameters, most))
    if not math.isfinite(norm):
        raise DivergenceError(
            "the gradient is no longer finite",
            got=norm,
            where=f"step {state.step + 1}",
            batch=batch,
            do="lower the learning rate or look at the saved batch",
        )
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    return {"learning_rate": rate, "grad_norm": norm}


def add(total: dict[str, float], part: dict[str, Tensor]) -> None:
    """Add a micro-batch's metrics, which are shares of the batch's, to the batch's."""
    for name, value in part.items():
        total[name] = total.get(name, 0.0) + float(value)


def texts(rows: Sequence[object]) -> list[list[int]]:
    """Token ids of rows as plain lists: what a divergence report saves."""
    return [[int(token) for token in row.ids] for row in rows]  # type: ignore[attr-defined]
