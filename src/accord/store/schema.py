"""Which tables a database has, and the way to those of this version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from accord.core.errors import StoreError

SCHEMA = "0001"
"""The newest migration. Numbers of four digits, in order."""
WRITER = "accord_writer"
"""Option of a connection whose transaction may write."""
SERIES = "accord_series"
"""Option of such a connection: see `series`."""
VERSION_TABLE = "alembic_version"


def writes(connection: Connection) -> bool:
    """Whether `connection` is in the one writing transaction."""
    return bool(connection.get_execution_options().get(WRITER, False))


def series(connection: Connection) -> str:
    """The series by which new names in this transaction are made; empty: by chance."""
    return str(connection.get_execution_options().get(SERIES, ""))


def version_of(connection: Connection) -> str | None:
    """The last migration that a database has seen; None where it has no tables of Accord's."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    table = sa.table(VERSION_TABLE, sa.column("version_num"))
    found = connection.execute(sa.select(table.c.version_num)).scalar_one_or_none()
    return None if found is None else str(found)


def bring_up_to_date(engine: Engine, take_turn: Callable[[Connection], None]) -> None:
    """Run the migrations that `engine`'s database lacks, all or none, one process at a time.

    `take_turn` waits for other writers on PostgreSQL. Raises StoreError for a database of a newer
    version, and for one that holds tables of somebody else under the same names.
    """
    with engine.connect() as connection:
        if _is_current(connection, engine):
            return
    with engine.connect() as connection:
        writer = connection.execution_options(**{WRITER: True})
        with writer.begin():
            if engine.dialect.name != "sqlite":
                take_turn(writer)
            if not _is_current(writer, engine):
                _migrate(writer, engine)


def check(connection: Connection) -> None:
    """Raise StoreError where the database does not have the tables of this version."""
    if not _is_current(connection, connection.engine):
        version = version_of(connection)
        raise StoreError(
            "the database cannot be brought up to this version where it is",
            got="no tables" if version is None else f"tables of version {version}",
            where=connection.engine.url.render_as_string(),
            do="copy it to a folder that you may write to",
        )


def _is_current(connection: Connection, engine: Engine) -> bool:
    version = version_of(connection)
    if version is not None and version > SCHEMA:
        raise StoreError(
            "the database was made by a newer Accord",
            got=f"tables of version {version}, this Accord knows {SCHEMA}",
            where=engine.url.render_as_string(),
            do="install the newer version",
        )
    if version is None and sa.inspect(connection).has_table("events"):
        raise StoreError(
            "the database belongs to something else",
            got="a table named events that Accord did not make",
            where=engine.url.render_as_string(),
            do="name an empty database",
        )
    return version == SCHEMA


def _migrate(connection: Connection, engine: Engine) -> None:
    # Loaded here: a database that is up to date, the usual one, needs none of it.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)

    def steps(revision: object, context: object) -> object:
        return script._upgrade_revs(SCHEMA, revision)  # type: ignore[arg-type]

    environment = EnvironmentContext(config, script, fn=steps, destination_rev=SCHEMA)
    with environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
