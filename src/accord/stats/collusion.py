"""Do two raters say the same more often than the tasks explain? A test of every pair of raters.

Raters agree because a task is easy, and because they are good. Both must be allowed for, or every
pair of honest raters would stand out. Given all votes on a task, only names are drawn here:

- how many departed from the task's lead, and what they said, stays as it is: its difficulty;
- who departed is drawn in proportion to the raters' own odds of departing.

That is Rasch's model of departures given the totals of the tasks (Rasch 1960; conditional
likelihood: Andersen 1970), and the statistic, same answers of one pair, is the kind that Ponocny
2001 tests it by. No truth is guessed, and tasks may differ as they like. The odds are fitted to all
votes, those of the pair too, which makes the test a little careful.

It finds whoever answers alike beyond that: two who agreed in secret, one person with two accounts,
or two honest people who share a taste, and, over hundreds of shared tasks, two experts among many
who are not. Votes alone cannot tell these apart.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from accord.stats.ratings import Floats, Ratings

SPREAD = 1.0
"""Standard deviation of raters' log-odds of departing, as far as few votes leave it open."""
SURE = 1e-9
Places = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alike:
    """What the test says of two raters."""

    one: Hashable
    other: Hashable
    shared: int
    """Tasks that both judged."""
    open: int
    """Of those, where the votes leave open whether these two are of one mind; a task on which all
    agree tells nothing of anybody."""
    same: int
    """Open tasks to which both gave the same answer."""
    expected: float
    """As many of these as difficulty and the two raters' own odds explain."""
    p: float
    """P(as many or more, by those alone); NaN without an open task."""
    q: float
    """`adjusted` p over all pairs that share a task."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Group:
    """Items with one number of votes."""

    raters: Places
    """[items, votes] columns."""
    codes: Places
    """[items, votes] answers."""
    departs: NDArray[np.bool_]
    """[items, votes] whether the answer is another than the lead's; nobody's where it has none."""
    led: NDArray[np.bool_]
    """[items] whether one answer alone leads."""


def alike(votes: Ratings) -> tuple[Alike, ...]:
    """Every two raters who share a task, the likest first.

    `votes` are answers to tasks, in canonical order. p is exact given the odds.
    """
    groups = _groups(votes)
    odds = np.exp(_log_odds(groups, len(votes.raters)))
    chances: dict[tuple[int, int], list[float]] = defaultdict(list)
    same: dict[tuple[int, int], list[bool]] = defaultdict(list)
    for group in groups:
        for one in range(group.codes.shape[1] - 1):
            chance = _chance_same(group, odds, one)
            equal = group.codes[:, one, None] == group.codes[:, one + 1 :]
            for row, names in enumerate(group.raters.tolist()):
                for place, other in enumerate(names[one + 1 :]):
                    chances[names[one], other].append(float(chance[row, place]))
                    same[names[one], other].append(bool(equal[row, place]))
    found = [_of_pair(votes, pair, chances[pair], same[pair]) for pair in sorted(chances)]
    q = adjusted([one.p for one, _ in found], [possible for _, possible in found])
    told = [replace(one, q=float(value)) for (one, _), value in zip(found, q, strict=True)]
    return tuple(sorted(told, key=lambda one: (math.isnan(one.p), one.q, one.p)))


def adjusted(p: Sequence[float], possible: Sequence[Floats]) -> Floats:
    """Adjusted p-values of tests that can take few values each, as tests on few tasks do.

    `possible` has all p-values that each test could have had, ascending. Calling all below .05
    makes at most 5% of the calls false on average: the step-down procedure of Doehler, Durand and
    Roquain 2018 (Electronic Journal of Statistics 12:1867), proven for independent tests,

        q of the k-th smallest p = max over j <= k of sum_i F_i(p_j) / (1 - F_i(p_j)) / j,

    F_i(x) being the largest p that test i could have had up to x, and at most 1. A test that cannot
    reach x adds nothing, where Benjamini and Hochberg would charge x for it. NaN stays NaN and is
    no test.
    """
    values = np.array(p, dtype=np.float64)
    there = np.flatnonzero(~np.isnan(values))
    order = there[np.argsort(values[there], kind="stable")]
    # An equal p of another test is reached too, whatever rounding made of it.
    reach = values[order] * (1 + SURE)
    charged = np.zeros(len(order))
    for test in there.tolist():
        below = np.searchsorted(possible[test], reach, side="right")
        law = np.concatenate([[0.0], np.minimum(possible[test], 1 - SURE)])[below]
        charged += law / (1 - law)
    rising = np.maximum.accumulate(charged / np.arange(1, len(order) + 1))
    values[order] = np.minimum(rising, 1)
    return values


def log_odds(votes: Ratings) -> dict[Hashable, float]:
    """Each rater's log-odds of departing from the lead, 0 the average of all.

    Conditional maximum likelihood, with a normal prior of standard deviation `SPREAD`.
    """
    fitted = _log_odds(_groups(votes), len(votes.raters))
    return dict(zip(votes.raters, fitted.tolist(), strict=True))


def _of_pair(
    votes: Ratings, pair: tuple[int, int], chances: Sequence[float], same: Sequence[bool]
) -> tuple[Alike, Floats]:
    """What is known of a pair but q, and every p that it could have had, ascending."""
    left = [
        (chance, equal)
        for chance, equal in zip(chances, same, strict=True)
        if SURE < chance < 1 - SURE
    ]
    law = np.ones(1)
    for chance, _ in left:
        law = np.convolve(law, [1 - chance, chance])
    # P(as many or more) for each count, the largest count first.
    tails = np.minimum(np.cumsum(law[::-1]), 1.0)
    count = sum(equal for _, equal in left)
    one = Alike(
        one=votes.raters[pair[0]],
        other=votes.raters[pair[1]],
        shared=len(chances),
        open=len(left),
        same=count,
        expected=math.fsum(chance for chance, _ in left),
        p=float(tails[len(left) - count]) if left else math.nan,
        q=math.nan,
    )
    return one, tails


# ---- the tasks -----------------------------------------------------------------------------------


def _groups(votes: Ratings) -> tuple[_Group, ...]:
    """Items with two votes or more, by their number of votes."""
    codes, counts = votes.codes(), votes.counts()
    cast = (codes >= 0).sum(axis=1)
    made = []
    for number in sorted(set(cast[cast >= 2].tolist())):
        rows = np.flatnonzero(cast == number)
        raters = np.nonzero(codes[rows] >= 0)[1].reshape(-1, number)
        said = np.take_along_axis(codes[rows], raters, axis=1)
        top = counts[rows].max(axis=1)
        led = (counts[rows] == top[:, None]).sum(axis=1) == 1
        departs = led[:, None] & (said != counts[rows].argmax(axis=1)[:, None])
        made.append(_Group(raters=raters, codes=said, departs=departs, led=led))
    return tuple(made)


def _chance_same(group: _Group, odds: Floats, one: int) -> Floats:
    """[items, later places] P(the vote at a place is equal to that at `one`) by the null."""
    items, cast = group.codes.shape
    weights, away = odds[group.raters], group.departs.sum(axis=1)
    rows, most = np.arange(items), int(away.max())
    total = _sums(weights, most)[rows, away, None]
    # For each later place the others' weights: without it and without `one`.
    left = np.repeat(weights[:, None, :], cast - 1 - one, axis=1)
    left[:, :, one] = 0
    left[:, np.arange(cast - 1 - one), np.arange(one + 1, cast)] = 0
    rest = _sums(left, most)
    neither = rest[rows, :, away] / total
    both = np.where(away[:, None] >= 2, rest[rows, :, np.maximum(away - 2, 0)], 0.0) / total
    both *= weights[:, one, None] * weights[:, one + 1 :]
    matching, strays, free = np.zeros(items), away * (away - 1.0), np.zeros(items)
    for code in range(int(group.codes.max()) + 1):
        here = group.codes == code
        departing, given = (here & group.departs).sum(axis=1), here.sum(axis=1)
        matching += departing * (departing - 1)
        free += given * (given - 1.0)
    alike_if_both = np.divide(matching, strays, out=np.zeros(items), where=strays > 0)
    # Where no answer leads, nobody departs: names are drawn evenly.
    even: Floats = free / (cast * (cast - 1))
    return np.where(group.led[:, None], neither + both * alike_if_both[:, None], even[:, None])


# ---- the odds ------------------------------------------------------------------------------------


def _sums(weights: Floats, most: int) -> Floats:
    """[..., most + 1] elementary symmetric functions of [..., places] weights."""
    found = np.zeros((*weights.shape[:-1], most + 1))
    found[..., 0] = 1
    for place in range(weights.shape[-1]):
        found[..., 1:] = found[..., 1:] + weights[..., place, None] * found[..., :-1]
    return found


def _expected(weights: Floats, away: Places) -> tuple[Floats, Floats]:
    """([items, places] P(departs), [items] ln of the normaliser), given how many departed."""
    items, places = weights.shape
    most = int(away.max())
    before, after = [np.zeros((items, most + 1))], [np.zeros((items, most + 1))]
    before[0][:, 0] = after[0][:, 0] = 1
    for place in range(places):
        for sums, column in ((before, place), (after, places - 1 - place)):
            grown = sums[-1].copy()
            grown[:, 1:] += weights[:, column, None] * sums[-1][:, :-1]
            sums.append(grown)
    rows = np.arange(items)
    total = before[places][rows, away]
    shares = np.zeros((items, places))
    for place in range(places):
        first, second = before[place], after[places - 1 - place]
        for taken in range(most):
            rest = away - 1 - taken
            some = np.where(rest >= 0, second[rows, np.maximum(rest, 0)], 0.0)
            shares[:, place] += first[:, taken] * some
    return shares * weights / total[:, None], np.log(total)


def _log_odds(groups: Sequence[_Group], raters: int) -> Floats:
    told = [group for group in groups if group.departs.any()]

    def loss(logs: Floats) -> tuple[float, Floats]:
        value, slope = float(logs @ logs) / (2 * SPREAD**2), logs / SPREAD**2
        for group in told:
            rows = group.departs.any(axis=1)
            who, departs = group.raters[rows], group.departs[rows]
            shares, normaliser = _expected(np.exp(logs[who]), departs.sum(axis=1))
            value += float(normaliser.sum() - logs[who][departs].sum())
            slope = slope + np.bincount(who.ravel(), (shares - departs).ravel(), raters)
        return value, slope

    if not told:
        return np.zeros(raters)
    options = {"ftol": 1e-12, "gtol": 1e-7, "maxiter": 500}
    found = minimize(loss, np.zeros(raters), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(found.x, dtype=np.float64)
