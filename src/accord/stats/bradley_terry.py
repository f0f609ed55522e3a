"""Strengths from paired comparisons with ties: Bradley-Terry as extended by Davidson and by Rao and
Kupper.

It asks: how strong is each player (a policy, a model, a response), if the chance to win depends on
the difference of two strengths alone? One player beats another with odds exp(difference), ties
apart. It misleads where preferences go in a circle, and standard errors take comparisons as
independent: several of one prompt are not.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, log_expit, logsumexp

from accord.core.errors import DataError
from accord.stats.ratings import Floats


class Ties(StrEnum):
    """How ties come about; d is the difference of strengths, all weights are up to a factor."""

    DAVIDSON = "davidson"
    """win : tie : loss = exp(d / 2) : v : exp(-d / 2) (Davidson 1970, eq. 2.3): the odds of a win
    against a loss are exp(d), whatever the ties."""
    RAO_KUPPER = "rao-kupper"
    """P(win) = 1 / (1 + t exp(-d)), t >= 1 (Rao and Kupper 1967, eq. 2.5): a difference that the
    rater feels must pass the threshold log t, or it is a tie."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Strengths:
    """A fit by maximum likelihood."""

    players: tuple[Hashable, ...]
    strength: Floats
    """[players] log-odds, their mean 0."""
    standard_error: Floats
    """[players] of each strength against the mean of all."""
    covariance: Floats
    """[players, players] of the strengths: the variance of a difference is
    c[i, i] + c[j, j] - 2 c[i, j]."""
    tie: float
    """log v (Davidson) or log t (Rao-Kupper); -inf or 0 without a tie in the data."""
    tie_error: float
    """Its standard error; NaN without a tie."""
    log_likelihood: float
    """In nats."""


def bradley_terry(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    outcome: ArrayLike,
    *,
    ties: Ties = Ties.DAVIDSON,
    weight: ArrayLike | None = None,
) -> Strengths:
    """Strengths that make the outcomes most likely, with standard errors.

    One entry a comparison: 1 where the first player won, 0 where the second did, .5 a tie; `weight`
    counts equal ones. Standard errors are from the inverse of the observed information, the tie
    parameter fitted along. Without a tie this is the model of Bradley and Terry (1952).
    Raises DataError for mixed lengths, a player against himself, other outcomes, negative weights,
    and where no finite fit exists: a chain of wins or ties must lead from each player to each other
    (Ford 1957), and not every comparison may be a tie.
    """
    names = tuple(dict.fromkeys([*first, *second]))
    place = {name: number for number, name in enumerate(names)}
    one = np.array([place[name] for name in first], dtype=np.intp)
    other = np.array([place[name] for name in second], dtype=np.intp)
    outcomes = np.asarray(outcome, dtype=np.float64)
    weights = np.ones_like(outcomes) if weight is None else np.asarray(weight, dtype=np.float64)
    _check(one, other, outcomes, weights)
    kept = weights > 0
    data = _Data(
        lead=_leads(one[kept], other[kept], len(names)),
        outcome=outcomes[kept],
        weight=weights[kept],
        ties=ties if (outcomes[kept] == 0.5).any() else None,
    )
    _check_connected(names, one[kept], other[kept], data.outcome)
    free, value, information = _maximum(data)
    covariance: Floats = np.asarray(np.linalg.inv(information), dtype=np.float64)
    covariance[: len(names), : len(names)] -= 1 / len(names)  # what held the mean at 0
    strengths = free[: len(names)]
    absent = -np.inf if ties is Ties.DAVIDSON else 0.0
    return Strengths(
        players=names,
        strength=strengths - strengths.mean(),
        standard_error=np.sqrt(np.diag(covariance)[: len(names)]),
        covariance=covariance[: len(names), : len(names)],
        tie=float(free[-1]) if data.ties else absent,
        tie_error=float(np.sqrt(covariance[-1, -1])) if data.ties else np.nan,
        log_likelihood=value,
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Data:
    lead: Floats
    """[comparisons, players] 1 for the first player, -1 for the second."""
    outcome: Floats
    weight: Floats
    ties: Ties | None
    """None where no comparison is a tie: the plain model."""


def _leads(one: NDArray[np.intp], other: NDArray[np.intp], players: int) -> Floats:
    names = np.arange(players)
    return np.asarray((one[:, None] == names) * 1.0 - (other[:, None] == names))


def _check(one: NDArray[np.intp], other: NDArray[np.intp], outcome: Floats, weight: Floats) -> None:
    if not one.shape == other.shape == outcome.shape == weight.shape:
        raise DataError(
            "every comparison needs two players, an outcome and a weight",
            got=f"{one.shape}, {other.shape}, {outcome.shape}, {weight.shape}",
        )
    if not np.isin(outcome, (0.0, 0.5, 1.0)).all():
        raise DataError("the outcome of a comparison must be 0, .5 or 1")
    if not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise DataError("the weight of a comparison must be at least 0")
    if (one == other).any():
        raise DataError("a player cannot be compared with himself")


def _check_connected(
    names: tuple[Hashable, ...],
    one: NDArray[np.intp],
    other: NDArray[np.intp],
    outcome: Floats,
) -> None:
    if not (outcome != 0.5).any():
        raise DataError(
            "strengths need a comparison that somebody won", got=f"{len(outcome)} comparisons"
        )
    beaten = [
        (one[outcome >= 0.5], other[outcome >= 0.5]),
        (other[outcome <= 0.5], one[outcome <= 0.5]),
    ]
    over, under = (np.concatenate(ends) for ends in zip(*beaten, strict=True))
    graph = csr_matrix((np.ones(len(over)), (over, under)), shape=(len(names), len(names)))
    groups, member = connected_components(graph, connection="strong")
    if groups > 1:
        few = np.flatnonzero(member == np.bincount(member).argmin())
        raise DataError(
            "some players always won or lost against the others, so no finite strength fits",
            got=", ".join(str(names[player]) for player in few[:5]),
            do="leave them out, or compare more",
        )


def _maximum(data: _Data) -> tuple[Floats, float, Floats]:
    """(parameters, log-likelihood, information with the mean held) by Newton's method.

    The log-likelihood is concave in strengths and the tie parameter, so halving a step that does
    not raise it always leads to the maximum.
    """
    players = data.lead.shape[1]
    free = np.zeros(players + (data.ties is not None))
    if data.ties is Ties.RAO_KUPPER:
        free[-1] = 1.0
    hold = np.zeros((len(free), len(free)))
    hold[:players, :players] = 1 / players
    value, gradient, hessian = _likelihood(free, data)
    for _ in range(200):
        step = np.linalg.solve(hold - hessian, gradient)
        size = 1.0
        while True:
            there = _likelihood(free + size * step, data)
            if there[0] >= value or size < 1e-10:
                break
            size /= 2
        gain, free = there[0] - value, free + size * step
        value, gradient, hessian = there
        if gain < 1e-12 * max(1.0, abs(value)):
            break
    return free, value, hold - hessian


def _likelihood(free: Floats, data: _Data) -> tuple[float, Floats, Floats]:
    """(log-likelihood, its gradient, its second derivatives); -inf where t would be below 1."""
    players = data.lead.shape[1]
    gap = data.lead @ free[:players]
    tie = float(free[-1]) if data.ties else 0.0
    if data.ties is Ties.RAO_KUPPER and tie <= 0:
        return -np.inf, np.zeros_like(free), np.zeros((len(free), len(free)))
    each = _davidson if data.ties is Ties.DAVIDSON else _rao_kupper
    value, by_gap, by_tie, twice_gap, gap_tie, twice_tie = (
        data.weight * part for part in each(gap, tie, data.outcome)
    )
    gradient, hessian = np.zeros_like(free), np.zeros((len(free), len(free)))
    gradient[:players] = data.lead.T @ by_gap
    hessian[:players, :players] = data.lead.T @ (twice_gap[:, None] * data.lead)
    if data.ties:
        gradient[-1], hessian[-1, -1] = by_tie.sum(), twice_tie.sum()
        hessian[:players, -1] = hessian[-1, :players] = data.lead.T @ gap_tie
    return float(value.sum()), gradient, hessian


Derivatives = tuple[Floats, Floats, Floats, Floats, Floats, Floats]
"""Log-probability of each outcome; derivatives by gap, tie, gap twice, gap and tie, tie twice."""


def _davidson(gap: Floats, tie: float, outcome: Floats) -> Derivatives:
    logits = np.stack([gap / 2, np.full_like(gap, tie), -gap / 2])
    logs = logits - logsumexp(logits, axis=0)
    win, even, loss = np.exp(logs)
    mean, tied = (win - loss) / 2, (outcome == 0.5) * 1.0
    which = np.where(outcome == 1, 0, np.where(outcome == 0.5, 1, 2))
    value = np.take_along_axis(logs, which[None], axis=0)[0]
    spread = (win + loss) / 4 - mean**2
    return value, outcome - 0.5 - mean, tied - even, -spread, mean * even, -even * (1 - even)


def _rao_kupper(gap: Floats, tie: float, outcome: Floats) -> Derivatives:
    """A tie's probability is (t^2 - 1) P(win) P(loss); without ties t = 1 and this is the plain
    model."""
    won, lost, tied = ((outcome >= 0.5) * 1.0, (outcome <= 0.5) * 1.0, (outcome == 0.5) * 1.0)
    short, over = expit(tie - gap), expit(tie + gap)
    value = won * log_expit(gap - tie) + lost * log_expit(-gap - tie)
    slope = bend = 0.0
    if tie > 0:
        value = value + tied * np.log(np.expm1(2 * tie))
        slope = 2 / -np.expm1(-2 * tie)
        bend = -np.exp(-2 * tie) * slope**2
    first, second = won * short * (1 - short), lost * over * (1 - over)
    by_gap, by_tie = won * short - lost * over, tied * slope - won * short - lost * over
    return value, by_gap, by_tie, -first - second, first - second, tied * bend - first - second
