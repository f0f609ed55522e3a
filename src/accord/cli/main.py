"""The entry point: finds the command, imports it alone, and turns errors into exit codes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

import accord
from accord.cli.commands import BY_NAME, Options, overview
from accord.core.errors import AccordError, ConfigError, InterruptedRun
from accord.pipeline.called import method

DEFECT = 1
OUTSIDE = 2
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TRAINING = {"torch", "transformers", "peft", "safetensors", "jaxtyping", "gguf"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code (0 done, 1 a defect of Accord's, 2 a cause outside it)."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        code = _dispatch(words)
        sys.stdout.flush()  # while a full disk can still be told
        return code
    except KeyboardInterrupt:
        print("stopped; `accord resume` goes on from the last checkpoint", file=sys.stderr)
        return OUTSIDE
    except BrokenPipeError:
        _give_up_output()
        return OUTSIDE
    except Exception as error:  # noqa: BLE001 - the last resort: a defect becomes exit code 1
        if debug:
            traceback.print_exc()
        if _no_room(error):
            _give_up_output()
        return _say(error)


def _no_room(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in _NO_ROOM


def _give_up_output() -> None:
    """Let what is left of standard output go nowhere: Python would try again when it ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(error: Exception) -> int:
    if isinstance(error, InterruptedRun):  # asked for, so no error
        print(f"{error.what}; {error.got}: {error.do}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, AccordError):
        kind = "defect" if error.exit_code == DEFECT else "error"
        print(f"{kind}: {error}", file=sys.stderr)
        return error.exit_code
    if isinstance(error, PermissionError):
        place = f"\n  where: {error.filename}" if error.filename else ""
        print(
            f"error: this login may not read or write something\n  got:   {error.strerror}{place}\n"
            "  do:    ask whose it is, or work as whoever made the workspace",
            file=sys.stderr,
        )
        return OUTSIDE
    if _no_room(error):
        print(
            f"error: something could not be written\n  got:   {error}\n"
            "  do:    make room, or write somewhere else",
            file=sys.stderr,
        )
        return OUTSIDE
    missing = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if missing in _TRAINING:
        print(
            f"error: this command needs {missing}, which is not installed\n"
            '  do:    pip install "accord[train]"',
            file=sys.stderr,
        )
        return OUTSIDE
    print(
        f"defect: {type(error).__name__}: {error}\n"
        "  do:    run it again with --debug, and report what it prints",
        file=sys.stderr,
    )
    return DEFECT


def _dispatch(words: list[str]) -> int:
    rest, options = _split(words)
    if not rest or rest[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if rest[0] == "--version":
        print(f"accord {accord.__version__}")
        return 0
    name, *own = rest
    if name.replace("-", "_") in BY_NAME:  # as in flags, either is meant
        name = name.replace("-", "_")
    if name not in BY_NAME:
        near = get_close_matches(name, BY_NAME, n=1)
        meant = f"did you mean `accord {near[0]}`?" if near else "`accord --help` lists all"
        raise ConfigError(
            "there is no such command" if not name.startswith("-") else "there is no such option",
            got=name,
            do=method(name) or meant,
        )
    # Threads that spin for long while they wait make a machine with other work many times slower.
    # This many turns cost nothing on a quiet one. It counts only before torch is loaded, and what
    # the user set stays.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    module = import_module(f"accord.cli.{BY_NAME[name].module}")
    options = Options(
        command=name,
        workspace=options.workspace,
        quiet=options.quiet,
        debug=options.debug,
    )
    return int(module.main(own, options))


def _split(words: list[str]) -> tuple[list[str], Options]:
    """Take the options of every command out of the words, wherever they stand before `--`."""
    rest: list[str] = []
    folder: str | None = None
    quiet = debug = False
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            rest += [word, *waiting]
        elif word in ("-w", "--workspace"):
            folder = next(waiting, None)
            if folder is None:
                raise ConfigError(f"{word} needs a folder", do=f"{word} DIR")
        elif word.startswith("--workspace="):
            folder = word.partition("=")[2]
        elif word in ("-q", "--quiet"):
            quiet = True
        elif word == "--debug":
            debug = True
        else:
            rest.append(word)
    where = Path(folder) if folder is not None else None
    return rest, Options(command="", workspace=where, quiet=quiet, debug=debug)
