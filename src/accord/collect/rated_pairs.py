"""Pairs of rated texts: which to learn from, which to be tested on, and how well people do on them.

A pair is two places in a sequence of rated texts. Which pairs are drawn depends on the texts, their
order and the seed alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from accord.collect.likeness import words
from accord.collect.rated import Rated, soft_label
from accord.core.errors import ConfigError, DataError
from accord.stats.intervals import Interval, bootstrap_pairs

Pair = tuple[int, int]
"""Places of the first and the second text."""
SLACK = 1e-9
"""For rounding in means of whole numbers."""


def folded(text: str) -> str:
    """What is left of a text without case, blanks and marks; the text where nothing is."""
    return "".join(words(text)) or text


def paired_snippets(
    rated: Sequence[Rated], *, seed: int, rounds: int = 1, undecided: float = 0.0
) -> Iterator[Pair]:
    """Pairs to learn from, in `rounds` matchings: in each, every text stands in one pair.

    No two texts meet twice: the rounds are drawn from those of a round-robin tournament of the
    shuffled texts (the circle method), which are disjoint. Where the number of texts is odd,
    another one is left over in each round. Passed over are pairs of one text, but for case, blanks
    and marks, and pairs whose soft label lies less than `undecided` from .5.
    Raises ConfigError for more rounds than there are, which is one fewer than the texts where their
    number is even.
    """
    seats: list[int | None] = list(range(len(rated)))
    if len(seats) % 2:
        seats.append(None)
    if len(rated) < 2 or not 1 <= rounds <= len(seats) - 1:
        raise ConfigError(
            "so many rounds of pairs cannot be drawn",
            got=f"{rounds} rounds of {len(rated)} texts",
            do="use two texts at least, and fewer rounds than texts",
        )
    return _rounds(rated, seats, random.Random(seed), rounds, undecided)


def _rounds(
    rated: Sequence[Rated],
    seats: list[int | None],
    rng: random.Random,
    rounds: int,
    undecided: float,
) -> Iterator[Pair]:
    names = [folded(one.text) for one in rated]
    rng.shuffle(seats)
    still, *circle = seats
    for turn in rng.sample(range(len(circle)), rounds):
        turned = circle[turn:] + circle[:turn]
        half = len(seats) // 2
        met = [(still, turned[0])]
        met += [(turned[at], turned[-at]) for at in range(1, half)]
        rng.shuffle(met)
        for one, other in met:
            if one is None or other is None or names[one] == names[other]:
                continue
            if abs(soft_label(rated[one].ratings, rated[other].ratings) - 0.5) < undecided:
                continue
            yield (one, other) if rng.random() < 0.5 else (other, one)


def gap_pairs(rated: Sequence[Rated], *, least: float = 1.0, count: int, seed: int) -> list[Pair]:
    """`count` pairs to be tested on, no two alike, whose mean ratings lie `least` or more apart.

    Each text stands in about as many as any other: the next pair is of a text that stands in the
    fewest, with one of the fewest among those that it may be paired with. Which one comes first is
    drawn.
    Raises DataError where there are not so many pairs.
    """
    rng = np.random.default_rng(seed)
    mean = np.array([_mean(one) for one in rated], dtype=np.float64)
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


def _mean(one: Rated) -> float:
    return sum(one.ratings) / len(one.ratings)


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
