"""Pairs of whole dialogues that differ in the last answer, as in HH-RLHF (Bai et al. 2022,
arXiv:2204.05862): text with `Human:` and `Assistant:` turns, or lists of messages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from accord.collect.formats.shape import PREFERENCE_COLUMNS, Format, Row, chosen_over
from accord.collect.records import Record, Unusable, checked_text, filled, messages
from accord.core.types import Conversation, Message, Speaker

_TURN = re.compile(r"\n\n(Human|Assistant):")
_ROLE = {"Human": Speaker.USER, "Assistant": Speaker.ASSISTANT}


def _dialogue(value: object, column: str) -> tuple[Message, ...]:
    """The turns of one dialogue, white space around each taken away where they come as one text."""
    if isinstance(value, list):
        return messages(value, column).messages
    before, *parts = _TURN.split(checked_text(value, column))
    if not parts or before.strip():
        raise Unusable(
            r"must begin with '\n\nHuman:' or be a list of messages; where in other text the "
            "prompt ends is not guessed: give it a column `prompt`",
            column,
        )
    roles, texts = parts[::2], parts[1::2]
    return tuple(
        Message(role=_ROLE[role], content=filled(text.strip(), f"{column}, turn {index}"))
        for index, (role, text) in enumerate(zip(roles, texts, strict=True), start=1)
    )


def _pair(record: Record) -> Iterator[Row]:
    chosen = _dialogue(record.value("chosen"), "chosen")
    rejected = _dialogue(record.value("rejected"), "rejected")
    for column, turns in (("chosen", chosen), ("rejected", rejected)):
        if len(turns) < 2 or turns[-1].role is not Speaker.ASSISTANT:
            raise Unusable("does not end with the assistant's answer to a prompt", column)
        filled(turns[-1].content, f"{column}, turn {len(turns)}")
    if chosen[:-1] != rejected[:-1]:
        turn = next(
            (i for i, (a, b) in enumerate(zip(chosen, rejected, strict=False), 1) if a != b),
            min(len(chosen), len(rejected)) + 1,
        )
        raise Unusable(f"the dialogues differ before the last answer: at turn {turn}")
    if chosen[-2].role is Speaker.ASSISTANT:
        raise Unusable("has two assistant turns in a row at its end", "chosen")
    prompt = Conversation(chosen[:-1])
    yield chosen_over(record, prompt, chosen[-1].content, rejected[-1].content)


DIALOGUES = Format(
    name="hh-rlhf",
    required=frozenset({"chosen", "rejected"}),
    optional=PREFERENCE_COLUMNS,
    meaning="`chosen` and `rejected`: whole dialogues that differ in the last answer alone.",
    parse=_pair,
)
