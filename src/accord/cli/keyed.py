"""A form that is filled in key by key: what is the same whatever it asks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from enum import Enum, auto

from rich.console import RenderableType

from accord.cli.dialogue import Dialogue
from accord.cli.keys import END, ENTER
from accord.cli.sheets import Pages, more_told
from accord.collect.sheet import Opinion

LONGEST_PAUSE = 60.0
"""Seconds between two keys that count as looking at the task; the rest was a pause."""


class Wish(Enum):
    """What a rater may want instead of saying something of a task."""

    END = auto()
    UNDO = auto()


class KeyedForm(ABC):
    """Something in front of one rater, until an opinion of it is handed in."""

    back: str
    """What Enter does after the guidelines."""

    def __init__(
        self, dialogue: Dialogue, *, heading: str, guide: RenderableType, again: bool
    ) -> None:
        """`guide` are the guidelines; `again` for what is shown to be corrected."""
        self._dialogue, self._keys = dialogue, dialogue.keys
        self._heading, self._guide, self._again = heading, guide, again
        self._opened, self._seconds = datetime.now(UTC), 0.0

    def ask(self) -> Opinion | Wish:
        """Show it, page by page where it is long, and take what is said of it."""
        shown = self._shown()
        pages = self._dialogue.pages(shown)
        while True:
            key = self._pressed(pages)
            if key in (END, "q"):
                return Wish.END
            if key == "u" and not self.begun:
                return Wish.UNDO
            if pages.left and key in (ENTER, " "):
                self._dialogue.turn(pages)
            elif key in (ENTER, "s"):
                said = self._handed_in() if key == ENTER else self._skipped()
                if said is not None:
                    return said
            elif key == "?":
                self._dialogue.read_through(self._guide, then=self.back)
                if self._keys.live:
                    pages = self._dialogue.pages(shown)
            else:
                self._change(key)

    @property
    @abstractmethod
    def begun(self) -> bool:
        """Whether something was said that would be lost."""

    @property
    @abstractmethod
    def told(self) -> str:
        """What was handed in."""

    @abstractmethod
    def _shown(self) -> RenderableType:
        """What is asked about, and the keys."""

    @abstractmethod
    def _so_far(self) -> list[str]:
        """What was said so far, in a few words each."""

    @abstractmethod
    def _handed_in(self) -> Opinion | None:
        """What was said; None where something is missing."""

    @abstractmethod
    def _skipped(self) -> Opinion | None:
        """A skip; None where they think better of it."""

    @abstractmethod
    def _change(self, key: str) -> None:
        """Take any other key."""

    def _pressed(self, pages: Pages) -> str:
        more = [more_told(pages)] if pages.left else []
        told = [*self._so_far(), *more]
        self._dialogue.typed("   ".join(part for part in told if part))
        began = time.monotonic()
        key = self._keys.read()
        self._seconds += min(time.monotonic() - began, LONGEST_PAUSE)
        return key.lower()
