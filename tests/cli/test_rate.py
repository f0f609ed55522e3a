"""`accord rate`: lines of a pipe, and keys of a real terminal, become judgements."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.cli.sheets import UNSHOWN, printable
from accord.collect.campaign import CampaignState, all_campaigns, set_campaign_state
from accord.store.database import Database, open_database
from accord.store.judgements import current
from accord.store.log import parts_of
from accord.store.registry import response_text
from accord.store.verifying import verify_database
from tests.cli.small import environment
from tests.collect.asking import made

PATIENCE = 60


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace, entered; its database has no campaign."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["init", "ws"]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


def rate(workspace: Path, typed: str, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "accord.cli", "rate", *flags],
        cwd=workspace,
        env=environment(),
        input=typed,
        capture_output=True,
        check=False,
        text=True,
        timeout=PATIENCE,
    )


def judged(workspace: Path) -> list[tuple[str, list[int] | None]]:
    """Verdict and tiers by the answers' own numbers, oldest first."""
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        found = []
        for row in current(connection):
            texts = [response_text(connection, one) for one in row.responses]
            if row.tiers is None:
                found.append((row.verdict, None))
                continue
            by_number = dict(zip((text[-1] for text in texts), row.tiers, strict=True))
            found.append((row.verdict, [by_number[n] for n in sorted(by_number)]))
    return found


def opened(workspace: Path, **settings: object) -> None:
    with open_database(workspace / "accord.db") as database:
        made(database, **settings)


def letter_of(shown: str, answer: int) -> str:
    """Letter of the panel that holds `answer N` in what was printed last."""
    line = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
    panels = re.findall(rf"{line} ([A-D]) {line}|answer (\d)", shown)
    letters = [letter for letter, _ in panels if letter]
    answers = [int(number) for _, number in panels if number]
    return letters[answers.index(answer)]


def test_lines_become_judgements(workspace: Path) -> None:
    opened(workspace, tasks=4)
    done = rate(workspace, "a > b\n0\nx\ns3", "--name", "Mia")
    assert done.returncode == 0, done.stderr
    assert "3 judged, 1 skipped, 0 corrected" in done.stdout
    kinds = [kind for kind, _ in judged(workspace)]
    assert kinds == ["ranking", "tie", "all_bad", "skip"]
    assert done.stderr == ""


def test_what_is_read_is_blind(workspace: Path) -> None:
    opened(workspace, tasks=1)
    done = rate(workspace, "q")
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        (campaign,) = all_campaigns(connection)
    assert "question 0, answer" in done.stdout
    assert campaign.id not in done.stdout
    assert "0 judged, 0 skipped, 0 corrected" in done.stdout


def test_the_letter_on_the_screen_is_the_answer_that_wins(workspace: Path) -> None:
    opened(workspace, tasks=6, k=3)
    for _ in range(6):
        shown = rate(workspace, "q").stdout
        order = " ".join(letter_of(shown, answer) for answer in (2, 0, 1))
        assert rate(workspace, f"{order}\n", "--most", "1").returncode == 0
    assert judged(workspace) == [("ranking", [1, 2, 0])] * 6


def test_everything_that_can_be_said(workspace: Path) -> None:
    opened(workspace, tasks=1)
    typed = "fb3\nrshort and right\n+4 2\n-  5\n\n\nb\n"
    done = rate(workspace, typed)
    assert "1 judged" in done.stdout
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        (row,) = current(connection)
    place = row.shown[1]
    assert row.flags == [[place, "says what wrote it"]]
    assert row.ratings["helpfulness"][place] == 2
    assert row.ratings["accuracy"][place] == 5
    assert row.ratings["accuracy"][1 - place] is None
    assert row.tiers[place] == 0
    assert row.seconds is not None
    assert row.ui.startswith("terminal ")


def test_what_was_said_before_a_skip_is_kept(workspace: Path) -> None:
    opened(workspace, tasks=1)
    assert "1 skipped" in rate(workspace, "rboth are about somebody I know\nf\n2s1").stdout
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        (row,) = current(connection)
        said = parts_of(connection, row.seq)
    assert said["rationale"] == "both are about somebody I know"
    assert (row.reason, row.flags) == ("cannot judge it", [[None, "personal data"]])


def test_undo_corrects_the_last_one(workspace: Path) -> None:
    opened(workspace, tasks=2)
    done = rate(workspace, "1\nu7\n4\n")
    assert "2 judged, 0 skipped, 1 corrected" in done.stdout
    assert [kind for kind, _ in judged(workspace)] == ["ranking", "tie"] or [
        kind for kind, _ in judged(workspace)
    ] == ["tie", "ranking"]
    with open_database(workspace / "accord.db") as database:
        assert verify_database(database).ok
        with database.read() as connection:
            corrected = [row for row in current(connection) if row.supersedes is not None]
    assert [row.tiers[row.shown[1]] for row in corrected] == [0]


def test_the_end_of_input_gives_the_task_back(workspace: Path) -> None:
    opened(workspace, tasks=1, overlap=1)
    assert "0 judged" in rate(workspace, "a", "--name", "one").stdout
    assert "1 judged" in rate(workspace, "a\n", "--name", "other").stdout


@pytest.mark.parametrize(
    ("flags", "typed", "words"),
    [
        (["nowhere"], "", "there is no such campaign"),
        (["--most", "-1"], "", "--most counts tasks"),
        ([], "", "no campaign is open"),
    ],
)
def test_what_cannot_be_rated_is_one_error(
    workspace: Path, flags: list[str], typed: str, words: str
) -> None:
    opened(workspace)
    with open_database(workspace / "accord.db") as database, database.write() as connection:
        (campaign,) = all_campaigns(connection)
        set_campaign_state(connection, campaign, CampaignState.CLOSED)
    done = rate(workspace, typed, *flags)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_one_name_is_one_rater(workspace: Path) -> None:
    opened(workspace, tasks=3, overlap=3)
    for name in ("Mia", "Ben", "Mia"):
        rate(workspace, "a\n", "--most", "1", "--name", name)
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        who = [row.rater for row in current(connection)]
    assert who[0] == who[2] != who[1]
    assert "Mia" not in str(who)


def test_keys_of_a_real_terminal(workspace: Path) -> None:
    opened(workspace, tasks=2)
    screen, terminal = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "accord.cli", "rate"],
        cwd=workspace,
        env=environment() | {"TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    try:
        until(screen, "q end")
        # An arrow key means nothing; a wrong letter is said to mean nothing; Backspace takes back.
        os.write(screen, b"\x1b[A\x1b[1;5Bz")
        until(screen, "means nothing")
        os.write(screen, b"a\x7fb")
        until(screen, "> B")
        os.write(screen, b"r")
        until(screen, "one line:")
        os.write(screen, b"fine\n")
        until(screen, "reason given")
        os.write(screen, b"\r")
        shown = until(screen, "task 2 of this sitting")
        os.write(screen, b"q")
        until(screen, "1 judged")
        assert running.wait(PATIENCE) == 0
    finally:
        running.kill()
        running.wait()
    os.close(screen)
    assert "Traceback" not in shown
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        (row,) = current(connection)
        assert row.tiers[row.shown[1]] == 0


def until(screen: int, words: str) -> str:
    """What the terminal showed until `words` came."""
    shown, deadline = "", time.monotonic() + PATIENCE
    while words not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([screen], [], [], 0.2)[0]:
            shown += os.read(screen, 4096).decode(errors="replace")
    return shown


def test_a_strangers_text_cannot_move_the_cursor() -> None:
    text = "a\x1b[2Jb\u202ec\u200bd\te\n"
    assert printable(text) == f"a{UNSHOWN}[2Jb{UNSHOWN}c{UNSHOWN}d\te\n"


def test_a_database_that_is_busy_is_asked_again(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(workspace, tasks=1)
    monkeypatch.setattr("accord.store.database.BUSY_SECONDS", 0.2)
    with open_database(workspace / "accord.db") as mine:
        lock(workspace, mine)
    assert [kind for kind, _ in judged(workspace)] == ["ranking"]


def lock(workspace: Path, mine: Database) -> None:
    """Hand an answer in while somebody else writes; again when they are done."""
    from io import StringIO

    from rich.console import Console

    from accord.cli.dialogue import Dialogue
    from accord.cli.keys import TypedLines
    from accord.cli.sitting import Sitting
    from accord.collect.campaign import join
    from accord.collect.people import person

    with open_database(workspace / "accord.db") as database:
        with database.write() as connection:
            (campaign,) = all_campaigns(connection)
            rater = person(connection, "Mia")
            join(connection, campaign, rater)
        told = StringIO()

        class Patient(TypedLines):
            """Keys; the writer ends when the rater is asked to try again."""

            def read(self) -> str:
                if "not kept" in told.getvalue() and holding:
                    holding.pop().__exit__(None, None, None)
                elif self._left == "\n":
                    holder = mine.write()
                    holder.__enter__()
                    holding.append(holder)
                return super().read()

        holding: list[object] = []
        keys = Patient(StringIO("a\n\n"))
        Sitting(database, campaign, rater, Dialogue(Console(file=told), keys)).work(most=1)
        assert "not kept: the database is busy" in told.getvalue()
