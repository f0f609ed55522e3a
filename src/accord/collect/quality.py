"""How far raters agree, and what that allows a reward model: every figure with its n and interval.

Agreement is measured on tasks that were drawn at random: where tasks were picked for being hard,
or easy, raters agree less, or more, than they would on what the model will meet. Judgements of
raters in quarantine are left out and counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from accord.collect.sheet import RaterKind
from accord.collect.tasks import RANDOM
from accord.collect.votes import WORK, Table, Votes
from accord.stats.agreement import Coefficient
from accord.stats.agreement_intervals import agreement_interval
from accord.stats.intervals import Interval
from accord.stats.kendall import item_taus, mean_tau_b
from accord.store.judgements import Verdict

OF_VERDICTS = (Coefficient.PERCENT, Coefficient.ALPHA_NOMINAL, Coefficient.AC1)
OF_RATINGS = (Coefficient.PERCENT, Coefficient.ALPHA_ORDINAL, Coefficient.AC2_ORDINAL)
TAU = "kendall-tau-b"
UNTIED = "ac1, ties left out"
"""AC1 of two answers alone: with ties it has three, whether or not anybody gave the third."""
SAME = "everybody said the same: chance cannot be told"
"""Why a coefficient that corrects for chance has no value."""
ORDER = "order"
"""Name of the figures about which response is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One figure of agreement."""

    about: str
    """`order`, or the criterion."""
    coefficient: str
    interval: Interval | None
    """None where `why` says that the data cannot tell."""
    judgements: int
    """Judgements of items (pairs, or rated responses) that two raters judged."""
    items: int
    prompts: int
    """What the interval draws by."""
    raters: int
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Agreement among some raters on some tasks."""

    raters: str
    """`all`, or one kind of rater."""
    tasks: str
    """`random`, or `picked` for those that a selection chose."""
    figures: tuple[Figure, ...]
    ceiling: Ceiling | None
    """None where no two raters ordered the same pair."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ceiling:
    """How often any model can say what one rater says of a pair that the rater did not tie.

    Two raters agree with probability E[p^2 + (1 - p)^2] over pairs, p being the share of raters who
    prefer the first; nothing that sees the texts alone can be right more often than
    E[max(p, 1 - p)]. If agreement is A, that lies between A (some pairs are certain, the others a
    coin) and (1 + sqrt(2 A - 1)) / 2 (all pairs equally hard), by Jensen's inequality.
    """

    agreement: Interval
    """Percent agreement on pairs that neither rater tied."""
    least: float
    most: float
    highest: float
    """`most` at the upper limit of the agreement: no reward model is expected to pass it."""
    pairs: int
    prompts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What became of the judgements of a campaign."""

    judgements: int
    used: int
    """Of those, on work tasks and not in quarantine: what agreement is measured on."""
    ordered: int
    """Rankings and ties."""
    ties: int
    """Of those, everything equal."""
    all_bad: int
    skips: int
    late: int
    quarantined: int
    """Of raters in quarantine: in no figure here."""
    raters: int
    prompts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoRaters:
    """What two raters agree on."""

    one: str
    other: str
    figures: tuple[Figure, ...]
    """About the order: percent, and Cohen's kappa."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """What `accord agreement` shows."""

    counts: Counts
    groups: tuple[Group, ...]


def agreement(
    votes: Votes, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Agreement:
    """Agreement of the order and of each criterion, over all and by kind of rater.

    Of work tasks alone: known answers are easy, repeats are the same rater, adjudication comes
    after. Intervals draw whole prompts (`agreement_interval`). Order: percent, Krippendorff's
    nominal alpha and AC1 over pairs; criteria: percent, ordinal alpha and ordinal AC2 over rated
    responses; with three and more responses Kendall's tau-b too. Reproducible by `seed`.
    """
    used = votes.trusted().of(*WORK)
    kinds = sorted({row.kind for row in used.rows})
    picks: list[tuple[str, str, Votes]] = []
    for stream in ("random", "picked"):
        here = used.only(_stream(stream))
        if stream == "picked" and not here.rows:
            continue
        picks.append(("all", stream, here))
        if len(kinds) > 1:
            picks += [(kind.value, stream, here.only(_of_kind(kind))) for kind in kinds]
    groups = [
        Group(
            raters=raters,
            tasks=stream,
            figures=_figures(rows, votes.criteria, level, resamples, seed),
            ceiling=_ceiling(rows, level, resamples, seed),
        )
        for raters, stream, rows in picks
    ]
    return Agreement(counts=count(votes), groups=tuple(groups))


def review_agreement(
    votes: Votes, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[Figure, ...]:
    """Whether reviewers of a text say the same of it: percent, nominal alpha and AC1 over texts.

    Of people who are not in quarantine. Intervals draw whole prompts; reproducible by `seed`.
    """
    table = votes.trusted().only(lambda row: row.kind is RaterKind.HUMAN).accepted()
    return tuple(
        figure("review", one, table, level=level, resamples=resamples, seed=seed)
        for one in OF_VERDICTS
    )


def count(votes: Votes) -> Counts:
    """How many judgements there are of each kind, over all tasks."""
    rows, kept = votes.rows, votes.trusted()
    verdicts = [row.verdict for row in rows]
    return Counts(
        judgements=len(rows),
        used=len(kept.of(*WORK).rows),
        ordered=sum(row.best is not None for row in rows),
        ties=verdicts.count(Verdict.TIE),
        all_bad=verdicts.count(Verdict.ALL_BAD),
        skips=verdicts.count(Verdict.SKIP),
        late=sum(row.late for row in rows),
        quarantined=len(rows) - len(kept.rows),
        raters=len(votes.raters),
        prompts=len({row.prompt for row in rows}),
    )


def between_raters(
    votes: Votes,
    raters: Iterable[str],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[TwoRaters, ...]:
    """How often every two of `raters`, in their order, say the same of a pair of responses, and
    Cohen's kappa of it; as `agreement`. Who is in quarantine, or ordered nothing, is in none.
    """
    table = votes.trusted().of(*WORK).pairs()
    there = [rater for rater in raters if rater in table.ratings.raters]
    found = []
    for one, other in combinations(there, 2):
        both = Table(ratings=table.ratings.only(one, other), prompts=table.prompts)
        figures = tuple(
            figure(ORDER, of, both, level=level, resamples=resamples, seed=seed)
            for of in (Coefficient.PERCENT, Coefficient.COHEN)
        )
        found.append(TwoRaters(one=one, other=other, figures=figures))
    return tuple(found)


def percent_agreement(votes: Votes) -> float:
    """Share of rater pairs that say the same of a pair of responses; NaN where there are none."""
    shares = _agreeing(votes.pairs())
    return float(shares.mean()) if len(shares) else math.nan


# ---- the parts -----------------------------------------------------------------------------------


def _stream(name: str) -> Callable[..., bool]:
    return lambda row: (row.selected_by == RANDOM) == (name == "random")


def _of_kind(kind: RaterKind) -> Callable[..., bool]:
    return lambda row: row.kind is kind


def _figures(
    votes: Votes, criteria: tuple[str, ...], level: float, resamples: int, seed: int
) -> tuple[Figure, ...]:
    asked = [(ORDER, coefficient, votes.pairs()) for coefficient in OF_VERDICTS]
    asked += [(name, c, votes.rated(name)) for name in criteria for c in OF_RATINGS]
    found = [
        figure(about, coefficient, table, level=level, resamples=resamples, seed=seed)
        for about, coefficient, table in asked
    ]
    untied = votes.pairs(ties=False)
    two = figure(ORDER, Coefficient.AC1, untied, level=level, resamples=resamples, seed=seed)
    found.insert(len(OF_VERDICTS), replace(two, coefficient=UNTIED))
    if any(len(row.responses) > 2 for row in votes.rows):
        found.insert(len(OF_VERDICTS) + 1, _tau(votes, level, resamples, seed))
    return tuple(found)


def figure(
    about: str,
    coefficient: Coefficient,
    table: Table,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Figure:
    """A coefficient over the items that two raters judged, or why the data cannot tell it."""
    shared = _shared(table)
    interval, why = None, _missing(shared)
    if not why:
        interval = agreement_interval(
            shared.ratings,
            coefficient,
            clusters=shared.prompts,
            level=level,
            resamples=resamples,
            seed=seed,
        )
        if math.isnan(interval.estimate):
            interval, why = None, SAME
    return _figure(about, coefficient.value, shared, interval, why)


def _figure(
    about: str, coefficient: str, table: Table, interval: Interval | None, why: str
) -> Figure:
    given = ~np.isnan(table.ratings.values)
    return Figure(
        about=about,
        coefficient=coefficient,
        interval=interval,
        judgements=int(given.sum()),
        items=len(table.ratings.items),
        prompts=len(set(table.prompts)),
        raters=int(given.any(axis=0).sum()),
        why=why,
    )


def _tau(votes: Votes, level: float, resamples: int, seed: int) -> Figure:
    rankings, prompts = votes.rankings()
    defined = ~np.isnan(item_taus(rankings))
    kept = [ranks for ranks, there in zip(rankings, defined, strict=True) if there]
    clusters = [prompt for prompt, there in zip(prompts, defined, strict=True) if there]
    interval, why = None, "needs two prompts whose responses two raters put in an order"
    if len(set(clusters)) > 1:
        why = ""
        interval = mean_tau_b(kept, clusters=clusters, level=level, resamples=resamples, seed=seed)
    return Figure(
        about=ORDER,
        coefficient=TAU,
        interval=interval,
        judgements=sum(len(ranks) for ranks in kept),
        items=len(kept),
        prompts=len(set(clusters)),
        raters=len({row.rater for row in votes.rows if row.best is not None}),
        why=why,
    )


def _shared(table: Table) -> Table:
    """Items that two raters judged."""
    ratings = table.ratings
    kept = np.flatnonzero((~np.isnan(ratings.values)).sum(axis=1) > 1)
    items = tuple(ratings.items[row] for row in kept)
    prompts = tuple(table.prompts[row] for row in kept)
    there = type(ratings)(
        values=ratings.values[kept], items=items, raters=ratings.raters, scale=ratings.scale
    )
    return Table(ratings=there, prompts=prompts)


def _missing(shared: Table) -> str:
    if not shared.ratings.items:
        return "no two raters judged the same"
    if len(set(shared.prompts)) < 2:
        return "needs two prompts"
    return ""


def _agreeing(table: Table) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Share of agreeing rater pairs of each item that two raters judged."""
    counts = table.ratings.counts() if table.ratings.items else np.zeros((0, 1))
    total = counts.sum(axis=1)
    used = total > 1
    counts, total = counts[used], total[used]
    return np.asarray((counts * (counts - 1)).sum(axis=1) / (total * (total - 1)))


def _ceiling(votes: Votes, level: float, resamples: int, seed: int) -> Ceiling | None:
    shared = _shared(votes.pairs(ties=False))
    if _missing(shared):
        return None
    found = agreement_interval(
        shared.ratings,
        Coefficient.PERCENT,
        clusters=shared.prompts,
        level=level,
        resamples=resamples,
        seed=seed,
    )
    return Ceiling(
        agreement=found,
        least=max(found.estimate, 0.5),
        most=highest_accuracy(found.estimate),
        highest=highest_accuracy(found.high),
        pairs=len(shared.ratings.items),
        prompts=len(set(shared.prompts)),
    )


def highest_accuracy(agreement: float) -> float:
    """The most that any model can agree with one rater if two raters agree so often."""
    return (1 + math.sqrt(max(0.0, 2 * agreement - 1))) / 2
