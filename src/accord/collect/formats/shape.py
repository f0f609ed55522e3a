"""What a format is: the columns it needs and how a row of it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from accord.collect.records import Record, Rejected, Unusable
from accord.core.errors import DataError
from accord.core.types import Comparison, Conversation, Demonstration, Prompt

Row = Comparison | Demonstration | Prompt
"""What a row becomes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A shape of rows."""

    name: str
    """What the command line calls it."""
    required: frozenset[str]
    """Columns that a row must have."""
    optional: frozenset[str] = frozenset({"source"})
    """Columns that are read where they are there."""
    meaning: str
    """One sentence for the manual."""
    parse: Callable[[Record], Iterator[Row | Rejected]]
    """Reads one row; raises Unusable where it cannot."""


PREFERENCE_COLUMNS = frozenset({"weight", "margin", "label", "source"})
"""Optional columns of comparisons."""


def comparison(
    record: Record, prompt: Conversation, responses: tuple[str, ...], tiers: tuple[int, ...]
) -> Comparison:
    """A comparison with the row's weight, margin, label and source.

    Raises Unusable where a rule of comparisons is broken or one text stands in two tiers.
    """
    ranks: dict[str, int] = {}
    for text, tier in zip(responses, tiers, strict=False):
        if ranks.setdefault(text, tier) != tier:
            raise Unusable("the same response is said to be better than itself")
    weight, margin = record.number("weight"), record.number("margin")
    try:
        return Comparison(
            prompt=prompt,
            responses=responses,
            tiers=tiers,
            weight=1.0 if weight is None else weight,
            margin=0.0 if margin is None else margin,
            label=record.number("label"),
            source=record.origin(),
        )
    except DataError as error:
        got = "" if error.got is None else f", got {error.got}"
        raise Unusable(f"{error.what}{got}", _column(error.what)) from None


def _column(what: str) -> str | None:
    columns = ("weight", "margin", "label", "tiers")
    return next((name for name in columns if name.removesuffix("s") in what), None)
