"""People are found by name where names are kept, and nowhere else."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from accord.collect.people import people_like, person, person_called
from accord.core.errors import ConfigError
from accord.store.database import Database
from accord.store.erasing import erase_rater
from accord.store.registry import register_rater
from accord.store.tables import events, raters


def test_a_name_has_one_pseudonym(database: Database) -> None:
    with database.write() as connection:
        register_rater(connection, kind="rule", definition={"name": "Ada"})
        register_rater(connection, kind="human")
        first = person(connection, "Ada")
        assert person(connection, " Ada ") == first
        assert person(connection, "Grace", role="lead") != first
        assert person_called(connection, "Ada") == first
        assert person_called(connection, "Mary") is None
        roles = dict(connection.execute(sa.select(raters.c.id, raters.c.role)).all())  # type: ignore[arg-type]
        keys = set(connection.execute(sa.select(events.c.key)).scalars())
    assert roles[first] == "rater"
    # Nothing in the log is derived from a name.
    assert keys == {None}


def test_what_is_no_name_or_another_role_is_refused(file_database: Database) -> None:
    with file_database.write() as connection:
        person(connection, "Ada")
        for name in ("", "  ", "A\nB"):
            with pytest.raises(ConfigError, match="needs a name"):
                person(connection, name)
        with pytest.raises(ConfigError, match="another role"):
            person(connection, "Ada", role="lead")


def test_an_erased_person_is_not_found(file_database: Database) -> None:
    with file_database.write() as connection:
        first = person(connection, "Ada")
    erase_rater(file_database, first)
    with file_database.write() as connection:
        assert person_called(connection, "Ada") is None
        assert person(connection, "Ada") != first


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("alice", "Alice"),
        ("Mary-Ann", "mary ann"),
        ("Jos\N{LATIN SMALL LETTER E WITH ACUTE}", "Jose"),
        ("alice", "alce"),
        ("alice", "alicee"),
        ("alice", "malice"),
        ("alice", "alise"),
        ("alice", "ailce"),
        ("Mia", "Mai"),
        ("rater 1", "Rater1"),
    ],
)
def test_a_name_that_may_be_a_slip_is_seen(file_database: Database, known: str, name: str) -> None:
    with file_database.write() as connection:
        first = person(connection, known)
        person(connection, "Wilhelmina")
        assert people_like(connection, name) == {known: first}


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ("alice", "alice"),
        ("alice", "alicia"),
        ("alice", "lica"),
        ("alice", "ecila"),
        ("rater1", "rater2"),
        ("rater1", "rater12"),
        ("rater12", "rater21"),
        ("rater1", "rater"),
        ("Al", "Jo"),
        ("Al", "Ali"),
        ("?", "!"),
    ],
)
def test_another_name_is_no_slip(file_database: Database, known: str, name: str) -> None:
    with file_database.write() as connection:
        person(connection, known)
        register_rater(connection, kind="rule", identity={"name": name.upper() + "x"})
        assert people_like(connection, name) == {}
