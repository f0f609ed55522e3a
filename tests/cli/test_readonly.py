"""A copy that may not be written: what reads works and touches nothing, the rest says why not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.pipeline.workspace import Workspace
from accord.store.database import Database, open_database
from accord.store.registry import register_rater
from tests.cli.small import environment, powerless
from tests.collect.judging import campaign, rater, say, task

PATIENCE = 60


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a campaign that two people judged, frozen."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    found = Workspace.create(tmp_path / "ws", "tiny")
    monkeypatch.chdir(found.root)
    with open_database(found.database_place()) as database:
        fill(database)
    assert main(["freeze"]) == 0
    return found.root


def fill(database: Database) -> None:
    pilot = campaign(database, "pilot")
    people = rater(database), rater(database)
    for number in range(3):
        about = task(database, pilot, f"question {number}")
        for by in people:
            say(database, pilot, about, by)


@pytest.fixture
def shut() -> Iterator[Callable[[Path], dict[str, tuple[int, int]]]]:
    """Closes a folder with all in it to writing; names, sizes and times of what is in it."""
    closed: list[Path] = []

    def close(folder: Path) -> dict[str, tuple[int, int]]:
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555 if path.is_dir() else 0o444 if path.suffix != ".pem" else 0o400)
        closed.append(folder)
        return state(folder)

    yield close
    for folder in closed:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o600)


def state(folder: Path) -> dict[str, tuple[int, int]]:
    found = ((path, path.stat()) for path in folder.rglob("*"))
    return {str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in found}


def accord(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*powerless(), sys.executable, "-m", "accord.cli", *words],
        cwd=folder,
        env=environment(),
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
    )


Closing = Callable[[Path], dict[str, tuple[int, int]]]


EACH = """\
import json, sys
from accord.cli.main import main
print(json.dumps([main(words) for words in json.loads(sys.argv[1])]), file=sys.stderr)
"""


def test_everything_that_reads_works_and_touches_nothing(workspace: Path, shut: Closing) -> None:
    before = shut(workspace)
    told = {
        ("verify",): "events, each as it was written",
        ("verify", "pilot"): "6 rows, each follows from a judgement",
        ("agreement",): "6 judgements of 3 prompts by 2 raters",
        ("raters",): "all about one rater",
        ("campaign", "status"): "judgements 6",
        ("erase", "find", "question 2"): "prompt ",
        # Signed when it was frozen, so that nothing has to be written.
        ("export", "--log", str(workspace.parent / "log.jsonl")): "the log of ",
    }
    done = subprocess.run(
        [*powerless(), sys.executable, "-c", EACH, json.dumps(list(told))],
        cwd=workspace,
        env=environment(),
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
    )
    assert done.stderr.strip() == json.dumps([0] * len(told))
    for words, expected in told.items():
        assert expected in done.stdout, words
    assert state(workspace) == before


@pytest.mark.parametrize(
    "words",
    [
        ("campaign", "pause", "pilot"),
        ("rate", "pilot", "--name", "Ada"),
        ("campaign", "guidelines", "guidelines.md", "--version", "v2"),
    ],
)
def test_what_writes_is_refused(workspace: Path, shut: Closing, words: tuple[str, ...]) -> None:
    before = shut(workspace)
    done = accord(workspace, *words)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert "the database cannot be written" in done.stderr
    assert "and to its folder" in done.stderr
    assert state(workspace) == before


def test_a_read_only_file_in_a_folder_of_ones_own(workspace: Path) -> None:
    (workspace / "accord.db").chmod(0o444)
    done = accord(workspace, "verify")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in workspace.glob("accord.db*")) == ["accord.db"]


def copied_while_written(workspace: Path, tmp_path: Path, *endings: str) -> Path:
    """A copy of the workspace whose newest rater is in the file `-wal` alone."""
    shutil.copytree(workspace, tmp_path / "copy")
    with open_database(workspace / "accord.db") as database:
        with database.write() as connection:
            register_rater(connection, kind="human")
        for ending in ("", *endings):
            name = f"accord.db{ending}"
            shutil.copy(workspace / name, tmp_path / "copy" / name)
    return tmp_path / "copy"


def test_changes_beside_the_file_are_read(workspace: Path, tmp_path: Path, shut: Closing) -> None:
    events = accord(workspace, "verify").stdout.split()[2]
    copy = copied_while_written(workspace, tmp_path, "-wal", "-shm")
    shut(copy)
    done = accord(copy, "verify")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[2] == str(int(events) + 1)


def test_changes_that_cannot_be_read_are_never_left_out(
    workspace: Path, tmp_path: Path, shut: Closing
) -> None:
    copy = copied_while_written(workspace, tmp_path, "-wal")
    shut(copy)
    done = accord(copy, "verify")
    assert done.returncode == 2
    assert "has changes beside it that cannot be read here" in done.stderr
    assert "accord.db-wal" in done.stderr


def test_a_file_of_another_version_is_left_alone(tmp_path: Path, shut: Closing) -> None:
    Workspace.create(tmp_path / "ws", "tiny")
    (tmp_path / "ws" / "accord.db").touch()
    shut(tmp_path / "ws")
    done = accord(tmp_path / "ws", "verify")
    assert done.returncode == 2
    assert "cannot be brought up to this version where it is\n  got:   no tables" in done.stderr


READS = """\
import sys
from accord.store.database import open_database
from accord.store.log import size
with open_database(sys.argv[1]) as database:
    with database.read() as connection:
        print(size(connection), flush=True)
        sys.stdin.readline()
"""


def test_a_change_meanwhile_is_told(workspace: Path) -> None:
    if not powerless():
        pytest.skip("needs root: one login reads what another writes")
    file = workspace / "accord.db"
    os.chown(file, 54321, 54321)
    file.chmod(0o644)
    reading = subprocess.Popen(
        [*powerless(), sys.executable, "-c", READS, str(file)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reading.stdout is not None
    assert int(reading.stdout.readline())
    with open_database(file) as database, database.write() as connection:
        register_rater(connection, kind="human")
    _, said = reading.communicate("\n", timeout=PATIENCE)
    assert "the database was changed while it was read" in said
