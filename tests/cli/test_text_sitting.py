"""`accord rate` where a campaign asks for demonstrations: lines of a pipe, keys of a terminal."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from accord.collect.campaign import CampaignState, all_campaigns
from accord.collect.remarks import remarks
from accord.store.database import open_database
from accord.store.judgements import current
from accord.store.log import parts_of
from accord.store.registry import response_text
from accord.store.tables import assignments, responses, tasks
from accord.store.verifying import verify_database
from tests.cli.terminal import CONTROL_C, plain, rating
from tests.cli.workplace import entered, rate, set_state
from tests.collect.texting import asked
from tests.forked import accord


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return entered(tmp_path, monkeypatch)


def opened(workspace: Path, **settings: Any) -> None:
    with open_database(workspace / "accord.db") as database:
        asked(database, **settings)


def texts(workspace: Path) -> list[str]:
    """What people wrote, oldest first, replaced texts too."""
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        found = sa.select(responses.c.id).where(responses.c.rater.is_not(None))
        names = connection.execute(found.order_by(responses.c.seq)).scalars().all()
        return [response_text(connection, one) for one in names]


def reviews(workspace: Path) -> Sequence[sa.Row[Any]]:
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        return list(current(connection))


def states(workspace: Path) -> list[str]:
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        return list(connection.execute(sa.select(assignments.c.state)).scalars())


def drafts(workspace: Path) -> list[Path]:
    return sorted((workspace / ".accord" / "drafts").glob("*.txt"))


def test_lines_become_texts_and_reviews(workspace: Path) -> None:
    opened(workspace, write=2, edit=0)
    typed = "t\nTwo.\n\nAs one and one.\n.\n\nt\nThree.\n.\n\n"
    done = rate(workspace, typed, "--name", "Ada")
    assert done.returncode == 0, done.stderr
    assert texts(workspace) == ["Two.\n\nAs one and one.", "Three."]
    said = plain(done.stdout)
    told = re.findall(r"^handed in: (\d) words? \(event (\d+)\)$", said, re.MULTILINE)
    assert [words for words, _ in told] == ["5", "1"]
    counts = "2 written, 0 made better, 0 reviewed, 0 skipped, 0 replaced"
    last = f"your last receipt is event {told[1][1]}"
    assert f"{counts}; {last}" in " ".join(said.split())
    assert "there is nothing to write or review for you now" in said
    assert said.index("Prefer the helpful answer") < said.index("task 1 of this sitting")

    done = rate(workspace, "x1no, it is four\n+5\n-\n\n\n\na\n", "--name", "Bea")
    assert "2 reviewed" in done.stdout
    assert "handed in: reject: wrong, 1 rated, own words" in done.stdout
    first, second = reviews(workspace)
    assert (first.verdict, first.flags) == ("all_bad", [[0, "wrong"]])
    assert (second.verdict, second.tiers) == ("ranking", [0])
    assert first.ratings["helpfulness"] == [5]
    with open_database(workspace / "accord.db") as database:
        assert verify_database(database).ok
        with database.read() as connection:
            assert parts_of(connection, first.seq)["rationale"] == "no, it is four"


def test_nobody_sees_who_wrote_a_text(workspace: Path) -> None:
    opened(workspace, write=1)
    rate(workspace, "t\nTwo.\n.\n\n", "--name", "Ada")
    shown = rate(workspace, "q", "--name", "Bea").stdout
    assert "Two." in shown
    assert "Ada" not in shown


def test_what_is_refused_may_be_changed(workspace: Path) -> None:
    opened(workspace, write=0, edit=1)
    done = rate(workspace, "t\ndraft 0\n.\n\nt\nand more\n.\nd\n\n", "--name", "Ada")
    assert "not kept: the text is still the one that is to be made better" in done.stdout
    assert "draft 0{+" in done.stdout
    assert texts(workspace) == ["draft 0\nand more"]
    assert "1 made better" in done.stdout


def test_a_skip_has_a_reason(workspace: Path) -> None:
    opened(workspace, write=1)
    done = rate(workspace, "s\n1\nu\n", "--name", "Ada")
    assert "handed in: skipped, cannot judge it" in done.stdout
    assert "0 written, 0 made better, 0 reviewed, 1 skipped" in done.stdout
    (row,) = reviews(workspace)
    assert (row.verdict, row.reason, row.responses) == ("skip", "cannot judge it", [])


def test_the_last_text_is_replaced(workspace: Path) -> None:
    opened(workspace, write=2)
    done = rate(workspace, "t\nTwo.\n.\n\nu\nt\nOr II.\n.\n\nu\nu\n", "--name", "Ada")
    assert "replaced: 3 words" in done.stdout
    assert "1 replaced" in done.stdout
    assert texts(workspace) == ["Two.", "Two.\nOr II."]
    assert "left as it was" in done.stdout
    assert drafts(workspace) == []


def test_the_last_review_is_corrected(workspace: Path) -> None:
    opened(workspace, write=2)
    rate(workspace, "t\nTwo.\n.\n\nt\nThree.\n.\n\n", "--name", "Ada")
    done = rate(workspace, "x\n2\n\n\nua\nq", "--name", "Bea")
    assert "handed in: reject: does not answer" in done.stdout
    assert "corrected: accept" in done.stdout
    (row,) = reviews(workspace)
    assert (row.verdict, row.supersedes is not None) == ("ranking", True)


def test_what_was_being_written_is_offered_again(workspace: Path) -> None:
    opened(workspace, write=1)
    done = rate(workspace, "t\nTwo \x1b[2Jis\n", "--name", "Ada")
    assert "what you wrote last was not handed in; it is kept for next time" in done.stdout
    (draft,) = drafts(workspace)
    assert draft.read_text() == "Two \x1b[2Jis"
    assert stat.S_IMODE(draft.stat().st_mode) == 0o600
    assert stat.S_IMODE(draft.parent.stat().st_mode) == 0o700
    assert texts(workspace) == []
    assert states(workspace) == ["leased"]
    # Nobody else sees it, and the task is not theirs.
    assert "nothing to write" in rate(workspace, "", "--name", "Bea").stdout
    done = rate(workspace, "t\nright.\n.\n\n", "--name", "Ada")
    assert "you began this before; b drops it" in done.stdout
    assert "\x1b[2J" not in done.stdout
    assert texts(workspace) == ["Two \x1b[2Jis\nright."]
    assert drafts(workspace) == []


def test_backspace_drops_and_brings_back(workspace: Path) -> None:
    opened(workspace, write=1)
    done = rate(workspace, "b\nt\nTwo.\n.\nb\n\x7f\n\n", "--name", "Ada")
    assert done.stdout.count("nothing is written yet") == 1
    assert done.stdout.count("dropped; b brings it back") == 1
    assert texts(workspace) == ["Two."]


def test_a_pause_ends_the_sitting(workspace: Path) -> None:
    opened(workspace, write=2)
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        set_state(workspace, CampaignState.PAUSED)
        screen.press("t\n")
        screen.until("ends them:")
        screen.press("Two.\n.\n")
        screen.ready("your text")
        screen.press("\r")
        ended = plain(screen.end())
    assert "this campaign hands out no tasks: paused; what you handed in was kept" in ended
    assert "1 written" in ended


def test_an_editor_on_a_private_file(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(workspace, write=0, edit=1)
    editor = workspace / "editor.sh"
    editor.write_text(
        '#!/bin/sh\nstat -c %a "$1" > mode\ncat "$1" > seen\nprintf "a better one\\n" > "$1"\n'
    )
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("draft 0", "q end")
        screen.press("e\n")
        screen.ready("a better one")
        screen.press("d\n")
        screen.ready("[-draft 0-]", "{+a better one+}")
        screen.press("\r")
        assert "1 made better" in screen.end()
    assert texts(workspace) == ["a better one"]
    assert (workspace / "mode").read_text() == "600\n"
    assert (workspace / "seen").read_text() == "draft 0\n"
    assert drafts(workspace) == []


@pytest.mark.parametrize(
    ("editor", "words"),
    [("", "no editor is named"), ("no-such-editor", "cannot be run"), ("false", "with an error")],
)
def test_without_an_editor_typing_is_left(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, editor: str, words: str
) -> None:
    opened(workspace, write=0, edit=1)
    monkeypatch.setenv("EDITOR", editor)
    monkeypatch.delenv("VISUAL", raising=False)
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("e\n")
        screen.ready(words)
        screen.press("q\n")
        screen.end()
    assert drafts(workspace) == []
    assert states(workspace) == ["released"]


def test_a_killed_terminal_loses_one_line_at_most(workspace: Path) -> None:
    opened(workspace, write=2)
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("t\n")
        screen.until("ends them:")
        screen.press("Two.\n.\n")
        screen.ready("your text")
        screen.press("\r")
        screen.ready("handed in", "task 2", "q end")
        screen.press("t\n")
        screen.until("ends them:")
        screen.press("Three,\nas I thi")
        screen.until("as I thi")
        while not drafts(workspace):
            pass
        screen.running.kill()
        screen.running.wait()
    assert texts(workspace) == ["Two."]
    assert [path.read_text() for path in drafts(workspace)] == ["Three,"]
    done = rate(workspace, "\n", "--name", "Ada")
    assert "you began this before" in done.stdout
    assert texts(workspace) == ["Two.", "Three,"]


def test_an_interrupt_keeps_what_was_typed(workspace: Path) -> None:
    opened(workspace, write=1)
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("t\n")
        screen.until("ends them:")
        screen.press("Two,\n")
        screen.until("Two,")
        while not drafts(workspace):
            pass
        screen.press(CONTROL_C)
        ended = plain(screen.end())
    assert "it is kept for next time" in ended
    assert "resume" not in ended


def test_a_lead_reads_why_texts_were_rejected(workspace: Path) -> None:
    opened(workspace, write=1)
    rate(workspace, "t\nTwo.\n.\n\n", "--name", "Ada")
    rate(workspace, "x1no, four\nf1\n\n", "--name", "Bea")
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        (campaign,) = all_campaigns(connection)
        found = [(one.what, one.words, one.about) for one in remarks(connection, campaign)]
    assert found == [
        ("rejection", "wrong", "Two."),
        ("rejection", "harmful", "Two."),
        ("rejection", "no, four", "Two."),
    ]


@pytest.mark.parametrize("left", ["an hour of work", "an hour of caf\\351"])
def test_an_editor_that_fails_after_it_saved_loses_nothing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    editor = workspace / "editor.sh"
    failing = int("351" not in left)
    editor.write_text(f"#!/bin/sh\nprintf '{left}' > \"$1\"\nexit {failing}\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    opened(workspace, write=1)
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on to the first task")
        screen.press("\n")
        screen.ready("question 0")
        screen.press("e\n")
        screen.ready("ended with an error" if failing else "is no UTF-8", "what it saved")
        screen.press("q\n")
        screen.end()
    (draft,) = drafts(workspace)
    assert draft.read_text().startswith("an hour of ")


def test_a_line_that_a_terminal_cuts_is_told(workspace: Path) -> None:
    opened(workspace, write=1)
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on to the first task")
        screen.press("\n")
        screen.ready("question 0")
        screen.press("t\n")
        screen.until("ends them")
        for _ in range(5):
            screen.press("x" * 1000)
        screen.press("\n.\n")
        assert "its end may be missing" in plain(screen.ready())
        screen.press("q\n")
        screen.end()


def test_without_drafts_texts_are_taken(workspace: Path) -> None:
    opened(workspace, write=1)
    (workspace / ".accord" / "drafts").write_text("no folder")
    done = rate(workspace, "t\nTwo.\nOr II.\n.\n\n", "--name", "Ada")
    assert done.stdout.count("no draft can be kept") == 1
    assert texts(workspace) == ["Two.\nOr II."]


def test_drafts_go_with_whom_is_erased(workspace: Path) -> None:
    opened(workspace, write=1, edit=1)
    for name in ("Ada", "Bea"):
        rate(workspace, "t\nmy own words\n", "--name", name)
    assert len(drafts(workspace)) == 2
    said = ("--why", "asked us to", "--yes")
    done = accord("erase", "rater", "Ada", *said, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "1 drafts in this workspace" in done.stdout
    (left,) = drafts(workspace)
    task = left.stem.partition("-")[2]
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        prompt = connection.execute(sa.select(tasks.c.prompt).where(tasks.c.id == task))
        name = prompt.scalar_one()
    done = accord("erase", "prompt", name, *said, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert drafts(workspace) == []


def test_what_is_typed_at_once_is_text(workspace: Path) -> None:
    opened(workspace, write=2)
    # Each first sign is a command, and "Since 1990" would skip for reason 1.
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("Since 1990, quite early.\n")
        screen.until("ends it:")
        screen.press("the end\n\n.\n")
        screen.ready("your text")
        screen.press("quick\n.\n")
        screen.ready("quick")
        screen.press("\r")
        screen.ready("handed in: 7 words", "q end")
        screen.press("Q\n")
        screen.end()
    assert texts(workspace) == ["Since 1990, quite early.\nthe end\n\nquick"]
    done = rate(workspace, "The sky is wet.\n.\n\n", "--name", "Ada")
    assert "1 written" in done.stdout
    assert texts(workspace)[1:] == ["The sky is wet."]


def test_a_letter_that_is_not_offered_is_no_text(workspace: Path) -> None:
    opened(workspace, write=1)
    done = rate(workspace, "d\nt\nd\n.\n\n", "--name", "Ada")
    assert "'d' means nothing here" in done.stdout
    assert texts(workspace) == ["d"]


def test_a_skip_that_drops_a_text_is_asked_about(workspace: Path) -> None:
    opened(workspace, write=1)
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("Two.\n.\n")
        screen.ready("your text")
        screen.press("s\n")
        screen.until("why skip?")
        screen.press("1")
        screen.until("this drops your text:")
        screen.until("Backspace goes back")
        screen.press("\x7f")
        screen.ready()
        assert [path.read_text() for path in drafts(workspace)] == ["Two."]
        screen.press("q\n")
        screen.end()
    done = rate(workspace, "s\n1\n\n", "--name", "Ada")
    assert "handed in: skipped, cannot judge it" in done.stdout
    assert drafts(workspace) == []


def test_a_skip_that_drops_a_review_is_asked_about(workspace: Path) -> None:
    opened(workspace, write=1)
    rate(workspace, "Two.\n.\n\n", "--name", "Ada")
    done = rate(workspace, "as1\n\x7fq", "--name", "Bea")
    assert "this drops your answer:" in done.stdout
    assert "0 reviewed, 0 skipped" in " ".join(done.stdout.split())
    assert reviews(workspace) == []
    assert "1 skipped" in rate(workspace, "as1\n\n", "--name", "Bea").stdout


def test_the_last_text_of_all_can_be_replaced(workspace: Path) -> None:
    opened(workspace, write=1)
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("Two.\n.\n")
        screen.ready("your text")
        screen.press("\r")
        screen.ready("there is nothing to write or review for you now")
        screen.until("u undoes the last one, Enter ends")
        screen.press("u")
        screen.ready("your last text again", "Two.")
        screen.press("Or II.\n.\n")
        screen.ready("Or II.")
        screen.press("\r")
        screen.ready("replaced: 3 words")
        screen.until("Enter ends")
        screen.press("q")
        assert "1 written" in screen.end()
    assert texts(workspace) == ["Two.", "Two.\nOr II."]


def test_the_newest_of_an_earlier_sitting_is_undone(workspace: Path) -> None:
    opened(workspace, write=2, reviews=1)
    rate(workspace, "Two.\n.\n\n", "--name", "Ada")
    done = rate(workspace, "u\nOr II.\n.\n\nq\n", "--name", "Ada")
    assert "your text of an earlier sitting" in done.stdout
    assert "replaced: 3 words" in done.stdout
    counts = "0 written, 0 made better, 0 reviewed, 0 skipped, 1 replaced"
    assert counts in " ".join(done.stdout.split())
    rate(workspace, "a\n", "--name", "Bea", "--most", "1")
    # Somebody read it.
    done = rate(workspace, "u\nq\n", "--name", "Ada")
    assert "somebody has begun to review this text: it stays as it is" in done.stdout
    done = rate(workspace, "u\nq\n", "--name", "Cyd")
    assert "there is nothing to undo" in done.stdout
    assert texts(workspace) == ["Two.", "Two.\nOr II."]


def test_the_newest_review_of_an_earlier_sitting_is_undone(workspace: Path) -> None:
    opened(workspace, write=3)
    rate(workspace, "Two.\n.\n\nThree.\n.\n\n", "--name", "Ada")
    rate(workspace, "a\n", "--name", "Bea", "--most", "1")
    done = rate(workspace, "ux2\n\n\nq", "--name", "Bea")
    assert "your last review of an earlier sitting" in done.stdout
    assert "corrected: reject: does not answer" in done.stdout
    (row,) = reviews(workspace)
    assert (row.verdict, row.supersedes is not None) == ("all_bad", True)


def test_the_end_of_a_long_text_is_seen(workspace: Path) -> None:
    opened(workspace, write=1)
    lines = [f"line {number:02}" for number in range(60)]
    with rating(workspace, "--name", "Ada", lines=24) as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("".join(f"{line}\n" for line in lines) + ".\n")
        screen.until("... 40 lines above; v shows all")
        shown = screen.ready()
        screen.press("v\n")
        pages = [screen.ready("your text")]
        while "Enter shows more (" in screen.until("]" if "line 59" in pages[-1] else ")"):
            screen.press("\r")
            pages.append(screen.ready())
        screen.press("\r")
        screen.until("handed in: 120 words")
        screen.end()
    # With the frame, what is told above it, and the line for what is typed.
    assert [line for line in lines if line in shown] == lines[39:]
    assert len(pages) == 3
    assert all("".join(pages).count(line) == 1 for line in lines)
    assert texts(workspace) == ["\n".join(lines)]


def test_guidelines_come_back_to_task_and_text(workspace: Path) -> None:
    opened(workspace, write=1)
    with rating(workspace, "--name", "Ada") as screen:
        screen.until("Enter goes on")
        screen.press("\r")
        screen.ready("q end")
        screen.press("Two.\n.\n")
        screen.ready("your text")
        screen.press("?\n")
        screen.until("Prefer the helpful answer.")
        screen.until("Enter goes back to the task")
        screen.press("\r")
        screen.ready("question 0", "q end", "Two.")
        screen.press("\r")
        screen.until("handed in: 1 word (event")
        screen.end()


def test_a_rejection_is_read_line_by_line(workspace: Path) -> None:
    opened(workspace, write=3)
    rate(workspace, "".join(f"Text {n}.\n.\n\n" for n in range(3)), "--name", "Ada")
    done = rate(workspace, "x\n3\nhe sky?\n\nx\n2\n\n\nx1so what\n\n", "--name", "Bea")
    assert "3 reviewed, 0 skipped" in " ".join(done.stdout.split())
    assert "means nothing here" not in done.stdout
    found = reviews(workspace)
    assert [row.flags for row in found] == [
        [[0, "badly written"]],
        [[0, "does not answer"]],
        [[0, "wrong"]],
    ]
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        words = [parts_of(connection, row.seq).get("rationale") for row in found]
    assert words == ["he sky?", None, "so what"]


def test_another_reason_has_own_words(workspace: Path) -> None:
    opened(workspace, write=2)
    rate(workspace, "Two.\n.\n\ns\n5\nnot for me\n", "--name", "Ada")
    rate(workspace, "f\n6\na\tjoke \x1b[2J\na\n", "--name", "Bea")
    skip, review = reviews(workspace)
    assert (skip.reason, review.flags) == ("other", [[0, "a joke \ufffd[2J"]])
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        assert parts_of(connection, skip.seq)["rationale"] == "not for me"
