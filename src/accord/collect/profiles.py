"""What raters told of themselves, if they wanted to: kept apart from what they say of responses.

A profile is a private part of an event (`accord.store.event.PRIVATE`): its answers lie in a table
of their own, with who raters are; the log has a salted digest; no export, data set or message holds
them. It can be replaced or taken back at any time, and the log still verifies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.questions import Questions
from accord.collect.sheet import RaterKind
from accord.core.errors import ConfigError, DataError
from accord.store.database import Database
from accord.store.erasing import erase_profile
from accord.store.event import Entry
from accord.store.log import append
from accord.store.registry import SYSTEM
from accord.store.tables import identities, raters

PROFILE_TOLD, PROFILE = "rater.profile_told", "profile"
"""Type of the event, and the name of its only part."""
Profiles = Mapping[str, Mapping[str, str]]
"""Pseudonym to name of a question to the answer; who told nothing is not in it."""


def tell_profile(
    database: Database,
    rater: str,
    answers: Mapping[str, str],
    questions: Questions,
    *,
    consent: bool,
    actor: str = SYSTEM,
) -> int:
    """Keep what a person told, in place of all they told before; the number of the event.

    The words they agreed to are kept with it; earlier answers are erased. Raises ConfigError
    without `consent`, without an answer, and for questions and answers that are not declared;
    DataError for a rater who is unknown, erased or no person.
    """
    if not consent:
        raise ConfigError(
            "a profile is kept only of somebody who agreed to it",
            got="no consent",
            do=f"let them read: {questions.consent}",
        )
    if not answers:
        raise ConfigError("a profile has at least one answer", do="nobody has to tell anything")
    checked = {name: questions.called(name).checked(said) for name, said in answers.items()}
    body = {"answers": checked, "consent": questions.consent}
    with database.write() as connection:
        _check_person(connection, rater)
        before = erase_profile(connection, rater, actor=actor)
        entry = Entry(type=PROFILE_TOLD, actor=actor, subject=rater, parts={PROFILE: body})
        seq = append(connection, entry).event.seq
    if before:
        database.scrub()
    return seq


def forget_profile(database: Database, rater: str, *, actor: str = SYSTEM) -> int:
    """Erase all that a rater told of themselves; how many profiles were erased now.

    Judgements and name stay. Raises DataError for an unknown rater.
    """
    with database.write() as connection:
        known = connection.execute(sa.select(raters.c.id).where(raters.c.id == rater))
        if known.scalar_one_or_none() is None:
            raise DataError("there is no such rater", got=rater)
        done = erase_profile(connection, rater, actor=actor)
    # Also where nothing was left to erase: a reader may have kept the old rows alive then.
    database.scrub()
    return done


def profiles_of(connection: Connection, questions: Questions) -> tuple[Profiles, bool]:
    """(answers of everybody who told some, whether some answers are no longer declared).

    An answer to a question, or with a value, that `questions` does not have counts as not told.
    """
    chosen = (
        sa.select(identities.c.rater, identities.c.body)
        .where(identities.c.name == PROFILE, identities.c.body.is_not(None))
        .order_by(identities.c.seq)
    )
    allowed = {question.name: question.values for question in questions.asked}
    found: dict[str, dict[str, str]] = {}
    unknown = False
    for row in connection.execute(chosen):
        said = json.loads(row.body).get("answers", {})
        kept = {name: value for name, value in said.items() if value in allowed.get(name, ())}
        unknown |= len(kept) < len(said)
        found[str(row.rater)] = kept
    return found, unknown


def _check_person(connection: Connection, rater: str) -> None:
    row = connection.execute(sa.select(raters).where(raters.c.id == rater)).one_or_none()
    if row is None:
        raise DataError("there is no such rater", got=rater)
    if row.kind != RaterKind.HUMAN.value:
        raise DataError("only a person has a profile", got=f"a {row.kind} rater")
    if row.state == "erased":
        raise DataError("this rater asked to be forgotten", got=rater)
