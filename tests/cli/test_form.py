"""What is said of one task: in a real terminal where keys matter, otherwise through a pipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.cli.form import ratings_in
from accord.store.database import open_database
from accord.store.log import parts_of
from tests.cli.terminal import BACKSPACE, rating
from tests.cli.workplace import entered, opened, rate, rows
from tests.collect.asking import ask, made


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return entered(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("line", "k", "values"),
    [
        ("42", 2, (4, 2)),
        ("4 2", 2, (4, 2)),
        ("4,2", 2, (4, 2)),
        (" 4 , 2 ", 2, (4, 2)),
        ("4;2", 2, (4, 2)),
        ("-", 2, (None, None)),
        ("-", 4, (None,) * 4),
        ("4-", 2, (4, None)),
        ("- 5", 2, (None, 5)),
        ("4.5 3", 2, (4.5, 3)),
        ("4235", 4, (4, 2, 3, 5)),
        ("4", 2, None),
        ("423", 2, None),
        ("46", 2, None),
        ("4 0", 2, None),
        ("4 nan", 2, None),
        ("a b", 2, None),
        (",", 2, None),
        ("--", 2, (None, None)),
    ],
)
def test_ratings_are_read_as_people_type_them(
    line: str, k: int, values: tuple[float | None, ...] | None
) -> None:
    assert ratings_in(line, k) == values


def test_a_wrong_line_of_ratings_is_asked_again(workspace: Path) -> None:
    opened(workspace, tasks=1)
    done = rate(workspace, "+42\n9 9\n5,1\n-\n\nb\n")
    assert done.stdout.count("that is no rating of accuracy") == 1
    assert "helpfulness of A B, 1 to 5 each, as 42 (- is none, Enter leaves it):" in done.stdout
    (row,) = rows(workspace)
    assert {name: [given[place] for place in row.shown] for name, given in row.ratings.items()} == {
        "helpfulness": [4, 2],
        "accuracy": [5, 1],
    }


def test_a_minus_takes_a_rating_back_and_enter_leaves_it(workspace: Path) -> None:
    opened(workspace, tasks=1)
    rate(workspace, "+42\n31\n\n\n+-\n\n\n\nb\n")
    (row,) = rows(workspace)
    assert list(row.ratings) == ["accuracy"]


def test_a_wrong_answer_to_a_question_does_not_become_commands(workspace: Path) -> None:
    opened(workspace, tasks=3)
    # "because" would be: B, an end, A, a correction; and the flag's 1 would be a ranking.
    done = rate(workspace, "sbecause x 0 q\n3\nfz1 q\n\nnone 0\n2 b\ns\n5")
    assert done.stdout.count("that is no answer: 1, 2, 3, 4, 5, or Backspace goes back") == 1
    assert done.stdout.count("that is no answer: A, B, Enter, or Backspace goes back") == 1
    assert "1 judged, 2 skipped" in done.stdout
    first, second, third = rows(workspace)
    assert (first.reason, first.flags) == ("unreadable", [])
    assert (second.verdict, second.flags) == ("ranking", [[None, "personal data"]])
    assert third.reason == "other"


def test_what_is_typed_on_after_a_wrong_answer_is_dropped(workspace: Path) -> None:
    opened(workspace, tasks=1)
    rate(workspace, "", "--name", "Mia")
    with rating(workspace, "--name", "Mia") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("s")
        screen.until("why skip?")
        screen.until("Backspace goes back")
        screen.press("because 1 b\r")
        screen.until("that is no answer")
        screen.press(BACKSPACE)
        screen.ready()
        screen.press("f")
        screen.until("flag which answer?")
        screen.press("z 2")  # no Enter: dropped as soon as nobody types on
        screen.until("that is no answer")
        screen.press("\r")
        screen.until("why?")
        screen.press("1")
        screen.until("1 flagged")
        screen.press("b\r")
        screen.until("handed in: B > A (event")
        screen.end()
    (row,) = rows(workspace)
    assert row.flags == [[None, "harmful"]]


def test_lines_typed_ahead_of_their_questions_are_read_in_turn(workspace: Path) -> None:
    opened(workspace, tasks=1)
    with rating(workspace) as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("+42\n3 1\n-\n\nb")
        screen.until("> B   2 rated")
        screen.press("rfine\n\r")
        screen.until("handed in: B > A")
        screen.end()
    (row,) = rows(workspace)
    assert {name: [given[place] for place in row.shown] for name, given in row.ratings.items()} == {
        "helpfulness": [4, 2],
        "accuracy": [3, 1],
    }


def test_undo_asks_for_nothing_to_be_lost(workspace: Path) -> None:
    opened(workspace, tasks=2)
    refusal = "Backspace clears what you typed; u undoes the last answer when nothing is typed"
    with rating(workspace) as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("a\r")
        screen.ready("handed in: A > B", "q end")
        screen.press("bu")
        screen.until(refusal)
        screen.until("> B")
        screen.press(f"{BACKSPACE}rshort\n")
        screen.until("reason given")
        screen.press("fb1")
        screen.until("1 flagged   reason given")
        screen.press("u")
        screen.until(refusal)
        screen.press(BACKSPACE * 2 + "u")
        screen.ready("the last task again", "u leave as it was")
        screen.press("7u")
        screen.until("u leaves it as it was when nothing is typed")
        screen.press("\r")
        screen.ready("corrected: B > A, strong (event", "task 2 of this sitting")
        screen.press("u")
        screen.ready("the last task again", "q end")
        screen.press("u")
        screen.ready("left as it was", "task 2 of this sitting", "q end")
        screen.press("b\r")
        screen.until("handed in")
        assert "2 judged, 0 skipped, 1 corrected" in screen.end()
    corrected, second = rows(workspace)
    assert corrected.supersedes is not None
    assert (corrected.strength, second.strength) == (4, None)
    assert [row.flags for row in (corrected, second)] == [[], []]


def test_keys_from_before_a_task_was_shown_do_not_answer_it(workspace: Path) -> None:
    opened(workspace, tasks=3)
    with rating(workspace) as screen:
        screen.until("Enter goes on")
        screen.press("\r0\r")  # the second and third key are too early
        shown = screen.ready("q end")
        assert "handed in" not in shown
        screen.press("a\rb\r")
        screen.ready("handed in: A > B", "task 2 of this sitting", "q end")
        screen.press("x")
        screen.until("> all bad")
        screen.press("\r")
        screen.ready("handed in: all bad", "task 3")
        screen.press("q")
        assert "2 judged" in screen.end()
    assert [row.verdict for row in rows(workspace)] == ["ranking", "all_bad"]


def test_a_long_task_is_seen_to_its_end_before_it_is_handed_in(workspace: Path) -> None:
    lines = [f"line {number:02}" for number in range(15)]
    with open_database(workspace / "accord.db") as database:
        campaign = made(database, tasks=0)
        ask(database, campaign, "\n".join(lines))
    with rating(workspace, lines=24) as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        first = screen.ready("task 1 of this sitting")
        screen.until("Enter shows more (")
        # A letter stays, Enter turns the page; a second Enter was pressed before it was there.
        screen.press("a")
        screen.until("> A   Enter shows more (")
        screen.press("\r\r")
        second = screen.ready()
        screen.until("A   Enter shows more (")
        assert rows(workspace) == []
        screen.press("\r\r")
        third = screen.ready("q end")
        screen.until("A")
        assert rows(workspace) == []
        screen.press("\r")
        screen.until("handed in: A > B")
        screen.end()
    assert first.count("\n") == second.count("\n") == 23
    assert third.count("\n") < 23
    shown = first + second + third
    assert [shown.count(line) for line in lines] == [3] * 15
    assert len(rows(workspace)) == 1


def test_guidelines_come_back_to_the_task(workspace: Path) -> None:
    opened(workspace, tasks=1)
    with rating(workspace) as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("b?")
        screen.until("Prefer the helpful answer.")
        screen.until("Enter goes back to the task")
        screen.press("\r")
        screen.ready("task 1 of this sitting", "q end")
        screen.press("\r")
        screen.until("handed in: B > A")
        screen.end()
    assert len(rows(workspace)) == 1


def test_a_skip_that_drops_an_order_is_asked_about(workspace: Path) -> None:
    opened(workspace, tasks=2)
    done = rate(workspace, "as2\n\x7f\n")
    assert "this drops your answer:   Enter skips" in done.stdout
    assert "1 judged, 0 skipped" in done.stdout
    done = rate(workspace, "as2\n\n")
    assert "handed in: skipped, not my language" in done.stdout
    first, second = rows(workspace)
    assert (first.verdict, second.verdict) == ("ranking", "skip")


def test_another_reason_is_told_in_own_words(workspace: Path) -> None:
    opened(workspace, tasks=3)
    with rating(workspace) as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("fb6")
        screen.until("in your own words, 200 signs at most (Enter leaves it):")
        screen.press("x" * 300 + "\n")
        screen.until("1 flagged")
        screen.press("f\r6")
        screen.until("signs at most")
        screen.press("\n")
        screen.until("2 flagged")
        screen.press("a\r")
        screen.ready("handed in: A > B", "q end")
        screen.press("rlong\n")
        screen.until("> reason given")
        screen.press("s5")
        screen.until("in your own words, one line (Enter leaves it):")
        screen.press("and dull\n")
        screen.until("this skips it with what you said beside it:")
        screen.until("goes back")
        screen.press("\r")
        screen.ready("handed in: skipped, other", "q end")
        screen.press("s5\n")
        screen.ready("handed in: skipped, other")
        screen.press("q")
        screen.end()
    first, second, third = rows(workspace)
    assert [why for _, why in first.flags] == ["x" * 200, "other"]
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        assert parts_of(connection, second.seq)["rationale"] == "long; and dull"
        assert "rationale" not in parts_of(connection, third.seq)
