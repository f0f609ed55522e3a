"""Keys from whoever sits at the terminal, one by one; or lines, where input is no terminal."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol, TextIO

ENTER, END, ESCAPE = "\n", "\x04", "\x1b"
QUIET = 0.3
"""Seconds without a key after which somebody who was typing has stopped."""
PASTED = 0.05
"""Seconds after a line in which the rest of what was pasted with it is there."""


class Keys(Protocol):
    """Where keys come from."""

    @property
    def live(self) -> bool:
        """Whether somebody presses them now and sees what is said."""
        ...

    def read(self) -> str:
        """The next key; ENTER at the end of a line, END where there is no more."""
        ...

    def line(self) -> str:
        """A whole line, without its end; empty where there is no more."""
        ...

    def whole_line(self) -> str | None:
        """As `line`, but None where there is no more."""
        ...

    def pasted(self) -> str:
        """What was pasted together with the line that was read last."""
        ...

    def lent(self) -> AbstractContextManager[None]:
        """Let another program have the terminal, as it was, for a block."""
        ...

    def forget(self) -> None:
        """Drop what somebody pressed before now; lines of a pipe stay."""
        ...

    def drop_line(self) -> None:
        """Drop the rest of what is being typed: of a pipe this line, of a terminal all keys up to
        the next Enter or rest."""
        ...


class TypedLines:
    """Lines of a pipe or file, read as keys."""

    live = False

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
        return self.whole_line() or ""

    def whole_line(self) -> str | None:
        """What is left of this line, or the next one; None at the end."""
        if not self._left:
            self._left = self._source.readline()
        line, self._left = self._left, ""
        return line.rstrip("\n") if line else None

    def pasted(self) -> str:
        """Nothing: the next line of a pipe stands alone."""
        return ""

    def lent(self) -> AbstractContextManager[None]:
        """Nothing: there is no terminal."""
        return nullcontext()

    def forget(self) -> None:
        """Nothing: lines were written before anything was shown."""

    def drop_line(self) -> None:
        """Go to the next line."""
        self._left = ""


class Terminal:
    """A terminal that hands over each key as it is pressed. Made by `pressed_keys`."""

    live = True

    def __init__(self, descriptor: int, cooked: list[Any]) -> None:
        self._descriptor, self._cooked = descriptor, cooked
        self._ahead = b""  # came with a line, after its end
        self._ended = False
        self._lent = 0  # blocks inside one another that have the terminal as it was

    def read(self) -> str:
        """One key; what an arrow or function key sends is passed over. After END comes END."""
        while not self._ended:
            first = self._byte()
            if first in (b"", END.encode()):
                self._ended = True
            elif first == ESCAPE.encode():
                self._pass_over_sequence()
            else:
                tops = ((4, 0xF0), (3, 0xE0), (2, 0xC0))
                length = next((n for n, top in tops if first[0] >= top), 1)
                key = (first + b"".join(self._byte() for _ in range(length - 1))).decode(
                    errors="replace"
                )
                return ENTER if key == "\r" else key
        return END

    def line(self) -> str:
        """A line with the terminal's own editing."""
        return self.whole_line() or ""

    def whole_line(self) -> str | None:
        """A line with the terminal's own editing; None for Ctrl-D at its beginning."""
        with self.lent():
            while b"\n" not in self._ahead:
                more = os.read(self._descriptor, 4096).replace(b"\r", b"\n")
                if not more:
                    break
                self._ahead += more
        if not self._ahead:
            return None
        line, _, self._ahead = self._ahead.partition(b"\n")
        return line.decode(errors="replace")

    def pasted(self) -> str:
        """What was pasted together with the line that was read last; its own last line may have no
        end. Not for a block in which the terminal is lent: it hands over whole lines alone."""
        while select.select([self._descriptor], [], [], PASTED)[0]:
            more = os.read(self._descriptor, 4096)
            if not more:
                break
            self._ahead += more.replace(b"\r", b"\n")
        rest, self._ahead = self._ahead.decode(errors="replace"), b""
        return rest

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let another program have the terminal, as it was, for a block."""
        import termios
        import tty

        self._lent += 1
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._cooked)
        try:
            yield
        finally:
            self._lent -= 1
            if not self._lent:
                tty.setcbreak(self._descriptor, termios.TCSADRAIN)

    def forget(self) -> None:
        """Drop what was pressed and not read yet."""
        import termios

        self._ahead = b""
        termios.tcflush(self._descriptor, termios.TCIFLUSH)

    def drop_line(self) -> None:
        """Drop keys up to Enter, or until nobody presses one."""
        while not self._ended and self._comes_within(QUIET):
            byte = self._byte()
            self._ended = byte in (b"", END.encode())
            if byte in (b"\n", b"\r"):
                return

    def _byte(self) -> bytes:
        if self._ahead:
            first, self._ahead = self._ahead[:1], self._ahead[1:]
            return first
        return os.read(self._descriptor, 1)

    def _comes_within(self, seconds: float) -> bool:
        return bool(self._ahead or select.select([self._descriptor], [], [], seconds)[0])

    def _pass_over_sequence(self) -> None:
        """Read what follows an escape up to the letter that ends it; Escape alone has nothing."""
        if not self._comes_within(0.05):
            return
        byte = self._byte()
        if byte in (b"[", b"O"):
            byte = self._byte()
            while byte and not 0x40 <= byte[0] <= 0x7E:
                byte = self._byte()


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


@contextmanager
def stopped_later() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C wait until the block is done; what this gives says whether it was pressed.

    For what must be known to be done, or not, by whoever pressed it.
    """
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
