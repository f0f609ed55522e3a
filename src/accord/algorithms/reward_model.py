"""Reward models: a scalar head on a stack of adapters learns to score like the raters compared.

While it trains, scores are raw head outputs; the unit (`Scale`) is set afterwards, and calibration
is of the raw outputs.

Shape letters:  P = pairs of a data set; R = responses of one part of a batch; B = its pairs;
G = its rankings; K = responses of the longest of them; U = its units; H = heads, or criteria.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from accord.algorithms import ties
from accord.algorithms.comparisons import PairBatch, Rankings, TokenComparisons
from accord.algorithms.descent import add, batch_rows, descend, fresh_state, texts
from accord.algorithms.settings import RewardConfig
from accord.core.errors import DataError
from accord.core.protocols import Row
from accord.models.head import Criterion
from accord.models.ragged import Masked, Ragged, micro_batches
from accord.models.role import CriterionHeads, Role, Scale
from accord.models.state import TrainState
from accord.objectives import pairs, reward

Figures = tuple[Tensor, dict[str, Tensor]]
"""A loss and the metrics of a part of a batch, as objectives give them."""


class Denominators(NamedTuple):
    """Denominators of a whole batch: its pairs', and its rankings' where these are learned from."""

    pairs: pairs.Totals
    rankings: pairs.Totals | None


def begin(config: RewardConfig, *, model: Role, data: TokenComparisons) -> TrainState:
    """A state at step 0 over what the model trains and, where it is learned, the tie parameter."""
    named = list(model.trained())
    if ties.learned(config):
        named.append(("tie", ties.start(config, data, model.backbone.machine.device)))
    return fresh_state(iter(named), config.optimizer)


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
    """Raise the likelihood of what was said, one optimiser step a row.

    `state` is that of `begin`. Raises DivergenceError where a gradient is not finite, DataError for
    a tier of too many responses.
    """
    draws_UH = bootstrap(len(data), config.heads, seed)
    while state.step < steps:
        chosen = batch_rows(len(data), config.batch_prompts, state.step, seed)
        whole = data.batch(chosen)
        totals = _totals(config, data, whole)
        metrics: dict[str, float] = {"loss": 0.0}
        for part in data.micro_batches(chosen, micro_batch_tokens):
            tie = ties.value(config, state)
            ranked = data.rankings(part) if totals.rankings else None
            draw_UH = draws_UH[part.units]
            loss, figures = _learnt(config, model, part, ranked, draw_UH, tie, totals)
            loss.backward()
            add(metrics, {"loss": loss.detach(), **figures})
        if (tie := ties.value(config, state)) is not None:
            metrics["preference/tie"] = float(tie.detach())
        metrics |= descend(state, config.optimizer, steps=steps, batch=texts(whole.rows))
        metrics["tokens"] = sum(len(row.ids) for row in whole.rows)
        state.step += 1
        yield metrics


def bootstrap(units: int, heads: int, seed: int) -> Tensor:
    """`[U, H]` how often each head's bootstrap sample holds each unit; 1 where there is one head.

    Poisson with mean 1, the limit of drawing with replacement (Oza and Russell 2001): it needs no
    batch to be drawn anew for a head, and a unit that is seen twice counts alike both times.
    """
    if heads == 1:
        return torch.ones(units, 1)
    drawn = np.random.default_rng((seed, heads)).poisson(1.0, (units, heads))
    return torch.from_numpy(drawn).float()


def _totals(config: RewardConfig, data: TokenComparisons, whole: PairBatch) -> Denominators:
    of_pairs = pairs.totals(label_B=whole.label_B, weight_B=whole.weight_B)
    if config.objective != "plackett-luce":
        return Denominators(of_pairs, None)
    ranked = data.rankings(whole)
    told_G = (ranked.tier_GK > 0).any(1)
    weight_G = ranked.weight_G.double()
    return Denominators(
        of_pairs, pairs.Totals(float(weight_G.sum()), float(weight_G[told_G].sum()))
    )


def _learnt(
    config: RewardConfig,
    model: Role,
    part: PairBatch,
    ranked: Rankings | None,
    draw_UH: Tensor,
    tie: Tensor | None,
    totals: Denominators,
) -> Figures:
    """Mean loss of the heads, each on its own bootstrap sample, with figures of their mean score.

    Heads of criteria are not drawn and have one loss: a pair is scored by its criterion's head.

    A head's loss is divided by the batch's weight and not by its sample's, so that no sample is
    empty and each unit counts as often as it was drawn.
    """
    device = model.backbone.machine.device
    batch = Ragged.of(part.rows, device)
    if config.criteria:
        score_RH = model.raw_scores_by_criterion(batch)
        return _of_head(config, score_RH, part, ranked, draw_UH[:, 0], tie, totals)
    if config.heads == 1:
        return _of_head(config, model.raw_scores(batch), part, ranked, draw_UH[:, 0], tie, totals)
    score_RH = model.raw_scores_each(batch)
    losses = [
        _of_head(config, score_R, part, ranked, draw_U, tie, totals)[0]
        for score_R, draw_U in zip(score_RH.unbind(1), draw_UH.unbind(1), strict=True)
    ]
    with torch.no_grad():
        once_U = torch.ones(len(draw_UH))
        mean_R = score_RH.mean(1)
        metrics = _of_head(config, mean_R, part, ranked, once_U, tie, totals)[1]
        lead_BH = score_RH[part.first_B] - score_RH[part.second_B]
        apart_B = lead_BH.std(1, correction=0) * part.weight_B.to(device)
        metrics["preference/disagreement"] = apart_B.sum() / totals.pairs.weight
    return torch.stack(losses).mean(), metrics


def _of_head(
    config: RewardConfig,
    score: Tensor,
    part: PairBatch,
    ranked: Rankings | None,
    draw_U: Tensor,
    tie: Tensor | None,
    totals: Denominators,
) -> Figures:
    """Loss of one head's scores `[R]`, each unit counted as often as it was drawn; of heads of
    criteria, `[R, H]`, each pair or ranking has its own."""
    device = score.device
    first_B = _said(score, part.first_B, part.criterion_B)
    second_B = _said(score, part.second_B, part.criterion_B)
    weight_B = (part.weight_B * draw_U[part.unit_B]).to(device)
    columns: dict[str, Any] = {
        "first_B": first_B,
        "second_B": second_B,
        "label_B": part.label_B.to(device),
        "weight_B": weight_B,
        "margin_B": part.margin_B.to(device),
        "global_weight": totals.pairs.weight,
        "global_clear": totals.pairs.clear,
    }
    if ranked is not None and totals.rankings is not None:
        loss = reward.plackett_luce(
            score_GK=_said(score, ranked.row_GK, ranked.criterion_G[:, None]),
            tier_GK=ranked.tier_GK.to(device),
            weight_G=(ranked.weight_G * draw_U[ranked.unit_G]).to(device),
            margin_G=ranked.margin_G.to(device),
            first_margin_G=ranked.first_margin_G.to(device),
            global_weight=totals.rankings.weight,
            global_clear=totals.rankings.clear,
        )
        loss.metrics.update(
            pairs.lead_metrics(
                lead_B=(first_B - second_B).detach(),
                label_B=columns["label_B"],
                weight_B=weight_B,
                global_clear=totals.pairs.clear,
            )
        )
    elif tie is None:
        loss = reward.bradley_terry(**columns)
    elif config.objective == "rao-kupper":
        loss = reward.rao_kupper(**columns, tie=tie)
    else:
        loss = reward.davidson(**columns, tie=tie)
    if not config.centring:
        return loss
    held = reward.centring(
        first_B=first_B,
        second_B=second_B,
        weight_B=weight_B,
        coefficient=config.centring,
        global_weight=totals.pairs.weight,
    )
    return loss.value + held.value, loss.metrics | held.metrics


def _said(score: Tensor, rows: Tensor, criterion: Tensor) -> Tensor:
    return score[rows] if score.dim() == 1 else score[rows, criterion]


@torch.no_grad()
def levels(rows: Sequence[Masked], model: Role, micro_batch_tokens: int) -> Tensor:
    """`[H]` mean raw score of each head over token rows: what its level is."""
    total_H: list[Tensor] = []
    for group in micro_batches([len(row.ids) for row in rows], micro_batch_tokens):
        ragged = Ragged.of([rows[i] for i in group], model.backbone.machine.device)
        total_H.append(model.raw_scores_each(ragged).double().sum(0))
    return torch.stack(total_H).sum(0) / len(rows)


@torch.no_grad()
def raw_scores(rows: Sequence[Masked], model: Role, micro_batch_tokens: int) -> NDArray[np.float64]:
    """Head outputs of token rows, one a row, before the model's unit is applied."""
    scores: list[float] = []
    for group in micro_batches([len(row.ids) for row in rows], micro_batch_tokens):
        ragged = Ragged.of([rows[i] for i in group], model.backbone.machine.device)
        scores += model.raw_scores(ragged).tolist()
    return np.array(scores)


@torch.no_grad()
def raw_by_criterion(
    rows: Sequence[Masked], model: Role, micro_batch_tokens: int
) -> NDArray[np.float64]:
    """`[R, H]` what each criterion's head says of token rows, as it was trained."""
    found: list[list[float]] = []
    for group in micro_batches([len(row.ids) for row in rows], micro_batch_tokens):
        ragged = Ragged.of([rows[i] for i in group], model.backbone.machine.device)
        found += model.raw_scores_by_criterion(ragged).tolist()
    return np.array(found)


def leads(data: TokenComparisons, model: Role, micro_batch_tokens: int) -> NDArray[np.float64]:
    """Raw score of the first response less that of the second, for each pair of `data`.

    Where heads are of criteria it is that of the pair's own head.
    """
    rows, place = data.responses.distinct()
    if isinstance(model.head, CriterionHeads):
        raw_RH = raw_by_criterion(rows, model, micro_batch_tokens)[place]
        of_P = data.criterion_P
        own_P: NDArray[np.float64] = raw_RH[data.first_P, of_P] - raw_RH[data.second_P, of_P]
        return own_P
    return weighed_leads(data, model, micro_batch_tokens)


def weighed_leads(
    data: TokenComparisons, model: Role, micro_batch_tokens: int
) -> NDArray[np.float64]:
    """The same of the model's one raw score, the weighted sum where heads are of criteria."""
    rows, place = data.responses.distinct()
    raw = raw_scores(rows, model, micro_batch_tokens)[place]
    return raw[data.first_P] - raw[data.second_P]


def standardised(
    criteria: Sequence[Criterion], raw_RH: NDArray[np.float64]
) -> tuple[Criterion, ...]:
    """Criteria whose heads have mean 0 and standard deviation 1 over answers, by what they say.

    Raises DataError where a head says the same of all.
    """
    found = []
    for one, raw_R in zip(criteria, raw_RH.T, strict=True):
        unit = scale_of(raw_R, raw_R, shift_from="", scale_from="", of=one.name)
        found.append(replace(one, mean=unit.shift, deviation=unit.scale))
    return tuple(found)


def scale_of(
    zero: NDArray[np.float64],
    unit: NDArray[np.float64],
    *,
    shift_from: str,
    scale_from: str,
    of: str = "",
) -> Scale:
    """The unit that gives `zero` mean 0 and `unit` standard deviation 1, from raw scores.

    `of` is the criterion that they are about, where it is one. Raises DataError where the scores of
    `unit` do not differ: no unit can be made of them.
    """
    spread = float(unit.std())
    if not np.isfinite(spread) or spread < 1e-8:
        raise DataError(
            "the reward model gives every answer the same score" + (f" of {of}" if of else ""),
            got=f"standard deviation {spread:g} over {len(unit)} answers",
            do="train longer, raise the learning rate, or check that the labels carry a signal",
        )
    return Scale(
        shift=float(zero.mean()), scale=spread, shift_from=shift_from, scale_from=scale_from
    )
