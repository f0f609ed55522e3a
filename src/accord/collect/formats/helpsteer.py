"""Ratings and preferences of people, as in HelpSteer (Wang et al. 2023, arXiv:2311.09528),
HelpSteer2 (2024, arXiv:2406.08673; its preferences arXiv:2410.01257) and HelpSteer3 (2025,
arXiv:2505.11475).

Columns and values are those of the data sets' cards. Ratings are whole numbers from 0 to 4, one row
a response; preferences go from -3 (response 1 much better) over 0 (about the same) to 3 (response 2
much better).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from accord.collect.formats.shape import (
    Format,
    Item,
    Joined,
    Together,
    ordered,
    tiers_of,
    whole_number,
)
from accord.collect.records import Record, Rejected, Unusable, filled
from accord.core.types import Comparison, Conversation, Message, Speaker

ATTRIBUTES = frozenset({"helpfulness", "correctness", "coherence", "complexity", "verbosity"})
OVERALL = "helpfulness"
"""The attribute that says how good a response is on the whole, and that orders responses."""
MOST = 4
FARTHEST = 3
_TURN = re.compile(r"\n<extra_id_1>(Assistant|User)\n")
_MARK = "<extra_id_1>"
_ROLE = {"User": Speaker.USER, "Assistant": Speaker.ASSISTANT}
_Good = tuple[Record, str, Mapping[str, int]]
"""A row that can be used, with its response and what it is rated in each attribute."""


def _prompt(record: Record) -> Conversation:
    """The prompt, in turns where `<extra_id_1>` marks them, as HelpSteer2's card says."""
    first, *rest = _TURN.split(record.text("prompt"))
    roles, texts = ["User", *rest[::2]], [first, *rest[1::2]]
    for index, (role, text) in enumerate(zip(roles, texts, strict=True)):
        if role != ("User", "Assistant")[index % 2]:
            raise Unusable(f"has two turns of the {role.lower()} in a row", "prompt")
        if _MARK in filled(text, f"prompt, turn {index + 1}"):
            raise Unusable(f"holds {_MARK} where no turn begins", f"prompt, turn {index + 1}")
    if roles[-1] != "User":
        raise Unusable("ends with a turn of the assistant", "prompt")
    turns = zip(roles, texts, strict=True)
    return Conversation(tuple(Message(role=_ROLE[role], content=text) for role, text in turns))


def _key(record: Record) -> str:
    return record.text("prompt")


def _rated(records: Sequence[Record], *, attributes: bool = False) -> Iterator[Item]:
    """One comparison of all responses to a prompt, in the order of their helpfulness.

    With `attributes`, one more for each of the others. They are credited to the first row that can
    be used; the other rows of the prompt are joined to it.
    """
    good: list[_Good] = []
    for record in records:
        try:
            record.origin()
            ratings = {
                name: whole_number(record.value(name), name, 0, MOST) for name in sorted(ATTRIBUTES)
            }
            good.append((record, record.text("response"), ratings))
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column)
    try:
        others = sorted(ATTRIBUTES - {OVERALL}) if attributes else ()
        made = [_derived(good, name) for name in (OVERALL, *others)]
    except Unusable as error:
        for record, _, _ in good:
            yield Rejected(record.row, error.what, error.column)
        return
    yield from made
    yield from (Joined(record.row) for record, _, _ in good[1:])


def _derived(good: Sequence[_Good], attribute: str) -> Comparison:
    if len(good) < 2:
        raise Unusable(
            "no other response to its prompt stands beside it, and nothing is said of one alone; "
            "sort the rows by prompt"
        )
    first = good[0][0]
    return ordered(
        _prompt(first),
        tuple(text for _, text, _ in good),
        tiers_of([ratings[attribute] for _, _, ratings in good]),
        source=f"derived from HelpSteer ratings: {first.origin()}",
        criterion="" if attribute == OVERALL else attribute,
    )


def _preferred(
    record: Record, prompt: Conversation, columns: tuple[str, str], strength: str
) -> Comparison:
    """The comparison that a preference from -3 to 3 makes.

    One step is slight (2 of Accord's strengths), two are clear (3), three are strong (4); none is a
    tie. Each is as the cards word it: slightly better, better, much better.
    """
    said = whole_number(record.value(strength), strength, -FARTHEST, FARTHEST)
    return ordered(
        prompt,
        (record.text(columns[0]), record.text(columns[1])),
        (int(said > 0), int(said < 0)),
        source=record.origin(),
        strength=abs(said) + 1 if said else None,
    )


def _strength(record: Record) -> Iterator[Item]:
    columns = ("response_1", "response_2")
    yield _preferred(record, _prompt(record), columns, "preference_strength")


def _context(record: Record) -> Iterator[Item]:
    prompt = record.conversation("context")
    if not prompt.awaits_answer:
        raise Unusable("ends with an assistant message", "context")
    filled(prompt.messages[-1].content, f"context[{len(prompt.messages) - 1}]")
    yield _preferred(record, prompt, ("response1", "response2"), "overall_preference")


RATINGS = Format(
    name="helpsteer",
    required=ATTRIBUTES | {"prompt", "response"},
    meaning="`prompt`, `response` and five ratings from 0 to 4, one row a response: those of a "
    "prompt that stand together become one derived comparison, by `helpfulness`.",
    parse=lambda record: _rated([record]),
    together=Together(key=_key, parse=_rated),
)
BY_ATTRIBUTE = Format(
    name="helpsteer-attributes",
    required=RATINGS.required,
    meaning="The same, and one derived comparison for each of the other four ratings, its "
    "criterion. Name it: rows of these columns are otherwise read as `helpsteer`.",
    parse=lambda record: _rated([record], attributes=True),
    together=Together(key=_key, parse=partial(_rated, attributes=True)),
    by_name=True,
)
STRENGTHS = Format(
    name="helpsteer2-preference",
    required=frozenset({"prompt", "response_1", "response_2", "preference_strength"}),
    meaning="`prompt`, `response_1`, `response_2` and `preference_strength`, -3 (the first much "
    "better) to 3.",
    parse=_strength,
)
CONTEXTS = Format(
    name="helpsteer3-preference",
    required=frozenset({"context", "response1", "response2", "overall_preference"}),
    plain=frozenset({"context"}),
    meaning="`context` (messages), `response1`, `response2` and `overall_preference`, -3 (the "
    "first much better) to 3.",
    parse=_context,
)
