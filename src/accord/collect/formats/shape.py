"""What a format is: the columns it needs and how a row of it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from accord.collect.records import Record, Rejected, Unusable, checked_text, finite
from accord.core.errors import DataError
from accord.core.types import (
    OVERALL,
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Prompt,
    RatedResponse,
)

Row = Comparison | Demonstration | Prompt | Feedback | RatedResponse
"""What a row of a data set becomes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unjudged:
    """A prompt and responses that nobody compared yet: what raters are to be asked about."""

    row: int
    """Line of a JSON Lines file, row of a Parquet file; from 1."""
    prompt: Conversation
    responses: tuple[str, ...]
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """Responses in their known order, and why that is the order: what a lesson is made of."""

    row: int
    """As `Unjudged.row`."""
    comparison: Comparison
    explanation: str


@dataclass(frozen=True, slots=True)
class Joined:
    """A row, or a part of one, that is used in the comparison or demonstration of another."""

    row: int


Item = Row | Unjudged | Explained | Rejected | Joined
"""What becomes of a row: each row gives one at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Together:
    """How rows that stand one after the other become one value, as ratings of one prompt do."""

    key: Callable[[Record], str]
    """Neighbours with the same key belong together; raises Unusable where a row has none."""
    parse: Callable[[Sequence[Record]], Iterator[Item]]
    """Reads such rows; never raises Unusable, for the fault of one row is not that of all."""


def never(columns: frozenset[str]) -> bool:
    """What a format answers that is recognised by its `required` columns alone."""
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """A shape of rows."""

    name: str
    """What the command line calls it."""
    required: frozenset[str]
    """Columns that a row must have."""
    plain: frozenset[str] = frozenset()
    """Those of `required` whose names are too common to speak for this format on their own."""
    recognises: Callable[[frozenset[str]], bool] = never
    """Whether columns whose names a user chose, null ones among them, are of this format."""
    optional: frozenset[str] = frozenset({"source"})
    """Columns that are read where they are there."""
    meaning: str
    """One sentence for the manual."""
    parse: Callable[[Record], Iterator[Item]]
    """Reads one row; raises Unusable where it cannot."""
    together: Together | None = None
    """Where rows are not read one by one."""
    by_name: bool = False
    """Whether it is never recognised: another format with these columns is what is meant, unless
    somebody names this one."""


PREFERENCE_COLUMNS = frozenset(
    {
        "weight",
        "margin",
        "label",
        "source",
        "strength",
        "inclusion",
        "rater",
        "all_bad",
        "criterion",
    }
)
"""Optional columns of comparisons."""


def chosen_over(record: Record, prompt: Conversation, chosen: str, rejected: str) -> Comparison:
    """A pair whose better response the columns name; `label` may weaken that, and not turn it.

    A label of 0 beside them is often a class of something else. Raises Unusable as `comparison`.
    """
    label = record.number("label")
    if label is not None and 0 <= label < 0.5:
        raise Unusable("says that the rejected response is the better one", "label")
    return comparison(record, prompt, (chosen, rejected), (0, 1))


def comparison(
    record: Record,
    prompt: Conversation,
    responses: tuple[str, ...],
    tiers: tuple[int, ...],
    label: float | None = None,
) -> Comparison:
    """A comparison with the row's optional columns; `label` by default the row's own.

    Raises Unusable where a rule of comparisons is broken or one text is better than itself.
    """
    weight, margin = record.number("weight"), record.number("margin")
    inclusion = record.number("inclusion")
    label = record.number("label") if label is None else label
    _refuse_doubles(responses, tiers, label)
    try:
        return Comparison(
            prompt=prompt,
            responses=responses,
            tiers=tiers,
            weight=1.0 if weight is None else weight,
            margin=0.0 if margin is None else margin,
            label=label,
            source=record.origin(),
            strength=_strength(record),
            inclusion=1.0 if inclusion is None else inclusion,
            rater=_rater(record),
            all_bad=_all_bad(record),
            criterion=_criterion(record),
        )
    except Unusable:
        raise
    except DataError as error:
        raise Unusable(*fault_of(error)) from None


def ordered(
    prompt: Conversation,
    responses: tuple[str, ...],
    tiers: tuple[int, ...],
    *,
    source: str,
    weight: float = 1.0,
    strength: int | None = None,
    rater: str = "",
    criterion: str = "",
) -> Comparison:
    """A comparison of what a format alone says, whatever other columns a row has.

    Raises Unusable as `comparison`.
    """
    _refuse_doubles(responses, tiers, None)
    try:
        return Comparison(
            prompt=prompt,
            responses=responses,
            tiers=tiers,
            source=source,
            weight=weight,
            strength=strength,
            rater=rater,
            criterion=criterion,
        )
    except DataError as error:
        raise Unusable(*fault_of(error)) from None


def tiers_of(scores: Sequence[float]) -> tuple[int, ...]:
    """Tiers of scores, the highest 0; equal scores are a tie."""
    ranks = {score: tier for tier, score in enumerate(sorted(set(scores), reverse=True))}
    return tuple(ranks[score] for score in scores)


def whole_number(value: object, column: str, lowest: int, highest: int) -> int:
    """`value` as a whole number in a range; 3.0 is one, as a column with gaps makes of 3.

    Raises Unusable for anything else, true and false among it.
    """
    number = finite(value, column)
    if not number.is_integer() or not lowest <= number <= highest:
        raise Unusable(f"must be a whole number from {lowest} to {highest}, got {number:g}", column)
    return int(number)


def fault_of(error: DataError) -> tuple[str, str | None]:
    """What rule of a domain value a row breaks, and in which column where that is known."""
    got = "" if error.got is None else f", got {error.got}"
    return f"{error.what}{got}", _column(error.what)


def _refuse_doubles(
    responses: tuple[str, ...], tiers: tuple[int, ...], label: float | None
) -> None:
    ranks: dict[str, int] = {}
    better = any(
        ranks.setdefault(text, tier) != tier for text, tier in zip(responses, tiers, strict=False)
    )
    if better or (len(ranks) == 1 and label not in (None, 0.5)):
        raise Unusable("the same response is said to be better than itself")


def _strength(record: Record) -> int | None:
    number = record.number("strength")
    if number is not None and not number.is_integer():
        raise Unusable("must be a whole number, 1 to 4", "strength")
    return None if number is None else int(number)


def _rater(record: Record) -> str:
    found = record.values.get("rater")
    return "" if found is None else checked_text(found, "rater")


def _criterion(record: Record) -> str:
    found = record.values.get("criterion")
    name = "" if found is None else checked_text(found, "criterion")
    return "" if name == OVERALL else name


def _all_bad(record: Record) -> bool:
    found = record.values.get("all_bad")
    if found is not None and not isinstance(found, bool):
        raise Unusable("must be true or false", "all_bad")
    return bool(found)


def _column(what: str) -> str | None:
    columns = ("inclusion", "strength", "weight", "margin", "label", "tiers")
    return next((name for name in columns if name.removesuffix("s") in what), None)
