"""What raters said beside their verdicts, as a lead reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.cli.main import main
from accord.collect.campaign import campaign_called
from accord.collect.remarks import ERASED, remarks
from accord.store.database import Database, open_database
from accord.store.erasing import erase
from accord.store.judgements import Verdict
from accord.store.tables import prompts, tasks
from tests.collect.judging import campaign, rater, say, task


def fill(database: Database) -> tuple[str, str]:
    """Two people with something to say; one corrects herself."""
    pilot = campaign(database)
    ada, bea = rater(database), rater(database)
    first, second = (task(database, pilot, f"question {n}") for n in range(2))
    say(database, pilot, first, ada, flags=((1, "wrong"), (None, "odd")), rationale="It lies.")
    say(database, pilot, second, ada, None, verdict=Verdict.SKIP, reason="too hard")
    early = say(database, pilot, first, bea, rationale="Not what I meant.")
    say(database, pilot, first, bea, rationale="\x1b[31mBetter.", corrects=early)
    with database.write() as connection:
        connection.execute(sa.update(tasks).where(tasks.c.id == second).values(state="withdrawn"))
    return ada, bea


def test_every_remark_that_counts(database: Database) -> None:
    ada, bea = fill(database)
    with database.read() as connection:
        found = list(remarks(connection, campaign_called(connection, "pilot")))
    told = [(one.rater, one.what, one.words, one.withdrawn) for one in found]
    assert told == [
        (ada, "flag", "wrong", False),
        (ada, "flag", "odd", False),
        (ada, "reason", "It lies.", False),
        (ada, "skip", "too hard", True),
        (bea, "reason", "\x1b[31mBetter.", False),
    ]
    assert found[0].about.startswith("question 0 ")  # the response that the flag is about
    assert [one.about for one in found[1:]] == ["question 0"] * 2 + ["question 1", "question 0"]


def test_what_was_erased_is_said_to_be(file_database: Database) -> None:
    fill(file_database)
    with file_database.read() as connection:
        asked = connection.execute(sa.select(prompts.c.seq).order_by(prompts.c.seq)).scalars()
        first = asked.all()[0]
    erase(file_database, first, "text")
    with file_database.read() as connection:
        found = list(remarks(connection, campaign_called(connection, "pilot")))
    assert [one.about for one in found[1:]] == [ERASED, ERASED, "question 1", ERASED]


def test_the_command_lists_them_without_escapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    assert main(["init", str(tmp_path / "ws")]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    with open_database(tmp_path / "ws" / "accord.db") as database:
        fill(database)
    capsys.readouterr()
    assert main(["campaign", "remarks"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("pilot: 2 flags, 2 reasons, 1 skips\n")
    assert "task withdrawn" in told
    assert "\x1b" not in told
    assert main(["campaign", "remarks", "pilot", "--what", "skip", "--json"]) == 0
    (skip,) = json.loads(capsys.readouterr().out)
    assert (skip["words"], skip["about"]) == ("too hard", "question 1")
