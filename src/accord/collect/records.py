"""One row of somebody's file: values of unknown types, asked for by column and checked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from accord.core.errors import DataError
from accord.core.types import Conversation, Message, Speaker

MOST_SHOWN = 60
"""Characters of a value that a reason shows."""
MOST_NAMES = 30
"""Columns that a reason names."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be used, and why."""

    row: int
    """Line of a JSON Lines file, row of a Parquet file; from 1."""
    why: str
    column: str | None = None
    """Where the fault lies, None where it is the row as a whole."""

    def __str__(self) -> str:
        place = f"row {self.row}" if self.column is None else f"row {self.row}, {self.column}"
        return f"{place}: {self.why}"


class Unusable(DataError):
    """The fault of one row; whoever reads the file turns it into a `Rejected`."""

    def __init__(self, why: str, column: str | None = None) -> None:
        super().__init__(why, where=column)
        self.column = column


@dataclass(frozen=True, slots=True)
class Record:
    """A row's columns. Its methods raise Unusable, naming the column, where a value is wrong."""

    row: int
    values: Mapping[str, object]
    source: str
    """What `source` is where the row has no such column."""

    def value(self, column: str) -> object:
        """The value of `column`, which must be there and not null."""
        found = self.values.get(column)
        if found is None:
            raise Unusable("is missing" if column not in self.values else "is null", column)
        return found

    def text(self, column: str) -> str:
        """Text that is not blank."""
        return filled(self.value(column), column)

    def number(self, column: str) -> float | None:
        """A finite number, None where the column is missing or null."""
        found = self.values.get(column)
        if found is None:
            return None
        return finite(found, column)

    def origin(self) -> str:
        """The row's own source, or the file's."""
        found = self.values.get("source")
        return self.source if found is None else checked_text(found, "source")

    def conversation(self, column: str) -> Conversation:
        """A list of messages, each with a role and a content."""
        return messages(self.value(column), column)

    def prompt(self) -> Conversation:
        """Column `prompt`: text from the user, or a list of messages that waits for an answer."""
        found = self.value("prompt")
        if isinstance(found, str):
            return Conversation.of(filled(found, "prompt"))
        conversation = messages(found, "prompt")
        if not conversation.awaits_answer:
            raise Unusable("ends with an assistant message: it belongs into the response", "prompt")
        filled(conversation.messages[-1].content, f"prompt[{len(conversation.messages) - 1}]")
        return conversation

    def answer(self, column: str, prompt: Conversation) -> str:
        """A response to `prompt`: text, or a list of messages that ends with the answer to it."""
        found = self.value(column)
        if isinstance(found, str):
            return filled(found, column)
        said = messages(found, column).messages
        if len(said) > 1 and said[:-1] not in (prompt.messages, prompt.asked):
            raise Unusable("is a list of messages that does not continue the prompt", column)
        if said[-1].role is not Speaker.ASSISTANT:
            raise Unusable("does not end with an assistant message", column)
        return filled(said[-1].content, column)


def checked_text(value: object, column: str) -> str:
    """`value` as text of whole characters."""
    if not isinstance(value, str):
        raise Unusable(f"must be text, got {_kind(value)}", column)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Unusable("holds half a surrogate pair, which is no character", column) from None
    return value


def filled(value: object, column: str) -> str:
    """`value` as text that is not blank."""
    text = checked_text(value, column)
    if not text.strip():
        raise Unusable("is empty", column)
    return text


def finite(value: object, column: str) -> float:
    """`value` as a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"must be a number, got {_kind(value)}", column)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unusable("must be a finite number", column)
    return number


def listed(names: Iterable[str]) -> str:
    """Names of columns for a message: in order, short, and printable whatever they hold."""
    shown = (name if name.isprintable() else ascii(name) for name in sorted(names))
    found = [name[:MOST_SHOWN] for name in shown]
    more = [] if len(found) <= MOST_NAMES else [f"{len(found) - MOST_NAMES} more"]
    return ", ".join(found[:MOST_NAMES] + more) or "none"


def truth(value: object, column: str) -> bool:
    """`value` as true or false; 0 and 1 are refused: they may be ranks."""
    if not isinstance(value, bool):
        raise Unusable(f"must be true or false, got {_kind(value)}", column)
    return value


def sequence(value: object, column: str) -> Sequence[object]:
    """`value` as a list that is not empty."""
    if not isinstance(value, list):
        raise Unusable(f"must be a list, got {_kind(value)}", column)
    if not value:
        raise Unusable("is an empty list", column)
    return value


def mapping(value: object, column: str) -> Mapping[str, object]:
    """`value` as an object with named fields."""
    if not isinstance(value, dict):
        raise Unusable(f"must be an object, got {_kind(value)}", column)
    return value


def messages(value: object, column: str) -> Conversation:
    """`value` as a conversation: a list of objects with `role` and `content`.

    Other fields are refused unless they are null: leaving out a tool call, say, would change what
    was said.
    """
    said = []
    for index, item in enumerate(sequence(value, column)):
        place = f"{column}[{index}]"
        fields = mapping(item, place)
        extra = [name for name in fields.keys() - {"role", "content"} if fields[name] is not None]
        if extra:
            raise Unusable(f"has fields that Accord does not read: {listed(extra)}", place)
        for name in ("role", "content"):
            if fields.get(name) is None:
                raise Unusable(f"has no {name}", place)
        role = checked_text(fields["role"], f"{place}.role")
        if role not in set(Speaker):
            raise Unusable(
                f"must be system, user, assistant or opening, got {role[:MOST_SHOWN]!r}",
                f"{place}.role",
            )
        content = checked_text(fields["content"], f"{place}.content")
        said.append(Message(role=Speaker(role), content=content))
    try:
        return Conversation(tuple(said))
    except DataError as error:
        raise Unusable(error.what, column) from None


def _kind(value: object) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "an object",
        type(None): "null",
    }
    return names.get(type(value), type(value).__name__)
