"""`accord raters --drill`: a table, JSON, what it refuses, and a database that stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.cli.main import main
from accord.collect.tasks import add_task, responses_of
from accord.core.types import Conversation, Prompt, Response, StopReason
from accord.store.database import open_database
from accord.store.log import size
from accord.store.registry import add_prompt, add_response
from tests.collect.ballots import Desk

TASKS = 40


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three raters who agree that the true answer is better; the word stands beside either."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    folder = tmp_path / "ws"
    assert main(["init", str(folder)]) == 0
    with open_database(folder / "accord.db") as database, database.write() as connection:
        desk = Desk(connection)
        for number in range(TASKS):
            texts = [f"true answer {number % 7}", f"false answer {number % 7}"]
            if number % 2:
                texts[number // 2 % 2] += " zebra"
            asked = Prompt(conversation=Conversation.of(f"Number {number}?"))
            prompt = add_prompt(connection, asked)
            ids = [
                add_response(
                    connection,
                    prompt,
                    Response(prompt_id=prompt, text=text, stop=StopReason.STOP),
                )
                for text in texts
            ]
            task = add_task(connection, desk.campaign, prompt=prompt, responses=ids)
            best = responses_of(connection, task).index(ids[0])
            for rater in range(3):
                shown = ((0, 1), (1, 0))[(number // 2 + rater) % 2]
                desk.say(rater, task, (best, 1 - best), shown=shown)
    monkeypatch.chdir(folder)
    return folder


def events(workspace: Path) -> int:
    with open_database(workspace / "accord.db") as database, database.read() as connection:
        return size(connection)


def test_a_drill_is_told_and_leaves_nothing(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = events(workspace)
    capsys.readouterr()
    assert main(["raters", "--drill", "Zebra", "--drill-seeds", "2"]) == 0
    text = capsys.readouterr().out
    assert "one: whichever response has 'Zebra' wins" in text
    assert text.count("few raters") == text.count("everybody a little") == 4
    assert events(workspace) == before
    assert main(["raters", "--drill", "zebra", "--drill-seeds", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["campaign"], found["word"], len(found["drills"])) == ("one", "zebra", 16)
    for one in found["drills"]:
        assert abs(one["share"] - one["asked"]) < 0.01
        assert one["untouched"]["clean"] == 1
    assert events(workspace) == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--drill", "two words"], "one word"),
        (["--drill", "zebra", "--drill-seeds", "1"], "two seeds or more"),
        (["--drill", "giraffe"], "must be of both kinds"),
        (["--drill", "zebra", "--show", "a"], "one thing at a time"),
    ],
)
def test_what_cannot_be_drilled(
    flags: list[str], words: str, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["raters", *flags]) == 2
    assert words in capsys.readouterr().err
