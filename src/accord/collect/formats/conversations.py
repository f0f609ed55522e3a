"""Demonstrations and prompts: whole conversations, prompt with response, prompt alone."""

from __future__ import annotations

from collections.abc import Iterator

from accord.collect.formats.shape import Format, Row
from accord.collect.records import Record, Unusable
from accord.core.errors import DataError
from accord.core.types import Demonstration, Prompt


def _conversation(record: Record) -> Iterator[Row]:
    conversation = record.conversation("messages")
    if conversation.awaits_answer:
        raise Unusable("ends with a message that nobody answers", "messages")
    try:
        yield Demonstration(conversation=conversation, source=record.origin())
    except Unusable:
        raise
    except DataError as error:
        raise Unusable(error.what, "messages") from None


def _prompt_response(record: Record) -> Iterator[Row]:
    prompt = record.prompt()
    answered = prompt.answered(record.answer("response", prompt))
    try:
        yield Demonstration(conversation=answered, source=record.origin())
    except Unusable:
        raise
    except DataError as error:
        raise Unusable(error.what, "prompt") from None


def _prompt(record: Record) -> Iterator[Row]:
    yield Prompt(conversation=record.prompt(), source=record.origin())


CONVERSATIONS = Format(
    name="conversations",
    required=frozenset({"messages"}),
    meaning="`messages`: a list of {role, content}; every assistant message is imitated.",
    parse=_conversation,
)
PROMPT_RESPONSE = Format(
    name="prompt-response",
    required=frozenset({"prompt", "response"}),
    meaning="`prompt` (text or messages) and the `response` to imitate.",
    parse=_prompt_response,
)
PROMPT = Format(
    name="prompt",
    required=frozenset({"prompt"}),
    meaning="`prompt` alone (text or messages): something to answer.",
    parse=_prompt,
)
