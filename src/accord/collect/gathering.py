"""Rows that stand together are read together: the ratings of one prompt, the messages of one tree.

A file is read once and in order, so that rows of one prompt that stand apart are not brought
together; what that costs is the format's to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from accord.collect.formats import Explained, Format, Joined, Row, Unjudged
from accord.collect.formats.shape import Item
from accord.collect.records import Record, Rejected, Unusable

Used = Row | Unjudged | Explained | Rejected
"""What a reader of rows gets: everything but what is joined to something else."""

MOST_TOGETHER = 4096
"""Rows that are held at a time; more of one prompt are read as if they were of another."""


class Gathering:
    """Turns records into items, holding back those that the next may belong to."""

    def __init__(self) -> None:
        self.joined = 0
        """Rows, or parts of rows, that stand in the comparison or demonstration of another."""
        self._held: list[Record] = []
        self._format: Format | None = None
        self._key = ""

    def items(self, made: Format, record: Record) -> Iterator[Used]:
        """What is known once `record` has been met; a fault in its key holds nothing up."""
        if made.together is None:
            yield from self.rest()
            yield from self._counted(_alone(made, record))
            return
        try:
            key = made.together.key(record)
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column)
            return
        if (made, key) != (self._format, self._key) or len(self._held) >= MOST_TOGETHER:
            yield from self.rest()
        self._format, self._key = made, key
        self._held.append(record)

    def rest(self) -> Iterator[Used]:
        """What the rows held back come to."""
        held, self._held = self._held, []
        if held and self._format is not None and self._format.together is not None:
            yield from self._counted(self._format.together.parse(held))

    def _counted(self, items: Iterator[Item]) -> Iterator[Used]:
        for item in items:
            if isinstance(item, Joined):
                self.joined += 1
            else:
                yield item


def _alone(made: Format, record: Record) -> Iterator[Item]:
    try:
        yield from made.parse(record)
    except Unusable as error:
        yield Rejected(record.row, error.what, error.column)
