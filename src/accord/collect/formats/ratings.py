"""One answer to a prompt with the ratings that people gave it, each alone on one scale."""

from __future__ import annotations

from collections.abc import Iterator

from accord.collect.formats.shape import Format, Row, fault_of
from accord.collect.records import Record, Unusable, finite, sequence
from accord.core.errors import DataError
from accord.core.types import RatedResponse


def _rated(record: Record) -> Iterator[Row]:
    prompt = record.prompt()
    response = record.answer("response", prompt)
    said = sequence(record.value("ratings"), "ratings")
    ratings = tuple(finite(one, f"ratings[{place}]") for place, one in enumerate(said))
    source = record.origin()
    try:
        row = RatedResponse(prompt=prompt, response=response, ratings=ratings, source=source)
    except DataError as error:
        raise Unusable(*fault_of(error)) from None
    yield row


RATINGS = Format(
    name="prompt-response-ratings",
    required=frozenset({"prompt", "response", "ratings"}),
    plain=frozenset({"prompt", "response"}),
    meaning="`prompt`, one `response` and its `ratings`: numbers of one scale, higher is better.",
    parse=_rated,
)
