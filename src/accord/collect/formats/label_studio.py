"""Tasks of Label Studio in its JSON export, where people picked one of two texts.

What is read is what `Pairwise` writes: a result of type `pairwise`, whose `to_name` names the left
and the right text and whose `value` is {"selected": "left"} or {"selected": "right"}
(web/libs/editor/src/tags/control/Pairwise.js in github.com/HumanSignal/label-studio); nothing is
written where neither is picked, so that there are no ties. The names are those of tags in the
labelling setup, which the export lacks: they must be those of the task's `data` too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accord.collect.formats.shape import Format, Item
from accord.collect.formats.voting import Vote, prompt_in, voted
from accord.collect.records import (
    MOST_SHOWN,
    Record,
    Rejected,
    Unusable,
    checked_text,
    filled,
    mapping,
    sequence,
)

_SIDES = {"left": (0, 1), "right": (1, 0)}


def _task(record: Record) -> Iterator[Item]:
    """One comparison an annotation, by whoever completed it."""
    data = mapping(record.value("data"), "data")
    votes: list[Vote] = []
    for index, item in enumerate(sequence(record.value("annotations"), "annotations")):
        try:
            votes.append(_vote(record, data, item, f"annotations[{index}]"))
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column)
    yield from voted(record, votes)


def _vote(record: Record, data: Mapping[str, object], item: object, place: str) -> Vote:
    fields = mapping(item, place)
    if fields.get("was_cancelled") is True:
        raise Unusable("was skipped", place)
    results = fields.get("result")
    picked = [
        (index, result)
        for index, result in enumerate(results if isinstance(results, list) else [])
        if isinstance(result, dict) and result.get("type") == "pairwise"
    ]
    if len(picked) != 1:
        told = "several results" if picked else "no result"
        raise Unusable(f"has {told} of type pairwise", f"{place}.result")
    index, result = picked[0]
    where = f"{place}.result[{index}]"
    names = [
        one.strip() for one in checked_text(result.get("to_name"), f"{where}.to_name").split(",")
    ]
    if len(set(names)) != 2 or len(names) != 2 or not all(name in data for name in names):
        raise Unusable("must name two texts of the task's data", f"{where}.to_name")
    side = mapping(result.get("value"), f"{where}.value").get("selected")
    if not isinstance(side, str) or side not in _SIDES:
        shown = ascii(side)[:MOST_SHOWN]
        raise Unusable(f"must be left or right, got {shown}", f"{where}.value.selected")
    return Vote(
        prompt=prompt_in(record, data, "prompt", "data."),
        responses=tuple(filled(data[name], f"data.{name}") for name in names),
        tiers=_SIDES[side],
        rater=_rater(fields.get("completed_by"), f"{place}.completed_by"),
        place=place,
    )


def _rater(value: object, column: str) -> str:
    """The number of whoever completed it; their name and mail address are not read."""
    found = mapping(value, column).get("id") if isinstance(value, dict) else value
    if value is not None and (isinstance(found, bool) or not isinstance(found, int)):
        raise Unusable("must be the number of a user, or an object with it as id", column)
    return "" if found is None else str(found)


TASKS = Format(
    name="label-studio",
    required=frozenset({"data", "annotations"}),
    plain=frozenset({"data", "annotations"}),
    meaning="Label Studio's tasks: `data` with `prompt` and two texts, and `annotations` with a "
    "result of type pairwise: one comparison a person.",
    parse=_task,
)
