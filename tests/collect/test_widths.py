"""Text from outside that is longer than its column: refused alike on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from accord.cli.main import main
from accord.collect.answering import answer
from accord.collect.assigning import next_task
from accord.collect.campaign import CampaignSettings, open_campaign
from accord.collect.formats import Unjudged
from accord.collect.pool import add_prompts
from accord.collect.ready import add_tasks
from accord.collect.tasks import Purpose, add_task, responses_of
from accord.core.errors import ConfigError, DataError
from accord.core.types import Comparison, Conversation, Prompt, Response, StopReason
from accord.store.database import Database, open_database
from accord.store.jobs import claim, enqueue
from accord.store.log import size
from accord.store.registry import (
    add_prompt,
    add_response,
    publish_guideline,
    register_rater,
    set_rater_state,
)
from accord.store.tables import prompts, tasks
from tests.collect.asking import made, prefers, somebody

ASKED = Conversation.of("Why?")


def events(database: Database) -> int:
    with database.read() as connection:
        return size(connection)


def settings(**more: str) -> CampaignSettings:
    return CampaignSettings(**{"name": "wide", "guideline": "v1"} | more)  # type: ignore[arg-type]


def said(policy: str) -> Response:
    return Response(prompt_id="", text="No.", stop=StopReason.STOP, policy=policy)


Put = Callable[[Connection, str], object]
INSIDE: dict[str, tuple[int, Put]] = {
    "source": (200, lambda c, text: add_prompt(c, Prompt(conversation=ASKED, source=text))),
    "stratum": (64, lambda c, text: add_prompt(c, Prompt(conversation=ASKED), stratum=text)),
    "cluster": (64, lambda c, text: add_prompt(c, Prompt(conversation=ASKED), cluster=text)),
    "guidelines": (64, lambda c, text: publish_guideline(c, text, "Prefer what is true.")),
    "job's kind": (64, lambda c, text: enqueue(c, text, {})),
    "job's key": (200, lambda c, text: enqueue(c, "sample", {}, key=text)),
    "rater's key": (200, lambda c, text: register_rater(c, kind="human", key=text)),
    "campaign": (200, lambda c, text: open_campaign(c, settings(name=text))),
    "campaign's selection": (32, lambda c, text: open_campaign(c, settings(selection=text))),
    "policy": (
        64,
        lambda c, text: add_response(
            c, add_prompt(c, Prompt(conversation=ASKED)), said(text), key=f"k{len(text)}"
        ),
    ),
}
"""What is written where no other row is needed: the width, and how."""


@pytest.mark.parametrize("name", INSIDE)
def test_as_wide_as_the_column_is_kept_and_one_more_is_refused(
    database: Database, name: str
) -> None:
    width, put = INSIDE[name]
    with database.write() as connection:
        publish_guideline(connection, "v1", "Prefer what is true.")
        put(connection, "x" * width)
    kept = events(database)
    for text in ("x" * (width + 1), "a\x00b"):
        with pytest.raises((DataError, ConfigError)) as caught, database.write() as connection:
            put(connection, text)
        assert "rule of the database" not in caught.value.what
        assert caught.value.got
    assert events(database) == kept


@pytest.mark.parametrize("text", ["x" * 65, "a\x00b", ""], ids=["long", "zero", "empty"])
def test_a_campaign_names_guidelines_that_could_be_there(text: str) -> None:
    with pytest.raises(ConfigError, match="guideline has 1 to 64 printable"):
        settings(guideline=text)


def test_a_selections_name_and_a_workers(database: Database) -> None:
    campaign = made(database, tasks=1)
    with database.read() as connection:
        row = connection.execute(sa.select(tasks)).one()
        shown = responses_of(connection, row.id)
    with pytest.raises(DataError, match="at most 32"), database.write() as connection:
        add_task(connection, campaign, prompt=row.prompt, responses=shown, selected_by="x" * 33)
    with pytest.raises(DataError, match="at most 64"):
        claim(database, ["sample"], "x" * 65, 60)
    assert claim(database, ["sample"], "x" * 64, 60) is None


def test_an_answers_key_and_page(database: Database) -> None:
    campaign = made(database, tasks=1)
    lease = next_task(database, campaign, somebody(database, campaign, "a"))
    assert lease is not None
    opinion, before = prefers(lease, 0), events(database)
    for bad in ({"key": "x" * 201}, {"ui": "x" * 65}, {"key": "a\x00b"}, {"ui": "a\x00b"}):
        with pytest.raises(DataError):
            answer(database, campaign, lease, opinion, **{"key": "k", "ui": "test"} | bad)
    assert events(database) == before
    assert answer(database, campaign, lease, opinion, key="x" * 200, ui="x" * 64).new


def test_a_word_that_no_column_lists_is_bad_data_whatever_its_length(database: Database) -> None:
    with database.write() as connection:
        rater = register_rater(connection, kind="human")
    for word in ("judge", "j" * 40):
        for put in (
            lambda c, w: register_rater(c, kind=w),
            lambda c, w: register_rater(c, kind="human", role=w),
            lambda c, w: set_rater_state(c, rater, w),
        ):
            with pytest.raises(DataError, match="database"), database.write() as connection:
                put(connection, word)


def test_rows_with_such_a_source_are_listed(database: Database) -> None:
    good, long = Prompt(conversation=ASKED, source="s" * 200), "s" * 201
    rows = [good, replace(good, source=long), replace(good, source="a\x00b")]
    done = add_prompts(database, rows, by_source=True)
    assert (done.rows, done.new) == (3, 1)
    assert [str(one) for one in done.rejected] == [
        f"row {n}, source: it has at most 200 characters, and no zero character" for n in (2, 3)
    ]
    with database.read() as connection:
        assert connection.execute(sa.select(prompts.c.stratum)).scalar_one() == "s" * 64
    campaign = made(database, tasks=0)
    compared = Comparison(prompt=ASKED, responses=("a", "b"), tiers=(0, 1))
    unjudged = Unjudged(row=2, prompt=ASKED, responses=("c", "d"), source=long)
    found = add_tasks(database, campaign, [compared, unjudged, replace(compared, source=long)])
    assert (found.tasks, [one.row for one in found.rejected]) == (1, [2, 3])
    assert {one.column for one in found.rejected} == {"source"}
    found = add_tasks(database, campaign, [replace(compared, source=long)], purpose=Purpose.GOLD)
    assert len(found.rejected) == 1


def test_a_stratum_is_refused_before_anything_is_kept(database: Database) -> None:
    with pytest.raises(DataError, match="a stratum has at most 64 characters") as caught:
        add_prompts(database, [Prompt(conversation=ASKED)], stratum="x" * 65)
    error = caught.value
    assert error.got == f"65 characters: {'x' * 40!r}"
    assert (error.where, error.do) == ("prompts.stratum", "shorten it")
    with pytest.raises(DataError, match="source has at most 200"):
        add_prompts(database, [Prompt(conversation=ASKED)], source="x" * 201)
    assert events(database) == 0


def test_the_command_line_says_so(
    tmp_path: Path,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "://" in place:
        monkeypatch.setenv("ACCORD_DATABASE_URL", place)
    else:
        monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    assert main(["init", str(tmp_path / "ws")]) == 0
    monkeypatch.chdir(tmp_path / "ws")
    Path("asks.jsonl").write_text(
        '{"prompt": "Why?"}\n{"prompt": "How?", "source": "%s"}\n' % ("s" * 201)
    )
    assert main(["campaign", "guidelines", "guidelines.md", "--version", "v" * 65]) == 2
    assert "a version of the guidelines has at most 64" in capsys.readouterr().err
    assert main(["campaign", "guidelines", "guidelines.md", "--version", "v1"]) == 0
    assert main(["campaign", "open", "pilot", "--guideline", "v1"]) == 0
    long = ["campaign", "open", "p" * 201, "--guideline", "v1"]
    for words in (long, ["campaign", "open", "p", "--guideline", "v" * 65]):
        assert main(words) == 2
        assert "printable characters" in capsys.readouterr().err
    asked = ["campaign", "prompts", "pilot", "asks.jsonl"]
    assert main([*asked, "--stratum", "x" * 65]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: a stratum has at most 64 characters")
    assert "got:   65 characters" in error
    assert main(asked) == 0
    told = capsys.readouterr().out
    assert "2 rows: 1 new" in told
    assert "row 2, source: it has at most 200 characters" in told


def test_a_refusal_of_the_database_itself_is_bad_data(postgres_url: str) -> None:
    """Where nobody looked before: SQLite would have kept it."""
    with open_database(postgres_url) as database:
        add_prompts(database, [Prompt(conversation=ASKED)])
        for text in ("x" * 65, "a\x00b"):
            with (
                pytest.raises(DataError, match="the database cannot keep a value"),
                database.write() as connection,
            ):
                connection.execute(sa.update(prompts).values(stratum=text))
