"""A real pseudo-terminal with `accord` in it: what it shows, and keys that are pressed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.small import environment
from tests.forked import Forked, Program, command_line, seated

PATIENCE = 40
CONTROL_C, CONTROL_D, BACKSPACE = "\x03", "\x04", "\x7f"
READY = "\x1b[K> "
"""What stands on the last line when keys are waited for."""


class Screen:
    """The end that somebody sits at."""

    def __init__(self, running: Forked, descriptor: int) -> None:
        self.running, self._descriptor = running, descriptor
        self.shown = ""
        """Everything so far."""
        self._seen = 0

    def until(self, words: str) -> str:
        """What was shown since the last call, up to and with `words`."""
        deadline = time.monotonic() + PATIENCE
        while (at := self.shown.find(words, self._seen)) < 0:
            assert time.monotonic() < deadline, self.shown
            self._take()
        began, self._seen = self._seen, at + len(words)
        return self.shown[began : self._seen]

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._descriptor, keys.encode())

    def ready(self, *words: str) -> str:
        """What was shown up to the line where keys are waited for, after all of `words`."""
        return "".join(map(self.until, (*words, READY)))

    def end(self) -> str:
        """All that was shown since the last call until the command ended well, by Enter where
        nothing is left but to undo the last answer."""
        deadline, pressed = time.monotonic() + PATIENCE, False
        while self._take():
            if not pressed and "Enter ends" in self.shown[self._seen :]:
                self.press("\r")
                pressed = True
            assert time.monotonic() < deadline, self.shown
        assert self.running.wait(PATIENCE).returncode == 0, self.shown
        assert "Traceback" not in self.shown
        return self.shown[self._seen :]

    def _take(self) -> bool:
        """Read what is there; False where the other side is closed."""
        if not select.select([self._descriptor], [], [], 0.2)[0]:
            return True
        try:
            more = os.read(self._descriptor, 65536)
        except OSError:  # nobody holds the other side any more
            return False
        self.shown += more.decode(errors="replace")
        return bool(more)


@contextmanager
def rating(workspace: Path, *flags: str, lines: int = 40, columns: int = 80) -> Iterator[Screen]:
    """`accord rate` in a terminal of its own."""
    with command(workspace, "rate", *flags, lines=lines, columns=columns) as screen:
        yield screen


@contextmanager
def command(
    workspace: Path,
    *words: str,
    lines: int = 40,
    columns: int = 80,
    program: Program = command_line,
) -> Iterator[Screen]:
    """`accord` with these words, or another `program`, in a terminal of its own."""
    descriptor, terminal = pty.openpty()
    around = environment() | {"TERM": "xterm"}
    for name in ("COLUMNS", "LINES"):  # of whoever runs the tests: they would win over the terminal
        around.pop(name, None)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    try:
        running = seated(*words, cwd=workspace, terminal=terminal, around=around, program=program)
    finally:
        os.close(terminal)
    try:
        with running:
            yield Screen(running, descriptor)
    finally:
        os.close(descriptor)


def plain(shown: str) -> str:
    """What can be read of it: without colours and cleared lines."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", shown)
