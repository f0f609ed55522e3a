"""`accord campaign remarks CAMPAIGN`: flags, reasons of skips and own words, for whoever leads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from rich.text import Text

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.judged import chosen_campaign, console, open_judgements, print_json, table
from accord.cli.sheets import printable
from accord.collect.remarks import Remark, remarks

WIDEST = 60
"""Characters of a text that a line shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Flags of `accord campaign remarks`."""

    campaign: Annotated[str | None, tyro.conf.Positional] = None
    """Its name; may be left out where there is one alone."""
    what: Literal["all", "flag", "skip", "reason", "rejection"] = "all"
    """Show one kind alone."""
    json: bool = False
    """Print whole texts as JSON."""


def main(words: Sequence[str], options: Options) -> int:
    """Print a line for each remark, the oldest first."""
    about = "What raters said beside their verdicts: flags, reasons of skips, own words."
    asked = parse(Asked, words, command="campaign remarks", about=about)
    with open_judgements(options) as database, database.read() as connection:
        campaign = chosen_campaign(connection, asked.campaign)
        every = list(remarks(connection, campaign))
    found = [one for one in every if asked.what in ("all", one.what)]
    if asked.json:
        print_json(found)
        return 0
    counts = Counter(one.what for one in every)
    listed = ", ".join(f"{n} {what}s" for what, n in sorted(counts.items())) or "no remarks"
    out = console()
    out.print(f"{campaign.settings.name}: {listed}", markup=False)
    if found:
        rows = table("event", "rater", "", "says", "about", "")
        for one in found:
            rows.add_row(*(Text(words) for words in _row(one)))
        out.print(rows)
    return 0


def _row(one: Remark) -> tuple[str, ...]:
    gone = "task withdrawn" if one.withdrawn else ""
    about = _short(one.about)
    return (str(one.seq), one.rater[:8], one.what, _short(one.words), about, gone)


def _short(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= WIDEST else line[: WIDEST - 3] + "..."
