"""Policies without a model, for conversations: what they say shows what they were asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from accord.core.types import Conversation, Response, SamplingSettings, Speaker, StopReason


class Parrot:
    """Says its name, the seed, how many messages it was given and the last one's words, a word at a
    time; `room` characters of a conversation fit. A message `wait` is answered for a minute."""

    def __init__(self, name: str, *, room: int = 1000) -> None:
        self.name, self.room = name, room
        self.asked: list[Conversation] = []
        self.seeds: list[int] = []

    def tokens_over(self, conversation: Conversation, settings: SamplingSettings) -> int:
        length = sum(len(message.content) for message in conversation.messages)
        return max(0, length + settings.max_tokens - self.room)

    def respond(
        self,
        conversations: Sequence[Conversation],
        *,
        settings: SamplingSettings,
        n: int,
        seed: int,
        watch: Callable[[Sequence[str]], None] | None = None,
    ) -> list[list[Response]]:
        assert n == 1
        (conversation,) = conversations
        self.asked.append(conversation)
        self.seeds.append(seed)
        system = conversation.messages[0].role is Speaker.SYSTEM
        last = conversation.messages[-1].content
        said = "" if last == "silence" else f"{self.name} {self._number(settings, seed)} {last}"
        if system:
            said += f" ({conversation.messages[0].content})"
        words = said.split(" ")
        for end in range(1, len(words) + 1):
            if watch is not None:
                watch([" ".join(words[:end])])
        until = time.monotonic() + 60
        while last == "wait" and watch is not None and time.monotonic() < until:
            time.sleep(0.01)
            watch([said])
        stop = StopReason.LENGTH if last == "cut" else StopReason.STOP
        return [[Response(prompt_id="", text=said, stop=stop)]]

    @staticmethod
    def _number(settings: SamplingSettings, seed: int) -> int:
        return 0 if settings.temperature == 0 else seed % 1000
