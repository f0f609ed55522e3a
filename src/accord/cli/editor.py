"""The person's own editor, on a private file."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from accord.cli.keys import Keys
from accord.core.errors import ConfigError

NAMES = ("VISUAL", "EDITOR")
"""Variables of the environment that name it, the first one before the second."""


@dataclass(frozen=True, slots=True)
class Edited:
    """What an editor left."""

    text: str
    """Without the end of its last line."""
    failed: str | None = None
    """Why it may not be what was meant: the editor ended with an error, after it saved or before,
    or wrote what is no UTF-8."""


def edit(path: Path, keys: Keys) -> Edited:
    """Let somebody change a file in their editor.

    Raises ConfigError where nobody sits at a terminal, no editor is named, or it cannot be run or
    left no file that can be read.
    """
    if not keys.live:
        raise ConfigError("an editor needs a terminal", do="type the text: t")
    name = next((os.environ[one] for one in NAMES if os.environ.get(one, "").strip()), None)
    if name is None:
        raise ConfigError(
            "no editor is named",
            do="type the text: t; or name one before you begin, as in EDITOR=nano accord rate",
        )
    try:
        with keys.lent():
            ended = subprocess.run([*shlex.split(name), str(path)], check=False).returncode
    except (OSError, ValueError) as error:
        raise ConfigError("the editor cannot be run", got=f"{name}: {error}") from None
    failed = f"the editor ended with an error: {name}: {ended}" if ended else None
    try:
        path.chmod(0o600)
        left = path.read_bytes()
    except OSError as error:
        raise ConfigError("what the editor left cannot be read", got=str(error)) from None
    try:
        text = left.decode()
    except UnicodeDecodeError as error:
        text = left.decode(errors="replace")
        failed = failed or f"what the editor left is no UTF-8: {error.reason}, byte {error.start}"
    return Edited(text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n"), failed)
