"""Processes that hear Ctrl-C, whatever this one was told to ignore."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def heard() -> Iterator[None]:
    """Whatever is started inside starts with SIGINT as a terminal's programs have it.

    A job in the background of a script inherits SIGINT ignored, and so would the processes that
    tests start and interrupt. A handler, unlike "ignored", does not outlive the start of a program.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
