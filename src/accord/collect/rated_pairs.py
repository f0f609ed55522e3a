"""Pairs of rated texts: which to learn from, which to be tested on, and how well people do on them.

A pair is two places in a sequence of rated texts. Which pairs are drawn depends on the texts, their
order and the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from accord.collect.likeness import words
from accord.collect.rated import Rated
from accord.core.errors import ConfigError, DataError
from accord.stats.intervals import Interval, bootstrap_pairs

Pair = tuple[int, int]
"""Places of the first and the second text."""
SLACK = 1e-9
"""For rounding in means of whole numbers."""


def folded(text: str) -> str:
    """What is left of a text without case, blanks and marks; the text where nothing is."""
    return "".join(words(text)) or text


def grouped_pairs(rated: Sequence[Rated], *, size: int, seed: int) -> Iterator[Pair]:
    """Pairs to learn from: the texts in groups of `size`, drawn by `seed`, and each two of a group.

    Pairs of a group stand together, so that whoever trains on them reads a text once for all of its
    pairs, in groups of at most 16 (`accord.algorithms.comparisons.MOST_RESPONSES`). Texts that fill
    no group are left over; two that are one text, but for case, blanks and marks, are no pair.
    Raises ConfigError for groups of fewer than two and for fewer texts than one group takes.
    """
    if not 2 <= size <= len(rated):
        raise ConfigError(
            "groups are of two texts at least, and there must be one",
            got=f"groups of {size}, {len(rated)} texts",
        )
    order = list(range(len(rated)))
    random.Random(seed).shuffle(order)
    names = [folded(one.text) for one in rated]
    for start in range(0, len(order) - size + 1, size):
        for one, other in combinations(order[start : start + size], 2):
            if names[one] != names[other]:
                yield one, other


def gap_pairs(rated: Sequence[Rated], *, least: float = 1.0, count: int, seed: int) -> list[Pair]:
    """`count` pairs to be tested on, no two alike, whose mean ratings lie `least` or more apart.

    Each text stands in about as many as any other: the next pair is of a text that stands in the
    fewest, with one of the fewest among those that it may be paired with. Which one comes first is
    drawn.
    Raises DataError where there are not so many pairs.
    """
    rng = np.random.default_rng(seed)
    mean = np.array([one.mean for one in rated], dtype=np.float64)
    _, name = np.unique([folded(one.text) for one in rated], return_inverse=True)
    met: list[list[int]] = [[] for _ in rated]
    used = np.zeros(len(rated))
    done: list[Pair] = []
    while len(done) < count:
        if not np.isfinite(used).any():
            raise DataError(
                "there are too few pairs of texts whose ratings lie so far apart",
                got=f"{len(done)} of {count}, {least:g} apart, among {len(rated)} texts",
                do="ask for fewer pairs or a smaller gap",
            )
        one = int(np.argmin(used + rng.random(len(used))))
        may = (np.abs(mean - mean[one]) >= least - SLACK) & (name != name[one])
        may[met[one]] = False
        if not may.any():
            used[one] = np.inf  # it has met all that it may meet
            continue
        among = np.flatnonzero(may)
        other = int(among[np.argmin(used[among] + rng.random(len(among)))])
        met[one].append(other)
        met[other].append(one)
        used[[one, other]] += 1
        done.append((one, other) if rng.random() < 0.5 else (other, one))
    return done


def human_ceiling(
    rated: Sequence[Rated],
    pairs: Sequence[Pair],
    *,
    panel: int = 1,
    draws: int = 16,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """How often `panel` ratings of each text order a pair as the means of the other ratings do.

    For one rating, every rating of the first stands against every one of the second; for more, the
    means of `draws` random panels of each text do, every one of the first against every one of the
    second. A tie counts half, on either side. The ratings of two texts need not be of the same
    people: somebody who rates both agrees with the others somewhat more often. Pairs that were
    drawn by all ratings, as `gap_pairs` does, favour the panel a little. The interval is a
    bootstrap over texts (`bootstrap_pairs`).
    Raises DataError for fewer than two texts, no pair, and for a text without a rating beside its
    panel's.
    """
    rng = np.random.default_rng(seed)
    sides = {
        place: _panels(rated[place], panel, draws, rng)
        for place in sorted({place for pair in pairs for place in pair})
    }
    agreed = []
    for first, second in pairs:
        (said, rest), (said_too, rest_too) = sides[first], sides[second]
        order = np.sign(_apart(said, said_too)) * np.sign(_apart(rest, rest_too))
        agreed.append(0.5 + 0.5 * float(order.mean()))
    return bootstrap_pairs(agreed, pairs, level=level, seed=seed)


def _panels(
    one: Rated, panel: int, draws: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of panels drawn from the ratings of a text, and of the ratings left over by each."""
    given = np.array(one.ratings, dtype=np.float64)
    if not 1 <= panel < len(given):
        raise DataError(
            "a panel leaves no rating to compare it with",
            got=f"a panel of {panel} of {len(given)} ratings",
            do=f"use a panel of 1 to {len(given) - 1}",
        )
    if panel == 1:
        said = given
    else:
        orders = rng.permuted(np.tile(given, (draws, 1)), axis=1)
        said = orders[:, :panel].sum(axis=1)
    return said / panel, (given.sum() - said) / (len(given) - panel)


def _apart(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every difference of one of the first and one of the second; those by rounding alone are 0."""
    apart: NDArray[np.float64] = first[:, None] - second[None]
    apart[np.abs(apart) < SLACK] = 0.0
    return apart
