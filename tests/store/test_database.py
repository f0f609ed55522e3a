"""Opening a database: made where it is missing, one clear error where it cannot be used."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from accord.core.errors import ConfigError, DataError, InvariantError, StoreError
from accord.store import database as module
from accord.store.database import Database, open_database
from accord.store.event import Entry
from accord.store.log import append, size

NOTE = Entry(type="note.made", actor="system", parts={"text": "x" * 5000})


def pragma(database: Database, name: str) -> object:
    with database.read() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_sqlite_keeps_what_it_acknowledges_and_checks_what_it_keeps(tmp_path: Path) -> None:
    path = tmp_path / "accord.db"
    with open_database(path) as database:
        assert pragma(database, "journal_mode") == "wal"
        assert pragma(database, "synchronous") == 2
        assert pragma(database, "foreign_keys") == 1
        assert pragma(database, "secure_delete") == 1
        assert database.is_sqlite
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_postgresql_waits_for_the_disk(postgres_url: str) -> None:
    relaxed = f"{postgres_url}%20-csynchronous_commit%3Doff"
    with open_database(relaxed) as database, database.read() as connection:
        shown = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("synchronous_commit", "fsync", "transaction_isolation")
        }
    assert shown["synchronous_commit"] == "on"
    assert shown == {
        "synchronous_commit": "on",
        "fsync": "on",
        "transaction_isolation": "repeatable read",
    }


def test_what_was_written_is_there_when_it_is_opened_again(place: str) -> None:
    for number in range(3):
        with open_database(place) as database, database.write() as connection:
            assert size(connection) == number
            append(connection, NOTE)


@pytest.mark.parametrize("word", ["path", "text", "url"])
def test_a_file_is_named_in_three_ways(tmp_path: Path, word: str) -> None:
    path = tmp_path / "accord.db"
    names = {"path": path, "text": str(path), "url": f"sqlite:///{path}"}
    open_database(names[word]).close()
    assert path.is_file()


@pytest.mark.parametrize(
    "place",
    ["mysql://host/name", "sqlite://", "sqlite:///:memory:", "postgresql+psycopg2://h/n", "://"],
)
def test_another_kind_of_database_is_a_config_error(place: str) -> None:
    with pytest.raises(ConfigError):
        open_database(place)


def test_a_password_is_never_shown(tmp_path: Path) -> None:
    url = f"postgresql://me:secret@/name?host={tmp_path}"
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        open_database(url)
    assert "secret" not in str(caught.value)
    assert "me:***" in str(caught.value)


def test_a_missing_driver_is_named() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from accord.store.database import open_database\n"
        "try:\n    open_database('postgresql://host/name')\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(module.__file__).parents[2])},
        capture_output=True,
        check=True,
        text=True,
    )
    assert done.stdout.startswith("ConfigError the driver of this database is not installed")
    assert "accord[postgres]" in done.stdout


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("folder", "cannot be opened"),
        ("text", "damaged, or no database"),
        ("nothing", "cannot be made"),
    ],
)
def test_a_place_that_cannot_be_a_database_is_one_error(
    tmp_path: Path, made: str, words: str
) -> None:
    path = tmp_path / "folder" / "accord.db" if made == "nothing" else tmp_path / "accord.db"
    if made == "folder":
        path.mkdir()
    if made == "text":
        path.write_text("These are words and no database. " * 100)
    with pytest.raises(StoreError, match=words) as caught:
        open_database(path)
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)


def test_a_read_only_database_can_be_read_and_says_that_it_cannot_be_written(place: str) -> None:
    with open_database(place) as database, database.write() as connection:
        append(connection, NOTE)
    if "://" in place:
        shut = f"{place}%20-cdefault_transaction_read_only%3Don"
    else:
        shut = f"sqlite:///file:{place}?mode=ro&uri=true"
    with open_database(shut) as database:
        with database.read() as connection:
            assert size(connection) == 1
        with pytest.raises(StoreError, match="cannot be written"), database.write() as connection:
            append(connection, NOTE)


def test_a_full_disk_is_one_error_and_loses_nothing(file_database: Database) -> None:
    def limit(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
        connection.cursor().execute("PRAGMA max_page_count = 200")

    event.listen(file_database.engine, "connect", limit)
    file_database.engine.dispose()

    def fill() -> None:
        for _ in range(200):
            with file_database.write() as connection:
                append(connection, NOTE)

    with pytest.raises(StoreError, match="disk of the database is full"):
        fill()
    with file_database.read() as connection:
        kept = size(connection)
        assert kept > 10
        count = connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one()
        assert count == kept


def test_a_database_that_somebody_keeps_locked_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.2)
    with (
        open_database(tmp_path / "accord.db") as one,
        open_database(tmp_path / "accord.db") as other,
        one.write(),
        pytest.raises(StoreError, match="busy"),
        other.write(),
    ):
        pass


def test_a_writer_of_another_process_is_waited_for_on_postgresql(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.2)
    with (
        open_database(postgres_url) as one,
        open_database(postgres_url) as other,
        one.write(),
        pytest.raises(StoreError, match="busy"),
        other.write(),
    ):
        pass


def test_a_lost_connection_is_one_error_and_the_next_one_works(postgres_url: str) -> None:
    with open_database(postgres_url) as database, open_database(postgres_url) as other:

        def lose() -> None:
            with database.write() as connection:
                append(connection, NOTE)
                pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
                with other.read() as killer:
                    killer.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
                append(connection, NOTE)

        with pytest.raises(StoreError, match="connection to the database was lost"):
            lose()
        with database.write() as connection:
            assert size(connection) == 0
            append(connection, NOTE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda url: url.replace("/postgres?", "/nothing?"), "does not exist"),
        (lambda url: url.replace("postgres@", "nobody@"), "does not exist"),
        (lambda url: url.replace("host=", "host=/no"), "No such file"),
    ],
    ids=["name", "user", "folder"],
)
def test_a_server_that_cannot_be_used_is_one_error(
    postgres_url: str, change: object, words: str
) -> None:
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        open_database(change(postgres_url))  # type: ignore[operator]
    assert words in str(caught.value)


def test_writers_take_turns(database: Database) -> None:
    inside: list[str] = []

    def write(name: str) -> None:
        with database.write() as connection:
            inside.append(name)
            append(connection, NOTE)
            time.sleep(0.005)
            inside.append(name)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, [uuid4().hex for _ in range(12)]))
    assert inside[::2] == inside[1::2]


def test_a_writing_transaction_inside_another_is_a_mistake(database: Database) -> None:
    with pytest.raises(InvariantError, match="inside another"), database.write(), database.write():
        pass
    with database.write() as connection:
        append(connection, NOTE)


def test_a_broken_rule_is_one_data_error(database: Database) -> None:
    statement = sa.text("INSERT INTO runs (id) VALUES ('x')")
    with pytest.raises(DataError, match="breaks a rule"), database.write() as connection:
        connection.execute(statement)


def test_a_server_that_does_not_wait_for_the_disk_is_refused(postgres_url: str) -> None:
    engine = sa.create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )

    def reload(statement: str, expected: str) -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
            connection.exec_driver_sql("SELECT pg_reload_conf()")
            for _ in range(500):
                if connection.exec_driver_sql("SHOW fsync").scalar_one() == expected:
                    return
                time.sleep(0.02)
            raise AssertionError(f"fsync did not become {expected}")

    try:
        reload("ALTER SYSTEM SET fsync = off", "off")
        with pytest.raises(StoreError, match="may lose what it acknowledged"):
            open_database(postgres_url)
    finally:
        reload("ALTER SYSTEM RESET fsync", "on")
        engine.dispose()
    open_database(postgres_url).close()
