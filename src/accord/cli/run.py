"""`accord run`: everything that is not up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import open_session, print_summary


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Flags of `accord run`."""

    to: str | None = None
    """Make this stage and what it needs, nothing else."""
    strict: bool = False
    """Also make again what was made on another machine or with other machine settings."""


def main(words: Sequence[str], options: Options) -> int:
    """Run, then list what was made and what was kept."""
    about = "Make every stage of accord.toml that is not up to date. Ctrl-C is safe."
    asked = parse(Run, words, command="run", about=about)
    session = open_session(options)
    print_summary(session.run(to=asked.to, strict=asked.strict))
    return 0
