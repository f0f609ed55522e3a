"""What is said: messages, and conversations of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from accord.core.errors import DataError
from accord.core.hashing import digest


class Speaker(StrEnum):
    """Who says a message."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    OPENING = "opening"
    """How the assistant's next message begins, given beforehand: an answer goes on from it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a conversation. Text is kept as given: nothing is stripped."""

    role: Speaker
    content: str

    def __post_init__(self) -> None:
        if not isinstance(self.role, Speaker):
            try:
                object.__setattr__(self, "role", Speaker(self.role))
            except ValueError:
                raise DataError(
                    "a message has an unknown role",
                    got=repr(self.role),
                    do="use system, user, assistant or, at the end of a prompt, opening",
                ) from None
        if not isinstance(self.content, str):
            raise DataError("a message's content must be text", got=type(self.content).__name__)


@dataclass(frozen=True, slots=True)
class Conversation:
    """An ordered tuple of messages: the one input format of all algorithms.

    A system message may only come first; an opening only last, after a message of the user's or the
    system's. Empty conversations are refused.
    """

    messages: tuple[Message, ...]

    def __post_init__(self) -> None:
        if not self.messages:
            raise DataError("a conversation has no message", do="drop the row or fill it")
        late = [m for m in self.messages[1:] if m.role is Speaker.SYSTEM]
        if late:
            raise DataError(
                "a system message must be the first of its conversation", got=late[0].content[:60]
            )
        begun = [i for i, m in enumerate(self.messages) if m.role is Speaker.OPENING]
        if begun and (
            begun != [len(self.messages) - 1]
            or len(self.messages) < 2
            or self.messages[-2].role is Speaker.ASSISTANT
        ):
            raise DataError(
                "an opening must be the last message, after one of the user's or the system's",
                got=self.messages[begun[0]].content[:60],
            )

    @classmethod
    def of(cls, user: str, *, system: str | None = None, opening: str = "") -> Conversation:
        """A conversation of one user message, waiting for an answer that begins with `opening`."""
        head = (Message(role=Speaker.SYSTEM, content=system),) if system is not None else ()
        begun = (Message(role=Speaker.OPENING, content=opening),) if opening else ()
        return cls((*head, Message(role=Speaker.USER, content=user), *begun))

    @property
    def awaits_answer(self) -> bool:
        """Whether the next turn is the assistant's."""
        return self.messages[-1].role is not Speaker.ASSISTANT

    @property
    def opening(self) -> str:
        """What the answer begins with, where that is given; else nothing."""
        last = self.messages[-1]
        return last.content if last.role is Speaker.OPENING else ""

    @property
    def asked(self) -> tuple[Message, ...]:
        """The messages without the opening of an answer."""
        return self.messages[:-1] if self.messages[-1].role is Speaker.OPENING else self.messages

    @property
    def digest(self) -> str:
        """Content hash over roles and texts."""
        return digest([[m.role, m.content] for m in self.messages])

    def answered(self, text: str) -> Conversation:
        """This conversation with one assistant message more, its opening included.

        Raises DataError where the last message is already the assistant's.
        """
        if not self.awaits_answer:
            raise DataError(
                "an answer was added to a conversation that does not wait for one",
                got=self.messages[-1].content[:60],
            )
        said = Message(role=Speaker.ASSISTANT, content=self.opening + text)
        return Conversation((*self.asked, said))
