"""Flags of a command from a dataclass: every field a flag, its docstring the help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import tyro

from accord.cli.commands import OPTIONS_HELP

T = TypeVar("T")


def parse(
    kind: type[T], words: Sequence[str], *, command: str, about: str, default: T | None = None
) -> T:
    """`words` as a value of the dataclass `kind`, on top of `default` where there is one.

    Prints help and exits with 0, or one message and exits with 2, as tyro does.
    """
    text = f"{about}\n\n{OPTIONS_HELP}"
    name = f"accord {command}"
    if default is None:
        return tyro.cli(kind, args=list(words), prog=name, description=text)
    return tyro.cli(kind, args=list(words), prog=name, description=text, default=default)
