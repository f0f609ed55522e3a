"""Flags of a command from a dataclass: every field a flag, its docstring the help."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from difflib import get_close_matches
from itertools import dropwhile, takewhile
from pathlib import Path
from shutil import get_terminal_size
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from accord.cli.commands import BY_NAME, OPTIONS_HELP
from accord.core.errors import ConfigError
from accord.pipeline.called import setting

T = TypeVar("T")
NONE = ("none", "None")
"""What stands for no value on the command line, as in accord.toml."""
NEAR = 0.7
"""How alike a word and a flag are that may be meant: below it `--beta` would be `--quiet`."""
_EDGES = "|\N{BOX DRAWINGS LIGHT VERTICAL}"
_KINDS = {"INT": "a whole number", "FLOAT": "a number", "STR": "a text", "PATH": "a path"}


def parse(
    kind: type[T], words: Sequence[str], *, command: str, about: str, default: T | None = None
) -> T:
    """`words` as a value of the dataclass `kind`, on top of `default` where there is one.

    Prints help and exits with 0, as tyro does. Raises ConfigError for words that do not fit.
    """
    shared: dict[str, Any] = {
        "prog": f"accord {command}",
        "description": f"{_wrapped(about)}\n\n{OPTIONS_HELP}",
        "registry": _registry(),
        "config": (tyro.conf.EnumChoicesFromValues,),  # the words of accord.toml
    }
    if default is not None:
        shared["default"] = default
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            found, unknown = tyro.cli(kind, args=list(words), return_unknown_args=True, **shared)
    except ConfigError as error:  # a settings class that refuses its values
        error.where = error.where or f"accord {command}"
        raise
    except SystemExit as end:
        if not end.code:
            raise
        # A word after a flag that there is not is read as something else, which fails first.
        flags = _flags(kind, shared)
        strange = [word for word in words if _named(word) and _named(word) not in flags]
        if strange:
            raise _unknown(strange, flags, command) from None
        raise _explained(said.getvalue(), words, command) from None
    if unknown:
        raise _unknown(unknown, _flags(kind, shared), command)
    value: T = found
    return value


def _wrapped(text: str) -> str:
    """Lines that end between words, where the terminal would break one.

    tyro joins a line that begins with a letter to the one before: so they are joined here, and what
    goes on is indented.
    """
    width = max(40, get_terminal_size().columns - 1)
    lines = re.sub(r"\n(?=[^\W\d_])", " ", text).splitlines()
    return "\n".join(textwrap.fill(line, width, subsequent_indent="  ") for line in lines)


def _flags(kind: type, shared: dict[str, Any]) -> list[str]:
    """Every flag that the help of a command names."""
    said = io.StringIO()
    with redirect_stdout(said), suppress(SystemExit):
        tyro.cli(kind, args=["--help"], **shared)
    return list(dict.fromkeys(re.findall(r"(?<![\w-])--[a-z][\w.-]*", said.getvalue())))


def _named(word: str) -> str:
    """The flag that a word names, as help writes it; empty for another word."""
    return word.partition("=")[0].replace("_", "-") if re.match(r"--[a-z]", word) else ""


def _unknown(words: Sequence[str], flags: Sequence[str], command: str) -> ConfigError:
    """What to do about words that no flag of the command takes."""
    strange = next((word for word in words if word.startswith("-")), None)
    if strange is None:
        return ConfigError(
            "there is a word too many",
            got=" ".join(words),
            where=f"accord {command}",
            do=f"put words with spaces into quotes; `accord {command} --help` lists every option",
        )
    name = strange.partition("=")[0]
    known = [flag.removeprefix("--").replace("-", "_") for flag in flags]
    named = setting(name.removeprefix("--").replace("-", "_"), known)
    near = get_close_matches(name.replace("_", "-"), flags, n=1, cutoff=NEAR)
    near = [flags[known.index(named)]] if named else near
    mean = f"did you mean {near[0]}? " if near else ""
    return ConfigError(
        "there is no such option",
        got=name,
        where=f"accord {command}",
        do=f"{mean}`accord {command} --help` lists every option",
    )


def _explained(box: str, words: Sequence[str], command: str) -> ConfigError:
    """What tyro drew as a box around its words, as one of our errors."""
    body = [line.strip(f"{_EDGES} ") for line in box.splitlines()][1:]  # the first is its title
    message = takewhile(_has_words, dropwhile(lambda line: not _has_words(line), body))
    text = " ".join(" ".join(message).split())
    where, more = f"accord {command}", f"`accord {command} --help` explains it"
    if found := re.match(r"Error parsing (--\S+): ", text):
        flag = found[1]
        takes = re.search(rf"(?m)^{re.escape(flag)} (\S+)$", "\n".join(body))
        kinds = _in_words(takes[1]) if takes else ""
        return ConfigError(
            f"{flag} takes {kinds}" if kinds else f"{flag} has a value that cannot be used",
            got=_given(flag, words),
            where=where,
            do=more,
        )
    if found := re.match(r"invalid choice (.+) for argument '(.+?)'\. Expected one of (.+)", text):
        choices = re.findall(r"'([^']*)'", found[3])
        if "None" in choices:  # a flag that was left out: tyro names it, and all in any order
            choices = sorted(set(choices) - {"None"})
        given = found[1].strip("'")
        near = get_close_matches(given.removesuffix("_pair"), choices, n=1)  # TRL's, say
        mean = f"did you mean {near[0]}? " if near else ""
        if given in BY_NAME:
            mean = f"it is a command, `accord {given}`; or "
        return ConfigError(
            f"{found[2]} has a value that it cannot have",
            got=given,
            where=where,
            do=f"{mean}use one of {', '.join(choices)}",
        )
    if found := re.match(r"Missing value for argument '(.+?)'", text):
        return ConfigError(
            f"{found[1]} needs a value", got="nothing after it", where=where, do=more
        )
    if found := re.match(r"Missing from .*?: (\S+) (.*?)(?: \(required\).*)?$", text):
        return ConfigError(f"a word is missing: {found[1]}", where=where, do=f"name it. {found[2]}")
    text = re.sub(r"^Error parsing \w+: ", "", text)
    flag = f"--{text.partition(' ')[0].rpartition('.')[2].replace('_', '-')}"
    return ConfigError(
        text or "these words do not fit", got=_given(flag, words), where=where, do=more
    )


def _has_words(line: str) -> bool:
    return any(map(str.isalnum, line))


def _in_words(metavar: str) -> str:
    return " or ".join(_KINDS.get(part, part) for part in metavar.split("|"))


def _given(flag: str, words: Sequence[str]) -> str:
    """What the user wrote after a flag; all words where it is not found."""
    for at, word in enumerate(words):
        name, given, value = word.partition("=")
        name = name.replace("_", "-")
        if name == flag or (name.startswith("--") and name.endswith(f".{flag[2:]}")):
            return value if given else " ".join(words[at + 1 : at + 2])
    return " ".join(words)


def _registry() -> ConstructorRegistry:
    registry = ConstructorRegistry()
    registry.primitive_rule(_perhaps)
    return registry


def _perhaps(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """A number, text or path that may be left out: `FLOAT|none` on the command line."""
    parts = get_args(info.type) if get_origin(info.type) in (Union, UnionType) else ()
    kinds = [part for part in parts if part is not NoneType]
    if len(parts) != 2 or len(kinds) != 1 or kinds[0] not in (int, float, str, Path):
        return None
    kind = kinds[0]
    if kind in (str, Path):  # "none" is a text too: such a flag is left out to have no value
        return _one("STR" if kind is str else "PATH", kind, kind)
    return _one(f"{kind.__name__.upper()}|none", lambda x: None if x in NONE else kind(x), kind)


def _one(metavar: str, read: Callable[[str], Any], kind: type) -> PrimitiveConstructorSpec[Any]:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: ["none" if value is None else str(value)],
    )
