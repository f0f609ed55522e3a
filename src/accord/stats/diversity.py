"""How varied texts are, and how far one repeats itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.special import gammaln

from accord.core.errors import DataError


def runs(texts: Sequence[str], n: int) -> int:
    """How many runs of `n` words the texts have in all."""
    return sum(1 for text in texts for _ in _runs(text, n))


def distinct(texts: Sequence[str], n: int, *, of: int | None = None) -> float:
    """Share of different ones among the runs of `n` words in the texts (Li et al. 2016,
    arXiv:1510.03055, distinct-n); words are what blanks part, without regard to case.

    It falls with the number of runs: to compare texts of other lengths, give the same `of` for
    all, which is the mean share over every way to draw so many of the runs (rarefaction, Hurlbert
    1971, doi.org/10.2307/1934145). 0 where there is no run.
    Raises DataError where `of` is not from 1 to the number of runs.
    """
    met = Counter(run for text in texts for run in _runs(text, n))
    total = met.total()
    if of is None:
        return len(met) / max(1, total)
    if not 1 <= of <= total:
        raise DataError("so many runs of words cannot be drawn", got=f"{of} of {total}")
    times = np.array(list(met.values()), dtype=np.float64)
    # P(a run that stands there `times` times is not drawn), by logarithms of factorials.
    left = gammaln(total - times + 1) - gammaln(np.maximum(total - times - of, 0) + 1)
    never = np.exp(left - gammaln(total + 1) + gammaln(total - of + 1))
    never[total - times < of] = 0.0
    return float((1 - never).sum()) / of


def repeated(text: str, n: int) -> float:
    """Share of the runs of `n` words in one text that it said before (Welleck et al. 2020,
    arXiv:1908.04319, seq-rep-n). 0 where there is no such run."""
    met = Counter(_runs(text, n))
    return 1 - len(met) / met.total() if met else 0.0


def _runs(text: str, n: int) -> Iterator[tuple[str, ...]]:
    words = text.lower().split()
    return zip(*(words[place:] for place in range(n)), strict=False)
