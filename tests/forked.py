"""`accord` in processes that are forked from one with torch in memory: six seconds less for each.

The server forks and imports, and runs nothing itself. Its children share what a process draws when
it begins, the seed of hashes above all: a run that others are compared with begins by itself
(`tests.cli.small.accord`). What importing warns of does not reach their standard error.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from tests.cli.small import ROOT, environment

PRELOADED = "tests.preloaded"
PATIENCE = 1200
"""Seconds after which a command that should have ended is given up."""
_STREAMS = ("out", "err")


@dataclass(frozen=True, kw_only=True, slots=True)
class Forked:
    """A command under way; at the end of a `with` it is killed where it still runs."""

    words: tuple[str, ...]
    process: ForkServerProcess
    place: tempfile.TemporaryDirectory[str]

    def ended(self) -> bool:
        return self.process.exitcode is not None

    def kill(self) -> None:
        """SIGKILL, whatever it is about."""
        self.process.kill()

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Its exit code, negative after a signal, and all that it wrote."""
        self.process.join(PATIENCE)
        code = self.process.exitcode
        out, err = (Path(self.place.name, name).read_text() for name in _STREAMS)
        if code is None:
            raise subprocess.TimeoutExpired(self.words, PATIENCE, out, err)
        return subprocess.CompletedProcess(self.words, code, out, err)

    def __enter__(self) -> Forked:
        return self

    def __exit__(self, *raised: object) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()
        self.place.cleanup()


def begin(*words: str | Path, cwd: Path) -> Forked:
    """Start a command."""
    place = tempfile.TemporaryDirectory()
    for name in _STREAMS:
        Path(place.name, name).touch()
    given = tuple(str(word) for word in words)
    process = _context().Process(target=_command, args=(given, cwd, environment(), place.name))
    process.start()
    return Forked(words=given, process=process, place=place)


def accord(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    with begin(*words, cwd=cwd) as process:
        return process.wait()


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    before, around = dict(os.environ), environment()
    os.environ |= around | {"PYTHONPATH": os.pathsep.join((around["PYTHONPATH"], str(ROOT)))}
    try:
        forkserver.ensure_running()
    finally:
        _surround(before)
    return context


def _surround(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _command(words: tuple[str, ...], cwd: Path, around: dict[str, str], place: str) -> None:
    """What a process of its own would do that ran `python -m accord.cli WORDS`."""
    for stream, name in enumerate(_STREAMS, start=1):
        os.dup2(os.open(Path(place, name), os.O_WRONLY), stream)
    sys.stdout, sys.stderr = (
        os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2)
    )
    assert PRELOADED in sys.modules
    os.chdir(cwd)
    _surround(around)
    sys.argv = ["accord", *words]
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()
    from accord.cli.main import main

    sys.exit(main())
