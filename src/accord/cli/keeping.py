"""Handing in at a terminal: what somebody said is kept, or they know that it was not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from accord.cli.dialogue import Dialogue
from accord.cli.keys import END, ENTER, stopped_later
from accord.core.errors import AccordError, ConflictError, DataError, StoreError

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Sent(Generic[Done]):
    """What became of something that was handed in."""

    done: Done | None
    """None where it was not kept."""
    ended: bool
    """Whether the rater ended the sitting meanwhile."""
    refused: AccordError | None = None
    """Why it cannot be kept as it is."""


def keep(dialogue: Dialogue, send: Callable[[], Done]) -> Sent[Done]:
    """Keep it, trying again for as long as the rater wants.

    The key in `send` makes it count once. Ctrl-C waits until it is known what became of it.
    """
    while True:
        with stopped_later() as stopped:
            try:
                return Sent(send(), stopped())
            except (ConflictError, DataError) as error:
                dialogue.say(f"not kept: {error.what}{_advice(error)}")
                return Sent(None, stopped(), error)
            except StoreError as error:
                dialogue.say(f"not kept: {error.what}; Enter tries again, q gives up")
            ended = stopped()
        if ended or not _again(dialogue):
            return Sent(None, ended=True)


def _again(dialogue: Dialogue) -> bool:
    """Whether the rater wants it sent once more."""
    while True:
        key = dialogue.keys.read()
        if key in (ENTER, END, "q", "Q"):
            return key == ENTER


def _advice(error: ConflictError | DataError) -> str:
    """Two windows of one rater show the same tasks: what is open in one is open in both."""
    if isinstance(error, ConflictError):
        return "; where two windows are open, judge in one of them"
    return f": {error.got}" if error.got is not None else ""
