"""Other logins: shut out by default, let in by the manual's commands, told what is shut."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.store.database import open_database
from accord.store.log import size
from tests.cli.small import ROOT, environment, powerless
from tests.collect.asking import made

OWNER, GROUP = 54321, 54322
"""Numbers of a login and a group that no machine has."""
PATIENCE = 60


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with an open campaign of three tasks and a key."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["init", "ws"]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    assert main(["campaign", "status"]) == 0
    with open_database(tmp_path / "ws" / "accord.db") as database:
        made(database, tasks=3)
    assert main(["export", "--log", str(tmp_path / "log.jsonl")]) == 0
    return tmp_path / "ws"


def accord(
    workspace: Path, *words: str, groups: tuple[int, ...] = (), typed: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*powerless(*groups), sys.executable, "-m", "accord.cli", *words],
        cwd=workspace,
        env=environment(),
        input=typed,
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
    )


def given_away(workspace: Path) -> None:
    """Let the workspace belong to another login."""
    if os.geteuid() != 0:
        pytest.skip("needs root: two logins")
    for path in (workspace, *workspace.rglob("*")):
        os.chown(path, OWNER, OWNER)


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One error in the usual form, and a cause outside."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr


def test_a_shut_key_is_told_and_not_needed_with_another(workspace: Path) -> None:
    keys = workspace / ".accord" / "keys"
    known = workspace / "known.pub"
    shutil.copy(keys / "log.pub", known)
    keys.chmod(0o000)
    try:
        done = accord(workspace, "verify")
        refused(done, "a key cannot be read", "Permission denied", "log.pub", "--key FILE")
        done = accord(workspace, "verify", "--key", str(known))
        assert done.returncode == 0, done.stderr
        refused(accord(workspace, "freeze"), "a key cannot be read", "one login signs")
    finally:
        keys.chmod(0o700)


def test_whatever_else_is_shut_is_no_defect(workspace: Path) -> None:
    (workspace / ".accord").chmod(0o000)
    try:
        refused(accord(workspace, "campaign", "status"), "this login may not read", ".accord")
    finally:
        (workspace / ".accord").chmod(0o755)
    (workspace / "accord.db").chmod(0o000)
    refused(accord(workspace, "campaign", "status"), "the database cannot be opened")


def test_a_workspace_is_private(workspace: Path) -> None:
    given_away(workspace)
    refused(accord(workspace, "rate", "--name", "Bea"), "the database cannot be opened")


def test_a_group_rates_by_the_manuals_commands(workspace: Path) -> None:
    page = (ROOT / "docs" / "collecting-preferences.md").read_text(encoding="utf-8")
    folder, file = (
        int(re.findall(rf"^chmod (\d+) {name}(?=\s)", page, re.MULTILINE)[0], 8)
        for name in ("assistant", "assistant/accord.db")
    )
    given_away(workspace)
    for path, mode in ((workspace, folder), (workspace / "accord.db", file)):
        os.chown(path, OWNER, GROUP)
        path.chmod(mode)
    refused(accord(workspace, "rate", "--name", "Eve"), "may not read")
    done = accord(workspace, "rate", "--name", "Bea", "--most", "1", groups=(GROUP,), typed="a\n")
    assert "1 judged" in done.stdout, done.stderr
    done = accord(workspace, "campaign", "status", groups=(GROUP,))
    assert "judgements 1" in done.stdout, done.stderr
    refused(accord(workspace, "verify", groups=(GROUP,)), "a key cannot be read")
    refused(accord(workspace, "freeze", groups=(GROUP,)), "a key cannot be read")
    assert main(["verify"]) == 0


def test_a_member_and_the_owner_rate_at_the_same_time(workspace: Path) -> None:
    given_away(workspace)
    for path, mode in ((workspace, 0o2770), (workspace / "accord.db", 0o660)):
        os.chown(path, OWNER, GROUP)
        path.chmod(mode)
    with open_database(workspace / "accord.db") as mine, mine.read() as connection:
        before = size(connection)
        # The files beside the database are there now, made by this login.
        done = accord(
            workspace, "rate", "--name", "Bea", "--most", "1", groups=(GROUP,), typed="a\n"
        )
        assert "1 judged" in done.stdout, done.stderr
        assert size(connection) == before
    with open_database(workspace / "accord.db") as mine, mine.read() as connection:
        assert size(connection) > before
