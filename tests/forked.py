"""`accord` in processes that are forked from one with all that it imports in memory: a second less
for each, six where it trains.

The server forks and imports, and runs nothing itself. Its children share what a process draws when
it begins, the seed of hashes above all: a run that others are compared with begins by itself
(`tests.cli.small.accord`), and so does what is about the beginning or the end of a process. What
importing warns of does not reach their standard error.
"""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from tests.cli.small import ROOT, environment

PRELOADED = "tests.preloaded"
PATIENCE = 1200
"""Seconds after which a command that should have ended is given up."""
_STREAMS = ("out", "err")
Program = Callable[[list[str]], int]
"""What is given the words and returns an exit code; a function of a module."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forked:
    """A command under way; at the end of a `with` it is killed where it still runs."""

    words: tuple[str, ...]
    process: ForkServerProcess
    place: tempfile.TemporaryDirectory[str]

    def ended(self) -> bool:
        return self.process.exitcode is not None

    def said(self) -> str:
        """What it wrote to standard output up to now."""
        return Path(self.place.name, _STREAMS[0]).read_text()

    def kill(self) -> None:
        """SIGKILL, whatever it is about."""
        self.process.kill()

    def send(self, signal: int) -> None:
        """Any other signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, signal)

    def wait(self, patience: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        """Its exit code, negative after a signal, and all that it wrote."""
        self.process.join(patience)
        code = self.process.exitcode
        out, err = (Path(self.place.name, name).read_text() for name in _STREAMS)
        if code is None:
            raise subprocess.TimeoutExpired(self.words, patience, out, err)
        return subprocess.CompletedProcess(self.words, code, out, err)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()
        self.place.cleanup()


def command_line(words: list[str]) -> int:
    """`accord WORDS`."""
    from accord.cli.main import main

    return main(words)


def begin(
    *words: str | Path, cwd: Path, typed: str | int = "", program: Program = command_line
) -> Forked:
    """Start a command; what is `typed` comes through a pipe, or from a descriptor."""
    if isinstance(typed, int):
        return _start(*words, cwd=cwd, source=typed, program=program)
    with _piped(typed) as source:
        return _start(*words, cwd=cwd, source=source, program=program)


def seated(
    *words: str | Path,
    cwd: Path,
    terminal: int,
    around: dict[str, str],
    program: Program = command_line,
) -> Forked:
    """Start a command as the one that has a terminal, given by its descriptor."""
    return _start(*words, cwd=cwd, source=terminal, program=program, seated=True, around=around)


def accord(
    *words: str | Path, cwd: Path, typed: str | int = "", program: Program = command_line
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with begin(*words, cwd=cwd, typed=typed, program=program) as process:
        return process.wait()


@contextmanager
def _piped(text: str) -> Iterator[int]:
    """The end of a pipe from which `text` can be read once the block is done."""
    source, sink = os.pipe()
    with suppress(BrokenPipeError), os.fdopen(sink, "w") as pipe:
        try:
            yield source
        finally:
            os.close(source)
        pipe.write(text)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Call:
    """All that a child has to know."""

    words: list[str]
    cwd: Path
    around: dict[str, str]
    place: str
    program: Program
    seated: bool


def _start(
    *words: str | Path,
    cwd: Path,
    source: int,
    program: Program,
    seated: bool = False,
    around: dict[str, str] | None = None,
) -> Forked:
    place = tempfile.TemporaryDirectory()
    for name in _STREAMS:
        Path(place.name, name).touch()
    call = _Call(
        words=[str(word) for word in words],
        cwd=cwd,
        around=environment() if around is None else around,
        place=place.name,
        program=program,
        seated=seated,
    )
    with Connection(os.dup(source)) as lent:  # pickled, it brings the descriptor to the child
        process = _context().Process(target=_command, args=(call, lent))
        process.start()
    return Forked(words=tuple(call.words), process=process, place=place)


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    before, around = dict(os.environ), environment()
    os.environ |= around | {
        "PYTHONPATH": os.pathsep.join((around["PYTHONPATH"], str(ROOT))),
        # The one thread that any import starts: what is forked should have had none.
        "JE_ARROW_MALLOC_CONF": "background_thread:false",
    }
    try:
        forkserver.ensure_running()
    finally:
        _surround(before)
    return context


def _surround(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _command(call: _Call, source: Connection) -> None:
    """What a process of its own would do that ran `python -m accord.cli WORDS`."""
    assert PRELOADED in sys.modules
    _connect(call, source)
    os.chdir(call.cwd)
    _surround(call.around)
    sys.argv = ["accord", *call.words]
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    sys.exit(call.program(call.words))


def _connect(call: _Call, source: Connection) -> None:
    """Let standard input and output be those of the call."""
    os.dup2(source.fileno(), 0)
    if call.seated:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # Ctrl-C goes to whoever has the terminal
        sinks = [0, 0]
    else:
        sinks = [os.open(Path(call.place, name), os.O_WRONLY) for name in _STREAMS]
    for stream, sink in enumerate(sinks, start=1):
        os.dup2(sink, stream)
    source.close()
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (
        os.fdopen(stream, "w", buffering=1, errors=known.errors, closefd=False)
        for stream, known in ((1, sys.stdout), (2, sys.stderr))
    )
