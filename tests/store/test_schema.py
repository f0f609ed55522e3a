"""Migrations: they make the tables that the code speaks of, once, and refuse what is newer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from accord.core.errors import InvariantError, StoreError
from accord.store import migrations
from accord.store.database import Database, open_database
from accord.store.schema import SCHEMA, version_of
from accord.store.tables import METADATA, log


def differences(connection: sa.Connection) -> list[object]:
    """What a migration would still have to change; comments are the code's alone."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found = compare_metadata(context, METADATA)
    flat = [d for one in found for d in (one if isinstance(one, list) else [one])]
    return [d for d in flat if "comment" not in str(d[0])]


def test_migrations_make_the_tables_of_the_code(database: Database) -> None:
    with database.read() as connection:
        assert differences(connection) == []
        assert version_of(connection) == SCHEMA


def test_a_missing_column_would_be_seen(file_database: Database) -> None:
    with file_database.write() as connection:
        connection.execute(sa.text("ALTER TABLE jobs DROP COLUMN error"))
        assert differences(connection) != []


def test_checks_are_the_same_in_code_and_database(database: Database) -> None:
    with database.read() as connection:
        for table in METADATA.sorted_tables:
            found = sa.inspect(connection).get_check_constraints(table.name)
            written = [c for c in table.constraints if isinstance(c, sa.CheckConstraint)]
            assert {c["name"] for c in found} == {c.name for c in written}


def test_the_version_is_the_newest_migration() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert script.get_heads() == [SCHEMA]
    assert [r.revision for r in script.walk_revisions()] == [SCHEMA]


def test_a_newer_database_is_refused_and_left_alone(place: str) -> None:
    with open_database(place) as database, database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(StoreError, match="newer Accord") as caught:
        open_database(place)
    assert "0999" in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_database_of_something_else_is_refused(place: str) -> None:
    url = place if "://" in place else f"sqlite:///{place}"
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE events (what TEXT)"))
    engine.dispose()
    with pytest.raises(StoreError, match="something else"):
        open_database(place)


def test_many_who_open_a_new_database_at_once_make_it_once(place: str) -> None:
    def name_of_log(_: int) -> str:
        with open_database(place) as database, database.read() as connection:
            return str(connection.execute(sa.select(log.c.id)).scalar_one())

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(name_of_log, range(6)))) == 1


def test_nothing_is_left_of_a_migration_that_fails(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path.read_text

    def broken(path: Path, *args: object, **options: object) -> str:
        text = made(path, *args, **options)  # type: ignore[arg-type]
        return text + "\nCREATE TABLE no_such (;\n" if path.suffix == ".sql" else text

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", broken)
        with pytest.raises(InvariantError, match="refused a statement"):
            open_database(place)
    with open_database(place) as database, database.read() as connection:
        assert differences(connection) == []
