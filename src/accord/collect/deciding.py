"""Who decides: winners of a majority of people that would be others without a group of raters.

Removing many raters changes winners whoever they are. So the share is put beside the same share
where as many raters, drawn at random, are removed: only what is above that says that the group
prefers something else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accord.collect.groups import cuts_of, people, rounded
from accord.collect.profiles import Profiles
from accord.collect.questions import Questions
from accord.collect.votes import Votes
from accord.stats.intervals import Interval, share
from accord.stats.ratings import Floats

DRAWS = 1000
"""Random groups that a group is held against."""
_TOGETHER = 100
_HIGHER, _TIE, _LOWER, _NONE = 0, 1, 2, -1
"""What a majority says of a pair: categories of (0, .5, 1), or that none leads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WithoutGroup:
    """What a majority of the other raters says, of pairs where a majority of all had a winner."""

    question: str
    group: str
    k: int
    raters: int
    """In the group, those in quarantine included, who are in no figure."""
    others: int
    """In all other groups, counted in the same way."""
    pairs: int
    """With a winner by all, and a vote of the others."""
    prompts: int
    lost: int
    """Pairs with a winner that nobody else judged; in no share."""
    flipped: Interval | None
    """Share of pairs that the other response wins then; each weighs one over the probability with
    which its task was picked (Hajek 1971). None where `why` says that the data cannot tell."""
    opened: Interval | None
    """Share of pairs where nothing wins then."""
    by_chance: Interval | None
    """Mean share flipped without as many raters drawn at random; the ends hold the middle `level`
    of the draws."""
    p: float
    """How often as many raters at random flip at least as much (one added to both, so never 0);
    NaN where there is no share."""
    why: str = ""


def without_group(
    votes: Votes,
    profiles: Profiles,
    questions: Questions,
    question: str,
    group: str,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> WithoutGroup:
    """The share of winners that flip without a group, over all pairs of work tasks.

    Intervals of shares are those of `stats.intervals.share`, pairs of a prompt drawn together.
    Raises ConfigError for a question or answer that is not declared, and for a group that may not
    be shown: then nothing is said of it.
    """
    used = people(votes)
    cuts = cuts_of(votes, used, profiles, questions)
    name = questions.called(question).name
    members = cuts.group(name, group)
    table = used.pairs()
    inside = np.array([rater in members for rater in table.ratings.raters])
    picked = {row.task: row.inclusion for row in used.rows}
    weights = np.array([1 / picked[str(item[0])] for item in _items(table.ratings.items)])
    given = _one_hot(table.ratings.codes())
    before = _winner(given.sum(axis=2)[..., None])[:, 0]
    won = (before == _LOWER) | (before == _HIGHER)
    after, kept = _after(given, ~inside[:, None])
    compared = won & kept[:, 0]
    flipped, opened = _changes(before, after)
    prompts = np.array(table.prompts)[compared]
    told = WithoutGroup(
        question=name,
        group=group,
        k=cuts.k,
        raters=len(members),
        others=sum(map(len, cuts.shown[name].values())) - len(members),
        pairs=int(compared.sum()),
        prompts=len(set(prompts)),
        lost=int((won & ~kept[:, 0]).sum()),
        flipped=None,
        opened=None,
        by_chance=None,
        p=math.nan,
        why="needs two prompts with a winner",
    )
    if told.prompts < 2:
        return told
    shares = [
        share(what[compared, 0], clusters=prompts, level=level, weight=weights[compared])
        for what in (flipped, opened)
    ]
    drawn = _at_random(given, before, weights, size=int(inside.sum()), seed=seed)
    as_much = int((drawn >= shares[0].estimate - 1e-12).sum())
    return replace(
        told,
        flipped=rounded(shares[0]),
        opened=rounded(shares[1]),
        by_chance=rounded(_middle(drawn, level)),
        p=round((1 + as_much) / (1 + len(drawn)), 3),
        why="",
    )


# ---- the parts -----------------------------------------------------------------------------------

Codes = NDArray[np.intp]
Truths = NDArray[np.bool_]


def _items(items: tuple[object, ...]) -> list[tuple[object, ...]]:
    return [item for item in items if isinstance(item, tuple)]


def _one_hot(codes: Codes) -> Floats:
    """[pairs, categories, raters] 1 where a rater gave a category."""
    return np.asarray(codes[:, None, :] == np.arange(3)[None, :, None], dtype=np.float64)


def _winner(counts: Floats) -> Codes:
    """[pairs, draws] the category that leads alone, or none; counts are [pairs, 3, draws]."""
    lead = counts == counts.max(axis=1, keepdims=True)
    alone = lead.sum(axis=1) == 1
    return np.where(alone, lead.argmax(axis=1), _NONE).astype(np.intp)


def _after(given: Floats, stay: Truths) -> tuple[Codes, Truths]:
    """[pairs, draws] winner by those who stay, and whether one of them judged; stay has a row a
    rater and a column a draw."""
    counts = np.asarray(given @ stay.astype(np.float64))
    return _winner(counts), counts.sum(axis=1) > 0


def _changes(before: Codes, after: Codes) -> tuple[Truths, Truths]:
    """[pairs, draws] whether the other one wins, whether nothing does; of pairs with a winner."""
    opposite = np.where(before == _LOWER, _HIGHER, _LOWER)[:, None]
    return after == opposite, (after == _TIE) | (after == _NONE)


def _at_random(given: Floats, before: Codes, weights: Floats, *, size: int, seed: int) -> Floats:
    """Share flipped without `size` raters drawn at random, of each draw that leaves a pair."""
    rng, raters = np.random.default_rng(seed), given.shape[2]
    won = ((before == _LOWER) | (before == _HIGHER))[:, None]
    found = []
    for _ in range(0, DRAWS, _TOGETHER):
        order = rng.random((raters, _TOGETHER)).argsort(axis=0).argsort(axis=0)
        after, kept = _after(given, order >= size)
        weight = weights[:, None] * (won & kept)
        flipped = (_changes(before, after)[0] * weight).sum(axis=0)
        total = weight.sum(axis=0)
        found.append(flipped[total > 0] / total[total > 0])
    return np.concatenate(found)


def _middle(drawn: Floats, level: float) -> Interval:
    """Mean of the draws, and between what the middle `level` of them lies."""
    low, high = (float(end) for end in np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]))
    mean = float(drawn.mean())
    return Interval(estimate=mean, low=low, high=high, level=level, clusters=len(drawn))
