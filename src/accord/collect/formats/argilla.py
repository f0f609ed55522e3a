"""Records of Argilla, in which people ranked responses or picked the better of two.

Names of fields and questions are the user's, so that a record is recognised by how they are laid
out. There are three ways, read from the source of both clients in github.com/argilla-io/argilla:

- version 2, `records.to_json`: `fields`, and `responses` by question, each with a value and user;
- version 2, `records.to_datasets`: columns `NAME.responses`, `.responses.users`,
  `.responses.status`;
- version 1, `format_as("datasets")`: a column a question, `NAME-suggestion` beside it.

Version 2 (2.8.0 among it) writes a ranking without its ranks, as a list of names in the order in
which the server holds them, which need not be the order of preference (issues 5677 and 5712 there).
Such a ranking is refused: it would be noise that looks like data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from accord.collect.formats.shape import Format, Item, tiers_of, whole_number
from accord.collect.formats.voting import Vote, prompt_in, voted
from accord.collect.records import (
    Record,
    Rejected,
    Unusable,
    checked_text,
    filled,
    listed,
    mapping,
)

_FLAT, _USERS, _STATUS = ".responses", ".responses.users", ".responses.status"
_SUGGESTED, _ABOUT = "-suggestion", "-suggestion-metadata"
_SERVER = "_server_id"
_PROMPTS = ("prompt", "instruction")
_LAST_RANK = 1 << 16


@dataclass(frozen=True, slots=True)
class _Said:
    """One person's answer to a question."""

    value: object
    user: object
    status: object
    place: str


def _recognises(columns: frozenset[str]) -> bool:
    nested = {"fields", "responses"} <= columns and "prompt" not in columns
    return nested or _SERVER in columns or any(_flat_questions(columns) or _old_questions(columns))


def _flat_questions(columns: frozenset[str]) -> list[str]:
    names = (name.removesuffix(_USERS) for name in sorted(columns) if name.endswith(_USERS))
    return [name for name in names if name + _FLAT in columns]


def _old_questions(columns: frozenset[str]) -> list[str]:
    names = (name.removesuffix(_ABOUT) for name in sorted(columns) if name.endswith(_ABOUT))
    return [name for name in names if {name, name + _SUGGESTED} <= columns]


def _record(record: Record) -> Iterator[Item]:
    """One comparison an answer to the question that orders the responses."""
    fields, place, questions = _laid_out(record)
    said = _ordering(questions, fields)
    votes: list[Vote] = []
    for one in said:
        try:
            votes.append(_vote(record, fields, place, one))
        except Unusable as error:
            yield Rejected(record.row, error.what, error.column)
    yield from voted(record, votes)


def _laid_out(record: Record) -> tuple[Mapping[str, object], str, Mapping[str, list[_Said]]]:
    """The fields, where they stand, and what was said to each question."""
    columns = frozenset(record.values)
    if {"fields", "responses"} <= columns:
        fields = mapping(record.value("fields"), "fields")
        asked = mapping(record.value("responses"), "responses")
        return (
            fields,
            "fields.",
            {name: _answers(asked[name], f"responses.{name}") for name in asked},
        )
    old = _old_questions(columns)
    if old:
        questions = {name: _answers(record.values[name], name) for name in old}
    else:
        questions = {name: _flat(record, name) for name in _flat_questions(columns)}
    more = (_SUGGESTED, _ABOUT, _FLAT, _USERS, _STATUS)
    parts = {name + ending for name in questions for ending in ("", *more)}
    return {name: record.values[name] for name in columns - parts}, "", questions


def _answers(value: object, place: str) -> list[_Said]:
    """Answers that are objects with a value, a user and perhaps a status."""
    found = []
    for index, item in enumerate(value if isinstance(value, list) else []):
        one = item if isinstance(item, dict) else {}
        where = f"{place}[{index}]"
        found.append(_Said(one.get("value"), one.get("user_id"), one.get("status"), where))
    return found


def _flat(record: Record, name: str) -> list[_Said]:
    """Answers whose values, users and states stand in columns of their own."""
    columns = [record.values.get(name + ending) for ending in (_FLAT, _USERS, _STATUS)]
    values, users, states = (one if isinstance(one, list) else [] for one in columns)
    if len(users) != len(values) or len(states) not in (0, len(values)):
        raise Unusable("has another number of users or states than of values", name + _FLAT)
    states = states or [None] * len(values)
    return [
        _Said(value, user, state, f"{name}{_FLAT}[{index}]")
        for index, (value, user, state) in enumerate(zip(values, users, states, strict=True))
    ]


def _ordering(questions: Mapping[str, list[_Said]], fields: Mapping[str, object]) -> list[_Said]:
    """The answers to the one question that ranks the responses or picks one.

    A ranking goes before a list of names, and that before one name: a comment is neither.
    """
    for fits in (_is_ranking, _is_list, _is_name):
        found = {
            name: said
            for name, said in questions.items()
            if any(fits(one.value, fields) for one in said)
        }
        if len(found) > 1:
            raise Unusable(
                f"several questions order its responses: {listed(found)}; leave the others out"
            )
        for said in found.values():
            return said
    raise Unusable("no answer ranks its responses, or picks one by its name")


def _is_ranking(value: object, fields: Mapping[str, object]) -> bool:
    rows = value if isinstance(value, list) else [value]
    return bool(rows) and all(
        isinstance(one, dict) and {"rank", "value"} <= one.keys() for one in rows
    )


def _is_list(value: object, fields: Mapping[str, object]) -> bool:
    return (
        isinstance(value, list) and len(value) > 1 and all(_is_name(one, fields) for one in value)
    )


def _is_name(value: object, fields: Mapping[str, object]) -> bool:
    return isinstance(value, str) and _letters(value) in map(_letters, fields)


def _vote(record: Record, fields: Mapping[str, object], place: str, said: _Said) -> Vote:
    if said.status not in (None, "submitted"):
        raise Unusable("was not submitted", said.place)
    asked = [name for name in _PROMPTS if fields.get(name) is not None]
    if len(asked) != 1:
        raise Unusable(f"must have one field {' or '.join(_PROMPTS)}", place.rstrip(".") or None)
    names, tiers = _order(said, fields)
    more = set(fields) - {*asked, *names} if place else {"context"}
    left = [name for name in sorted(more) if fields.get(name) is not None]
    if left:
        raise Unusable(
            f"has fields beside prompt and responses ({listed(left)}); put what raters were shown "
            "into the prompt",
            place.rstrip(".") or None,
        )
    return Vote(
        prompt=prompt_in(record, fields, asked[0], place),
        responses=tuple(filled(fields[name], f"{place}{name}") for name in names),
        tiers=tiers,
        rater="" if said.user is None else checked_text(said.user, f"{said.place}.user"),
        place=said.place,
    )


def _order(said: _Said, fields: Mapping[str, object]) -> tuple[Sequence[str], tuple[int, ...]]:
    """Names of response fields and their tiers."""
    if isinstance(said.value, str):
        return _picked(said.value, fields, said.place)
    pairs = _ranks(said.value, said.place)
    names = [_field(value, fields, said.place) for value, _ in pairs]
    if len(set(names)) < len(names):
        raise Unusable("ranks a response twice", said.place)
    ranks = [whole_number(rank, f"{said.place}.rank", 0, _LAST_RANK) for _, rank in pairs]
    return names, tiers_of([-rank for rank in ranks])


def _ranks(value: object, place: str) -> list[tuple[object, object]]:
    """Each option with its rank: a list of objects, or (from Parquet) an object of two lists."""
    if isinstance(value, dict):
        options, ranks = value.get("value"), value.get("rank")
        if not isinstance(options, list) or not isinstance(ranks, list):
            raise Unusable("must hold options and their ranks", place)
        if len(options) != len(ranks):
            raise Unusable("has another number of ranks than of options", place)
        return list(zip(options, ranks, strict=True))
    if not isinstance(value, list) or not value:
        raise Unusable("must be a ranking or the name of a response", place)
    if all(isinstance(one, str) for one in value):
        raise Unusable(
            "is a ranking without ranks, as version 2 of Argilla exports it: its order need not be "
            "that of preference; take ranks from the server's API, or from version 1",
            place,
        )
    found = [mapping(one, place) for one in value]
    return [(one.get("value"), one.get("rank")) for one in found]


def _field(option: object, fields: Mapping[str, object], place: str) -> str:
    """The field that an option names, whatever its case, spaces and marks."""
    wanted = _letters(checked_text(option, place))
    found = [name for name in fields if _letters(name) == wanted and name not in _PROMPTS]
    if not wanted or len(found) != 1:
        raise Unusable(
            f"names {'several fields' if found else 'no field'}: {ascii(option)[:60]}", place
        )
    return found[0]


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.casefold())


def _picked(
    option: str, fields: Mapping[str, object], place: str
) -> tuple[Sequence[str], tuple[int, ...]]:
    """The better of two: their names differ in the number at the end alone."""
    best = _field(option, fields, place)
    stem = re.sub(r"\d+$", "", _letters(best))
    alike = [name for name in fields if fields[name] is not None and name not in _PROMPTS]
    others = [name for name in alike if re.fullmatch(re.escape(stem) + r"\d+", _letters(name))]
    if len(others) != 2 or best not in others:
        raise Unusable(
            f"picks {ascii(best)[:60]}, which is not one of two fields that differ in a number",
            place,
        )
    return sorted(others), (0, 1) if min(others) == best else (1, 0)


RECORDS = Format(
    name="argilla",
    required=frozenset(),
    recognises=_recognises,
    meaning="Argilla's records, of version 1 or 2: a field `prompt` or `instruction`, and one "
    "question that ranks the other fields or picks one of two: one comparison a person.",
    parse=_record,
)
