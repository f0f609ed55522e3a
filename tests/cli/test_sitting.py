"""A sitting: every answer's receipt, and an end that says what was kept, however it comes."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from rich.console import Console

from accord.cli.dialogue import Dialogue
from accord.cli.keys import TypedLines
from accord.cli.main import main
from accord.cli.sitting import Sitting
from accord.collect.campaign import (
    CampaignSettings,
    CampaignState,
    all_campaigns,
    join,
    open_campaign,
)
from accord.collect.people import person
from accord.collect.tasks import Purpose
from accord.store.database import Database, open_database
from accord.store.registry import publish_guideline
from accord.store.tables import assignments
from tests.cli.terminal import CONTROL_C, Screen, plain, rating
from tests.cli.workplace import entered, judged, opened, rate, rows, set_state
from tests.collect.asking import ask, made


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return entered(tmp_path, monkeypatch)


@contextmanager
def at_work(workspace: Path, *flags: str) -> Iterator[Screen]:
    """A terminal with the first task of somebody's first sitting."""
    with rating(workspace, *flags) as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        yield screen


def test_every_answer_has_a_receipt(workspace: Path) -> None:
    opened(workspace, tasks=3, k=3)
    said = plain(rate(workspace, "b=a\ns1\nux\n0\n").stdout)
    told = re.findall(r"^(handed in|corrected): (.*) \(event (\d+)\)$", said, re.MULTILINE)
    assert [one[:2] for one in told] == [
        ("handed in", "B = A > C"),
        ("handed in", "skipped, cannot judge it"),
        ("corrected", "all bad"),
        ("handed in", "A = B = C"),
    ]
    seqs = [int(one[2]) for one in told]
    assert [row.seq for row in rows(workspace)] == [seqs[0], *seqs[2:]]
    assert f"3 judged, 0 skipped, 1 corrected; your last receipt is event {seqs[3]}" in said


def test_guidelines_are_shown_before_the_first_task_of_the_first_sitting(workspace: Path) -> None:
    with open_database(workspace / "accord.db") as database:
        with database.write() as connection:
            publish_guideline(connection, "v2", "# How to judge\n\n* **Be** fair\n")
            settings = CampaignSettings(name="fair", guideline="v2", gold_share=0.0)
            campaign = open_campaign(connection, settings)
        for number in range(3):
            ask(database, campaign, f"question {number}")
    first = rate(workspace, "a\na\n", "--most", "2").stdout
    assert first.index("you are") < first.index("How to judge") < first.index("task 1 of")
    assert first.count("How to judge") == 1
    assert "# How" not in first
    assert "**" not in first
    second = rate(workspace, "?", "--most", "1").stdout
    assert "2 judged here before" in second
    assert second.index("task 1 of") < second.index("How to judge")
    with rating(workspace, "--name", "somebody else") as screen:
        screen.until("Enter goes on")
        screen.press("q")
        assert "0 judged" in screen.end()


def test_two_windows_of_one_rater_go_on(workspace: Path) -> None:
    opened(workspace, tasks=3)
    with at_work(workspace) as one, at_work(workspace) as other:
        one.press("a\r")
        one.ready("handed in: A > B", "q end")
        other.press("b\r")
        other.ready("not kept: this task was answered before; where two windows are open", "q end")
        other.press("b\r")
        other.ready("handed in: B > A", "q end")
        other.press("q")
        ended = other.end()
        one.press("q")
        one.end()
    (_, second) = rows(workspace)
    told = f"1 judged, 0 skipped, 0 corrected, 1 not kept; your last receipt is event {second.seq}"
    assert told in ended


def test_a_pause_ends_the_sitting_with_what_was_kept(workspace: Path) -> None:
    opened(workspace, tasks=3)
    with at_work(workspace) as screen:
        screen.press("a\r")
        screen.ready("handed in", "task 2", "q end")
        set_state(workspace, CampaignState.PAUSED)
        screen.press("b\r")
        screen.until("handed in: B > A (event")
        ended = plain(screen.end())
    last = rows(workspace)[-1]
    assert "this campaign hands out no tasks: paused; what you handed in was kept" in ended
    assert f"2 judged, 0 skipped, 0 corrected; your last receipt is event {last.seq}" in ended
    assert "resume" not in ended


@pytest.mark.parametrize("typed", ["", "b"])
def test_an_interrupt_ends_it_as_q_does(workspace: Path, typed: str) -> None:
    opened(workspace, tasks=2)
    with at_work(workspace) as screen:
        screen.press("a\r")
        screen.ready("handed in", "task 2", "q end")
        screen.press(typed)
        if typed:
            screen.until("> B")
        screen.press(CONTROL_C)
        ended = plain(screen.end())
    (row,) = rows(workspace)
    assert f"1 judged, 0 skipped, 0 corrected; your last receipt is event {row.seq}" in ended
    assert ("what you typed last was not handed in" in ended) == bool(typed)
    assert "resume" not in ended
    assert sorted(states(workspace)) == ["released", "submitted"]


def states(workspace: Path) -> list[str]:
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        return list(connection.execute(sa.select(assignments.c.state)).scalars())


class Watched(TypedLines):
    """Lines of a pipe; something may happen when a key is read."""

    def __init__(self, typed: str) -> None:
        super().__init__(StringIO(typed))
        self.when: dict[str, Callable[[], object]] = {}

    def read(self) -> str:
        key = super().read()
        self.when.get(key, str)()
        return key


def seated(database: Database, typed: str) -> tuple[Sitting, StringIO, Watched]:
    """A sitting in this process, what it says, and the keys."""
    with database.write() as connection:
        (campaign,) = all_campaigns(connection)
        rater = person(connection, "Mia")
        join(connection, campaign, rater)
    told, keys = StringIO(), Watched(typed)
    return Sitting(database, campaign, rater, Dialogue(Console(file=told), keys)), told, keys


def test_an_interrupt_while_it_is_kept_waits_for_the_receipt(workspace: Path) -> None:
    opened(workspace, tasks=2)
    with open_database(workspace / "accord.db") as database:
        sitting, told, keys = seated(database, "a\nb\n")

        def interrupt(_: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        keys.when["\n"] = lambda: sa.event.listen(database.engine, "commit", interrupt, once=True)
        sitting.work(most=0)
    (row,) = rows(workspace)
    assert f"handed in: A > B (event {row.seq})" in told.getvalue()
    assert sitting.summary() == (
        f"1 judged, 0 skipped, 0 corrected; your last receipt is event {row.seq}"
    )
    assert "task 2" not in told.getvalue()


def test_a_database_that_is_busy_is_asked_again(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(workspace, tasks=1)
    monkeypatch.setattr("accord.store.database.BUSY_SECONDS", 0.2)
    place = workspace / "accord.db"
    with open_database(place) as mine, open_database(place) as database, ExitStack() as busy:
        # The stray b is neither "again" nor "give up".
        sitting, told, keys = seated(database, "a\nb\n")

        def enter() -> None:
            if "not kept" in told.getvalue():
                busy.close()
            else:
                busy.enter_context(mine.write())

        keys.when["\n"] = enter
        sitting.work(most=1)
    assert "not kept: the database is busy" in told.getvalue()
    assert "handed in: A > B" in told.getvalue()
    assert [kind for kind, _ in judged(workspace)] == ["ranking"]


def test_an_answer_that_was_given_up_is_told(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(workspace, tasks=1)
    monkeypatch.setattr("accord.store.database.BUSY_SECONDS", 0.2)
    place = workspace / "accord.db"
    with open_database(place) as mine, open_database(place) as database, ExitStack() as busy:
        sitting, _, keys = seated(database, "a\nq")
        keys.when = {"\n": lambda: busy.enter_context(mine.write()), "q": busy.close}
        sitting.work(most=1)
    assert sitting.summary() == "0 judged, 0 skipped, 0 corrected, 1 not kept"
    assert judged(workspace) == []


def test_an_error_in_the_middle_says_what_was_kept(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(workspace, tasks=2)
    monkeypatch.setattr("accord.store.database.BUSY_SECONDS", 0.2)
    with open_database(workspace / "accord.db") as mine, ExitStack() as busy:

        class Told(StringIO):
            """Somebody else writes from the first answer on."""

            def write(self, text: str) -> int:
                if "handed in" in text:
                    busy.enter_context(mine.write())
                return super().write(text)

        told = Told()
        monkeypatch.setattr("sys.stdout", told)
        monkeypatch.setattr("sys.stdin", StringIO("a\nb\n"))
        assert main(["rate"]) == 2
    assert "error: the database is busy" in capsys.readouterr().err
    (row,) = rows(workspace)
    assert f"1 judged, 0 skipped, 0 corrected; your last receipt is event {row.seq}" in (
        told.getvalue()
    )


def taught(workspace: Path) -> None:
    """The campaign `pilot` with two lessons before its work."""
    with open_database(workspace / "accord.db") as database:
        campaign = made(database, tasks=2)
        for place, (words, why) in enumerate((("easy", "it is *shorter*"), ("hard", None))):
            ask(
                database,
                campaign,
                words,
                purpose=Purpose.LESSON,
                gold=[0, 1],
                explanation=why,
                priority=-place,
            )


def test_a_lesson_is_told_once_it_was_answered(workspace: Path) -> None:
    taught(workspace)
    said = plain(rate(workspace, "a\na\nu0\n", "--most", "3").stdout)
    assert said.count("a lesson: say what you think") == 2
    first, second = said.index("easy"), said.index("hard")
    assert first < said.index("it is *shorter*") < second
    told = re.findall(r"^(right: [AB] > [AB]|the right order is .*)$", said, re.MULTILINE)
    assert len(told) == 2
    for one in told:
        assert one in ("right: A > B", "the right order is B > A; you said A > B")
    assert "there is nothing to undo" in said
    assert "1 judged, 0 skipped, 0 corrected, 2 lessons; your last receipt" in said


def test_a_lesson_waits_until_it_was_read(workspace: Path) -> None:
    taught(workspace)
    with at_work(workspace) as screen:
        screen.press("a\r")
        screen.until("it is *shorter*")
        screen.until("Enter goes on")
        screen.press("\r")
        screen.until("handed in (event")
        screen.ready("hard", "q end")
        screen.press("s1")
        screen.until("the right order is")
        screen.until("Enter goes on")
        screen.press("q")
        assert "0 judged, 0 skipped, 0 corrected, 2 lessons" in plain(screen.end())


def test_the_last_answer_of_all_can_be_corrected(workspace: Path) -> None:
    opened(workspace, tasks=1)
    with at_work(workspace) as screen:
        screen.press("a\r")
        screen.ready("there is nothing to judge for you now")
        screen.until("u undoes the last one, Enter ends")
        screen.press("zu")
        screen.ready("the last task again", "q end")
        screen.press("b\r")
        screen.ready("corrected: B > A")
        screen.until("Enter ends")
        screen.press("\r")
        assert "1 judged, 0 skipped, 1 corrected" in screen.end()
    (row,) = rows(workspace)
    assert row.supersedes is not None


def test_the_newest_answer_of_an_earlier_sitting_is_corrected(workspace: Path) -> None:
    taught(workspace)
    rate(workspace, "a\n", "--most", "1")
    assert "0 corrected, 1 lesson" in (done := rate(workspace, "a\n", "--most", "1").stdout)
    assert "1 lessons" not in done
    assert "there is nothing to undo" in rate(workspace, "uq").stdout
    rate(workspace, "a\n", "--most", "1")
    said = rate(workspace, "u0\nq").stdout
    assert "your last task of an earlier sitting" in said
    assert "0 judged, 0 skipped, 1 corrected; your last receipt" in said
    assert [row.verdict for row in rows(workspace)] == ["ranking", "ranking", "tie"]


def test_each_task_says_how_many_are_left(workspace: Path) -> None:
    opened(workspace, tasks=3)
    rate(workspace, "a\n", "--most", "1", "--name", "Mia")
    with rating(workspace, "--name", "Mia") as screen:
        screen.ready("task 1 of this sitting, about 1 left", "q end")
        screen.press("s1")
        screen.ready("task 2 of this sitting, none left", "q end")
        screen.press("q")
        screen.end()
    assert "none left" not in rate(workspace, "q", "--name", "Mia").stdout
