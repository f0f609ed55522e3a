"""Texts that people rated, one by one, as in vaderSentiment's data (Hutto and Gilbert 2014).

Nobody compared two of them. A comparison is *derived*: its label is the probability that a rating
of the first is above one of the second, ties counted half, over all pairs of their ratings (the
probability of superiority: McGraw and Wong 1992, doi.org/10.1037/0033-2909.111.2.361). Its source
says so, and it is never called a ranking.
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import IO

from accord.collect.records import Rejected, Unusable, checked_text, filled
from accord.core.errors import ConfigError, DataError
from accord.core.types import Comparison, Conversation, Split
from accord.store.splits import Splitter, Unit

DERIVED = "derived from vaderSentiment ratings"
"""Source of a comparison that nobody made."""
INNER = "hutto_ICWSM_2014.tar.gz"
"""The data inside the source distribution of vaderSentiment 3.3.2 (MIT); wheels lack it."""
ARCHIVES = (".tar.gz", ".tgz")
"""How such an archive's name ends."""
LARGEST = 64 << 20
"""Bytes of a file that is unpacked; the real ones have at most 2 MB."""
LOWEST, HIGHEST = -4, 4


class Part(StrEnum):
    """A part of vaderSentiment's data; the value begins the names of its two files."""

    MOVIES = "movieReviewSnippets"
    TWEETS = "tweets"
    PRODUCTS = "amazonReviewSnippets"
    EDITORIALS = "nytEditorialSnippets"


@dataclass(frozen=True, slots=True)
class Rated:
    """A text and what people gave it, -4 (extremely negative) to 4; each by another person."""

    text: str
    ratings: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Of the ratings."""
        return sum(self.ratings) / len(self.ratings)


class RatedReader:
    """Reads comparisons that are derived from an archive of rated texts, for
    `importing.import_rows`: of each two texts of one split, in an order drawn by `seed`.

    A row is a text: two are joined in a comparison, and those without a partner are rejected. After
    iteration the counts say what was met. Raises as `rated_snippets`.
    """

    def __init__(
        self,
        archive: Path,
        *,
        prompt: Conversation,
        splitter: Splitter,
        part: Part = Part.MOVIES,
        seed: int = 0,
    ) -> None:
        if splitter.unit is not Unit.RESPONSE:
            raise ConfigError("rated texts share one prompt: they are split by response")
        self.path = archive
        self.formats: Counter[str] = Counter()
        self.ignored: set[str] = set()
        self.joined = 0
        self._prompt, self._part, self._seed = prompt, part, seed
        self._splitter = splitter

    def __iter__(self) -> Iterator[Comparison | Rejected]:
        found: dict[Split, list[tuple[Rated, int]]] = {split: [] for split in Split}
        for row, text in enumerate(rated_snippets(self.path, self._part), start=1):
            self.formats["vader-ratings"] += 1
            if isinstance(text, Rejected):
                yield text
            else:
                found[self._splitter.of_response(text.text)].append((text, row))
        for rows in found.values():
            yield from self._of_split(rows)

    def _of_split(self, found: list[tuple[Rated, int]]) -> Iterator[Comparison | Rejected]:
        rows = sorted(found, key=lambda item: (item[0].text, item[0].ratings))
        random.Random(self._seed).shuffle(rows)
        if len(rows) % 2:
            yield Rejected(rows.pop()[1], "is left over: there is no text to compare it with")
        for (first, one), (second, other) in zip(rows[::2], rows[1::2], strict=True):
            made = list(derived_comparisons([first, second], prompt=self._prompt))
            if made:
                self.joined += 1
                yield from made
                continue
            for row in (one, other):
                yield Rejected(row, "was to be compared with the same text")


def rated_snippets(archive: Path, part: Part = Part.MOVIES) -> Iterator[Rated | Rejected]:
    """Every text of a part with its ratings, or why there are none, in the order of the file.

    `archive` is the source distribution of vaderSentiment 3.3.2 or the archive inside it. A row is
    a line of the file of texts; a text whose ratings are missing or broken is rejected, and so are
    ratings without a text, which count from the line after the last text.
    Raises DataError where the archive is missing, damaged or another one.
    """
    try:
        with _data(archive) as files:
            texts = _lines(files, f"{part}_GroundTruth.txt", archive)
            said = _lines(files, f"{part}_anonDataRatings.txt", archive)
    except OSError as error:
        raise _unreadable(archive, error.strerror or error) from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _unreadable(archive, error) from None
    if not texts:
        raise DataError("the archive has no text", where=f"{archive}: {part}")
    known: dict[str, list[str]] = {}
    for line in said:
        known.setdefault(line.partition("\t")[0], []).append(line)
    for row, line in enumerate(texts, start=1):
        try:
            yield _rated(line, known.pop(line.partition("\t")[0], []))
        except Unusable as error:
            yield Rejected(row, error.what, error.column)
    for row, left in enumerate(known, start=len(texts) + 1):
        yield Rejected(row, f"has ratings and no text: {ascii(left)[:60]}", "text")


def data_digest(archive: Path) -> str:
    """SHA-256 of the data in an archive, as 64 hexadecimal digits: of the inner archive's bytes,
    whether it lies in a source distribution or alone. Raises DataError as `rated_snippets`.
    """
    try:
        return hashlib.sha256(_packed(archive)).hexdigest()
    except OSError as error:
        raise _unreadable(archive, error.strerror or error) from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise _unreadable(archive, error) from None


def soft_label(first: Sequence[float], second: Sequence[float]) -> float:
    """P(a rating of the first > one of the second) + P(equal) / 2, over all pairs of ratings.

    Raises DataError where either has none.
    """
    if not first or not second:
        raise DataError("a label cannot be derived without ratings")
    pairs = product(first, second)
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / (len(first) * len(second))


def shuffled(rated: Iterable[Rated], *, seed: int) -> list[Rated]:
    """All texts in an order that depends on them and `seed` alone, not on how they came in."""
    rows = sorted(rated, key=lambda one: (one.text, one.ratings))
    random.Random(seed).shuffle(rows)
    return rows


def derived_comparisons(
    rated: Sequence[Rated], *, prompt: Conversation, source: str = DERIVED
) -> Iterator[Comparison]:
    """A comparison of each two neighbours, the first with the second, the third with the fourth.

    Shuffle first: neighbours of a file are often of one author. Every text stands in one comparison
    at most, so that pairs are independent; write them with unit "response", for the prompt is the
    same for all. Two that are the same text are passed over, with the last where their number is
    odd. Raises ConfigError where there are no two.
    """
    if len(rated) < 2:
        raise ConfigError("comparisons are derived from two texts at least", got=len(rated))
    for first, second in zip(rated[::2], rated[1::2], strict=False):
        if first.text == second.text:
            continue
        yield derived(first, second, prompt=prompt, source=source)


def derived(
    first: Rated, second: Rated, *, prompt: Conversation, source: str = DERIVED
) -> Comparison:
    """The comparison of two rated texts, with their `soft_label`."""
    label = soft_label(first.ratings, second.ratings)
    return Comparison(
        prompt=prompt,
        responses=(first.text, second.text),
        tiers=tiers_of(label),
        label=label,
        source=source,
    )


def tiers_of(label: float) -> tuple[int, int]:
    """The ranks of two responses of which the first is better with probability `label`."""
    return (0, 0) if label == 0.5 else (0, 1) if label > 0.5 else (1, 0)


@contextmanager
def _data(archive: Path) -> Iterator[tarfile.TarFile]:
    """The inner archive, opened."""
    with tarfile.open(fileobj=io.BytesIO(_packed(archive))) as files:
        yield files


def _packed(archive: Path) -> bytes:
    """The inner archive."""
    with archive.open("rb") as file:
        packed = file.read(LARGEST + 1)
    if len(packed) > LARGEST:
        raise _unreadable(archive, f"more than {LARGEST >> 20} MiB")
    with tarfile.open(fileobj=io.BytesIO(packed)) as outer:
        inner = next((m for m in outer.getmembers() if m.name.rpartition("/")[2] == INNER), None)
        return packed if inner is None else _content(outer, inner, archive)


def _lines(files: tarfile.TarFile, name: str, archive: Path) -> list[str]:
    member = next((m for m in files.getmembers() if m.name.rpartition("/")[2] == name), None)
    if member is None:
        raise _unreadable(archive, f"no {name} in it")
    try:
        text = _content(files, member, archive).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(archive, f"{name} is not UTF-8: byte {error.start + 1}") from None
    return [line.removesuffix("\r") for line in text.split("\n") if line.strip()]


def _content(files: tarfile.TarFile, member: tarfile.TarInfo, archive: Path) -> bytes:
    opened: IO[bytes] | None = files.extractfile(member) if member.isfile() else None
    if opened is None or member.size > LARGEST:
        raise _unreadable(archive, f"{member.name} is no file of at most {LARGEST >> 20} MiB")
    return opened.read()


def _rated(line: str, said: list[str]) -> Rated:
    cells = line.split("\t", 2)
    if len(cells) != 3:
        raise Unusable("must be an id, a mean and a text between tabs")
    text = filled(checked_text(cells[2], "text").strip(), "text")
    if len(said) != 1:
        why = "has no ratings" if not said else "has ratings twice under its id"
        raise Unusable(f"{why}: {ascii(cells[0])[:60]}", "ratings")
    return Rated(text, _ratings(said[0].split("\t", 3)))


def _ratings(cells: list[str]) -> tuple[int, ...]:
    try:
        found = json.loads(cells[3])
    except (IndexError, ValueError, RecursionError):
        raise Unusable("is no list of numbers", "ratings") from None
    if not isinstance(found, list) or not found:
        raise Unusable("is no list of numbers", "ratings")
    for one in found:
        whole = isinstance(one, int) and not isinstance(one, bool)
        if not whole or not LOWEST <= one <= HIGHEST:
            raise Unusable(f"are whole numbers from {LOWEST} to {HIGHEST}", "ratings")
    return tuple(found)


def _unreadable(archive: Path, got: object) -> DataError:
    return DataError(
        "this is no archive of vaderSentiment's ratings, or it is damaged",
        got=got,
        where=archive,
        do="pip download --no-deps --no-binary :all: vaderSentiment==3.3.2",
    )
