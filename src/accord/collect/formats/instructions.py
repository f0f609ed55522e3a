"""Instructions with instances, as in Self-Instruct (Wang et al. 2022, arXiv:2212.10560)."""

from __future__ import annotations

from collections.abc import Iterator

from accord.collect.formats.shape import Format, Row
from accord.collect.records import (
    Record,
    Rejected,
    Unusable,
    checked_text,
    filled,
    mapping,
    sequence,
)
from accord.core.types import Conversation, Demonstration


def _instances(record: Record) -> Iterator[Row | Rejected]:
    """One demonstration an instance; a bad instance is rejected alone."""
    instruction = record.text("instruction")
    source = record.origin()
    for index, item in enumerate(sequence(record.value("instances"), "instances")):
        place = f"instances[{index}]"
        try:
            fields = mapping(item, place)
            asked = asked_with(instruction, fields.get("input"), f"{place}.input")
            output = filled(_there(fields, "output", place), f"{place}.output")
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column)
            continue
        yield Demonstration(conversation=asked.answered(output), source=source)


def asked_with(instruction: str, given: object, column: str) -> Conversation:
    """The prompt of an instruction and its input, which may be missing, null or blank."""
    text = "" if given is None else checked_text(given, column)
    return Conversation.of(f"{instruction}\n\n{text}" if text.strip() else instruction)


def _there(fields: object, name: str, place: str) -> object:
    assert isinstance(fields, dict)
    if fields.get(name) is None:
        raise Unusable(f"has no {name}", place)
    return fields[name]


INSTRUCTIONS = Format(
    name="self-instruct",
    required=frozenset({"instruction", "instances"}),
    meaning="`instruction` and `instances`, a list of {input, output}: one demonstration each.",
    parse=_instances,
)
