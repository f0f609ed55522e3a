"""`accord raters [CAMPAIGN]`: whom to believe and why; decisions, previews, a poison drill."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy import Connection

from accord.cli.commands import Options
from accord.cli.drill import drills, show_drills
from accord.cli.flags import parse
from accord.cli.groups import Told, print_coverage, print_without_group, read_told
from accord.cli.judged import (
    compared_campaign,
    console,
    interval_text,
    only_one_with_prefix,
    open_judgements,
    print_json,
    short_names,
    table,
)
from accord.collect.alliances import pairs_alike
from accord.collect.coverage import coverage
from accord.collect.deciding import without_group
from accord.collect.drill import texts_of
from accord.collect.habits import Habit, RaterReport, rater_report
from accord.collect.influence import Influence, Share, Without, influence, without
from accord.collect.people import names_of, person_called
from accord.collect.questions import read_population
from accord.collect.sheet import RaterKind
from accord.collect.trust import Trust, decide, quarantine, release
from accord.collect.votes import Votes, load
from accord.core.errors import ConfigError
from accord.stats.rater_bias import Finding
from accord.store.database import Database
from accord.store.registry import all_raters

OVERVIEW = (
    "rater",
    "kind",
    "n",
    "skips",
    "time",
    "known right",
    "repeats same",
    "agrees",
    "guesses",
    "share",
    "",
)
"""Columns that fit a terminal; `--show` has the rest."""

LONGEST_NAME = 16
"""Characters of a name in the table; `--show` has all of it."""
NAMELESS = "(no name)"
"""Who was erased, or registered without one."""

ASKED_OF_ALL: dict[Habit, str] = {
    Habit.GOLD: "known answers right",
    Habit.CONSISTENCY: "repeats answered the same",
    Habit.CONSENSUS: "says what most others say",
    Habit.DRIFT: "change of that over time",
    Habit.POSITION: "what stood first beats what stood last",
    Habit.LENGTH: "the longest beats the shortest, more often than with others",
    Habit.FOLLOWING: "answers the latest or first that was there",
    Habit.COPYING: "shares stray answers with somebody",
    Habit.SKIPPING: "skips, or calls all bad",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Flags of `accord raters`."""

    campaign: Annotated[str | None, tyro.conf.Positional] = None
    """Its name; may be left out where there is one alone."""
    kinds: str | None = None
    """Kinds of raters that are held against each other, with commas: human, synthetic, rule, model.
    By default people alone, or everybody where no person judged."""
    show: str | None = None
    """Show everything about this rater, each figure with its interval and q. A name will do, or the
    first letters of a pseudonym."""
    names: bool = False
    """Show what raters are called beside their pseudonyms, on the terminal alone: for a lead."""
    without: str | None = None
    """Show what changes when this rater (name or pseudonym) is removed; changes nothing."""
    without_group: str | None = None
    """QUESTION=ANSWER: the share of winners that flip without the people who answered so."""
    population: Path | None = None
    """A file of shares: how the raters' answers about themselves stand for that population."""
    questions: Path | None = None
    """File of the questions about raters; by default profiles.toml of the workspace."""
    quarantine: str | None = None
    """Keep this rater's judgements and use them for nothing, in every campaign."""
    release: str | None = None
    """Trust this rater, whatever the rules say."""
    why: str = ""
    """Reason of a quarantine or release; kept in the log."""
    drill: str | None = None
    """Put false labels into copies of the campaign, in memory: whichever response has this word
    wins. Say what is caught and what a model of words learns of it; changes nothing."""
    drill_seeds: int = 10
    """Drills of each kind and size."""
    seed: int = 0
    """Of the intervals' resamples."""
    json: bool = False
    """Print everything as JSON."""


def main(words: Sequence[str], options: Options) -> int:
    """Decide first, if asked to; then print what holds, or the preview."""
    about = "Whom to believe, by stated rules, and why; and what changes without somebody."
    asked = parse(Asked, words, command="raters", about=about)
    _check(asked)
    groups = (asked.without_group, asked.population)
    with open_judgements(options) as database:
        if asked.quarantine is not None or asked.release is not None:
            return _decide(database, asked)
        with database.read() as connection:
            campaign = compared_campaign(connection, asked.campaign)
            asked = _by_pseudonym(connection, asked)
            everybody = load(connection, campaign, lengths=True)
            texts = texts_of(connection, campaign) if asked.drill is not None else {}
            names = names_of(connection, everybody.raters) if asked.names else {}
            told = None
            if any(one is not None for one in groups):
                told = read_told(connection, options, asked.questions)
    if told is not None:
        return _by_groups(asked, campaign.settings.name, everybody, told)
    name, votes = campaign.settings.name, _of_kinds(everybody, asked)
    if asked.without is not None:
        preview = without(votes, _in(votes, asked.without))
        if asked.json:
            print_json(preview)
        else:
            _preview(console(), preview)
        return 0
    if asked.drill is not None:
        _drill(name, votes, texts, asked)
        return 0
    _report(asked, name, everybody, votes, names)
    return 0


def _by_pseudonym(connection: Connection, asked: Asked) -> Asked:
    """The same with pseudonyms where a person was called by their name."""
    show, left_out = (
        None if given is None else person_called(connection, given) or given
        for given in (asked.show, asked.without)
    )
    return replace(asked, show=show, without=left_out)


def _report(
    asked: Asked, name: str, everybody: Votes, votes: Votes, names: Mapping[str, str]
) -> None:
    """Everybody, or one, as the rules see them; `names` are printed and go nowhere else."""
    reports = rater_report(votes, seed=asked.seed)
    pairs = pairs_alike(votes)
    trusts = decide(reports, pairs=pairs)
    shares = influence(votes, trusts)
    if asked.show is not None:
        place = votes.raters.index(_in(votes, asked.show))
        one = (reports[place], trusts[place], shares.shares[place])
        if asked.json:
            print_json(dict(zip(("rater", "trust", "influence"), one, strict=True)))
        else:
            if asked.names:
                called = names.get(one[0].rater, NAMELESS)
                console().print(called, style="bold", markup=False, highlight=False)
            _show_one(console(), *one)
    elif asked.json:
        figures = {"raters": reports, "pairs": pairs, "trust": trusts, "influence": shares}
        print_json({"campaign": name} | figures)
    else:
        out = console()
        _show(out, name, reports, trusts, shares, names if asked.names else None)
        _left_out(out, everybody, votes)


def _by_groups(asked: Asked, name: str, votes: Votes, told: Told) -> int:
    """What people who told something of themselves stand for, or decide."""
    if asked.kinds is not None:
        raise ConfigError("groups are of people alone", got="--kinds", do="leave it out")
    if asked.without_group is not None:
        question, given, group = asked.without_group.partition("=")
        if not given:
            raise ConfigError("a group is written QUESTION=ANSWER", got=question)
        found = without_group(
            votes, told.profiles, told.questions, question, group, seed=asked.seed
        )
        print_without_group(name, found, told, json=asked.json)
    elif asked.population is not None:
        population = read_population(asked.population, told.questions)
        shown = coverage(votes, told.profiles, told.questions, population)
        print_coverage(name, shown, population.source, told, json=asked.json)
    return 0


def _check(asked: Asked) -> None:
    groups = (asked.without_group, asked.population)
    named = (asked.show, asked.without, asked.quarantine, asked.release, asked.drill, *groups)
    if sum(one is not None for one in named) > 1:
        raise ConfigError(
            "one thing at a time",
            do="give --show, --without, --without-group, --population, --quarantine, --release or"
            " --drill",
        )
    elsewhere = asked.show is None and any(one is not None for one in named)
    if asked.names and (asked.json or elsewhere):
        raise ConfigError(
            "names are shown in the table of all raters and with --show, and written nowhere",
            got="--names with --json" if asked.json else "--names with something else",
            do="leave --names out, or the other",
        )
    if asked.drill_seeds < 2:
        raise ConfigError("a drill needs two seeds or more", got=asked.drill_seeds)


def _drill(name: str, votes: Votes, texts: Mapping[str, str], asked: Asked) -> None:
    word = asked.drill or ""
    found = list(drills(votes, texts, word, asked.drill_seeds))
    if asked.json:
        print_json({"campaign": name, "word": word, "drills": found})
    else:
        show_drills(console(), name, word, found)


def _of_kinds(votes: Votes, asked: Asked) -> Votes:
    """What raters of the kinds asked for said, or of the kind of the one who is named.

    The words of a program tell nothing of a person.
    """
    there = {row.kind for row in votes.rows}
    named = asked.show or asked.without
    if asked.kinds is not None:
        kinds = {_kind(word) for word in asked.kinds.split(",")}
    elif named is not None:
        name = _in(votes, named)
        kinds = {row.kind for row in votes.rows if row.rater == name}
    else:
        kinds = {RaterKind.HUMAN} & there or there
    return votes.only(lambda row: row.kind in kinds)


def _left_out(out: Console, everybody: Votes, shown: Votes) -> None:
    apart = Counter(row.kind.value for row in everybody.rows if row.rater not in shown.raters)
    for kind, count in sorted(apart.items()):
        out.print(f"{count} judgements of {kind} raters are left out above (--kinds)", markup=False)


def _kind(word: str) -> RaterKind:
    try:
        return RaterKind(word.strip())
    except ValueError:
        raise ConfigError(
            "kinds has an unknown word", got=word.strip(), do=f"use {', '.join(RaterKind)}"
        ) from None


def _in(votes: Votes, given: str) -> str:
    """The rater of these judgements whose name begins as given."""
    return only_one_with_prefix(given, votes.raters)


def _decide(database: Database, asked: Asked) -> int:
    given = asked.quarantine or asked.release or ""
    with database.write() as connection:
        given = person_called(connection, given) or given
        name = only_one_with_prefix(given, all_raters(connection))
        if asked.quarantine is not None:
            quarantine(connection, name, why=asked.why)
        else:
            release(connection, name, why=asked.why)
    done = "in quarantine" if asked.quarantine is not None else "trusted"
    print(f"{name} is {done}: {asked.why.strip()}")
    return 0


def _show(
    out: Console,
    name: str,
    reports: Sequence[RaterReport],
    trusts: Sequence[Trust],
    shares: Influence,
    names: Mapping[str, str] | None = None,
) -> None:
    if not reports:
        out.print(f"{name}: nobody judged yet", markup=False)
        return
    short = short_names([report.rater for report in reports])
    # A name takes the place of the kind, where all are of one.
    kinds = names is None or len({report.kind for report in reports}) > 1
    rows = _table(names=names is not None, kinds=kinds)
    for report, trust, share in zip(reports, trusts, shares.shares, strict=True):
        found = report.findings
        rows.add_row(
            short[report.rater],
            *([] if names is None else [escape(names.get(report.rater, NAMELESS))]),
            *([report.kind] if kinds else []),
            str(report.judgements),
            str(report.skips),
            "-" if report.seconds is None else f"{report.seconds:.0f} s",
            *(_rate(found[habit]) for habit in (Habit.GOLD, Habit.CONSISTENCY, Habit.CONSENSUS)),
            f"{report.guesses:.2f}" if report.trials else "-",
            f"{share.after:.1%}",
            "quarantine" if trust.quarantined else "look" if trust.look else "",
        )
    out.print(rows)
    for trust in trusts:
        if trust.why:
            out.print(f"{short[trust.rater]}: {'; '.join(trust.why)}", markup=False)
    if any(not trust.quarantined for trust in trusts):
        out.print(shares.why, markup=False)
    else:
        out.print("everybody is in quarantine: nothing would be left to freeze", markup=False)
    out.print(
        "guesses: how probable it is that somebody answers unread, by known answers and repeats;"
        " share: of the weight of a set frozen now; all about one rater: --show RATER",
        markup=False,
    )


def _table(*, names: bool, kinds: bool) -> Table:
    """The overview with no rows yet."""
    first, kind, *rest = OVERVIEW
    rows = table()
    rows.add_column(first, no_wrap=True)
    if names:
        rows.add_column("name", max_width=LONGEST_NAME, overflow="ellipsis", no_wrap=True)
    for column in ([kind] if kinds else []) + rest:
        rows.add_column(column, overflow="fold")
    return rows


def _show_one(out: Console, report: RaterReport, trust: Trust, share: Share) -> None:
    """All that is known of one rater: what was asked, the figure, how sure it is."""
    held = "in quarantine" if trust.quarantined else "trusted"
    seconds = "" if report.seconds is None else f", {report.seconds:.0f} s each (median)"
    out.print(
        f"{report.rater} ({report.kind}), {held}: {report.judgements} judgements, {report.skips}"
        f" skipped, {report.all_bad} all bad, {report.late} late{seconds}\n"
        f"  each judgement weighs {share.weight:.2f}, together {share.after:.1%} of the set\n"
        f"  reliability {interval_text(report.reliability)};"
        f" guesses with probability {report.guesses:.2f}, by {report.trials} known answers and"
        " repeats",
        markup=False,
        highlight=False,
    )
    for reason in trust.why:
        out.print(f"  {reason}", markup=False, highlight=False)
    rows = table("asked", "figure", "judgements", "q")
    for habit, words in ASKED_OF_ALL.items():
        found = report.findings[habit]
        q = "-" if math.isnan(found.q) else f"{found.q:.3f}"
        rows.add_row(words, interval_text(found.interval), str(found.n), q)
    out.print(rows)
    out.print("q: of those called below .05, one in twenty is expected to be false", markup=False)


def _rate(found: Finding) -> str:
    """`0.82 of 11`: the figure and how many answers it rests on."""
    if not found.n or math.isnan(found.interval.estimate):
        return "-"
    return f"{found.interval.estimate:.2f} of {found.n}"


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
