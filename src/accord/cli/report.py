"""`accord report`: report.html and result.json from what was run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import open_session


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """`accord report` has no flags of its own."""


def main(words: Sequence[str], options: Options) -> int:
    """Write the report and say where it is."""
    about = "Write report.html (arms, answers, calibration, curves, limits) and result.json."
    parse(Report, words, command="report", about=about)
    print(open_session(options).report())
    return 0
