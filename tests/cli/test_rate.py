"""`accord rate`: who sits there, and lines of a pipe and keys of a terminal become judgements."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.collect.campaign import CampaignState, all_campaigns
from accord.store.database import open_database
from accord.store.judgements import current
from accord.store.log import parts_of
from accord.store.tables import identities
from accord.store.verifying import verify_database
from tests.cli.terminal import BACKSPACE, CONTROL_C, CONTROL_D, rating
from tests.cli.workplace import entered, judged, opened, rate, rows, set_state


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return entered(tmp_path, monkeypatch)


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
    opened(workspace, tasks=4, k=3)
    for _ in range(4):
        shown = rate(workspace, "q").stdout
        order = " ".join(letter_of(shown, answer) for answer in (2, 0, 1))
        assert rate(workspace, f"{order}\n", "--most", "1").returncode == 0
    assert judged(workspace) == [("ranking", [1, 2, 0])] * 4


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
    assert "1 skipped" in rate(workspace, "rboth are about somebody I know\nf\n2s1\n\n").stdout
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
    set_state(workspace, CampaignState.CLOSED)
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
    with rating(workspace) as screen:
        screen.until("you are")
        screen.until("new, nothing judged before")
        screen.until("helpful answer")
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        # An arrow key means nothing; a wrong letter is said to mean nothing; Backspace takes back.
        screen.press("\x1b[A\x1b[1;5Bz")
        screen.until("means nothing")
        screen.press(f"a{BACKSPACE}b")
        screen.until("> B")
        screen.press("r")
        screen.until("one line:")
        screen.press("fine\n")
        screen.until("reason given")
        screen.press("\r")
        screen.ready("handed in: B > A", "task 2 of this sitting")
        screen.press("q")
        assert "1 judged" in screen.end()
    (row,) = rows(workspace)
    assert row.tiers[row.shown[1]] == 0


def test_a_name_much_like_a_known_one_is_asked_about(workspace: Path) -> None:
    opened(workspace, tasks=4)
    assert "you are Alice, new" in rate(workspace, "a\n", "--name", "Alice", "--most", "1").stdout
    with rating(workspace, "--name", "alice") as screen:
        screen.until("alice is new here. Are you Alice, 1 judged here?")
        screen.press("x")
        screen.until("that is no answer: y, n, q")
        screen.press("y")
        screen.ready("you are Alice, 1 judged here before")
        screen.press("a\r")
        screen.ready("handed in")
        screen.press("q")
        screen.end()
    for key in ("q", CONTROL_C, CONTROL_D):
        with rating(workspace, "--name", "Alise") as screen:
            screen.until("Are you Alice, 2 judged here?")
            screen.press(key)
            assert "nothing was judged" in screen.end()
    assert names(workspace) == ["Alice"]


def test_somebody_new_may_have_a_name_like_a_known_one(workspace: Path) -> None:
    opened(workspace, tasks=1)
    for name in ("Alice", "Alicia"):
        rate(workspace, "", "--name", name, "--new")
    with rating(workspace, "--name", "alicea") as screen:
        screen.until("1 Alice, 0 judged here")
        screen.until("2 Alicia, 0 judged here")
        screen.until("n no, alicea is somebody new")
        screen.press("n")
        screen.ready("you are alicea, new")
        screen.press("q")
        screen.end()
    assert names(workspace) == ["Alice", "Alicia", "alicea"]


def test_where_nobody_can_be_asked_a_name_is_not_guessed(workspace: Path) -> None:
    opened(workspace, tasks=1)
    rate(workspace, "", "--name", "Alice")
    done = rate(workspace, "a\n", "--name", "alice")
    assert done.returncode == 2
    assert "alice; known: Alice" in done.stderr
    assert "--name 'Alice' if that is you, or --new" in done.stderr
    assert names(workspace) == ["Alice"]
    done = rate(workspace, "", "--name", "Alice", "--new")
    assert done.returncode == 2
    assert "no new rater" in done.stderr
    assert rate(workspace, "", "--name", "alice", "--new").returncode == 0
    assert names(workspace) == ["Alice", "alice"]


def test_a_paused_campaign_registers_nobody(workspace: Path) -> None:
    opened(workspace, tasks=1)
    set_state(workspace, CampaignState.PAUSED)
    done = rate(workspace, "a\n", "pilot", "--name", "Mia")
    assert done.returncode == 2
    assert "hands out no tasks" in done.stderr
    assert done.stdout == ""
    assert names(workspace) == []


def names(workspace: Path) -> list[str]:
    """People of the workspace, oldest first."""
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        found = sa.select(identities.c.body).order_by(identities.c.seq)
        return [json.loads(body)["name"] for body in connection.execute(found).scalars()]
