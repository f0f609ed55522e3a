"""Prompt pools: put in once, clustered without changing what was clustered, counted truly."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.collect.campaign import Campaign, CampaignSettings, open_campaign
from accord.collect.importing import read_rows
from accord.collect.personal import PersonalKind
from accord.collect.pool import (
    BATCH,
    NO_STRATUM,
    add_prompts,
    mark_near_duplicates,
    pool_report,
)
from accord.collect.records import Rejected
from accord.collect.tasks import add_task
from accord.core.errors import DataError
from accord.core.types import Conversation, Demonstration, Prompt, Response, StopReason
from accord.store.database import Database
from accord.store.erasing import erase
from accord.store.log import size
from accord.store.registry import TEXT, add_response, publish_guideline
from accord.store.tables import prompts

LONG = "Please write a long and friendly letter to my neighbour about the noise of his new dog"


def ask(text: str, source: str = "", *, system: str | None = None) -> Prompt:
    return Prompt(conversation=Conversation.of(text, system=system), source=source)


def clusters(database: Database) -> dict[str, str | None]:
    with database.read() as connection:
        rows = connection.execute(sa.select(prompts.c.id, prompts.c.cluster))
        return {row.id: row.cluster for row in rows}


def campaign_with(database: Database, prompt: str) -> Campaign:
    """A campaign that asks about one prompt."""
    with database.write() as connection:
        publish_guideline(connection, "v1", "Prefer what is true.")
        made = open_campaign(connection, CampaignSettings(name="first", guideline="v1"))
        said = [
            add_response(
                connection, prompt, Response(prompt_id="", text=text, stop=StopReason.STOP)
            )
            for text in ("Yes.", "No.")
        ]
        add_task(connection, made, prompt=prompt, responses=said)
        return made


def test_prompts_come_in_once(database: Database) -> None:
    rows = [ask(f"Question {i}?", "book") for i in range(BATCH + 20)]
    first = add_prompts(database, rows, stratum="general")
    assert (first.rows, first.new, first.known, first.rejected) == (BATCH + 20, BATCH + 20, 0, [])
    with database.read() as connection:
        events = size(connection)
    again = add_prompts(database, [*rows, *rows[:5]], stratum="other")
    assert (again.rows, again.new, again.known) == (BATCH + 25, 0, BATCH + 25)
    assert again.ids == first.ids
    with database.read() as connection:
        assert size(connection) == events
        report = pool_report(connection)
    assert report.by_source == {"book": BATCH + 20}
    assert [(one.stratum, one.prompts) for one in report.strata] == [("general", BATCH + 20)]


def test_rows_that_are_no_prompts_are_listed(file_database: Database, tmp_path: Path) -> None:
    said = Demonstration(conversation=Conversation.of("Hi?").answered("Hello."))
    added = add_prompts(file_database, [ask("Why?"), said, Rejected(7, "is empty", "prompt")])
    assert (added.rows, added.new, len(added.ids)) == (3, 1, 1)
    assert [str(one) for one in added.rejected] == [
        "row 2: is a demonstration and no prompt",
        "row 7, prompt: is empty",
    ]
    path = tmp_path / "asked.jsonl"
    path.write_text('{"prompt": "How?"}\n{"prompt": ""}\n{"prompt": "Why?"}\n')
    added = add_prompts(file_database, read_rows(path), source="mine", by_source=True)
    assert (added.rows, added.new, added.known, len(added.rejected)) == (3, 1, 1, 1)
    with file_database.read() as connection:
        report = pool_report(connection)
    assert report.by_source == {"": 1, "mine": 1}
    assert {one.stratum for one in report.strata} == {NO_STRATUM, "mine"}


def test_personal_data_is_counted_and_kept(file_database: Database) -> None:
    rows = [ask("Why?"), ask("Mail ada@y.example or +1 415 555 0132", system="I am at 10.1.2.3")]
    added = add_prompts(file_database, rows)
    assert added.new == 2
    assert added.personal.counts == {
        PersonalKind.EMAIL: 1,
        PersonalKind.PHONE: 1,
        PersonalKind.IP: 1,
    }
    assert {one.row for one in added.personal.first} == {2}


def test_near_duplicates_share_the_cluster_of_the_first(database: Database) -> None:
    first = add_prompts(database, [ask(LONG), ask("Something else"), ask(LONG + " today")]).ids
    assert mark_near_duplicates(database) == 1
    before = clusters(database)
    assert before == {first[0]: first[0], first[1]: first[1], first[2]: first[0]}
    later = add_prompts(
        database,
        [ask(LONG.upper() + "!"), ask(LONG, system="Be brief."), ask("A third thing entirely")],
    ).ids
    assert mark_near_duplicates(database) == 2
    assert mark_near_duplicates(database) == 0
    after = clusters(database)
    assert {name: after[name] for name in before} == before
    assert [after[name] for name in later] == [first[0], first[0], later[2]]
    with database.read() as connection:
        report = pool_report(connection)
    assert (report.prompts, report.near_duplicates, report.same_words) == (6, 3, 2)
    assert report.not_compared == 0


def test_a_shared_system_message_makes_nothing_alike(file_database: Database) -> None:
    rows = [ask(f"{i} apples and pears?", system=LONG) for i in range(5)]
    add_prompts(file_database, rows)
    assert mark_near_duplicates(file_database) == 0


def test_the_report_counts_what_was_asked_and_what_is_wanted(database: Database) -> None:
    ids = add_prompts(database, [ask(f"{'word ' * i}end") for i in range(1, 9)], stratum="a").ids
    add_prompts(database, [ask("the other one"), ask("one more")], stratum="b")
    made = campaign_with(database, ids[0])
    with database.write() as connection:
        other = open_campaign(connection, CampaignSettings(name="other", guideline="v1"))
    with database.read() as connection:
        report = pool_report(connection, targets={"b": 0.5, "c": 0.1})
        assert pool_report(connection, campaign=made).asked == 1
        assert pool_report(connection, campaign=other).asked == 0
        for wrong in ({"a": -0.1}, {"a": 0.7, "b": 0.7}):
            with pytest.raises(DataError, match="target shares"):
                pool_report(connection, targets=wrong)
    assert (report.prompts, report.asked, report.not_asked) == (10, 1, 9)
    found = [(s.stratum, s.prompts, s.asked, s.share, s.target) for s in report.strata]
    assert found == [("a", 8, 1, 0.8, None), ("b", 2, 0, 0.2, 0.5), ("c", 0, 0, 0.0, 0.1)]
    assert report.lengths == {0.05: 2, 0.25: 3, 0.5: 4, 0.75: 7, 0.95: 9, 1.0: 9}
    assert report.not_compared == 10
    assert "language" in report.not_measured


def test_an_empty_pool_has_a_report(file_database: Database) -> None:
    with file_database.read() as connection:
        report = pool_report(connection, targets={"a": 1})
    assert (report.prompts, report.lengths, report.asked) == (0, {}, 0)
    assert [(s.stratum, s.share) for s in report.strata] == [("a", 0.0)]


def test_erased_prompts_count_apart(file_database: Database) -> None:
    ids = add_prompts(file_database, [ask("One."), ask("Two.")]).ids
    with file_database.read() as connection:
        seq = connection.execute(sa.select(prompts.c.seq).where(prompts.c.id == ids[0]))
        first = seq.scalar_one()
    erase(file_database, first, TEXT)
    assert mark_near_duplicates(file_database) == 0
    with file_database.read() as connection:
        report = pool_report(connection)
    assert (report.prompts, report.erased, report.not_compared) == (1, 1, 0)
