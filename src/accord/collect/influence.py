"""How much one rater may weigh, and what changes when one is removed.

A cap on each rater's share of the training weight bounds what any one person, careless or hostile,
can teach a model. It makes no collection proof against several who act together.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accord.collect.consensus import consensus
from accord.collect.habits import rater_report
from accord.collect.quality import percent_agreement
from accord.collect.tasks import Purpose
from accord.collect.trust import Trust, TrustSettings, decide
from accord.collect.votes import WORK, Votes
from accord.core.errors import DataError

SAME = 1e-12
TRAINS = (Purpose.WORK, Purpose.ADJUDICATION)
"""What judgements are asked for that a frozen set holds by default."""
Pair = tuple[str, int, int]
"""A task, its lower and its higher place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One rater's part of a training set."""

    rater: str
    judgements: int
    """Those with an order, of tasks that are asked for training: what can train."""
    before: float
    """Share of the weight before the cap."""
    after: float
    weight: float
    """Of each judgement, trust and cap together, in [0, 1]; trust alone where nothing can train."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Influence:
    """Every rater's part, and the cap that held."""

    cap: float
    why: str
    """Where the cap comes from, in words."""
    shares: tuple[Share, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Without:
    """What changes when a rater is removed, over the pairs of work tasks.

    One vote less never makes a majority the opposite one, only a tie of votes; it can turn what
    Dawid-Skene believes, because the others are believed differently then.
    """

    rater: str
    judgements: int
    """Of the rater, on work tasks; 0 for one in quarantine."""
    pairs: int
    """That have a vote now."""
    flipped: tuple[Pair, ...]
    """Pairs whose likeliest answer by one-coin Dawid-Skene becomes another."""
    opened: tuple[Pair, ...]
    """Pairs that had a majority and have none."""
    settled: tuple[Pair, ...]
    """Pairs that had none and have one."""
    lost: tuple[Pair, ...]
    """Pairs that nobody else judged: comparisons that are gone."""
    agreement_before: float
    """Percent agreement of pairs of raters on pairs of responses; NaN where nobody shares one."""
    agreement_after: float


def influence(
    votes: Votes,
    trusts: Sequence[Trust],
    settings: TrustSettings | None = None,
    *,
    purposes: Sequence[Purpose] = TRAINS,
) -> Influence:
    """The weight of every rater's judgements after the cap.

    Capped is the share of the weight of a frozen set (`reckoning`), where the judgements of a task
    share one weight, over the probability with which it was picked: who judges alone weighs more.
    """
    rules = settings or TrustSettings()
    trust = {one.rater: one.weight for one in trusts}
    able = votes.of(*purposes).only(lambda row: row.tiers is not None)
    counts = Counter(row.rater for row in able.rows)
    parts = _parts(votes, able.only(lambda row: trust.get(row.rater, 1.0) > 0))
    weights = {name: trust.get(name, 1.0) * parts.get(name, 0.0) for name in votes.raters}
    cap, why = cap_for(sum(weight > 0 for weight in weights.values()), rules)
    held = capped(weights, cap)
    before, after = math.fsum(weights.values()), math.fsum(held.values())
    return Influence(
        cap=cap,
        why=why,
        shares=tuple(
            Share(
                rater=name,
                judgements=counts[name],
                before=weights[name] / before if before else 0.0,
                after=held[name] / after if after else 0.0,
                weight=held[name] / parts[name] if name in parts else trust.get(name, 1.0),
            )
            for name in votes.raters
        ),
    )


def _parts(votes: Votes, able: Votes) -> dict[str, float]:
    """What each rater's judgements weigh in a set of all that are `able` at a rater weight of 1."""
    picked = {row.task: row.inclusion for row in votes.rows if row.repeats is None}
    # A repeat or adjudication shares weight and inclusion with the task that it shows again.
    units = [row.repeats or row.task for row in able.rows]
    judged = Counter(units)
    parts: dict[str, list[float]] = {}
    for row, unit in zip(able.rows, units, strict=True):
        part = 1 / (judged[unit] * picked.get(unit, row.inclusion))
        parts.setdefault(row.rater, []).append(part)
    return {name: math.fsum(found) for name, found in parts.items()}


def rater_weights(
    votes: Votes,
    settings: TrustSettings | None = None,
    *,
    purposes: Sequence[Purpose] = TRAINS,
) -> dict[str, float]:
    """What each judgement of a rater weighs in training by the rules and the cap, in [0, 1].

    `purposes` are those of the tasks whose judgements are frozen.
    """
    trusts = decide(rater_report(votes, resamples=0), settings)
    found = influence(votes, trusts, settings, purposes=purposes)
    return {one.rater: one.weight for one in found.shares}


def cap_for(raters: int, settings: TrustSettings | None = None) -> tuple[float, str]:
    """(largest share of one of so many raters, why): the stated one where it is possible."""
    rules = settings or TrustSettings()
    possible = min(1.0, rules.spread / max(raters, 1))
    if possible <= rules.most_share:
        return rules.most_share, f"no rater weighs more than {rules.most_share:.1%}"
    if possible == 1:
        return possible, "with so few raters one of them may have all of the weight"
    return possible, (
        f"no rater weighs more than {possible:.1%}, {rules.spread:g} times an even share;"
        f" with more raters the cap falls to {rules.most_share:.1%}"
    )


def capped(weights: Mapping[str, float], cap: float) -> dict[str, float]:
    """Weights of which none is more than `cap` of their sum, and none is raised.

    Water-filling: those above a level are lowered to it, the level being `cap` times the sum of
    what is left, so that the others keep all of theirs. Raises DataError for negative weights, a
    cap outside (0, 1], and one that so few positive weights cannot keep.
    """
    values = sorted((w for w in weights.values() if w > 0), reverse=True)
    if any(not (w >= 0 and math.isfinite(w)) for w in weights.values()) or not 0 < cap <= 1:
        raise DataError("a cap is in (0, 1] and weights are finite and at least 0", got=cap)
    if not values:
        return dict(weights)
    if cap * len(values) < 1 - SAME:
        raise DataError(
            "so few raters cannot each weigh so little",
            got=f"{len(values)} raters, cap {cap:g}",
            do=f"use a cap of at least {1 / len(values):g}",
        )
    rest, level = math.fsum(values), math.inf
    for above, value in enumerate(values):
        # With `above` raters lowered: level = cap * (above * level + rest).
        level = cap * rest / (1 - cap * above)
        if value <= level * (1 + SAME):
            break
        rest -= value
    return {name: min(weight, level) for name, weight in weights.items()}


def without(votes: Votes, rater: str) -> Without:
    """What changes when a rater is removed. Raises DataError for one who judged nothing."""
    if rater not in votes.raters:
        raise DataError(
            "this rater judged nothing here",
            got=rater,
            do=f"name one of: {', '.join(votes.raters) or 'nobody did'}",
        )
    work = votes.trusted().of(*WORK)
    rest = work.without(rater)
    now, then = (
        {(one.task, one.one, one.other): one for one in consensus(some)} for some in (work, rest)
    )
    both = sorted(now.keys() & then.keys())
    return Without(
        rater=rater,
        judgements=len(work.rows) - len(rest.rows),
        pairs=len(now),
        flipped=tuple(pair for pair in both if now[pair].believed != then[pair].believed),
        opened=tuple(p for p in both if then[p].majority is None is not now[p].majority),
        settled=tuple(p for p in both if now[p].majority is None is not then[p].majority),
        lost=tuple(sorted(now.keys() - then.keys())),
        agreement_before=percent_agreement(work),
        agreement_after=percent_agreement(rest),
    )
