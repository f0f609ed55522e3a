"""What a rater says of one task, key by key, until it is handed in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich.console import RenderableType

from accord.cli.dialogue import BACKS, Dialogue
from accord.cli.keyed import KeyedForm
from accord.cli.keys import ENTER
from accord.cli.sheets import printable, task
from accord.collect.assigning import Lease
from accord.collect.ballot import LETTERS, Ballot
from accord.collect.sheet import LEAST_RATING, MOST_RATING, Opinion
from accord.core.errors import DataError

SKIPS = ("cannot judge it", "not my language", "unreadable", "upsetting", "other")
FLAGS = ("harmful", "personal data", "says what wrote it", "broken text", "off topic", "other")
OTHER = "other"
"""What is asked about: own words say which."""
MOST_SIGNS = 200
"""Of a flag's own words."""
OWN_WORDS = "in your own words, one line (Enter leaves it):"


@dataclass(frozen=True, kw_only=True, slots=True)
class Extras:
    """What was said beside the order. A value: each thing said gives a new one."""

    ratings: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    flags: tuple[tuple[int | None, str], ...] = ()
    rationale: str | None = None
    before: Extras | None = field(default=None, repr=False)
    """What Backspace goes back to."""

    def told(self) -> list[str]:
        """How much of each there is."""
        told = [f"{len(self.ratings)} rated"] if self.ratings else []
        told += [f"{len(self.flags)} flagged"] if self.flags else []
        return told + (["reason given"] if self.rationale else [])


class Form(KeyedForm):
    """One task in front of one rater."""

    back = "Enter goes back to the task"

    def __init__(
        self, dialogue: Dialogue, lease: Lease, *, heading: str, guide: RenderableType, again: bool
    ) -> None:
        """`guide` are the guidelines; `again` for the last task, shown to be corrected."""
        super().__init__(dialogue, heading=heading, guide=guide, again=again)
        self._lease = lease
        self._letters = LETTERS[: len(lease.sheet.responses)]
        self._ballot = Ballot(k=len(self._letters))
        self._extras = Extras()

    @property
    def begun(self) -> bool:
        """Whether something was said that would be lost."""
        return self._ballot.begun or bool(self._extras.told())

    @property
    def told(self) -> str:
        """The order that was handed in."""
        return self._ballot.whole().told()

    def _shown(self) -> RenderableType:
        console = self._dialogue.console
        return task(console, self._lease.sheet, heading=self._heading, again=self._again)

    def _so_far(self) -> list[str]:
        return [self._ballot.told(), *self._extras.told()]

    # ---- what is handed in -----------------------------------------------------------------------

    def _handed_in(self) -> Opinion | None:
        if self._ballot.missing:
            # Between the lines of a pipe an Enter means nothing.
            if self._keys.live or self._ballot.placed:
                self._dialogue.say(self._ballot.missing)
            return None
        return replace(
            self._ballot.opinion(),
            ratings=self._extras.ratings,
            flags=self._extras.flags,
            rationale=self._extras.rationale,
            seconds=round(self._seconds, 3),
            opened=self._opened,
        )

    def _skipped(self) -> Opinion | None:
        skip = ask_skip(self._dialogue, self._drops)
        if skip is None:
            return None
        return Opinion.skipped(
            skip.reason,
            flags=self._extras.flags,
            rationale=skip.beside(self._extras.rationale),
            seconds=round(self._seconds, 3),
            opened=self._opened,
        )

    @property
    def _drops(self) -> str:
        """What a skip does to what was said; empty where nothing was."""
        if self._ballot.begun or self._extras.ratings:
            return "this drops your answer"
        return "this skips it with what you said beside it" if self._extras.told() else ""

    # ---- what changes it -------------------------------------------------------------------------

    def _change(self, key: str) -> None:
        if key == "u":
            undoes = "leaves it as it was" if self._again else "undoes the last answer"
            self._dialogue.say(f"Backspace clears what you typed; u {undoes} when nothing is typed")
        elif key == "f":
            self._flag()
        elif key == "r":
            if rationale := self._dialogue.words("in your own words, one line:"):
                self._add(rationale=rationale)
        elif key == "+":
            self._rate()
        elif key in BACKS and not self._ballot.history:
            self._extras = self._extras.before or self._extras
        else:
            try:
                self._ballot = self._ballot.press(key)
            except DataError as error:
                self._dialogue.say(f"{error.what}: {error.got}" if error.got else error.what)

    def _add(
        self,
        *,
        ratings: Mapping[str, tuple[float | None, ...]] | None = None,
        flag: tuple[int | None, str] | None = None,
        rationale: str | None = None,
    ) -> None:
        """Something beside the order; it can be taken back."""
        now = self._extras
        self._extras = Extras(
            ratings=now.ratings if ratings is None else ratings,
            flags=now.flags if flag is None else (*now.flags, flag),
            rationale=rationale or now.rationale,
            before=now,
        )

    def _flag(self) -> None:
        whole = {ENTER: "flags the whole task"}
        key = self._dialogue.choice("flag which answer?", dict.fromkeys(self._letters, "") | whole)
        reason = None if key is None else ask_flag(self._dialogue, "why?")
        if key is not None and reason is not None:
            self._add(flag=(None if key == ENTER else self._letters.index(key), reason))

    def _rate(self) -> None:
        before = dict(self._extras.ratings)
        rated = ask_ratings(self._dialogue, self._lease.sheet.criteria, self._letters, before)
        if rated != before:
            self._add(ratings=rated)


def ask_reason(dialogue: Dialogue, question: str, reasons: Sequence[str]) -> str | None:
    """One of some reasons, by its number; None where they go back."""
    numbered = {str(number): name for number, name in enumerate(reasons, start=1)}
    key = dialogue.choice(question, numbered)
    return None if key is None else numbered[key]


def ask_flag(dialogue: Dialogue, question: str) -> str | None:
    """Why something is flagged, by number or in own words; None where they go back."""
    reason = ask_reason(dialogue, question, FLAGS)
    if reason != OTHER:
        return reason
    asked = f"in your own words, {MOST_SIGNS} signs at most (Enter leaves it):"
    words = " ".join(printable(dialogue.words(asked)).split())
    return words[:MOST_SIGNS].rstrip() or reason


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a task is skipped."""

    reason: str
    words: str = ""
    """Their own; none where the reason says it."""

    def beside(self, rationale: str | None) -> str | None:
        """These words after those that were said before."""
        return "; ".join(part for part in (rationale, self.words) if part) or None


def ask_skip(dialogue: Dialogue, drops: str) -> Skip | None:
    """Why a task is skipped; None where they go back, which they may once more where the skip
    `drops` something."""
    reason = ask_reason(dialogue, "why skip?", SKIPS)
    if reason is None:
        return None
    words = dialogue.words(OWN_WORDS) if reason == OTHER else ""
    if drops and not dialogue.sure(f"{drops}:", "skips"):
        return None
    return Skip(reason, words)


def ask_ratings(
    dialogue: Dialogue,
    criteria: Sequence[str],
    names: Sequence[str],
    before: Mapping[str, tuple[float | None, ...]],
) -> Mapping[str, tuple[float | None, ...]]:
    """A line a criterion: one number for each of what is called `names`, in that order."""
    ratings, k = dict(before), len(names)
    example = "4235"[:k]
    each = " each" if k > 1 else ""
    for name in criteria:
        dialogue.say(
            f"{name} of {' '.join(names)}, {LEAST_RATING} to {MOST_RATING}{each}, "
            f"as {example} (- is none, Enter leaves it):"
        )
        while line := dialogue.keys.line().strip():
            values = ratings_in(line, k)
            if values is not None:
                ratings[name] = values
                break
            dialogue.say(
                f"that is no rating of {name}: type {k} numbers from {LEAST_RATING} to "
                f"{MOST_RATING}, as {example} or {' '.join(example)}"
            )
    return {name: v for name, v in ratings.items() if any(one is not None for one in v)}


def ratings_in(line: str, k: int) -> tuple[float | None, ...] | None:
    """What a line says of K answers: `42`, `4 2`, `4,2`, `4 -`, or `-` for none of them.

    None where it says nothing that is a rating of each.
    """
    if line == "-":
        return (None,) * k
    words = re.split(r"[\s,;]+", line.strip(" \t,;"))
    if len(words) == 1 < k:
        words = list(words[0])
    try:
        values = tuple(None if word == "-" else float(word) for word in words)
    except ValueError:
        return None
    fit = all(value is None or LEAST_RATING <= value <= MOST_RATING for value in values)
    return values if fit and len(values) == k else None
