"""Completions that GPT-4 rated, as in UltraFeedback (Cui et al. 2023, arXiv:2310.01377).

Nobody compared two of them: a comparison is derived from the ratings, and its source says so.
Columns and values are those of the README and of `src/data_annotation/annotate_preference.py` in
github.com/OpenBMB/UltraFeedback (December 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from accord.collect.formats.shape import Format, Item, ordered, tiers_of, whole_number
from accord.collect.records import (
    MOST_SHOWN,
    Record,
    Rejected,
    Unusable,
    filled,
    finite,
    mapping,
    sequence,
)
from accord.core.types import Conversation

ASPECTS = ("instruction_following", "honesty", "truthfulness", "helpfulness")
UNRATED = "N/A"
"""What stands for a rating where an aspect says nothing about a completion."""
LOWEST, HIGHEST = 1, 5

Rated = tuple[str, Mapping[str, int]]
"""A response and its rating in each aspect that was rated."""


def _completions(record: Record, *, aspects: bool = False) -> Iterator[Item]:
    """One comparison of all completions; one that cannot be used is rejected alone.

    With `aspects`, one more for each of them, of the completions that are rated in it.

    They are ordered by the sum of their ratings, over the aspects in which each of them was rated.
    `overall_score` is not read: of 256,000, some 2,600 were wrong until December 2023. The system
    prompts under which models answered differ within a row, and are no part of the prompt.
    """
    prompt = Conversation.of(record.text("instruction"))
    rated: list[Rated] = []
    for index, item in enumerate(sequence(record.value("completions"), "completions")):
        place = f"completions[{index}]"
        try:
            rated.append(_rated(item, place))
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column)
    if len(rated) < 2:
        raise Unusable("has fewer than two completions that can be used", "completions")
    shared = [aspect for aspect in ASPECTS if all(aspect in ratings for _, ratings in rated)]
    if not shared:
        raise Unusable("has no aspect in which every completion is rated", "completions")
    scores = [sum(ratings[aspect] for aspect in shared) for _, ratings in rated]
    responses = tuple(text for text, _ in rated)
    source = f"derived from UltraFeedback ratings: {record.origin()}"
    yield ordered(prompt, responses, tiers_of(scores), source=source)
    for aspect in ASPECTS if aspects else ():
        given = [(text, ratings[aspect]) for text, ratings in rated if aspect in ratings]
        if len(given) > 1:
            texts, marks = zip(*given, strict=True)
            yield ordered(prompt, texts, tiers_of(marks), source=source, criterion=aspect)


def _rated(item: object, place: str) -> Rated:
    fields = mapping(item, place)
    text = filled(fields.get("response"), f"{place}.response")
    notes = mapping(fields.get("annotations"), f"{place}.annotations")
    ratings: dict[str, int] = {}
    for aspect in ASPECTS:
        column = f"{place}.annotations.{aspect}"
        note = notes.get(aspect)
        said = None if note is None else mapping(note, column).get("Rating")
        if said is not None and said != UNRATED:
            ratings[aspect] = _rating(said, f"{column}.Rating")
    if not ratings:
        raise Unusable("is rated in no aspect", f"{place}.annotations")
    return text, ratings


def _rating(said: object, column: str) -> int:
    """A rating, which the files hold as text."""
    if isinstance(said, str):
        if said not in {str(number) for number in range(LOWEST, HIGHEST + 1)}:
            raise Unusable(
                f"must be {LOWEST} to {HIGHEST} or {UNRATED}, got {ascii(said)[:MOST_SHOWN]}",
                column,
            )
        return int(said)
    return whole_number(said, column, LOWEST, HIGHEST)


def _scored_pair(record: Record) -> Iterator[Item]:
    """A pair in the order of its two scores; equal ones are a tie, whatever the columns say."""
    prompt = record.prompt()
    chosen, rejected = (record.answer(column, prompt) for column in ("chosen", "rejected"))
    high, low = (
        finite(record.value(column), column) for column in ("score_chosen", "score_rejected")
    )
    said, whole = record.values.get("messages"), record.value("chosen")
    begins = isinstance(said, list) and isinstance(whole, list) and whole[: len(said)] == said
    if said is not None and not begins:
        raise Unusable("is neither the chosen conversation nor its beginning", "messages")
    if high < low:
        raise Unusable("is higher than the score of the chosen response", "score_rejected")
    source = f"derived from scores: {record.origin()}"
    yield ordered(prompt, (chosen, rejected), tiers_of((high, low)), source=source)


COMPLETIONS = Format(
    name="ultrafeedback",
    required=frozenset({"instruction", "completions"}),
    meaning="`instruction` and `completions`, a list of {response, annotations} with a rating of "
    "1 to 5 in four aspects: one derived comparison.",
    parse=_completions,
)
BY_ASPECT = Format(
    name="ultrafeedback-aspects",
    required=COMPLETIONS.required,
    meaning="The same, and one derived comparison for each aspect, its criterion. Name it: rows of "
    "these columns are otherwise read as `ultrafeedback`.",
    parse=partial(_completions, aspects=True),
    by_name=True,
)
SCORED_PAIRS = Format(
    name="ultrafeedback-binarized",
    required=frozenset({"prompt", "chosen", "rejected", "score_chosen", "score_rejected"}),
    optional=frozenset({"source", "messages"}),
    meaning="`prompt`, `chosen` and `rejected` with `score_chosen` and `score_rejected`: a derived "
    "comparison, a tie where the scores are equal.",
    parse=_scored_pair,
)
