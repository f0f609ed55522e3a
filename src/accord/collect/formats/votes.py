"""Two answers to an instruction and the votes of three people, as in PandaLM (Wang et al. 2023,
arXiv:2306.05087): 1 or 2 names the better answer, 0 a tie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from accord.collect.formats.instructions import asked_with
from accord.collect.formats.shape import PREFERENCE_COLUMNS, Format, Row, comparison
from accord.collect.records import MOST_SHOWN, Record, Unusable, checked_text, filled
from accord.core.types import Conversation

ANNOTATORS = ("annotator1", "annotator2", "annotator3")
_FIRST_BETTER = {0: 0.5, 1: 1.0, 2: 0.0}
"""How much of a vote each answer's victory is for the first."""


@dataclass(frozen=True, slots=True)
class Voted:
    """A row as it was judged; answers may be empty, as some models' were."""

    prompt: Conversation
    responses: tuple[str, str]
    votes: tuple[int, ...]
    """One of each annotator: 0 a tie, 1 the first is better, 2 the second."""


def voted(record: Record) -> Voted:
    """Prompt, answers and votes of a row. Raises Unusable where one is wrong."""
    prompt = asked_with(record.text("instruction"), record.values.get("input"), "input")
    first, second = (
        checked_text(record.value(column), column) for column in ("response1", "response2")
    )
    votes = tuple(_vote(record.value(column), column) for column in ANNOTATORS)
    return Voted(prompt, (first, second), votes)


def _vote(value: object, column: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in _FIRST_BETTER:
        raise Unusable(
            f"must be 0 (a tie), 1 or 2 (the better answer), got {ascii(value)[:MOST_SHOWN]}",
            column,
        )
    return value


def _pair(record: Record) -> Iterator[Row]:
    found = voted(record)
    for number, text in enumerate(found.responses, start=1):
        filled(text, f"response{number}")
    label = sum(_FIRST_BETTER[vote] for vote in found.votes) / len(found.votes)
    winner, count = Counter(found.votes).most_common(1)[0]
    tiers = {1: (0, 1), 2: (1, 0)}.get(winner, (0, 0)) if 2 * count > len(found.votes) else (0, 0)
    yield comparison(record, found.prompt, found.responses, tiers, label)


VOTES = Format(
    name="pandalm",
    required=frozenset({"instruction", "response1", "response2", *ANNOTATORS}),
    optional=PREFERENCE_COLUMNS - {"label"} | {"input"},
    meaning="`instruction`, `input`, two answers `response1` and `response2`, and three votes "
    "`annotator1` to `annotator3`: the mean vote is the label, the majority the tiers.",
    parse=_pair,
)
