"""K answers to one prompt: in tiers, rankings with ties; or without an order, to be compared."""

from __future__ import annotations

from collections.abc import Iterator

from accord.collect.formats.shape import (
    PREFERENCE_COLUMNS,
    Explained,
    Format,
    Unjudged,
    comparison,
)
from accord.collect.records import Record, Unusable, filled, sequence
from accord.core.types import Comparison


def _ranked(record: Record) -> Iterator[Comparison]:
    prompt = record.prompt()
    responses = _responses(record)
    ranks = []
    for index, tier in enumerate(sequence(record.value("tiers"), "tiers")):
        if isinstance(tier, bool) or not isinstance(tier, int):
            raise Unusable("must be a whole number, 0 the best", f"tiers[{index}]")
        ranks.append(tier)
    yield comparison(record, prompt, responses, tuple(ranks))


def _explained(record: Record) -> Iterator[Explained]:
    for row in _ranked(record):
        yield Explained(
            row=record.row,
            comparison=row,
            explanation=filled(record.value("explanation"), "explanation"),
        )


def _unjudged(record: Record) -> Iterator[Unjudged]:
    prompt, responses = record.prompt(), _responses(record)
    yield Unjudged(row=record.row, prompt=prompt, responses=responses, source=record.origin())


def _responses(record: Record) -> tuple[str, ...]:
    return tuple(
        filled(text, f"responses[{index}]")
        for index, text in enumerate(sequence(record.value("responses"), "responses"))
    )


TIERS = Format(
    name="prompt-responses-tiers",
    required=frozenset({"prompt", "responses", "tiers"}),
    optional=PREFERENCE_COLUMNS,
    meaning="`prompt`, a list of `responses` and their `tiers`: 0 the best, equal tiers a tie.",
    parse=_ranked,
)

LESSONS = Format(
    name="lesson",
    required=TIERS.required | {"explanation"},
    plain=frozenset({"explanation"}),
    optional=PREFERENCE_COLUMNS,
    meaning="The same with an `explanation` of the order: for `accord campaign tasks --lesson`.",
    parse=_explained,
)

UNJUDGED = Format(
    name="prompt-responses",
    required=frozenset({"prompt", "responses"}),
    meaning="`prompt` and a list of `responses` that nobody compared: for `accord campaign tasks`.",
    parse=_unjudged,
)
