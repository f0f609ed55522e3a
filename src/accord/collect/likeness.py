"""Near-duplicates: which texts say almost the same words.

Two texts are alike where the Jaccard similarity of their sets of word shingles (three words in a
row) is at least .7. Words are folded in case and form; marks between them do not count. In scripts
that are written without spaces each character is a word. A text of fewer than three words is one
shingle.

Texts are put into clusters one after another: a text joins the first of the earlier leaders that
it is most alike, or leads a cluster of its own. So a new text never changes an older one's cluster,
and a chain of small changes does not join what is far apart. The leaders alike are found by an
exact index, not by hashing: a set can only be alike another if they share one of its rarest
shingles (prefix filter of Bayardo, Ma and Srikant 2007, doi.org/10.1145/1242572.1242591).
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

ALIKE = 0.7
"""Jaccard similarity from which two texts are near-duplicates."""
SHINGLE = 3
"""Words in a shingle."""
_SPACELESS = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff"
)
"""Thai, Lao, Myanmar, Khmer, kana and Han."""
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W_{_SPACELESS}]+")
FEW = 16
"""Leaders that share a rare shingle and are looked at one by one; more are sorted by length."""
SLACK = 1e-9
"""For rounding in shares of small whole numbers."""
Shingles = frozenset[str]
_Entry = tuple[int, int]
"""Place of a leader, and how many of its shingles are rarer than this one."""


def words(text: str) -> list[str]:
    """The words of a text as they are compared."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def shingles(text: str) -> Shingles:
    """The set that is compared; a text without any word is its own shingle."""
    said = words(text)
    if len(said) < SHINGLE:
        return frozenset([" ".join(said) or text.strip()])
    return frozenset(
        " ".join(said[start : start + SHINGLE]) for start in range(len(said) - SHINGLE + 1)
    )


def likeness(a: Shingles, b: Shingles) -> float:
    """Jaccard similarity: shared shingles over all, in [0, 1]."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


class Leaders:
    """An index of the texts that lead a cluster.

    `rarity` says in how many texts each shingle stands, as far as known: it makes the search fast
    and changes no result.
    """

    def __init__(self, rarity: Mapping[str, int] | None = None) -> None:
        self._rarity = rarity or {}
        self._sets: list[Shingles] = []
        self._names: list[str] = []
        self._few: defaultdict[str, list[_Entry]] = defaultdict(list)
        self._many: dict[str, defaultdict[tuple[int, int], list[int]]] = {}

    def __len__(self) -> int:
        return len(self._names)

    def add(self, name: str, said: Shingles) -> None:
        """Let `name` lead a cluster."""
        place = len(self._names)
        self._names.append(name)
        self._sets.append(said)
        for rank, one in enumerate(self._rarest(said)):
            if one in self._many:
                self._many[one][len(said), rank].append(place)
                continue
            self._few[one].append((place, rank))
            if len(self._few[one]) > FEW:
                sorted_out = self._many[one] = defaultdict(list)
                for other, other_rank in self._few.pop(one):
                    sorted_out[len(self._sets[other]), other_rank].append(other)

    def find(self, said: Shingles) -> str | None:
        """The leader most alike, the earlier of two equal ones; None where none is alike."""
        best, found = ALIKE, None
        for place in sorted(self._near(said)):
            other = self._sets[place]
            if min(len(said), len(other)) < best * max(len(said), len(other)) - SLACK:
                continue
            value = likeness(said, other)
            if value > best + SLACK or (found is None and value >= best - SLACK):
                best, found = max(best, value), self._names[place]
        return found

    def _near(self, said: Shingles) -> set[int]:
        """Places of all leaders that may be alike, and of some that are not."""
        near: set[int] = set()
        for rank, one in enumerate(self._rarest(said)):
            near.update(place for place, _ in self._few.get(one, ()))
            for (size, other_rank), places in self._many.get(one, {}).items():
                # Where this is the rarest shingle that two sets share, no more than the less rare
                # ones can be shared as well.
                most = min(len(said) - rank, size - other_rank)
                if most >= ALIKE * (len(said) + size - most) - SLACK:
                    near.update(places)
        return near

    def _rarest(self, said: Shingles) -> list[str]:
        """As many of the rarest shingles as an alike set cannot avoid all of, the rarest first."""
        # Alike sets share at least ALIKE |said| shingles, so at most the rest can be missed.
        spare = len(said) - _at_least(ALIKE * len(said))
        ranked = sorted(said, key=lambda one: (self._rarity.get(one, 0), one))
        return ranked[: spare + 1]


def clusters(texts: Sequence[str]) -> list[int]:
    """For each text the place of its cluster's leader, its own where it leads."""
    sets = [shingles(text) for text in texts]
    leaders = Leaders(rarity_of(sets))
    found = []
    for place, said in enumerate(sets):
        name = leaders.find(said)
        if name is None:
            leaders.add(str(place), said)
        found.append(place if name is None else int(name))
    return found


def rarity_of(sets: Iterable[Shingles]) -> Counter[str]:
    """In how many of the sets each shingle stands."""
    count: Counter[str] = Counter()
    for said in sets:
        count.update(said)
    return count


def _at_least(value: float) -> int:
    """The smallest whole number that is not below `value`, whatever rounding made of it."""
    return -int(-(value - SLACK) // 1)
