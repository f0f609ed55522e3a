"""One answer to a prompt with a thumb up or down, as TRL's unpaired preferences."""

from __future__ import annotations

from collections.abc import Iterator

from accord.collect.formats.shape import Format, Row, fault_of
from accord.collect.records import Record, Unusable, truth
from accord.core.errors import DataError
from accord.core.types import Feedback


def _thumb(record: Record) -> Iterator[Row]:
    prompt = record.prompt()
    response = record.answer("completion", prompt)
    good = truth(record.value("label"), "label")
    weight = record.number("weight")
    source = record.origin()
    try:
        row = Feedback(
            prompt=prompt,
            response=response,
            good=good,
            weight=1.0 if weight is None else weight,
            source=source,
        )
    except DataError as error:
        raise Unusable(*fault_of(error)) from None
    yield row


THUMBS = Format(
    name="prompt-completion-label",
    required=frozenset({"prompt", "completion", "label"}),
    optional=frozenset({"weight", "source"}),
    meaning="`prompt`, one answer `completion` and its `label`: true a thumb up, false down.",
    parse=_thumb,
)
