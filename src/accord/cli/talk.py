"""A conversation of several turns with one policy or several, each with a history of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from accord.core.errors import ConfigError, DataError
from accord.core.hashing import digest
from accord.core.types import (
    Conversation,
    Demonstration,
    Message,
    Response,
    SamplingSettings,
    Speaker,
)

Watch = Callable[[str, str], None]
"""Hears a policy's name and what its answer says so far. What it raises gives the answers up."""


class Partner(Protocol):
    """A loaded policy, as `answering.Voice` is one."""

    def tokens_over(self, conversation: Conversation, settings: SamplingSettings) -> int:
        """Tokens of a prompt that find no room beside its answer; 0: it fits."""
        ...

    def respond(
        self,
        conversations: Sequence[Conversation],
        *,
        settings: SamplingSettings,
        n: int,
        seed: int,
        watch: Callable[[Sequence[str]], None] | None = None,
    ) -> list[list[Response]]:
        """`n` answers to each, in order; the same seed, the same answers."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """A message and the answer to it."""

    message: str
    answer: str


History = tuple[Turn, ...]


class Talk:
    """What was said, and what is said next.

    A turn is there whole or not at all: where an answer is given up or cannot be made, all is as it
    was. Which random numbers an answer is drawn with depends on the seed, the number of its turn
    and how often that turn was answered: the same for all policies.
    """

    def __init__(
        self,
        partners: Sequence[Partner],
        names: Sequence[str],
        *,
        settings: SamplingSettings,
        seed: int,
        system: str | None = None,
    ) -> None:
        self.names, self.settings, self.system = tuple(names), settings, system
        self._partners, self._seed = tuple(partners), seed
        self._histories: list[History] = [() for _ in partners]
        self._drawn: list[int] = []  # answers drawn so far, by turn
        self._unanswered: str | None = None

    @property
    def turns(self) -> int:
        """Turns that are answered."""
        return len(self._drawn)

    @property
    def histories(self) -> tuple[History, ...]:
        """What each policy goes on from."""
        return tuple(self._histories)

    def say(self, message: str, watch: Watch | None = None) -> list[Response]:
        """The answer of each policy to a new message.

        Raises DataError where a policy has no room for it, or cannot read it.
        """
        self._unanswered = None
        try:
            said = self._asked(message, self._histories, drawn=0, watch=watch)
        except KeyboardInterrupt:
            self._unanswered = message
            raise
        self._histories = _with(self._histories, message, said)
        self._drawn.append(1)
        return said

    def again(self, watch: Watch | None = None) -> list[Response]:
        """Other answers to the last message, in place of those there are.

        A message whose answers were given up is said once more. Raises ConfigError where nothing
        was said, and as `say` does.
        """
        if self._unanswered is not None:
            return self.say(self._unanswered, watch)
        last = self._last()
        before = [history[:-1] for history in self._histories]
        said = self._asked(last, before, drawn=self._drawn[-1], watch=watch)
        self._histories = _with(before, last, said)
        self._drawn[-1] += 1
        return said

    def back(self) -> str:
        """Take the last turn back; its message. Raises ConfigError where there is none."""
        last = self._last()
        self._histories = [history[:-1] for history in self._histories]
        self._drawn.pop()
        self._unanswered = None
        return last

    def keep(self, place: int) -> None:
        """Let all policies go on from the history of one, by its place.

        Raises ConfigError where nothing was said.
        """
        self._last()
        self._histories = [self._histories[place]] * len(self._histories)

    def forget(self) -> None:
        """Begin another conversation; settings and system message stay."""
        self._histories = [() for _ in self._histories]
        self._drawn, self._unanswered = [], None

    def address(self, system: str | None) -> bool:
        """Put another system message first, or none; whether that began another conversation.

        What was said under the one before it was no answer to this one.
        """
        began = system != self.system and self.turns > 0
        self.system = system
        if began:
            self.forget()
        return began

    def demonstrations(self, sources: Sequence[str]) -> list[Demonstration]:
        """The conversations there are, one for each history that differs from the others.

        `sources` says for each policy where its answers come from. Raises ConfigError where nothing
        was said, and DataError where an answer is empty.
        """
        self._last()
        found: dict[History, list[str]] = {}
        for source, history in zip(sources, self._histories, strict=True):
            found.setdefault(history, []).append(source)
        return [
            Demonstration(
                conversation=Conversation(self._messages(history)),
                source=f"chat with {' and '.join(who)}",
            )
            for history, who in found.items()
        ]

    def _last(self) -> str:
        if not self._drawn:
            raise ConfigError("nothing was said yet")
        return self._histories[0][-1].message

    def _messages(self, history: History) -> tuple[Message, ...]:
        head = [] if self.system is None else [Message(role=Speaker.SYSTEM, content=self.system)]
        turns = [
            Message(role=role, content=text)
            for turn in history
            for role, text in ((Speaker.USER, turn.message), (Speaker.ASSISTANT, turn.answer))
        ]
        return (*head, *turns)

    def _asked(
        self, message: str, histories: Sequence[History], *, drawn: int, watch: Watch | None
    ) -> list[Response]:
        new = Message(role=Speaker.USER, content=message)
        asked = [Conversation((*self._messages(history), new)) for history in histories]
        for name, partner, conversation in zip(self.names, self._partners, asked, strict=True):
            if over := partner.tokens_over(conversation, self.settings):
                raise self._full(name, over, first=not histories[0])
        seed = int(digest([self._seed, len(histories[0]), drawn])[:12], 16)
        said = []
        for name, partner, conversation in zip(self.names, self._partners, asked, strict=True):

            def hear(texts: Sequence[str], name: str = name) -> None:
                if watch is not None:
                    watch(name, texts[0])

            ((answer,),) = partner.respond(
                [conversation], settings=self.settings, n=1, seed=seed, watch=hear
            )
            said.append(answer)
        return said

    def _full(self, name: str, over: int, *, first: bool) -> DataError:
        what = "this message does not fit" if first else "the conversation no longer fits"
        whose = f" of {name}" if len(self.names) > 1 else ""
        do = "" if first else "/new forgets the conversation, /back takes its last turn back; "
        return DataError(
            f"{what} the context of the model{whose}",
            got=f"{over} tokens too many, with {self.settings.max_tokens} left for the answer",
            do=f"{do}{'a shorter message' if first else 'or begin again'}, or less --max-tokens",
        )


def _with(histories: Sequence[History], message: str, said: Sequence[Response]) -> list[History]:
    return [
        (*history, Turn(message, answer.text))
        for history, answer in zip(histories, said, strict=True)
    ]
