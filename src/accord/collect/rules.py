"""A rater that is a program: a Python function that scores the responses to a prompt.

The function is code of the user's own, and runs because its name was given. It sees what a person
would see: the conversation and the responses in the order of the screen.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from accord.collect.sheet import Opinion, RaterKind, Sheet
from accord.core.errors import ConfigError, DataError
from accord.core.types import Conversation

Scores = Sequence[float]
"""One number a response, higher is better; equal ones are a tie."""
Score = Callable[[Conversation, Sequence[str]], Scores | None]
"""A rule: conversation and responses to their scores; None where it cannot say."""
NO_OPINION = "no_opinion"
"""Reason of a skip where a rule gave None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleRater:
    """A `Rater` that ranks by the scores of a function. The same responses must score the same."""

    name: str
    """`path/to/file.py:function` or `module:function`."""
    sha256: str
    """Of the file that the function stands in, 64 hexadecimal digits."""
    score: Score = field(repr=False)

    @property
    def kind(self) -> RaterKind:
        """Rule."""
        return RaterKind.RULE

    @property
    def definition(self) -> Mapping[str, Any]:
        """What `rule_of` makes it from: the name, and the digest of the source."""
        return {"rule": self.name, "sha256": self.sha256}

    def judge(self, sheet: Sheet) -> Opinion:
        """A ranking by score, or a skip where the function gives None.

        Raises DataError, naming the task, where the function raises, or gives something other than
        one finite number a response.
        """
        where = f"{self.name}, task {sheet.task}"
        try:
            scores = self.score(sheet.prompt, sheet.responses)
        except Exception as error:
            raise DataError(
                "a rule raised an error",
                got=_said(error),
                where=where,
                do="return None for what the rule cannot judge",
            ) from error
        if scores is None:
            return Opinion.skipped(NO_OPINION)
        numbers = _numbers(scores, len(sheet.responses), where)
        order = sorted(set(numbers), reverse=True)
        return Opinion.ranked([order.index(number) for number in numbers])


def load_rule(name: str) -> RuleRater:
    """The rule called `path/to/file.py:function`, or `module:function` where it is installed.

    Runs the file. Raises ConfigError where there is no such file, module or function, or it cannot
    be run.
    """
    place, colon, function = name.rpartition(":")
    if not colon or not place or not function.isidentifier():
        raise ConfigError(
            "a rule is named FILE.py:FUNCTION or MODULE:FUNCTION", got=name or "nothing"
        )
    if place.endswith(".py") or "/" in place:
        source = _read(Path(place), name)
        found = _function(_run(Path(place), source, name), function, name)
    else:
        found = _function(_imported(place, name), function, name)
        file = inspect.getsourcefile(inspect.unwrap(found))
        if file is None:
            raise ConfigError("the source of this rule is not at hand", got=name)
        source = _read(Path(file), name)
    return RuleRater(name=name, sha256=hashlib.sha256(source).hexdigest(), score=found)


def rule_of(definition: Mapping[str, Any]) -> RuleRater:
    """The rule that a stored definition describes.

    Raises ConfigError as `load_rule` does, and where the source is not what it was.
    """
    if not {"rule", "sha256"} <= definition.keys():
        raise ConfigError("this definition describes no rule", got=", ".join(definition))
    rule = load_rule(definition["rule"])
    if rule.sha256 != definition["sha256"]:
        raise ConfigError(
            "the source of this rule is not what it was",
            got=f"SHA-256 {rule.sha256[:16]}..., it was {definition['sha256'][:16]}...",
            where=rule.name,
            do="restore the file; a changed rule is another rater",
        )
    return rule


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError("there is no such file of rules", got=str(path), where=name) from None
    except OSError as error:
        raise ConfigError(
            "a file of rules cannot be read", got=error.strerror, where=str(path)
        ) from None


def _run(path: Path, source: bytes, name: str) -> ModuleType:
    """The file as a module, from the very bytes that the digest is of."""
    title = f"accord_rule_{hashlib.sha256(str(path.absolute()).encode() + source).hexdigest()}"
    if title in sys.modules:
        return sys.modules[title]
    module = ModuleType(title)
    module.__file__ = str(path)
    sys.modules[title] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[title]
        raise ConfigError("a file of rules cannot be run", got=_said(error), where=name) from error
    return module


def _imported(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "there is no such module",
            got=error.name,
            where=name,
            do="install it, or name a file: path/to/file.py:function",
        ) from None
    except (Exception, SystemExit) as error:
        raise ConfigError("a module cannot be imported", got=_said(error), where=name) from error


def _function(module: ModuleType, function: str, name: str) -> Callable[..., Any]:
    found = getattr(module, function, None)
    if isinstance(found, FunctionType):
        return found
    known = [n for n, value in vars(module).items() if isinstance(value, FunctionType)]
    near = get_close_matches(function, known, n=1)
    raise ConfigError(
        "there is no such function" if found is None else "a rule must be a Python function",
        got=function if found is None else f"{function}: {type(found).__name__}",
        where=name,
        do=f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}",
    )


def _numbers(scores: Any, k: int, where: str) -> list[float]:
    """The scores as numbers."""
    try:
        if isinstance(scores, str | bytes | Mapping):
            raise TypeError(f"a {type(scores).__name__}")
        numbers = [float(score) for score in scores]
    except (TypeError, ValueError) as error:
        raise DataError(
            "a rule must give a list of numbers, or None", got=str(error), where=where
        ) from None
    if len(numbers) != k:
        raise DataError(
            "a rule must give one score a response",
            got=f"{len(numbers)} scores for {k} responses",
            where=where,
        )
    if not all(math.isfinite(number) for number in numbers):
        raise DataError(
            "a rule must give finite numbers", got=numbers, where=where, do="give None to skip"
        )
    return numbers


def _said(error: BaseException) -> str:
    """An error of a user's function in one line, with the line that it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    place = "" if last is None or last.filename == __file__ else f" ({last.filename}:{last.lineno})"
    return f"{type(error).__name__}: {error}{place}"
