"""Which part of a data set a row belongs to: decided by a hash of its words, never by its label.

The decision needs no other row, so it works in one pass over any number of rows, and the same words
fall into the same part in every data set with the same fractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from accord.core.errors import ConfigError
from accord.core.hashing import place
from accord.core.types import (
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Message,
    Prompt,
    RatedResponse,
    Speaker,
    Split,
)

Row = Comparison | Demonstration | Prompt | Feedback | RatedResponse
"""What a data set holds."""

_SALT = "accord split 1"


class Unit(StrEnum):
    """What never stands in two splits."""

    PROMPT = "prompt"
    """The opening of the conversation: everything up to its first user message. Conversations that
    begin alike stay together, so no prompt is in two splits, nor in a split as a part of a longer
    prompt from another."""
    RESPONSE = "response"
    """The text of a response, for texts without a prompt of their own. A comparison whose responses
    fall into different splits belongs to none."""


def unit_of(name: str) -> Unit:
    """The unit called `name`. Raises ConfigError for an unknown one."""
    try:
        return Unit(name)
    except ValueError:
        raise ConfigError(
            "a data set cannot be split by this unit", got=name, do=f"use {' or '.join(Unit)}"
        ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Splitter:
    """Shares of the hash's range: test first, then dev, the rest is train."""

    unit: Unit = Unit.PROMPT
    """What never stands in two splits."""
    dev: float = 0.1
    """Share of units in the development split."""
    test: float = 0.0
    """Share of units in the test split."""

    def __post_init__(self) -> None:
        for name in ("dev", "test"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(
                    f"{name} must lie in [0, 1)",
                    got=getattr(self, name),
                    do=f"give the share of rows that is held out, as in {name} = 0.1",
                )
        if self.dev + self.test >= 1:
            raise ConfigError(
                "dev and test together must leave rows for training",
                got=self.dev + self.test,
                do="lower one of them: both together must stay below 1",
            )

    def split(self, row: Row) -> Split | None:
        """The split of `row`; None for a comparison whose responses disagree (unit "response").

        Raises ConfigError where the unit is "response" and the row has none of its own.
        """
        if self.unit is Unit.PROMPT:
            return self._part([[m.role, m.content] for m in opening(row)])
        if isinstance(row, Prompt):
            raise ConfigError(
                'prompts have no response to be split by: use unit "prompt"',
                got=type(row).__name__,
            )
        parts = {self.of_response(text) for text in responses_of(row)}
        return parts.pop() if len(parts) == 1 else None

    def of_response(self, text: str) -> Split:
        """The split of a response of this text, where the unit is "response"."""
        return self._part(text)

    def _part(self, words: object) -> Split:
        at = place(words, salt=_SALT)
        if at < self.test:
            return Split.TEST
        return Split.DEV if at < self.test + self.dev else Split.TRAIN


def opening(row: Row) -> tuple[Message, ...]:
    """What decides a row's split by prompt: its messages up to the first of the user, and the
    opening of an answer where it follows that one."""
    messages = conversation_of(row).messages
    for index, message in enumerate(messages):
        if message.role is Speaker.USER:
            following = messages[index + 1 : index + 2]
            begun = len(following) == 1 and following[0].role is Speaker.OPENING
            return messages[: index + 1 + begun]
    return messages


def conversation_of(row: Row) -> Conversation:
    """What a row says before its responses: the prompt, or a demonstration as a whole."""
    if isinstance(row, Comparison | Feedback | RatedResponse):
        return row.prompt
    return row.conversation


def responses_of(row: Row) -> tuple[str, ...]:
    """The responses of a row: of a demonstration its last message, of a prompt none."""
    match row:
        case Comparison():
            return row.responses
        case Feedback() | RatedResponse():
            return (row.response,)
        case Demonstration():
            return (row.conversation.messages[-1].content,)
        case _:
            return ()
