"""The film snippets of the quickstart: fetched, and split into parts that share no text.

10,605 snippets of film reviews with the ratings of 14 or more people each (Hutto and Gilbert 2014;
MIT licence), from the source distribution of vaderSentiment 3.3.2. `rated_pairs` makes pairs of
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from accord.collect.rated import Rated, data_digest, rated_snippets
from accord.collect.rated_pairs import folded
from accord.core.errors import DataError
from accord.core.fetching import Archive, Progress, ignore, source_archive
from accord.core.hashing import place

VADER = Archive(
    distribution="vaderSentiment",
    version="3.3.2",
    size=2_466_783,
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    source=True,
)
DATA_SHA256 = "d5bb07d87474b3eb8d30b4deccbc23f19d742a6c5718fbacc65485b70b95c5fa"
"""Digest of the data inside VADER, as `FilmParts.data` has it."""

SHARES = {
    "demonstrations": 0.18,
    "evaluation": 0.09,
    "reward": 0.435,
    "raters": 0.10,
    "judge": 0.195,
}
"""Share of the snippets in each part."""
_SALT = "accord film parts 1"

OPENING_WORDS = 3
LEFT_WORDS = 2
"""Words that an opening leaves at least."""
_WORD = re.compile(r"\S*\w\S*")
"""A run without blanks in which there is a letter or digit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FilmParts:
    """Every usable snippet, in one part each, in the order of the file."""

    demonstrations: tuple[Rated, ...]
    """For imitation; their openings are the prompts of training."""
    evaluation: tuple[Rated, ...]
    """Held out: their openings are the prompts of the evaluation."""
    reward: tuple[Rated, ...]
    """For the reward model: whoever trains one holds some of them out."""
    raters: tuple[Rated, ...]
    """For the synthetic raters."""
    judge: tuple[Rated, ...]
    """For the judge that no training sees."""
    rejected: int
    """Rows that could not be used."""
    repeated: int
    """Texts that are another one but for case, blanks and marks; both are in one part."""
    data: str
    """SHA-256 of the data."""


@dataclass(frozen=True, slots=True)
class FilmOpenings:
    """Prompts: first words of snippets, once each."""

    training: tuple[str, ...]
    evaluation: tuple[str, ...]
    dropped: int
    """Openings of the evaluation part with which a text of training begins."""


def film_archive(cache: Path | None = None, *, progress: Progress = ignore) -> Path:
    """The source distribution of vaderSentiment 3.3.2, fetched at the first call: 2.5 MB.

    `cache` is `ACCORD_CACHE` or ~/.cache/accord by default. Raises DownloadError where it cannot be
    fetched, is another file or cannot be kept.
    """
    return source_archive(VADER, cache, progress=progress)


def film_parts(archive: Path, *, seed: int = 0, sha256: str | None = None) -> FilmParts:
    """Every usable film snippet of `archive` in one part, by a hash of its folded text and `seed`.

    No label decides, nor does any other text: texts that are the same but for case, blanks and
    marks are in one part. With `sha256` the data must have this digest (`DATA_SHA256`).
    Raises DataError where the archive is missing, damaged or another one.
    """
    data = data_digest(archive)
    if sha256 is not None and data != sha256:
        raise DataError(
            "these are not the film snippets that were asked for",
            got=f"sha256 {data} of the data",
            where=archive,
            do=f"use the source distribution of {VADER.requirement}",
        )
    parts: dict[str, list[Rated]] = {name: [] for name in SHARES}
    met: set[str] = set()
    rejected = texts = 0
    for row in rated_snippets(archive):
        if not isinstance(row, Rated):
            rejected += 1
            continue
        texts += 1
        words = folded(row.text)
        met.add(words)
        parts[_part(words, seed)].append(row)
    return FilmParts(
        **{name: tuple(rows) for name, rows in parts.items()},
        rejected=rejected,
        repeated=texts - len(met),
        data=data,
    )


def _part(words: str, seed: int) -> str:
    at = place([seed, words], salt=_SALT)
    upto = 0.0
    for name, share in SHARES.items():
        upto += share
        if at < upto:
            return name
    return name  # the shares add up to 1 but for rounding


def openings(rated: Iterable[Rated], words: int = OPENING_WORDS) -> list[str]:
    """The first `words` words of each text, as they stand there, once each.

    Left out are texts of which an opening would leave fewer than two words, and openings that are
    an earlier one but for case, blanks and marks.
    """
    found: dict[str, str] = {}
    for one in rated:
        ends = [match.end() for match in _WORD.finditer(one.text)]
        if len(ends) >= words + LEFT_WORDS:
            opening = one.text[: ends[words - 1]]
            found.setdefault(folded(opening), opening)
    return list(found.values())


def film_openings(parts: FilmParts, words: int = OPENING_WORDS) -> FilmOpenings:
    """Openings of the demonstrations, and those of the evaluation part with which no text begins
    that anything is trained on: demonstrations, the reward model's and the raters'.

    "With which none begins" is but for case, blanks and marks.
    """
    training, held_out = openings(parts.demonstrations, words), openings(parts.evaluation, words)
    others = openings((*parts.reward, *parts.raters), words)
    kept = _without(held_out, [*training, *others])
    return FilmOpenings(tuple(training), tuple(kept), len(held_out) - len(kept))


def _without(held_out: Sequence[str], seen: Iterable[str]) -> list[str]:
    known = {folded(opening) for opening in seen}
    return [opening for opening in held_out if folded(opening) not in known]
