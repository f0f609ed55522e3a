"""`accord campaign profile`: what a person tells of themselves, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.groups import questions_file
from accord.cli.session import find_workspace
from accord.collect.people import person_called
from accord.collect.profiles import forget_profile, tell_profile
from accord.collect.questions import Questions, read_questions
from accord.core.errors import ConfigError, DataError
from accord.store.database import open_database
from accord.store.registry import all_raters


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """Flags of `accord campaign profile`."""

    rater: str | None = None
    """What the person is called, or their pseudonym. Without it the questions are shown."""
    tell: dict[str, str] | None = None
    """Answers, as pairs: field law region north. They replace all that was told before; nobody has
    to answer everything. A shell remembers what is typed: a space before `accord` helps in most."""
    consent: bool = False
    """The person has read the words that `accord campaign profile` shows, and agreed."""
    forget: bool = False
    """Erase all that the person told; what they judged stays."""
    questions: Path | None = None
    """File of the questions; by default profiles.toml of the workspace."""


def profile(words: Sequence[str], options: Options) -> int:
    """Show the questions, keep answers, or erase them. Answers are never printed."""
    about = "Keep, or forget, what a person tells of themselves."
    asked = parse(Profile, words, command="campaign profile", about=about)
    if asked.rater is None:
        if asked.tell is not None or asked.forget or asked.consent:
            raise ConfigError("whose profile is meant?", do='--rater "Ada"')
        print(_shown(read_questions(questions_file(options, asked.questions))))
        return 0
    if asked.forget == (asked.tell is not None):
        raise ConfigError("a profile is told or forgotten", do="give --tell, or --forget")
    with open_database(find_workspace(options).database_place()) as database:
        with database.read() as connection:
            rater = _rater(connection, asked.rater.strip())
        if asked.tell is None:
            erased = forget_profile(database, rater)
            print(f"{rater}: {'profile erased' if erased else 'there was no profile'}")
            return 0
        questions = read_questions(questions_file(options, asked.questions))
        tell_profile(database, rater, asked.tell, questions, consent=asked.consent)
    print(f"{rater}: profile kept, with what was agreed to; --forget erases it")
    return 0


def _rater(connection: Connection, given: str) -> str:
    found = person_called(connection, given)
    if found is None and given in all_raters(connection):
        found = given
    if found is None:
        raise DataError(
            "there is no person of this name", got=given, do="let them join first: campaign join"
        )
    return found


def _shown(questions: Questions) -> str:
    lines = [f"consent: {questions.consent}", f"no figure is of fewer than {questions.k} raters"]
    for question in questions.asked:
        lines.append(f"{question.name}: {question.text}")
        lines.append(f"  {', '.join(question.values)}")
    return "\n".join(lines)
