"""Groups of raters on the terminal: agreement by a question, who decides, whom they stand for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape
from sqlalchemy import Connection

from accord.cli.commands import Options
from accord.cli.judged import console, interval_text, print_json, table
from accord.cli.session import find_workspace
from accord.collect.coverage import Coverage
from accord.collect.deciding import WithoutGroup
from accord.collect.groups import AgreementBy, Topic
from accord.collect.profiles import Profiles, profiles_of
from accord.collect.questions import Questions, read_questions

FILE = "profiles.toml"
"""Where a workspace keeps its questions about raters."""
_UNKNOWN = (
    "some answers are to questions, or have words, that the file no longer has: they count as not"
    " told"
)


_SIZES = "Sizes count those in quarantine too; figures leave them out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What raters told of themselves, and what they were asked."""

    questions: Questions
    profiles: Profiles
    unknown: bool
    """Whether some answers are no longer declared."""

    @property
    def note(self) -> str:
        """What has to be said of the answers; nothing where all is well."""
        return _UNKNOWN if self.unknown else ""


def questions_file(options: Options, given: Path | None) -> Path:
    """The named file of questions, or that of the workspace."""
    return find_workspace(options).root / FILE if given is None else given


def read_told(connection: Connection, options: Options, given: Path | None) -> Told:
    """The declared questions and everybody's answers. Raises ConfigError as `read_questions`."""
    questions = read_questions(questions_file(options, given))
    profiles, unknown = profiles_of(connection, questions)
    return Told(questions=questions, profiles=profiles, unknown=unknown)


def print_by(name: str, found: AgreementBy, told: Told, *, json: bool) -> None:
    """Agreement inside groups and between them."""
    if json:
        topics = [
            {
                "about": one.about,
                "tasks": one.tasks,
                "within": one.within,
                "between": [
                    {"groups": pair, "figures": figures} for pair, figures in one.between.items()
                ],
                "why": one.why,
            }
            for one in found.topics
        ]
        shown = {"question": found.question, "k": found.k, "groups": found.groups}
        by = shown | {"topics": topics, "why": found.why}
        print_json({"campaign": name, "by": by, "note": told.note})
        return
    out = console()
    sizes = ", ".join(f"{group} {size}" for group, size in found.groups.items())
    out.print(f"{name}: raters by {found.question}: {sizes or found.why}", markup=False)
    for topic in found.topics:
        _topic(topic)
    if found.groups:
        out.print(
            f"\nno group has fewer than {found.k} raters, and none follows by subtraction; smaller"
            f" ones are put together. {_SIZES}. kappa is between two groups what alpha is inside"
            " one: 1 for perfect agreement, 0 for what chance gives. Intervals draw prompts.",
            markup=False,
        )
    if told.note:
        out.print(told.note, markup=False)


def _topic(topic: Topic) -> None:
    out = console()
    drawn = "drawn at random" if topic.tasks == "random" else "picked by a selection"
    heading = f"\nabout: {topic.about}   tasks: {drawn}"
    out.print(heading, style="bold", markup=False)
    if topic.why:
        out.print(f"not shown: {topic.why}", markup=False)
        return
    rows = table("raters", "figure", "value", "prompts")
    sides = [(f"within {group}", figures) for group, figures in topic.within.items()]
    sides += [(f"{one} and {other}", figures) for (one, other), figures in topic.between.items()]
    for who, figures in sides:
        for one in figures:
            value = interval_text(one.interval, missing=one.why)
            rows.add_row(escape(who), one.coefficient, value, str(one.prompts))
    out.print(rows)


def print_without_group(name: str, found: WithoutGroup, told: Told, *, json: bool) -> None:
    """What changes without a group."""
    if json:
        print_json({"campaign": name, "without": found, "note": told.note})
        return
    out = console()
    out.print(
        f"{name}: without the {found.raters} raters of {found.question}={found.group},"
        f" {found.others} are left; those in quarantine are counted here, and in no figure\n"
        f"  {found.pairs} pairs ({found.prompts} prompts) have a winner by majority and a vote of"
        f" the others; {found.lost} more lose their only votes",
        markup=False,
    )
    if found.why:
        out.print(f"  no share: {found.why}", markup=False)
    else:
        out.print(
            f"  flipped: the other response wins: {interval_text(found.flipped)}\n"
            f"  opened: nothing wins any more: {interval_text(found.opened)}\n"
            f"  as many raters at random flip {interval_text(found.by_chance)}; as much or more"
            f" with probability {found.p:.3f}",
            markup=False,
            highlight=False,
        )
    if told.note:
        out.print(told.note, markup=False)


def print_coverage(
    name: str, found: tuple[Coverage, ...], source: str, told: Told, *, json: bool
) -> None:
    """How the raters stand for a population."""
    if json:
        shown = {"campaign": name, "population": source, "coverage": found, "note": told.note}
        print_json(shown)
        return
    out = console()
    out.print(f"{name}: raters against {source}, those in quarantine among them", markup=False)
    for one in found:
        out.print(f"\n{one.question}", style="bold", markup=False)
        if one.why:
            out.print(one.why, markup=False)
        else:
            _covered(one)
        if one.unseen:
            listed = ", ".join(f"{answer} ({part:.0%})" for answer, part in one.unseen.items())
            out.print(
                f"not seen among the raters as a group (fewer than {one.k}, perhaps none, or put"
                f" together with such): {listed}",
                markup=False,
            )
    out.print("\nnothing is weighed by this: not the figures, not a frozen set", markup=False)
    if told.note:
        out.print(told.note, markup=False)


def _covered(one: Coverage) -> None:
    out = console()
    rows = table("group", "raters", "share", "population")
    for group, covered in one.groups.items():
        rows.add_row(
            escape(group), str(covered.raters), f"{covered.share:.0%}", f"{covered.population:.0%}"
        )
    out.print(rows)
    raters = sum(covered.raters for covered in one.groups.values())
    silent = "" if one.not_told is None else f"; {one.not_told} more did not tell"
    effective = "-" if math.isnan(one.effective) else f"{one.effective:.1f}"
    out.print(
        f"distance {one.distance:.2f}: at least this share of raters would have to be in another"
        f" group{silent}\nweighed to the population, {raters} raters would tell as much as"
        f" {effective}",
        markup=False,
    )
