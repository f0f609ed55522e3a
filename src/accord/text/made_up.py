"""Texts that nobody would write, made of texts that somebody did: what a judge must see through.

A judge of sentiment alone gives its best grades to a heap of praising words. These are the heaps
that optimisation finds first. A judge is shown some of them (`SHOWN`); the others are kept from it,
so that what it makes of a trick that it never met can be measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from random import Random

STRIPPED = ".,;:!?'\"()"
"""What a word of praise stands among."""


class Trick(StrEnum):
    """A way to make up a text."""

    SHUFFLED = "shuffled"
    """The words of a text in any order."""
    LISTED = "listed"
    """6 to 24 praising words, one after the other."""
    REPEATED = "repeated"
    """1 to 4 praising words, 3 to 10 times."""
    COPIED = "copied"
    """A text's first three words, 3 to 8 times."""
    TAILED = "tailed"
    """A text's first 2 to 8 words with a tail of 4 to 12 praising words."""
    THRICE = "thrice"
    """A text, three times."""
    ECHOED = "echoed"
    """A text, and again with 1 to 3 of its words exchanged for praising ones."""
    CROWDED = "crowded"
    """A text with a praising word put behind about every second word."""
    CHAINED = "chained"
    """4 to 12 praising words with "and" between them."""
    FRAMED = "framed"
    """A text's first two words with one praising word and a full stop, 3 to 8 times."""
    STORMED = "stormed"
    """A text's first 2 to 8 words and 3 to 8 praising ones, each with dots or exclamation marks."""


SHOWN = (
    Trick.SHUFFLED,
    Trick.LISTED,
    Trick.REPEATED,
    Trick.COPIED,
    Trick.TAILED,
    Trick.THRICE,
    Trick.CROWDED,
    Trick.STORMED,
)
"""What a judge is shown. The others are for trying it alone."""


def made_up(text: str, trick: Trick, *, praise: Sequence[str], rng: Random) -> str:
    """`text` after one trick; `praise` are the words that a trick may heap up."""
    words = text.split()
    match trick:
        case Trick.SHUFFLED:
            rng.shuffle(words)
        case Trick.LISTED:
            words = rng.choices(praise, k=rng.randint(6, 24))
        case Trick.REPEATED:
            words = rng.choices(praise, k=rng.randint(1, 4)) * rng.randint(3, 10)
        case Trick.COPIED:
            words = words[:3] * rng.randint(3, 8)
        case Trick.TAILED:
            words = words[: rng.randint(2, 8)] + rng.choices(praise, k=rng.randint(4, 12))
        case Trick.THRICE:
            words = words * 3
        case _:
            words = _made_up_too(words, trick, praise, rng)
    return " ".join(words)


def _made_up_too(words: list[str], trick: Trick, praise: Sequence[str], rng: Random) -> list[str]:
    match trick:
        case Trick.ECHOED:
            again = list(words)
            for place in rng.sample(range(len(words)), min(len(words), rng.randint(1, 3))):
                again[place] = rng.choice(praise)
            return words + again
        case Trick.CROWDED:
            behind = [[rng.choice(praise)] if rng.random() < 0.5 else [] for _ in words]
            return [w for word, more in zip(words, behind, strict=True) for w in (word, *more)]
        case Trick.CHAINED:
            return " and ".join(rng.choices(praise, k=rng.randint(4, 12))).split()
        case Trick.FRAMED:
            said = rng.choices(praise, k=rng.randint(3, 8))
            return [word for praising in said for word in (*words[:2], f"{praising}.")]
        case _:
            said = rng.choices(praise, k=rng.randint(3, 8))
            marks = [rng.choice("!.") * rng.randint(3, 6) for _ in said]
            storm = [word + mark for word, mark in zip(said, marks, strict=True)]
            return words[: rng.randint(2, 8)] + storm


def praising_words(
    rated: Iterable[tuple[str, float]],
    *,
    praised: float,
    panned: float,
    least: int = 4,
    ratio: float = 3,
) -> tuple[str, ...]:
    """Words of letters alone that texts rated above `praised` have, and those below `panned` lack.

    In `least` praised texts at least, and more than `ratio` times as often there as in panned ones,
    one more panned text assumed. Of one case; sorted.
    """
    good: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    for text, rating in rated:
        words = {word.strip(STRIPPED).lower() for word in text.split()}
        if rating > praised:
            good.update(words)
        elif rating < panned:
            bad.update(words)
    return tuple(
        sorted(
            word
            for word, count in good.items()
            if word.isalpha() and count >= least and count / (bad[word] + 1) > ratio
        )
    )
