"""Profiles are kept apart, with consent, and erased; nothing of them leaves the database."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.collect.profiles import forget_profile, profiles_of, tell_profile
from accord.core.errors import ConfigError, DataError, StoreError
from accord.store import database as database_module
from accord.store.database import Database, open_database
from accord.store.erasing import erase_rater
from accord.store.exporting import export_log
from accord.store.keys import SigningKey
from accord.store.log import parts_of, size
from accord.store.registry import register_rater
from accord.store.tables import events, identities, payloads
from accord.store.verifying import verify, verify_database
from tests.collect.asked import questions
from tests.collect.judging import campaign, frozen, rater, say, task

ASKED = questions(("field", ("law", "art")), ("creed", ("zoroastrian", "quaker")))
SECRET = {"field": "law", "creed": "zoroastrian"}


def told(database: Database) -> dict[str, dict[str, str]]:
    with database.read() as connection:
        found, unknown = profiles_of(connection, ASKED)
    assert not unknown
    return {name: dict(said) for name, said in found.items()}


def test_a_profile_is_kept_replaced_and_forgotten(database: Database) -> None:
    one, other = rater(database), rater(database)
    assert told(database) == {}
    first = tell_profile(database, one, SECRET, ASKED, consent=True)
    tell_profile(database, other, {"field": "art"}, ASKED, consent=True)
    assert told(database) == {one: SECRET, other: {"field": "art"}}
    with database.read() as connection:
        assert parts_of(connection, first) == {
            "profile": {"answers": SECRET, "consent": ASKED.consent}
        }
    tell_profile(database, one, {"creed": "quaker"}, ASKED, consent=True)
    assert told(database)[one] == {"creed": "quaker"}
    with database.read() as connection:
        assert parts_of(connection, first) == {"profile": None}
    assert forget_profile(database, one) == 1
    assert forget_profile(database, one) == 0
    assert told(database) == {other: {"field": "art"}}
    assert verify_database(database).ok


def test_a_profile_goes_with_its_rater(database: Database) -> None:
    one = rater(database)
    tell_profile(database, one, SECRET, ASKED, consent=True)
    assert erase_rater(database, one) == 1
    assert told(database) == {}
    assert verify_database(database).ok
    with pytest.raises(DataError, match="forgotten"):
        tell_profile(database, one, SECRET, ASKED, consent=True)


def test_answers_are_in_one_table_and_leave_by_no_door(database: Database, tmp_path: Path) -> None:
    """Not in the log, an export, a frozen set; and not in the files once erased."""
    into = campaign(database)
    people = [rater(database) for _ in range(3)]
    for number in range(4):
        about = task(database, into, f"Number {number}?")
        for one in people:
            say(database, into, about, one)
    tell_profile(database, people[0], SECRET, ASKED, consent=True)
    with database.read() as connection:
        for table in (events, payloads):
            for row in connection.execute(sa.select(table)):
                assert "zoroastrian" not in str(row)
        kept = sa.select(identities.c.body).where(identities.c.body.is_not(None))
        assert sum("zoroastrian" in body for body in connection.execute(kept).scalars()) == 1
    key = SigningKey.load_or_make(tmp_path / "key.pem")
    made = frozen(database, into, tmp_path)
    export_log(database, tmp_path / "log.jsonl", key=key)
    left = [tmp_path / "log.jsonl", *made.folder.rglob("*")]
    words = [path.read_bytes() for path in left if path.is_file()]
    assert len(words) > 4
    assert not any(b"zoroastrian" in word or b"tell this freely" in word for word in words)
    assert verify(tmp_path / "log.jsonl", public_keys=[key.public]).ok
    forget_profile(database, people[0])
    for path in tmp_path.glob("accord.db*"):
        assert b"zoroastrian" not in path.read_bytes()
    again = export_log(database, tmp_path / "later.jsonl", key=key)
    assert again.events > 0
    found = verify(tmp_path / "later.jsonl", public_keys=[key.public])
    assert found.ok
    assert [part for _, part in found.erased] == ["profile"]


def test_what_a_reader_keeps_alive_is_erased_the_second_time(
    file_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_SECONDS", 0.1)
    one = rater(file_database)
    tell_profile(file_database, one, SECRET, ASKED, consent=True)

    def left() -> int:
        return sum(path.read_bytes().count(b"zoroastrian") for path in tmp_path.glob("accord.db*"))

    with open_database(file_database.place) as impatient:
        with file_database.read() as reader:
            assert size(reader) == 2
            with pytest.raises(StoreError, match="still be found"):
                forget_profile(impatient, one)
        assert left()
        assert forget_profile(impatient, one) == 0
        assert not left()


def test_what_may_not_be_told_changes_nothing(file_database: Database) -> None:
    one, robot = rater(file_database), rater(file_database, kind="rule")
    with file_database.read() as connection:
        before = size(connection)
    for words, asked, consent, message in (
        (one, SECRET, False, "agreed to it"),
        (one, {}, True, "at least one answer"),
        (one, {"faith": "quaker"}, True, "no such question"),
        (one, {"creed": "Quaker"}, True, "no such answer"),
    ):
        with pytest.raises(ConfigError, match=message):
            tell_profile(file_database, words, asked, ASKED, consent=consent)
    for name, message in (("nobody", "no such rater"), (robot, "only a person")):
        with pytest.raises(DataError, match=message):
            tell_profile(file_database, name, SECRET, ASKED, consent=True)
    with pytest.raises(DataError, match="no such rater"):
        forget_profile(file_database, "nobody")
    with file_database.read() as connection:
        assert size(connection) == before


def test_answers_that_are_no_longer_declared_count_as_not_told(file_database: Database) -> None:
    one = rater(file_database)
    tell_profile(file_database, one, SECRET, ASKED, consent=True)
    with file_database.write() as connection:
        other = register_rater(connection, kind="human", profile={"anything": "else"})
        fewer = questions(("field", ("law", "art")))
        assert profiles_of(connection, fewer) == ({one: {"field": "law"}, other: {}}, True)
        renamed = questions(("field", ("lawyers", "art")), ("creed", ("zoroastrian", "quaker")))
        found, unknown = profiles_of(connection, renamed)
    assert (found[one], unknown) == ({"creed": "zoroastrian"}, True)
