"""Is a rater's habit more than chance? Position, length, consistency, consensus, drift, copying.

Each test asks one question of every rater and answers with a `Finding`: an estimate with its
interval, an exact p-value, and a q-value that allows for asking many raters. Call a rater out where
q is below the share of false calls that you accept (.05, say). A finding is a reason to look, not a
verdict: a rater with another taste disagrees honestly, and random raters make the others' consensus
a weak witness.

Votes are numbers: 1 the pair's canonical first response is better, 0 the second, .5 a tie (the two
places on the screen are for `position_bias` alone).

Tests against the others are conditional: given all votes on a pair, under the null the rater's own
is any of them with equal chance, as if names were drawn. That needs no model of difficulty or
length, and is exact however few the votes. It compares with the pool: a habit that all share cannot
be seen.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accord.core.errors import DataError
from accord.stats import intervals
from accord.stats.exact import Side, binomial, clopper_pearson, fisher
from accord.stats.intervals import Interval
from accord.stats.ratings import Floats, Ratings

NEAR = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a test says of one rater."""

    rater: Hashable
    interval: Interval
    """The habit's estimate; `interval.clusters` are the judgements behind it."""
    p: float
    """Chance of a habit as strong without any; NaN where the data cannot tell."""
    q: float
    """Benjamini-Hochberg's adjusted p among the findings that came together."""
    n: int
    """Judgements used."""


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjusted p-values: calling all below .05 makes at most 5% of the calls false on average.

    min over larger p of p * tests / rank (Benjamini and Hochberg 1995), for tests that are
    independent or rise together. NaN stays NaN and is no test.
    Raises DataError for values outside [0, 1].
    """
    values = np.array(p, dtype=np.float64)
    there = ~np.isnan(values)
    if values.ndim != 1 or not ((values[there] >= 0) & (values[there] <= 1)).all():
        raise DataError("adjusting needs a flat list of p-values in [0, 1]")
    order = np.flatnonzero(there)[np.argsort(-values[there], kind="stable")]
    ranks = np.arange(len(order), 0, -1)
    values[order] = np.minimum.accumulate(np.minimum(values[order] * len(order) / ranks, 1))
    return values


def together(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The same findings with q over all of them: for asking several questions of every rater."""
    listed = tuple(findings)
    adjusted = benjamini_hochberg([finding.p for finding in listed])
    return tuple(replace(f, q=float(q)) for f, q in zip(listed, adjusted, strict=True))


# ---- a rater alone -------------------------------------------------------------------------------


def position_bias(
    raters: Sequence[Hashable], first_won: ArrayLike, *, level: float = 0.95
) -> tuple[Finding, ...]:
    """P(the response shown first wins) of each rater, against 1/2 (two-sided binomial test).

    One entry a judgement: 1 where the first or upper one on the screen won, 0 where it lost, .5 a
    tie, which is left out. Places must have been drawn at random for each judgement: then quality
    cannot explain a deviation. Clopper-Pearson intervals.
    Raises DataError for mixed lengths and other numbers.
    """
    won = _outcomes(raters, first_won)
    findings = []
    for rater, mine in _each(raters):
        clear = won[mine][won[mine] != 0.5]
        wins, n = int(clear.sum()), len(clear)
        if n == 0:
            findings.append(_silent(rater, level))
            continue
        interval = _interval(wins / n, *clopper_pearson(wins, n, level=level), level, n)
        findings.append(_finding(rater, interval, binomial(wins, n), n))
    return together(findings)


def self_consistency(
    raters: Sequence[Hashable], before: ArrayLike, after: ArrayLike, *, level: float = 0.95
) -> tuple[Finding, ...]:
    """Share of repeated pairs on which a rater says the same again, against the other raters.

    One entry a repeated pair: its canonical votes at the first and at the second showing, which
    swaps places, so that a vote by place contradicts itself. p is Fisher's exact test, one-sided:
    less consistent than all others together. Wilson intervals. Fewer than some ten repeats a rater
    can only show guessing.
    Raises DataError for mixed lengths and votes outside [0, 1].
    """
    first, second = _outcomes(raters, before), _outcomes(raters, after)
    same = np.abs(first - second) < NEAR
    findings = []
    for rater, mine in _each(raters):
        n, kept = int(mine.sum()), int(same[mine].sum())
        others = [int(same[~mine].sum()), int((~same[~mine]).sum())]
        p = fisher([[kept, n - kept], others], Side.LESS)
        interval = intervals.proportion(kept, n, level=level)
        findings.append(_finding(rater, interval, p if sum(others) else math.nan, n))
    return together(findings)


def drift(
    raters: Sequence[Hashable], agreed: ArrayLike, when: ArrayLike, *, level: float = 0.95
) -> tuple[Finding, ...]:
    """Change of a rater's agreement with the others from the first to the second half of the time.

    One entry a judgement: its credit (`consensus_credit`; .5 is left out) and its time in any unit.
    The estimate is the later share minus the earlier; p is Fisher's exact test, two-sided; the
    interval joins two Wilson intervals (Newcombe 1998, method 10). A slow change of the pairs
    themselves (harder ones later) would show in every rater.
    Raises DataError for mixed lengths and credits outside [0, 1].
    """
    credit, time = _outcomes(raters, agreed), np.asarray(when, dtype=np.float64)
    if time.shape != credit.shape or not np.isfinite(time).all():
        raise DataError("drift needs a finite time for every judgement", got=time.shape)
    findings = []
    for rater, mine in _each(raters):
        order = np.argsort(time[mine], kind="stable")
        clear = credit[mine][order]
        clear = clear[clear != 0.5]
        if len(clear) < 2:
            findings.append(_silent(rater, level))
            continue
        halves = clear[: (len(clear) + 1) // 2], clear[(len(clear) + 1) // 2 :]
        table = [[int(half.sum()), int((1 - half).sum())] for half in halves]
        early, late = (intervals.proportion(half.sum(), len(half), level=level) for half in halves)
        change = late.estimate - early.estimate
        down = math.hypot(late.estimate - late.low, early.high - early.estimate)
        up = math.hypot(late.high - late.estimate, early.estimate - early.low)
        interval = _interval(change, change - down, change + up, level, len(clear))
        findings.append(_finding(rater, interval, fisher(table), len(clear)))
    return together(findings)


# ---- a rater beside the others -------------------------------------------------------------------


def consensus_credit(votes: Ratings) -> Floats:
    """[items, raters] whether a vote is the one that most others gave: 1, 0, or NaN without others.

    .5 where it is one of several that share the lead among the others.
    """
    codes, counts = votes.codes(), votes.counts()
    return np.stack([_credits(codes[:, column], counts) for column in range(codes.shape[1])], 1)


def consensus_agreement(votes: Ratings, *, level: float = 0.95) -> tuple[Finding, ...]:
    """Mean credit of each rater against what the same votes would give to anybody.

    p is one-sided (agrees less), conditional on the votes of every pair. A rater who guesses,
    inverts, or votes by place has a small one, and so has an honest minority: look at
    `self_consistency` beside it. Wilson intervals of the mean credit.
    """
    codes, counts = votes.codes(), votes.counts()
    credit, findings = consensus_credit(votes), []
    for column, rater in enumerate(votes.raters):
        used = ~np.isnan(credit[:, column])
        n, seen = int(used.sum()), credit[used, column]
        if n == 0:
            findings.append(_silent(rater, level))
            continue
        chances = np.zeros((n, 3))
        for category in range(counts.shape[1]):
            # As if the vote were this one and the rater's own belonged to somebody else.
            swapped = np.where(codes[used, column] >= 0, category, -1)
            worth = _credits(swapped, counts[used])
            share = counts[used, category] / counts[used].sum(axis=1)
            held = share > 0
            chances[np.flatnonzero(held), (2 * worth[held]).astype(int)] += share[held]
        below, _ = _tails(chances, round(2 * seen.sum()))
        interval = intervals.proportion(float(seen.sum()), n, level=level)
        findings.append(_finding(rater, interval, below, n))
    return together(findings)


def trait_bias(votes: Ratings, lead: ArrayLike, *, level: float = 0.95) -> tuple[Finding, ...]:
    """Does a rater take the longer answer more often than the others do on the same pairs?

    `lead` has one number an item: the trait of the canonical first response minus the second's
    (characters, lists, exclamation marks ...); 0 leaves the pair out, as ties of the vote are. The
    estimate is the rater's share of votes for the side with more of it less the others' share on
    the same pairs, with Student's interval over pairs. Longer answers are often better: comparing
    votes on the same pair takes out whatever length has to do with quality there, without a model
    of it. p is two-sided, conditional on the votes of every pair.
    A rater who is better or worse than the others differs a little for that reason alone, by less
    than .05 in common cases; thousands of judgements would show it.
    Raises DataError unless there is a finite lead for every item and votes lie in [0, 1].
    """
    sides = np.asarray(lead, dtype=np.float64)
    if sides.shape != (len(votes.items),) or not np.isfinite(sides).all():
        raise DataError("trait bias needs a finite lead for every item", got=sides.shape)
    values = _binary(votes)
    values = np.where(sides[:, None] < 0, 1 - values, values)[sides != 0]
    cast, taken = (~np.isnan(values)).sum(axis=1), np.nansum(values, axis=1)
    findings = []
    for column, rater in enumerate(votes.raters):
        used = ~np.isnan(values[:, column]) & (cast > 1)
        mine, n = values[used, column], int(used.sum())
        if n == 0:
            findings.append(_silent(rater, level))
            continue
        share = taken[used] / cast[used]
        below, above = _tails(np.stack([1 - share, share], axis=1), round(mine.sum()))
        excess = mine - (taken[used] - mine) / (cast[used] - 1)
        if n > 1:
            interval = intervals.mean(excess, level=level)
        else:
            interval = _interval(float(excess[0]), math.nan, math.nan, level, n)
        findings.append(_finding(rater, interval, min(1.0, 2 * min(below, above)), n))
    return together(findings)


def copying(votes: Ratings, *, level: float = 0.95) -> tuple[Finding, ...]:
    """For each pair of raters: does one share the other's errors? `rater` is (one, other).

    Looks at pairs of responses on which `other` differs from the lead of all other raters.
    The estimate is how often `one` differs there likewise, with Wilson's interval. Two things must
    hold, and p is the larger of their one-sided p-values: `one` sides with `other` there more often
    than the rest do (conditional on the votes), and more than `one` differs elsewhere (Fisher). So
    neither raters who guess nor two who are better than the rest look like copies. Needs some 60
    pairs that both and several others judged.
    """
    codes, counts = votes.codes(), votes.counts()
    findings = []
    for one, first in enumerate(votes.raters):
        for other, second in enumerate(votes.raters):
            if one == other:
                continue
            both = (codes[:, one] >= 0) & (codes[:, other] >= 0)
            found = _shared_errors(codes[both][:, [one, other]], counts[both], level)
            findings.append(replace(found, rater=(first, second)))
    return together(findings)


def following(votes: Ratings, order: ArrayLike, *, level: float = 0.95) -> tuple[Finding, ...]:
    """Does a rater repeat the answer that was there?

    `order` has the time of every vote in any unit, [items, raters]. The estimate is how often a
    rater says what the latest vote before said, with Wilson's interval. Two one-sided tests, p the
    smaller of them doubled: agrees with that vote more than with the other votes of the same items
    (conditional on those: any of them may as well have been the latest), and more than with the
    next vote after, on items where the rater came first (Fisher). The first finds who repeats one
    answer of several, the second who has no opinion of their own where no answer is there.
    Raises DataError for a vote without a time and for another shape.
    """
    codes, when = votes.codes(), np.asarray(order, dtype=np.float64)
    if when.shape != codes.shape or not np.isfinite(when[codes >= 0]).all():
        raise DataError("following needs a finite time for every vote", got=when.shape)
    findings = []
    for column, rater in enumerate(votes.raters):
        found = _led(codes, when, column, level)
        findings.append(replace(found, rater=rater))
    return together(findings)


def _led(codes: NDArray[np.intp], when: Floats, column: int, level: float) -> Finding:
    after, behind, shares = [], [], []
    for row in np.flatnonzero(codes[:, column] >= 0):
        others = np.flatnonzero(codes[row] >= 0)
        others = others[others != column]
        earlier = others[when[row, others] < when[row, column]]
        same = codes[row] == codes[row, column]
        if len(earlier):
            behind.append(bool(same[earlier[when[row, earlier].argmax()]]))
            shares.append(float(same[others].mean()))
        elif len(others):
            after.append(bool(same[others[when[row, others].argmin()]]))
    if not behind:
        return _silent(None, level)
    chances = np.array(shares)
    _, by_votes = _tails(np.stack([1 - chances, chances], axis=1), sum(behind))
    table = [[sum(group), len(group) - sum(group)] for group in (behind, after)]
    by_turn = fisher(table, Side.GREATER)
    interval = intervals.proportion(sum(behind), len(behind), level=level)
    p = min(1.0, 2 * min(by_votes, float(by_turn)))
    return _finding(None, interval, p, len(behind))


def _shared_errors(codes: NDArray[np.intp], counts: Floats, level: float) -> Finding:
    rows = np.arange(len(codes))
    rest = counts.copy()
    rest[rows, codes[:, 1]] -= 1
    top = rest.max(axis=1, initial=0)
    clear = (top > 0) & ((rest == top[:, None]).sum(axis=1) == 1)
    lead = rest.argmax(axis=1)
    apart, strays = clear & (codes[:, 1] != lead), codes[:, 0] != lead
    likewise = (codes[:, 0] == codes[:, 1])[apart]
    n, shared = int(apart.sum()), int(likewise.sum())
    elsewhere = clear & ~apart
    if n == 0:
        return _silent(None, level)
    share = rest[rows, codes[:, 1]][apart] / rest.sum(axis=1)[apart]
    _, more_than_the_rest = _tails(np.stack([1 - share, share], axis=1), shared)
    table = [
        [shared, n - shared],
        [int(strays[elsewhere].sum()), int((~strays[elsewhere]).sum())],
    ]
    more_than_usual = fisher(table, Side.GREATER)
    interval = intervals.proportion(shared, n, level=level)
    return _finding(None, interval, max(more_than_the_rest, more_than_usual), n)


# ---- the parts -----------------------------------------------------------------------------------


def _outcomes(raters: Sequence[Hashable], values: ArrayLike) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    if column.shape != (len(raters),):
        raise DataError(
            "every judgement needs a rater and an outcome",
            got=f"{len(raters)} raters, {column.shape} outcomes",
        )
    if not ((column >= 0) & (column <= 1)).all():
        raise DataError("outcomes must lie in [0, 1]")
    return column


def _binary(votes: Ratings) -> Floats:
    """[items, raters] votes with ties as NaN."""
    seen = votes.values[~np.isnan(votes.values)]
    if not np.isin(seen, (0.0, 0.5, 1.0)).all():
        raise DataError("votes on a pair must be 0, .5 or 1", got=seen[:5])
    return np.where(votes.values == 0.5, np.nan, votes.values)


def _each(raters: Sequence[Hashable]) -> list[tuple[Hashable, NDArray[np.bool_]]]:
    """(name, which judgements) of each rater, by first appearance."""
    order = {name: number for number, name in enumerate(dict.fromkeys(raters))}
    index = np.array([order[name] for name in raters], dtype=np.intp)
    return [(name, index == number) for name, number in order.items()]


def _credits(codes: NDArray[np.intp], counts: Floats) -> Floats:
    """Credit of one vote an item, where `counts` holds it among the votes."""
    rated = codes >= 0
    others = counts.copy()
    rows = np.flatnonzero(rated)
    others[rows, codes[rows]] -= 1
    top = others.max(axis=1, initial=0)
    leads = (others == top[:, None]).sum(axis=1)
    mine = others[np.arange(len(codes)), np.maximum(codes, 0)] == top
    credit = np.where(mine, np.where(leads == 1, 1.0, 0.5), 0.0)
    return np.where(rated & (top > 0), credit, np.nan)


def _tails(chances: Floats, total: int) -> tuple[float, float]:
    """P(sum <= total), P(sum >= total) of independent whole numbers from 0, a row of chances each.

    Exact, by convolution.
    """
    law = np.ones(1)
    for row in chances:
        law = np.convolve(law, row)
    law /= law.sum()
    return float(min(1.0, law[: total + 1].sum())), float(min(1.0, law[total:].sum()))


def _interval(estimate: float, low: float, high: float, level: float, n: int) -> Interval:
    return Interval(
        estimate=float(estimate), low=float(low), high=float(high), level=level, clusters=n
    )


def _finding(rater: Hashable, interval: Interval, p: float, n: int) -> Finding:
    return Finding(rater=rater, interval=interval, p=float(p), q=math.nan, n=n)


def _silent(rater: Hashable, level: float) -> Finding:
    """Nothing to judge by."""
    return _finding(rater, _interval(math.nan, math.nan, math.nan, level, 0), math.nan, 0)
