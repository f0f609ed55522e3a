"""`accord campaign rounds`: lessons, trials and calibration, for whoever leads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.judged import (
    FEW_PROMPTS,
    compared_campaign,
    console,
    interval_text,
    open_judgements,
    print_json,
    short_names,
    table,
)
from accord.cli.sheets import printable
from accord.collect.ballot import LETTERS
from accord.collect.rounds import Change, Differing, Round, Taught, changes, rounds, taught
from accord.collect.trust import believed
from accord.collect.votes import load
from accord.core.errors import ConfigError

LONGEST = 300
"""Characters of a text that are shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Flags of `accord campaign rounds`."""

    campaigns: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Their names, the oldest first: rounds are compared in this order. May be left out where
    there is one alone."""
    show: int = 3
    """Tasks of each round on which people differ most, with their texts."""
    level: float = 0.95
    """Share of intervals that hold the truth."""
    json: bool = False
    """Print everything as JSON."""


def main(words: Sequence[str], options: Options) -> int:
    """Print how raters did, how far they agree in each round, and where they differ most."""
    about = "Lessons, trial and calibration: who did them, how well, and where people differ."
    asked = parse(Asked, words, command="campaign rounds", about=about)
    _check(asked)
    known: list[tuple[str, tuple[Taught, ...]]] = []
    found: list[Round] = []
    with open_judgements(options) as database, database.read() as connection:
        for name in asked.campaigns or (None,):
            campaign = compared_campaign(connection, name)
            votes = load(connection, campaign, lessons=True)
            known.append((campaign.settings.name, taught(connection, campaign, votes)))
            usable = believed(load(connection, campaign, lengths=True))
            found += rounds(connection, campaign, usable, level=asked.level)
    changed = changes(found)
    if asked.json:
        told = {"taught": dict(known), "rounds": found, "changes": changed}
        print_json(told)
        return 0
    out = console()
    for name, lessons in known:
        for one in lessons:
            _taught(out, name, one)
    for each in found:
        _round(out, each, show=asked.show)
    _changes(out, changed)
    if not found and not any(lessons for _, lessons in known):
        print("there are no lessons, no trial and no round of calibration; make some with")
        print("  accord campaign tasks NAME FILE --lesson | --qualification | --calibration ROUND")
    return 0


def _check(asked: Asked) -> None:
    """Refuse figures that cannot be, and a campaign that would be compared with itself."""
    if asked.show < 0:
        raise ConfigError("--show counts tasks", got=asked.show, do="use 0 for none")
    if not 0 < asked.level < 1:
        raise ConfigError("--level lies between 0 and 1", got=asked.level, do="use 0.95, say")
    twice = [name for name, n in Counter(asked.campaigns).items() if n > 1]
    if twice:
        raise ConfigError("a campaign is named twice", got=twice[0], do="name each once")


def _taught(out: Console, campaign: str, one: Taught) -> None:
    what = "lessons" if one.purpose == "lesson" else "trial"
    out.print(f"{campaign}: {what}, {one.tasks} tasks", style="bold", markup=False)
    if not one.pupils:
        out.print("  nobody has answered any yet")
        return
    short = short_names([pupil.rater for pupil in one.pupils])
    rows = table("rater", "answered", "right")
    for pupil in one.pupils:
        rows.add_row(short[pupil.rater], str(pupil.answered), str(pupil.right))
    out.print(Padding(rows, (0, 0, 1, 2), expand=False))


def _round(out: Console, one: Round, *, show: int) -> None:
    out.print(
        f"{one.campaign}: calibration {one.name}, {one.tasks} tasks, guidelines {one.guideline}",
        style="bold",
        markup=False,
    )
    begun = f", {len(one.begun)} have begun" if one.begun else ""
    out.print(f"  {len(one.finished)} people have done all of them{begun}")
    if not one.finished and not one.begun:
        return
    rows = table("agreement of the order", "value", "prompts", "raters")
    for figure in one.figures:
        value = interval_text(figure.interval, missing=figure.why)
        rows.add_row(figure.coefficient, value, str(figure.prompts), str(figure.raters))
    out.print(Padding(rows, (0, 0, 0, 2), expand=False))
    if 0 < max(figure.prompts for figure in one.figures) < FEW_PROMPTS:
        out.print(
            f"  fewer than {FEW_PROMPTS} prompts: intervals may be too narrow", style="yellow"
        )
    few = one.differing[:show]
    if few:
        out.print(f"  people differ on {len(one.differing)} tasks; most on:")
    for differing in few:
        _differing(out, differing)


def _differing(out: Console, one: Differing) -> None:
    answers = "; ".join(f"{n} said {answer}" for answer, n in one.answers.items())
    parts = [Text(f"{answers}", style="bold"), Text(f"? {_short(one.prompt)}")]
    letters = zip(LETTERS, one.responses, strict=False)
    parts += [Text(f"{letter} {_short(text)}") for letter, text in letters]
    for number, part in enumerate(parts):
        out.print(Padding(part, (0, 0, 0, 4 if number else 3), expand=False))


def _changes(out: Console, changed: Sequence[Change]) -> None:
    if not changed:
        return
    out.print("\nfrom one round to the next", style="bold")
    rows = table("from", "to", "agreement", "change")
    for one in changed:
        change = interval_text(one.difference)
        rows.add_row(Text(one.before), Text(one.after), one.coefficient, change)
    out.print(Padding(rows, (0, 0, 0, 2), expand=False))
    out.print("  intervals take prompts to be different in each; where they are shared, too wide")


def _short(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST else line[: LONGEST - 3] + "..."
