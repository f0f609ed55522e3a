"""Two answers to one prompt, the better one named, as TRL pairs them; `margin` is Llama 2's."""

from __future__ import annotations

from collections.abc import Iterator

from accord.collect.formats.shape import PREFERENCE_COLUMNS, Format, Row, chosen_over
from accord.collect.records import Record


def _pair(record: Record) -> Iterator[Row]:
    prompt = record.prompt()
    chosen, rejected = (record.answer(column, prompt) for column in ("chosen", "rejected"))
    yield chosen_over(record, prompt, chosen, rejected)


PAIRS = Format(
    name="prompt-chosen-rejected",
    required=frozenset({"prompt", "chosen", "rejected"}),
    optional=PREFERENCE_COLUMNS,
    meaning="`prompt`, the better answer `chosen` and the worse one `rejected`; "
    "`label` is P(chosen better), .5 to 1.",
    parse=_pair,
)
