"""The database of a workspace: SQLite in a file by default, PostgreSQL by URL, one code path.

One writer at a time, on both: a writing transaction waits for the one before it, so that what it
reads stays true until it is done and the log has no hole. Readers never wait. What a transaction
wrote is on the disk when its block has ended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from accord.core.errors import ConfigError, InvariantError, StoreError
from accord.core.files import sync_folder
from accord.store import refusals, schema
from accord.store.shut import is_shut, reading_engine, undisturbed
from accord.store.turns import Turns

BUSY_SECONDS = 30.0
"""How long a writer waits for the one before it, and a connection for the server."""
_WRITER = {schema.WRITER: True}
_HASTY = {"accord_hasty": True}
_BARE = {"accord_bare": True}
"""For statements of SQLite that work outside of transactions only."""
_LOCK = 0x6163636F7264
"""Name of PostgreSQL's advisory lock that writers take: `accord` in ASCII."""
_FREED = ("payloads", "identities", "prompts", "responses", "judgements")
"""Tables that an erasure leaves old rows in."""


class Database:
    """An open database with the tables of this version. Safe to share between threads.

    A process that was forked must open its own.
    """

    def __init__(self, engine: sa.Engine, *, shut: Path | None = None) -> None:
        self.engine = engine
        self._shut = shut
        self.place = engine.url.render_as_string(hide_password=True)
        """URL without password, for messages."""
        self.series = ""
        """Where set, what is new is named by this and its place in the log, so that raters who are
        no people meet the same tasks when everything is done again; else by chance."""
        self._turns = Turns()

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that sees one state of the database, whatever is written meanwhile.

        Raises StoreError where the database cannot be reached or read.
        """
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
        calm = nullcontext() if self._shut is None else undisturbed(self._shut)
        with refusals.explained(self.place), calm, self.engine.connect() as connection:
            reader = connection.execution_options(**options)
            with reader.begin():
                yield reader

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[sa.Connection]:
        """The only writing transaction at this time; all of it is kept, or nothing.

        Without `durable` the disk is not waited for: a power failure may undo the transaction, and
        nothing before it. For what nobody was told to rely on, such as a lease.
        Raises StoreError where the database cannot be written, DataError for a row that breaks a
        constraint, InvariantError inside another `write` of the same thread.
        """
        with (
            refusals.explained(self.place),
            self._turn_of_this_thread(),
            self.engine.connect() as connection,
        ):
            options = {**_WRITER, schema.SERIES: self.series, **({} if durable else _HASTY)}
            writer = connection.execution_options(**options)
            with writer.begin():
                if not self.is_sqlite:
                    wait_for_other_writers(writer, durable=durable)
                yield writer

    def scrub(self) -> None:
        """Remove what erased rows left behind in the database's own files.

        SQLite overwrites it; PostgreSQL frees it for new rows. Backups, replicas and PostgreSQL's
        write-ahead log are out of reach. Raises StoreError where a reader keeps the old rows alive.
        """
        with refusals.explained(self.place), self.engine.connect() as connection:
            if self.is_sqlite:
                bare = connection.execution_options(**_BARE)
                if bare.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]:
                    refusals.refuse_unscrubbed(self.place)
            else:
                bare = connection.execution_options(isolation_level="AUTOCOMMIT")
                bare.exec_driver_sql("VACUUM " + ", ".join(_FREED))

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _turn_of_this_thread(self) -> Iterator[None]:
        # SQLite's writers poll for their turn and starve one another; those that queue do not.
        if self._turns.mine:
            raise InvariantError("a writing transaction was begun inside another one")
        if not self._turns.take(BUSY_SECONDS):
            refusals.refuse_busy(self.place)
        try:
            yield
        finally:
            self._turns.give()


def open_database(place: str | Path) -> Database:
    """The database at `place`, made where it is a file that is not there yet.

    `place` is a path, or a URL: `sqlite:////absolute/path`, `postgresql://user@host/name`. Its
    tables are brought up to this version first. A file that this login may not write, or whose
    folder it may not, is opened for reading, and nothing is touched: `write` says so then.
    Raises ConfigError for a URL that cannot be used, StoreError where the database cannot be
    reached, was made by a newer Accord, or cannot be written and was made by an older one.
    """
    url, file = _url(place), file_of(place)
    shut = file if file is not None and is_shut(file) else None
    engine = _engine(url) if shut is None else reading_engine(url, shut)
    database = Database(engine, shut=shut)
    try:
        if shut is not None:
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            with database.read() as connection:
                schema.check(connection)
            return database
        with refusals.explained(database.place):
            _prepare_place(engine)
            schema.bring_up_to_date(engine, wait_for_other_writers)
    except BaseException:
        engine.dispose()
        raise
    return database


def file_of(place: str | Path) -> Path | None:
    """The file that `place` names; None for a server. Raises ConfigError as `open_database`."""
    url = _url(place)
    if url.drivername != "sqlite" or str(url.database).startswith("file:"):
        return None
    return Path(str(url.database)).absolute()


def address(place: str | Path) -> str:
    """`place` as a URL without password. Raises ConfigError as `open_database` does."""
    url = _url(place)
    if url.drivername != "sqlite":
        url = url.set(drivername="postgresql")
    # A driver takes one as an option too.
    return url.difference_update_query(["password"])._replace(password=None).render_as_string()


def wait_for_other_writers(connection: sa.Connection, *, durable: bool = True) -> None:
    """Begin the only writing transaction of a PostgreSQL database."""
    settings = {"lock_timeout": str(round(BUSY_SECONDS * 1000))}
    if not durable:
        settings["synchronous_commit"] = "off"
    # In one statement: each is a way to the server and back. Columns are computed in their order.
    held = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
    connection.exec_driver_sql(f"SELECT {held}, pg_advisory_xact_lock({_LOCK})")


def _url(place: str | Path) -> URL:
    if isinstance(place, Path) or "://" not in place:
        return URL.create("sqlite", database=str(Path(place).absolute()))
    try:
        url = make_url(place)
    except ArgumentError:
        # The text may hold a password and is not shown.
        raise ConfigError(
            "the database's URL cannot be read", do="write it as postgresql://user@host/name"
        ) from None
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ConfigError(
            "this kind of database is not supported",
            got=url.drivername,
            do="name a SQLite file, or a URL that begins with postgresql://",
        )
    if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError(
            "a database in memory would lose what people said",
            got=str(place),
            do="name a file",
        )
    return url


def _engine(url: URL) -> sa.Engine:
    pool = {"pool_size": 8, "max_overflow": 8, "pool_timeout": BUSY_SECONDS}
    try:
        if url.drivername == "sqlite":
            engine = sa.create_engine(url, hide_parameters=True, **pool)
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        options = {} if "connect_timeout" in url.query else {"connect_timeout": 10}
        engine = sa.create_engine(
            url,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            connect_args=options,
            **pool,
        )
        event.listen(engine, "connect", _prepare_postgresql)
        return engine
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise ConfigError(
            "the driver of this database is not installed",
            got=getattr(error, "name", None) or str(error),
            do='install it with pip install "accord[postgres]"',
        ) from None


def _prepare_sqlite(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
    # Transactions are begun by `_begin_sqlite`, never by the driver's guess.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout = {round(BUSY_SECONDS * 1000)}",
        "fullfsync = ON",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("accord_bare"):
        # Outside of a transaction, and each time: the connection comes back from a pool.
        level = "NORMAL" if options.get("accord_hasty") else "FULL"
        connection.exec_driver_sql(f"PRAGMA synchronous = {level}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if schema.writes(connection) else "BEGIN")


def _prepare_postgresql(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()
    cursor.close()


def _prepare_place(engine: sa.Engine) -> None:
    """Refuse a server or file system that would lose what it acknowledged."""
    if engine.dialect.name != "sqlite":
        with engine.connect() as connection:
            if connection.exec_driver_sql("SHOW fsync").scalar_one() == "off":
                refusals.refuse_unsafe(engine.url.render_as_string(), "fsync = off")
        return
    if not str(engine.url.database).startswith("file:"):
        _make_file(Path(str(engine.url.database)))
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        with engine.connect() as connection:
            bare = connection.execution_options(**_BARE)
            try:
                mode = bare.exec_driver_sql("PRAGMA journal_mode = WAL").scalar_one()
                break
            except DBAPIError as error:
                # Another process that opens the same new file: the switch does not wait by itself.
                if not refusals.is_busy(error) or time.monotonic() > deadline:
                    raise
        time.sleep(0.02)
    if mode != "wal":
        refusals.refuse_unsafe(str(engine.url.database), f"journal_mode = {mode}")


def _make_file(path: Path) -> None:
    """An empty file that only its owner reads: identities will be in it."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        sync_folder(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise StoreError(
            "the database cannot be made",
            got=error.strerror,
            where=path,
            do="name a file in a folder that exists and that you may write to",
        ) from None
