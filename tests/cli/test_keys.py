"""Ctrl-C that waits; lines of a pipe as keys."""

from __future__ import annotations

import os
import signal
from io import StringIO

import pytest

from accord.cli.keys import END, ENTER, TypedLines, stopped_later


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_waits_until_what_it_would_tear_is_done() -> None:
    with stopped_later() as stopped:
        assert not stopped()
        interrupt()
        done = True
    assert done
    assert stopped()
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_of_a_pipe_only_this_line_is_dropped() -> None:
    keys = TypedLines(StringIO("abc\nde\n"))
    assert keys.read() == "a"
    keys.drop_line()
    keys.forget()
    assert [keys.read(), keys.read()] == ["d", "e"]
    assert [keys.read(), keys.read(), keys.read()] == [ENTER, END, END]
