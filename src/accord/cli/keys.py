"""Keys from whoever sits at the terminal, one by one; or lines, where input is no terminal."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

ENTER, END, ESCAPE = "\n", "\x04", "\x1b"


class Keys(Protocol):
    """Where keys come from."""

    def read(self) -> str:
        """The next key; ENTER at the end of a line, END where there is no more."""
        ...

    def line(self) -> str:
        """A whole line, without its end; empty where there is no more."""
        ...


class TypedLines:
    """Lines of a pipe or file, read as keys."""

    def __init__(self, source: TextIO) -> None:
        self._source = source
        self._left = ""

    def read(self) -> str:
        """The next character of the input."""
        if not self._left:
            self._left = self._source.readline()
        if not self._left:
            return END
        key, self._left = self._left[0], self._left[1:]
        return key

    def line(self) -> str:
        """What is left of this line, or the next one."""
        if not self._left:
            self._left = self._source.readline()
        line, self._left = self._left, ""
        return line.rstrip("\n")


class Terminal:
    """A terminal that hands over each key as it is pressed. Made by `pressed_keys`."""

    def __init__(self, descriptor: int, cooked: list[Any]) -> None:
        self._descriptor, self._cooked = descriptor, cooked

    def read(self) -> str:
        """One key; what an arrow or function key sends is passed over."""
        while True:
            first = os.read(self._descriptor, 1)
            if not first:
                return END
            if first == ESCAPE.encode():
                self._pass_over_sequence()
                continue
            length = next((n for n, top in ((4, 0xF0), (3, 0xE0), (2, 0xC0)) if first[0] >= top), 1)
            more = os.read(self._descriptor, length - 1) if length > 1 else b""
            key = (first + more).decode(errors="replace")
            return ENTER if key == "\r" else key

    def _pass_over_sequence(self) -> None:
        """Read what follows an escape up to the letter that ends it; Escape alone has nothing."""
        if not select.select([self._descriptor], [], [], 0.05)[0]:
            return
        byte = os.read(self._descriptor, 1)
        if byte in (b"[", b"O"):
            byte = os.read(self._descriptor, 1)
            while byte and not 0x40 <= byte[0] <= 0x7E:
                byte = os.read(self._descriptor, 1)

    def line(self) -> str:
        """A line with the terminal's own editing."""
        import termios
        import tty

        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._cooked)
        try:
            return sys.stdin.readline().rstrip("\n")
        finally:
            tty.setcbreak(self._descriptor)


@contextmanager
def pressed_keys() -> Iterator[Keys]:
    """Keys of standard input; a terminal is put back as it was in the end."""
    if not sys.stdin.isatty():
        yield TypedLines(sys.stdin)
        return
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    cooked = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Terminal(descriptor, cooked)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, cooked)
