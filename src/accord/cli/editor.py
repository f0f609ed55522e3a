"""The person's own editor, on a private file."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from accord.cli.keys import Keys
from accord.core.errors import ConfigError

NAMES = ("VISUAL", "EDITOR")
"""Variables of the environment that name it, the first one before the second."""


def edit(path: Path, keys: Keys) -> str:
    """Let somebody change a file in their editor; what it holds then, without its last line's end.

    Raises ConfigError where nobody sits at a terminal, no editor is named, or it cannot be run or
    failed; the file is as the editor left it.
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
    if ended:
        raise ConfigError("the editor ended with an error", got=f"{name}: {ended}")
    try:
        path.chmod(0o600)
        return path.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("what the editor left cannot be read", got=str(error)) from None
