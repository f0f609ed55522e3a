"""`accord raters [CAMPAIGN]`: whom to believe and why; quarantine, release, and what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console
from sqlalchemy import Connection

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.judged import (
    chosen_campaign,
    console,
    interval_text,
    open_judgements,
    print_json,
    table,
)
from accord.collect.habits import Habit, RaterReport, rater_report
from accord.collect.influence import Influence, Without, influence, without
from accord.collect.trust import Trust, decide, quarantine, release
from accord.collect.votes import Votes, load
from accord.core.errors import ConfigError
from accord.store.database import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Flags of `accord raters`."""

    campaign: Annotated[str | None, tyro.conf.Positional] = None
    """Its name; may be left out where there is one alone."""
    without: str | None = None
    """Show what changes when this rater is removed; changes nothing."""
    quarantine: str | None = None
    """Keep this rater's judgements and use them for nothing, in every campaign."""
    release: str | None = None
    """Trust this rater, whatever the rules say."""
    why: str = ""
    """Reason of a quarantine or release; kept in the log."""
    seed: int = 0
    """Of the intervals' resamples."""
    json: bool = False
    """Print everything as JSON."""


def main(words: Sequence[str], options: Options) -> int:
    """Decide first, if asked to; then print what holds, or the preview."""
    about = "Whom to believe, by stated rules, and why; and what changes without somebody."
    asked = parse(Asked, words, command="raters", about=about)
    if sum(one is not None for one in (asked.without, asked.quarantine, asked.release)) > 1:
        raise ConfigError("one thing at a time", do="give --without, --quarantine or --release")
    with open_judgements(options) as database:
        if asked.quarantine is not None or asked.release is not None:
            return _decide(database, asked)
        with database.read() as connection:
            name, votes = _votes(connection, asked)
    if asked.without is not None:
        preview = without(votes, asked.without)
        if asked.json:
            print_json(preview)
        else:
            _preview(console(), preview)
        return 0
    reports = rater_report(votes, seed=asked.seed)
    trusts = decide(reports)
    shares = influence(votes, trusts)
    if asked.json:
        print_json({"campaign": name, "raters": reports, "trust": trusts, "influence": shares})
        return 0
    _show(console(), name, reports, trusts, shares)
    return 0


def _votes(connection: Connection, asked: Asked) -> tuple[str, Votes]:
    campaign = chosen_campaign(connection, asked.campaign)
    return campaign.settings.name, load(connection, campaign, lengths=True)


def _decide(database: Database, asked: Asked) -> int:
    with database.write() as connection:
        if asked.quarantine is not None:
            quarantine(connection, asked.quarantine, why=asked.why)
        elif asked.release is not None:
            release(connection, asked.release, why=asked.why)
    done = "in quarantine" if asked.quarantine is not None else "trusted"
    print(f"{asked.quarantine or asked.release} is {done}: {asked.why.strip()}")
    return 0


def _show(
    out: Console,
    name: str,
    reports: Sequence[RaterReport],
    trusts: Sequence[Trust],
    shares: Influence,
) -> None:
    if not reports:
        out.print(f"{name}: nobody judged yet", markup=False)
        return
    rows = table(
        "rater",
        "kind",
        "n",
        "skipped",
        "seconds",
        "known right",
        "repeats same",
        "reliability",
        "first wins",
        "agrees",
        "guesses",
        "weight",
        "share",
        "",
    )
    for report, trust, share in zip(reports, trusts, shares.shares, strict=True):
        found = report.findings
        held = "quarantine" if trust.quarantined else "look" if trust.look else ""
        rows.add_row(
            report.rater,
            report.kind,
            str(report.judgements),
            str(report.skips),
            "-" if report.seconds is None else f"{report.seconds:.0f}",
            *(
                f"{interval_text(found[habit].interval)} of {found[habit].n}"
                for habit in (Habit.GOLD, Habit.CONSISTENCY)
            ),
            interval_text(report.reliability),
            interval_text(found[Habit.POSITION].interval),
            interval_text(found[Habit.CONSENSUS].interval),
            f"{report.guesses:.2f}",
            f"{share.weight:.2f}",
            f"{share.after:.1%}",
            held,
        )
    out.print(rows)
    for trust in trusts:
        if trust.why:
            out.print(f"{trust.rater}: {'; '.join(trust.why)}", markup=False)
    out.print(shares.why, markup=False)


def _preview(out: Console, found: Without) -> None:
    out.print(
        f"without {found.rater}: {found.judgements} judgements of work tasks go\n"
        f"  of {found.pairs} pairs: {len(found.lost)} lose their only vote,"
        f" {len(found.opened)} lose their majority, {len(found.settled)} get one,"
        f" {len(found.flipped)} are believed the other way (Dawid-Skene)\n"
        f"  two raters agree on {found.agreement_before:.1%} of pairs now, and on"
        f" {found.agreement_after:.1%} then",
        markup=False,
    )
    for words, pairs in (("believed the other way", found.flipped), ("lost", found.lost)):
        if pairs:
            some = ", ".join(f"{task} {one}-{other}" for task, one, other in pairs[:10])
            more = f" and {len(pairs) - 10} more" if len(pairs) > 10 else ""
            out.print(f"  {words}: {some}{more}", markup=False)
