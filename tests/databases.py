"""What tests of the database share: a file, or a database of a real PostgreSQL server."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from accord.store.database import Database, open_database

USER = "postgres"
UTF8 = ("--encoding", "UTF8", "--no-locale")


def _programs() -> Path | None:
    """Folder of the newest server that Debian's package installed."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3])
    )
    return found[-1].parent if found else None


def _as_server() -> list[str]:
    """What runs a program as the server's user: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]


def missing() -> str:
    """What is missing for tests with PostgreSQL, or nothing."""
    if _programs() is None:
        return "not installed: postgresql"
    if os.geteuid() != 0:
        return ""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return f"no user {USER} to run PostgreSQL as"
    return "" if shutil.which("setpriv") else "not installed: setpriv"


@contextmanager
def server() -> Iterator[Path]:
    """A private server on a socket in the folder that comes, gone afterwards with its data."""
    programs = _programs()
    assert programs is not None
    # A socket's name has at most 107 characters: pytest's own folders are too deep.
    with tempfile.TemporaryDirectory(prefix="accord-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, USER, USER)
        data = folder / "data"
        made = subprocess.run(
            [*_as_server(), programs / "initdb", "-D", data, "-U", USER, "-A", "trust", *UTF8],
            cwd=folder,
            capture_output=True,
            check=False,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        options = ["-c", "listen_addresses=", "-c", "shared_buffers=32MB"]
        with (folder / "log").open("w") as said:
            running = subprocess.Popen(
                [*_as_server(), programs / "postgres", "-D", data, "-k", folder, *options],
                cwd=folder,
                stdout=said,
                stderr=said,
            )
        try:
            _wait(folder, running)
            yield folder
        finally:
            # Immediate: what a finished test wrote need not reach the disk.
            running.send_signal(signal.SIGQUIT)
            running.wait(timeout=60)


def _wait(folder: Path, running: subprocess.Popen[bytes]) -> None:
    engine = sa.create_engine(_url(folder, USER))
    deadline = time.monotonic() + 60
    while True:
        assert running.poll() is None, (folder / "log").read_text()
        try:
            engine.connect().close()
            break
        except sa.exc.OperationalError:
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.05)
    engine.dispose()


def _url(folder: Path, name: str) -> str:
    return f"postgresql+psycopg://{USER}@/{name}?host={folder}"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """Socket folder of a PostgreSQL server for all tests."""
    pytest.importorskip("psycopg")
    if absent := missing():
        pytest.skip(absent)
    with server() as folder:
        yield folder


@pytest.fixture
def postgres_url(postgres: Path) -> str:
    """URL of a new, empty schema, which costs a hundredth of a new database."""
    name = f"test_{uuid4().hex}"
    engine = sa.create_engine(_url(postgres, USER), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    engine.dispose()
    url = _url(postgres, USER).replace("+psycopg", "")
    return f"{url}&options=-csearch_path%3D{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new database can be made, on each kind in turn."""
    if request.param == "sqlite":
        return str(tmp_path / "accord.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def database(place: str) -> Iterator[Database]:
    """A new database, on each kind in turn."""
    with open_database(place) as opened:
        yield opened


@pytest.fixture
def file_database(tmp_path: Path) -> Iterator[Database]:
    """A new SQLite database."""
    with open_database(tmp_path / "accord.db") as opened:
        yield opened
