"""What people may be asked about themselves: a declared list, so that spelling cannot split groups.

    consent = "I tell this of my own free will, for figures of groups of five people and more ..."
    k = 5                                   # raters a group must have to be shown; 5 or more

    [question.field]
    text = "What do you work in?"
    values = ["law", "medicine", "software", "something else"]

The order of the questions matters: where two cannot both be shown without a group below k coming
out of their difference, the one that stands first is.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from accord.core.errors import ConfigError

LEAST_K = 5
"""Fewest raters that a group may have to be shown; a file can ask for more, never for less."""
OTHERS = "others or not told"
"""Everybody whose answer is not shown: groups that are too small, and who gave no answer."""
NOT_TOLD = "not told"
"""Those who gave no answer, where they are enough to be shown."""
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_LONGEST, _MOST_VALUES = 60, 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One thing that people may tell of themselves."""

    name: str
    text: str
    """As people read it."""
    values: tuple[str, ...]
    """Every answer there is."""

    def checked(self, answer: str) -> str:
        """`answer` as it is declared. Raises ConfigError for one that is not.

        What was given is not repeated: a message may end in a file that many read.
        """
        if answer in self.values:
            return answer
        near = get_close_matches(answer.casefold(), [v.casefold() for v in self.values], n=1)
        mean = [value for value in self.values if near and value.casefold() == near[0]]
        raise ConfigError(
            "this question has no such answer",
            where=self.name,
            do=f"did you mean {mean[0]!r}?" if mean else f"use {', '.join(self.values)}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    """The declared questions, in the order in which they are shown first."""

    consent: str
    """What people agree to before they answer."""
    k: int
    """No figure is of fewer raters."""
    asked: tuple[Question, ...]

    def called(self, name: str) -> Question:
        """The question of this name. Raises ConfigError where there is none."""
        for question in self.asked:
            if question.name == name:
                return question
        names = [question.name for question in self.asked]
        near = get_close_matches(name, names, n=1)
        raise ConfigError(
            "there is no such question",
            got=name,
            do=f"did you mean {near[0]!r}?" if near else f"use {', '.join(names)}",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Population:
    """Whom the raters should stand for: shares of the answers to some questions."""

    source: str
    """Where the shares come from."""
    shares: Mapping[str, Mapping[str, float]]
    """Name of a question to the share of each answer; they add up to 1."""


def read_questions(path: Path) -> Questions:
    """The questions of a file. Raises ConfigError for one that is not as described above."""
    values = _read(path)
    _no_others(values, {"consent", "k", "question"}, path)
    consent, k, tables = values.get("consent"), values.get("k", LEAST_K), values.get("question")
    if not isinstance(consent, str) or not consent.strip():
        raise ConfigError(
            "questions need the words that people agree to", where=path, do='consent = "..."'
        )
    if isinstance(k, bool) or not isinstance(k, int) or k < LEAST_K:
        raise ConfigError(f"k is a whole number of at least {LEAST_K}", got=k, where=path)
    if not isinstance(tables, dict) or not tables:
        raise ConfigError("there is no question in this file", where=path, do="[question.NAME]")
    asked = tuple(_question(name, table, path) for name, table in tables.items())
    return Questions(consent=consent.strip(), k=k, asked=asked)


def read_population(path: Path, questions: Questions) -> Population:
    """Shares of a population: `source = "..."`, and a table [shares.QUESTION] of answer = share.

    Raises ConfigError for questions and answers that are not declared, for shares outside [0, 1]
    and for shares of a question that do not add up to 1.
    """
    values = _read(path)
    _no_others(values, {"source", "shares"}, path)
    source, tables = values.get("source"), values.get("shares")
    if not isinstance(source, str) or not source.strip():
        raise ConfigError("a population says where it is from", where=path, do='source = "..."')
    if not isinstance(tables, dict) or not tables:
        raise ConfigError("there are no shares in this file", where=path, do="[shares.QUESTION]")
    found: dict[str, dict[str, float]] = {}
    for name, table in tables.items():
        question, where = questions.called(name), f"{path}: shares.{name}"
        if not isinstance(table, dict):
            raise ConfigError("shares are a table of answers", got=repr(table), where=where)
        found[name] = {question.checked(v): _share(share, where) for v, share in table.items()}
        total = math.fsum(found[name].values())
        if abs(total - 1) > 0.005:
            raise ConfigError("shares of a question add up to 1", got=f"{total:g}", where=where)
        found[name] = {value: share / total for value, share in found[name].items()}
    return Population(source=source.strip(), shares=found)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            "the file cannot be read",
            got=error.strerror,
            where=path,
            do="write it as the page on collecting preferences shows",
        ) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("the file is not TOML", got=str(error), where=path) from None


def _no_others(values: Mapping[str, Any], known: set[str], where: object) -> None:
    strange = sorted(values.keys() - known)
    if strange:
        do = f"use {', '.join(sorted(known))}"
        raise ConfigError("there is no such key", got=strange[0], where=str(where), do=do)


def _question(name: str, table: object, path: Path) -> Question:
    where = f"{path}: question.{name}"
    if not _NAME.fullmatch(name):
        raise ConfigError("a question's name is a to z, 0 to 9, _ and -", got=name, where=where)
    if not isinstance(table, dict):
        raise ConfigError("a question has a text and values", got=repr(table), where=where)
    _no_others(table, {"text", "values"}, where)
    text, values = table.get("text"), table.get("values")
    if not isinstance(text, str) or not text.strip():
        raise ConfigError("a question has a text", where=where, do='text = "..."')
    if not isinstance(values, list) or not 2 <= len(values) <= _MOST_VALUES:
        raise ConfigError(
            f"a question has 2 to {_MOST_VALUES} answers", where=where, do='values = ["...", "..."]'
        )
    for value in values:
        whole = isinstance(value, str) and value == value.strip() and value.isprintable()
        if not whole or not 0 < len(value) <= _LONGEST or value in (OTHERS, NOT_TOLD):
            raise ConfigError(
                f"an answer is a text of 1 to {_LONGEST} characters without blanks around it",
                got=repr(value),
                where=where,
                do="who does not want to tell gives no answer",
            )
    if len({value.casefold() for value in values}) < len(values):
        raise ConfigError("two answers differ by nothing but capitals", where=where)
    return Question(name=name, text=text.strip(), values=tuple(values))


def _share(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ConfigError("a share is a number from 0 to 1", got=repr(value), where=where)
    return float(value)
