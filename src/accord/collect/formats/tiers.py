"""K answers to one prompt in tiers: rankings with ties."""

from __future__ import annotations

from collections.abc import Iterator

from accord.collect.formats.shape import PREFERENCE_COLUMNS, Format, Row, comparison
from accord.collect.records import Record, Unusable, filled, sequence


def _ranked(record: Record) -> Iterator[Row]:
    prompt = record.prompt()
    responses = tuple(
        filled(text, f"responses[{index}]")
        for index, text in enumerate(sequence(record.value("responses"), "responses"))
    )
    ranks = []
    for index, tier in enumerate(sequence(record.value("tiers"), "tiers")):
        if isinstance(tier, bool) or not isinstance(tier, int):
            raise Unusable("must be a whole number, 0 the best", f"tiers[{index}]")
        ranks.append(tier)
    yield comparison(record, prompt, responses, tuple(ranks))


TIERS = Format(
    name="prompt-responses-tiers",
    required=frozenset({"prompt", "responses", "tiers"}),
    optional=PREFERENCE_COLUMNS,
    meaning="`prompt`, a list of `responses` and their `tiers`: 0 the best, equal tiers a tie.",
    parse=_ranked,
)
