"""Votes of several people on a row: each is a comparison of its own, under its rater's name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from accord.collect.formats.shape import Item, ordered
from accord.collect.records import Record, Rejected, Unusable
from accord.core.types import Conversation


@dataclass(frozen=True, slots=True)
class Vote:
    """What one person said of the responses of a row."""

    prompt: Conversation
    responses: tuple[str, ...]
    tiers: tuple[int, ...]
    rater: str
    place: str
    """Where in the row it stands."""


def voted(record: Record, votes: Sequence[Vote]) -> Iterator[Item]:
    """One comparison a vote. Together they weigh 1, however many people were asked."""
    for vote in votes:
        try:
            yield ordered(
                vote.prompt,
                vote.responses,
                vote.tiers,
                source=record.origin(),
                weight=1 / len(votes),
                rater=vote.rater,
            )
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column or vote.place)


def prompt_in(
    record: Record, fields: Mapping[str, object], column: str, place: str
) -> Conversation:
    """The prompt inside a row: text, or messages that wait for an answer."""
    try:
        return Record(record.row, {"prompt": fields.get(column)}, record.source).prompt()
    except Unusable as error:
        where = (error.column or "prompt").replace("prompt", column, 1)
        raise Unusable(error.what, f"{place}{where}") from None
