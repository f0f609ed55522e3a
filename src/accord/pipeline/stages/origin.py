"""Which folder of weights a `model` in the settings means, and what is in it. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from accord.core.hashing import digest, file_digest

BUILT_IN = ("tiny", "smollm2")
"""Models that Accord makes or fetches itself: a folder of the same name is never meant."""
READ = ("*.json", "*.safetensors", "*.jinja")
"""Files of a model folder that are read: configuration, tokenizer, weights, chat template."""


def model_folder(model: str, root: Path) -> Path | None:
    """The folder that `model` names, a relative one from `root`; None where it names no folder."""
    folder = root / model
    return folder if model not in BUILT_IN and folder.is_dir() else None


def portable(folder: Path, root: Path) -> str:
    """`folder` as text that stays true when `root` moves with all that is in it."""
    absolute = folder.absolute()
    inside = absolute.is_relative_to(root.absolute())
    return str(absolute.relative_to(root.absolute()) if inside else absolute)


def fingerprint(folder: Path) -> str:
    """16 hexadecimal digits over the names and contents of a model folder's files."""
    return digest({path.name: _digest(path) for path in sorted(_files(folder))})[:16]


def _files(folder: Path) -> Iterator[Path]:
    for pattern in READ:
        yield from folder.glob(pattern)


def _digest(path: Path) -> str:
    seen = path.stat()
    return _digest_of(path, seen.st_size, seen.st_mtime_ns)


@cache
def _digest_of(path: Path, size: int, changed: int) -> str:
    """One command asks many times: a file is read again where its size or time is another."""
    return file_digest(path)
