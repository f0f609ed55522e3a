"""Pages of the manual, typed as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cli.small import environment

DOCS = Path(__file__).parents[2] / "docs"


def block(page: str, language: str) -> str:
    """The first block of code in this language."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def type_all(commands: Sequence[str], folder: Path, rates: Callable[[str], list[str]]) -> str:
    """Type commands in one shell, as a reader would; returns what they print.

    `rates` gives what is typed for `accord rate`, where people sit.
    """
    said = [f'accord() {{ "{sys.executable}" -m accord.cli "$@"; }}', "set -e"]
    for command in commands:
        plain = command.split("#")[0].strip()
        said += rates(plain) if plain.startswith("accord rate ") else [command]
    place = {k: v for k, v in environment().items() if k != "ACCORD_DATABASE_URL"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(said)],
        cwd=folder,
        env={**place, "COLUMNS": "100", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
