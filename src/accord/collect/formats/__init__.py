"""The shapes of rows that Accord reads, and which of them a row has."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

from accord.collect.formats import (
    argilla,
    conversations,
    dialogues,
    helpsteer,
    instructions,
    label_studio,
    message_trees,
    pairs,
    ratings,
    thumbs,
    tiers,
    ultrafeedback,
    votes,
)
from accord.collect.formats.shape import Explained, Format, Joined, Row, Unjudged
from accord.collect.records import Unusable, listed
from accord.core.errors import ConfigError

FORMATS: dict[str, Format] = {
    made.name: made
    for made in (
        conversations.CONVERSATIONS,
        conversations.PROMPT_RESPONSE,
        conversations.PROMPT,
        pairs.PAIRS,
        tiers.TIERS,
        tiers.LESSONS,
        tiers.UNJUDGED,
        dialogues.DIALOGUES,
        instructions.INSTRUCTIONS,
        thumbs.THUMBS,
        ratings.RATINGS,
        votes.VOTES,
        ultrafeedback.COMPLETIONS,
        ultrafeedback.BY_ASPECT,
        ultrafeedback.SCORED_PAIRS,
        helpsteer.RATINGS,
        helpsteer.BY_ATTRIBUTE,
        helpsteer.STRENGTHS,
        helpsteer.CONTEXTS,
        message_trees.MESSAGES,
        message_trees.TREES,
        argilla.RECORDS,
        label_studio.TASKS,
    )
}
"""Every format by its name."""

KNOWN = frozenset[str]().union(*(made.required for made in FORMATS.values()))
"""Columns that decide a row's format."""

__all__ = [
    "FORMATS",
    "Explained",
    "Format",
    "Joined",
    "Row",
    "Unjudged",
    "format_called",
    "format_of",
]


def format_called(name: str) -> Format:
    """The format called `name`. Raises ConfigError with the nearest name for an unknown one."""
    if name in FORMATS:
        return FORMATS[name]
    near = get_close_matches(name, FORMATS, n=1)
    raise ConfigError(
        "there is no such format",
        got=name,
        do=(f"did you mean {near[0]}? " if near else "") + f"use auto or {', '.join(FORMATS)}",
    )


def format_of(columns: Iterable[str], empty: Iterable[str] = ()) -> Format:
    """The format whose deciding columns are all of those among `columns`.

    `empty` are columns of the row that hold nothing: they decide only where a format goes by names
    that somebody chose, as Argilla's does. Raises Unusable where none or several fit, naming the
    columns found and what the nearest lacks: a row with `prompt` and `chosen` is a broken pair, not
    a prompt. A column that decides for another format is never read over: the `label` of a
    demonstration may say that it is a bad one.
    """
    made = _decided(frozenset(columns), frozenset(empty))
    if isinstance(made, str):
        raise Unusable(made)
    return made


@lru_cache(maxsize=256)
def _decided(found: frozenset[str], empty: frozenset[str]) -> Format | str:
    """The format, or why there is none; looked up once a set of columns, not once a row."""
    for made in FORMATS.values():
        if made.recognises(found | empty):
            return made
    by_columns = [made for made in FORMATS.values() if made.required and not made.by_name]
    nearest = max(by_columns, key=lambda made: _likeness(made, found))
    missing = sorted(nearest.required - found)
    told = listed(found)
    if missing:
        return (
            f"the columns ({told}) fit no format; the nearest is {nearest.name}, "
            f"which lacks {' and '.join(missing)}"
        )
    whole = [made for made in by_columns if made.required <= found]
    strange = sorted(
        name
        for name in (found & KNOWN) - nearest.required - nearest.optional
        if any(name in made.required - made.plain for made in by_columns)
        or any(name in made.required for made in whole)
    )
    if not strange:
        return nearest
    names = [made.name for made in whole if not made.required < nearest.required]
    if len(names) > 1:
        return f"the columns ({told}) fit several formats: {', '.join(names)}; name one"
    others = [made.name for made in by_columns if made.required & set(strange)]
    return (
        f"the columns ({told}) fit {nearest.name}, but {' and '.join(strange)} would decide for "
        f"{' and '.join(others)}; name the format, or rename the columns"
    )


def _likeness(made: Format, columns: frozenset[str]) -> tuple[float, int]:
    """How much of a format is there: whole columns first, then misspelt ones."""
    missing, others = made.required - columns, columns - made.required
    found = made.required & columns
    if missing - made.plain:
        found -= made.plain
    misspelt = {near for name in missing for near in get_close_matches(name, others, n=1)}
    return len(found) + len(misspelt) / 2, -len(missing)
