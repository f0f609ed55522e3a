"""What keys say about K responses: the letters of a ranking as they are typed, and what they mean.

`A C = B` is A better than C and B, which are tied. The same keys work in the terminal and on a
page; this is the one place that knows what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from accord.collect.sheet import Opinion
from accord.core.errors import DataError
from accord.store.judgements import Verdict

LETTERS = "ABCD"
ALL_EQUAL, ALL_BAD, TIE, BACK = "0", "X", "=", "\x7f"
PASSED_OVER = " >,\t"
"""Keys that only make an order easier to read."""
SCALE = {
    "1": (0, 1, 4),
    "2": (0, 1, 3),
    "3": (0, 1, 2),
    "4": (0, 0, None),
    "5": (1, 0, 2),
    "6": (1, 0, 3),
    "7": (1, 0, 4),
}
"""Two responses: key to (tier of A, tier of B, strength). 1 A is much better .. 7 B is."""
STRENGTHS = ("negligible", "slight", "clear", "strong")


def order_told(tiers: Sequence[int]) -> str:
    """Tiers in letters, as `A > B = C`; empty for none."""
    return " > ".join(
        " = ".join(letter for letter, its in zip(LETTERS, tiers, strict=False) if its == tier)
        for tier in sorted(set(tiers))
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Ballot:
    """An answer that is being typed. A value: every key gives a new one."""

    k: int
    """Responses shown, 2 to 4."""
    placed: tuple[int, ...] = ()
    """Places on the screen in the order of their letters."""
    tied: frozenset[int] = frozenset()
    """Those that share the tier of the one placed before."""
    tie_next: bool = False
    """Whether the next letter is tied with the last one."""
    all_bad: bool = False
    strength: int | None = None
    history: tuple[Ballot, ...] = field(default=(), repr=False)
    """What Backspace goes back to."""

    def __post_init__(self) -> None:
        if not 2 <= self.k <= len(LETTERS):
            raise DataError("a ballot has 2 to 4 responses", got=self.k)

    def press(self, key: str) -> Ballot:
        """This ballot after one key.

        Raises DataError, changing nothing, for a key that means nothing here.
        """
        key = key.upper()
        if key in PASSED_OVER:
            return self
        if key in (BACK, "\b"):
            return self.history[-1] if self.history else self
        return replace(self._pressed(key), history=(*self.history, self))

    def typed(self, keys: Iterable[str]) -> Ballot:
        """This ballot after several keys. Raises as `press` does."""
        ballot = self
        for key in keys:
            ballot = ballot.press(key)
        return ballot

    @property
    def begun(self) -> bool:
        """Whether it says anything yet."""
        return bool(self.placed or self.all_bad or self.strength is not None)

    @property
    def missing(self) -> str:
        """What must be typed before it can be handed in; empty where nothing must."""
        if self.all_bad or len(self.placed) >= self.k - 1:
            return ""
        return f"type the letters of {LETTERS[: self.k]} from the best to the worst"

    def whole(self) -> Ballot:
        """This ballot with the letter that was left out, where it is one alone, in its place."""
        left = [place for place in range(self.k) if place not in self.placed]
        return self._place(left[0]) if len(left) == 1 else self

    def tiers(self) -> tuple[int, ...]:
        """Tier of each response as shown, 0 the best; one that was left out comes last.

        Raises DataError where more than one was.
        """
        if len(self.placed) < self.k - 1:
            raise DataError("this ranking is not complete", got=self.told(), do=self.missing)
        tiers: dict[int, int] = {}
        tier = -1
        for place in self.placed:
            tier += place not in self.tied
            tiers[place] = tier
        left = [place for place in range(self.k) if place not in tiers]
        tiers |= dict.fromkeys(left, tier if self.tie_next else tier + 1)
        return tuple(tiers[place] for place in range(self.k))

    def opinion(self) -> Opinion:
        """What it says. Raises DataError where it is not complete."""
        if self.all_bad:
            tiers = self.tiers() if len(self.placed) >= self.k - 1 else None
            return Opinion(verdict=Verdict.ALL_BAD, tiers=tiers)
        said = Opinion.ranked(self.tiers())
        return said if said.verdict is Verdict.TIE else replace(said, strength=self.strength)

    def told(self) -> str:
        """The order in letters, as `A > C = B`, with the strength and "all bad"."""
        parts = []
        for number, place in enumerate(self.placed):
            if number:
                parts.append("=" if place in self.tied else ">")
            parts.append(LETTERS[place])
        if self.tie_next:
            parts.append("=")
        order = " ".join(parts)
        some_lead = len(self.placed) - len(self.tied) > 1 or len(self.placed) < self.k
        lead = STRENGTHS[self.strength - 1] if self.strength is not None and some_lead else ""
        ranking = ", ".join(part for part in (order, lead) if part)
        return "; ".join(part for part in (ranking, "all bad" if self.all_bad else "") if part)

    def _pressed(self, key: str) -> Ballot:
        if key == ALL_EQUAL:
            everybody = tuple(range(self.k))
            return Ballot(k=self.k, placed=everybody, tied=frozenset(everybody[1:]))
        if key == ALL_BAD:
            return replace(self, all_bad=not self.all_bad)
        if key == TIE:
            if not self.placed or len(self.placed) == self.k:
                raise DataError("= stands between two letters", got=self.told() or "no letter yet")
            return replace(self, tie_next=True)
        if len(key) == 1 and key in LETTERS[: self.k]:
            return self._place(LETTERS.index(key))
        if self.k == 2 and key in SCALE:
            first, second, strength = SCALE[key]
            order = (0, 1) if first <= second else (1, 0)
            tied = frozenset({1}) if first == second else frozenset[int]()
            # Which is better, not whether one is good: "all bad" stays.
            return Ballot(k=2, placed=order, tied=tied, strength=strength, all_bad=self.all_bad)
        if self.k > 2 and key in "1234":
            return replace(self, strength=int(key))
        raise DataError("this key means nothing here", got=repr(key))

    def _place(self, place: int) -> Ballot:
        if place in self.placed:
            raise DataError("this letter has its place already", got=LETTERS[place])
        tied = self.tied | {place} if self.tie_next else self.tied
        return replace(self, placed=(*self.placed, place), tied=tied, tie_next=False)
