"""How varied texts are, and how far one repeats itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence


def distinct(texts: Sequence[str], n: int) -> float:
    """Share of different ones among all runs of `n` words in the texts (Li et al. 2016,
    arXiv:1510.03055, distinct-n); words are what blanks part, without regard to case.

    It falls with the number of texts: compare equal numbers alone. 0 where there is no such run.
    """
    met = Counter(run for text in texts for run in _runs(text, n))
    return len(met) / max(1, met.total())


def repeated(text: str, n: int) -> float:
    """Share of the runs of `n` words in one text that it said before (Welleck et al. 2020,
    arXiv:1908.04319, seq-rep-n). 0 where there is no such run."""
    met = Counter(_runs(text, n))
    return 1 - len(met) / met.total() if met else 0.0


def _runs(text: str, n: int) -> Iterator[tuple[str, ...]]:
    words = text.lower().split()
    return zip(*(words[place:] for place in range(n)), strict=False)
