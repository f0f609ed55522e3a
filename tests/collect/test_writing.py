"""Writing and editing: whose turn it is, and a text that is there once whatever happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from accord.collect.answering import answer, correct
from accord.collect.assigning import next_task, release
from accord.collect.campaign import CampaignState, join, set_campaign_state
from accord.collect.sheet import Opinion
from accord.collect.tasks import TaskKind
from accord.collect.text_leases import count_texts_left, next_text
from accord.collect.writing import replace_text
from accord.core.errors import ConflictError, DataError
from accord.store.database import Database
from accord.store.erasing import erase, erase_rater
from accord.store.log import event_at, parts_of
from accord.store.registry import ABOUT, TEXT, register_rater, set_rater_state
from accord.store.tables import responses, tasks
from accord.store.verifying import verify_database
from tests.collect.asking import made, somebody
from tests.collect.texting import (
    ACCEPT,
    REJECT,
    SKIP,
    asked,
    review,
    reviewed,
    send,
    take,
    wrote,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def kinds(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        found = sa.select(tasks.c.kind, tasks.c.state).order_by(tasks.c.seq)
        return [(row.kind, row.state) for row in connection.execute(found)]


def test_a_text_is_one_event_with_all_it_says(database: Database) -> None:
    campaign = asked(database, write=0, edit=1)
    ada = somebody(database, campaign, "ada")
    lease = take(database, campaign, ada, now=NOW)
    assert (lease.kind, lease.text, lease.number) == (TaskKind.EDIT, "draft 0", 0)
    assert lease.prompt.messages[0].content == "better 0"
    done = send(
        database, campaign, lease, "a better one", key="k", opened=NOW, seconds=3.5, now=NOW
    )
    assert (done.new, done.late) == (True, False)
    with database.read() as connection:
        event = event_at(connection, done.seq)
        said = parts_of(connection, done.seq)
        row = connection.execute(sa.select(responses).where(responses.c.seq == done.seq)).one()
    assert (event.type, event.actor, event.key) == ("response.added", ada, "k")
    assert (event.guideline, event.ui) == ("v1", "test")
    assert said[TEXT] == "a better one"
    about = said[ABOUT]
    assert (about["task"], about["assignment"]) == (lease.task, lease.assignment)
    assert (about["seconds"], about["late"]) == (3.5, False)
    assert about["opened"] == "2026-01-01T00:00:00.000000Z"
    assert (row.rater, row.edits, row.policy) == (ada, about["edits"], None)
    assert kinds(database) == [("edit", "done"), ("review", "open")]
    again = send(
        database,
        campaign,
        lease,
        "a better one",
        key="k",
        opened=NOW,
        seconds=3.5,
        now=NOW + timedelta(days=1),
    )
    assert (again.seq, again.new, again.late) == (done.seq, False, False)
    with pytest.raises(ConflictError, match="another submission has this key"):
        send(database, campaign, lease, "yet another", key="k")
    with pytest.raises(ConflictError, match="answered before"):
        send(database, campaign, lease, "yet another")
    assert verify_database(database).ok


def test_the_texts_left_are_reviews_and_writing(database: Database) -> None:
    campaign = asked(database, write=2, edit=1)
    ada, bea = (somebody(database, campaign, name) for name in ("ada", "bea"))
    wrote(database, campaign, ada)
    with database.read() as connection:
        left = [count_texts_left(connection, campaign, rater) for rater in (ada, bea)]
    # Ada does not review her own; Bea may review it and write the others.
    assert left == [2, 3]
    take(database, campaign, bea)
    with database.read() as connection:
        assert count_texts_left(connection, campaign, bea) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (" \n", "at least one word"),
        ("draft 0\n", "still the one that is to be made better"),
        ("half \ud800", "no JSON value"),
    ],
)
def test_what_is_no_text_is_refused_and_nothing_lost(
    file_database: Database, text: str, words: str
) -> None:
    campaign = asked(file_database, write=0, edit=1)
    ada = somebody(file_database, campaign, "ada")
    lease = take(file_database, campaign, ada)
    with pytest.raises(DataError, match=words):
        send(file_database, campaign, lease, text)
    assert take(file_database, campaign, ada).assignment == lease.assignment
    assert send(file_database, campaign, lease, "better").new


def test_a_text_that_was_written_before_is_refused(file_database: Database) -> None:
    campaign = asked(file_database, write=1, overlap=2)
    ada, bea = (somebody(file_database, campaign, name) for name in ("ada", "bea"))
    theirs = take(file_database, campaign, bea)
    wrote(file_database, campaign, ada, "the same")
    with pytest.raises(DataError, match="written for this prompt before"):
        send(file_database, campaign, theirs, "the same ")
    assert send(file_database, campaign, theirs, "another").new


def test_nobody_reviews_their_own_or_for_a_task_they_wrote_for(database: Database) -> None:
    campaign = asked(database, write=1, overlap=2)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    wrote(database, campaign, ada)
    assert next_text(database, campaign, ada) is None
    # Reviews come first: bea is not asked to write while a text waits.
    lease = take(database, campaign, bea)
    assert lease.kind is TaskKind.REVIEW
    release(database, lease)
    mine = take(database, campaign, cyd)
    review(database, campaign, mine, ACCEPT)
    # Who has read what another wrote does not write for the same prompt.
    assert next_text(database, campaign, cyd) is None
    wrote(database, campaign, bea)
    assert next_text(database, campaign, ada) is None
    reviewed(database, campaign, cyd, ACCEPT)
    assert next_text(database, campaign, cyd) is None
    assert [state for _, state in kinds(database)] == ["done"] * 3


def test_a_rejected_text_is_asked_for_again_and_again_but_not_for_ever(database: Database) -> None:
    campaign = asked(database, write=1, most_skips=2)
    people = [somebody(database, campaign, name) for name in "abcd"]
    judge = somebody(database, campaign, "judge")
    authors = []
    for person in people[:3]:
        wrote(database, campaign, person)
        authors.append(person)
        reviewed(database, campaign, judge, REJECT)
        for before in authors:
            assert next_text(database, campaign, before) is None
    assert next_text(database, campaign, people[3]) is None
    writing = [one for one in kinds(database) if one[0] == "demonstrate"]
    assert writing == [("demonstrate", "done")] * 3


def test_more_than_half_of_the_reviews_accept(file_database: Database) -> None:
    campaign = asked(file_database, write=1, reviews=2)
    ada, bea, cyd, dan = (somebody(file_database, campaign, name) for name in "abcd")
    wrote(file_database, campaign, ada)
    first = reviewed(file_database, campaign, bea, ACCEPT)
    assert len(kinds(file_database)) == 2
    second = reviewed(file_database, campaign, cyd, REJECT)
    # One of two is not more than half.
    assert kinds(file_database)[-1] == ("demonstrate", "open")
    correct(file_database, campaign, second.seq, ACCEPT, key="thought again", ui="test")
    assert kinds(file_database)[-1] == ("demonstrate", "withdrawn")
    assert next_text(file_database, campaign, dan) is None
    correct(file_database, campaign, first.seq, REJECT, key="again", ui="test")
    assert kinds(file_database)[-2:] == [("demonstrate", "withdrawn"), ("demonstrate", "open")]
    assert take(file_database, campaign, dan).kind is TaskKind.WRITE


def test_a_late_text_is_kept_and_marked(database: Database) -> None:
    campaign = asked(database, write=1, lease_seconds=60)
    ada, bea = (somebody(database, campaign, name) for name in ("ada", "bea"))
    old = take(database, campaign, ada, now=NOW)
    later = NOW + timedelta(seconds=61)
    new = take(database, campaign, bea, now=later)
    assert new.task == old.task
    assert send(database, campaign, new, now=later).late is False
    assert send(database, campaign, old, now=later).late is True
    assert kinds(database) == [("demonstrate", "done"), ("review", "open"), ("review", "open")]


def test_a_text_under_an_old_token_is_refused(file_database: Database) -> None:
    campaign = asked(file_database, write=1, lease_seconds=60)
    ada = somebody(file_database, campaign, "ada")
    old = take(file_database, campaign, ada, now=NOW)
    new = take(file_database, campaign, ada, now=NOW + timedelta(seconds=61))
    with pytest.raises(ConflictError, match="opened again since"):
        send(file_database, campaign, old)
    release(file_database, new)
    with pytest.raises(ConflictError, match="given back"):
        send(file_database, campaign, new)


def test_an_author_replaces_a_text_until_somebody_reviews_it(database: Database) -> None:
    campaign = asked(database, write=1)
    ada, bea = (somebody(database, campaign, name) for name in ("ada", "bea"))
    first = wrote(database, campaign, ada, "first")
    for _ in range(2):
        second = replace_text(database, campaign, first.seq, "second", key="r", ui="test")
    with database.read() as connection:
        assert event_at(connection, second.seq).supersedes == first.seq
    assert kinds(database)[1:] == [("review", "withdrawn"), ("review", "open")]
    with pytest.raises(ConflictError, match="corrected before"):
        replace_text(database, campaign, first.seq, "third", key="s", ui="test")
    third = replace_text(database, campaign, second.seq, "first", key="t", ui="test")
    lease = take(database, campaign, bea)
    assert lease.text == "first"
    with pytest.raises(ConflictError, match="begun to review"):
        replace_text(database, campaign, third.seq, "fourth", key="u", ui="test")
    release(database, lease)
    replace_text(database, campaign, third.seq, "fourth", key="v", ui="test")
    with pytest.raises(ConflictError, match="given back"):
        review(database, campaign, lease, ACCEPT)
    assert take(database, campaign, bea).text == "fourth"
    assert verify_database(database).ok


def test_only_a_text_of_the_campaign_is_replaced(file_database: Database) -> None:
    campaign = asked(file_database, write=1)
    ada, bea = (somebody(file_database, campaign, name) for name in ("ada", "bea"))
    wrote(file_database, campaign, ada)
    said = reviewed(file_database, campaign, bea, ACCEPT)
    for seq in (1, said.seq):
        with pytest.raises(DataError, match="no text of this campaign"):
            replace_text(file_database, campaign, seq, "x", key="r", ui="test")


def test_skips_go_the_way_of_all_skips(database: Database) -> None:
    campaign = asked(database, write=1, most_skips=2)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    for person in (ada, bea):
        lease = take(database, campaign, person)
        done = answer(database, campaign, lease, SKIP, key=person, ui="test")
        assert next_text(database, campaign, person) is None
    assert kinds(database) == [("demonstrate", "withdrawn")]
    assert next_text(database, campaign, cyd) is None
    with pytest.raises(DataError, match="asks for a text"):
        correct(database, campaign, done.seq, ACCEPT, key="x", ui="test")


def test_a_task_of_writing_takes_no_opinion_and_a_review_no_text(file_database: Database) -> None:
    campaign = asked(file_database, write=0, edit=1)
    ada, bea = (somebody(file_database, campaign, name) for name in ("ada", "bea"))
    lease = take(file_database, campaign, ada)
    with pytest.raises(DataError, match="asks for a text"):
        answer(file_database, campaign, lease, ACCEPT, key="k", ui="test")
    send(file_database, campaign, lease)
    lease = take(file_database, campaign, bea)
    with pytest.raises(DataError, match="asks for no text"):
        send(file_database, campaign, lease)
    strong = Opinion(verdict=ACCEPT.verdict, tiers=(0,), strength=2)
    with pytest.raises(DataError, match="no strength"):
        answer(file_database, campaign, lease, strong, key="k", ui="test")


def test_a_campaign_asks_for_one_thing_of_people(file_database: Database) -> None:
    campaign = asked(file_database, write=1)
    other = made(file_database, tasks=1)
    ada = somebody(file_database, campaign, "ada")
    somebody(file_database, other, "ada")
    with pytest.raises(ConflictError, match="campaigns that ask for comparisons"):
        next_task(file_database, campaign, ada)
    with pytest.raises(ConflictError, match="campaigns that ask for demonstrations"):
        next_text(file_database, other, ada)
    with file_database.write() as connection:
        robot = register_rater(connection, kind="rule", key="robot")
    with pytest.raises(ConflictError, match="no member"):
        next_text(file_database, campaign, robot)
    with file_database.write() as connection:
        join(connection, campaign, robot)
    with pytest.raises(ConflictError, match="people alone"):
        next_text(file_database, campaign, robot)


def test_a_pause_keeps_what_is_handed_in(file_database: Database) -> None:
    campaign = asked(file_database, write=2)
    ada = somebody(file_database, campaign, "ada")
    lease = take(file_database, campaign, ada)
    with file_database.write() as connection:
        set_campaign_state(connection, campaign, CampaignState.PAUSED)
    assert send(file_database, campaign, lease).new
    with pytest.raises(ConflictError, match="hands out no tasks"):
        next_text(file_database, campaign, ada)


def test_erased_words_are_asked_of_nobody(file_database: Database) -> None:
    campaign = asked(file_database, write=0, edit=2)
    ada, bea = (somebody(file_database, campaign, name) for name in ("ada", "bea"))
    done = wrote(file_database, campaign, ada)
    erase(file_database, done.seq, TEXT)
    with file_database.read() as connection:
        drafts = sa.select(responses.c.seq).where(responses.c.rater.is_(None))
        seqs = connection.execute(drafts).scalars().all()
    for seq in seqs:
        erase(file_database, seq, TEXT)
    assert next_text(file_database, campaign, bea) is None


def test_who_was_erased_hands_nothing_in(file_database: Database) -> None:
    campaign = asked(file_database, write=1)
    ada = somebody(file_database, campaign, "ada")
    lease = take(file_database, campaign, ada)
    erase_rater(file_database, ada)
    with pytest.raises(DataError, match="not erased"):
        send(file_database, campaign, lease)


def test_who_is_in_quarantine_leaves_the_prompt_open(file_database: Database) -> None:
    campaign = asked(file_database, write=1)
    ada, bea, cyd = (somebody(file_database, campaign, name) for name in ("ada", "bea", "cyd"))
    wrote(file_database, campaign, ada)
    reviewed(file_database, campaign, bea, ACCEPT)
    assert next_text(file_database, campaign, cyd) is None
    with file_database.write() as connection:
        set_rater_state(connection, bea, "quarantined")
    # Nobody who is believed has reviewed it.
    lease = take(file_database, campaign, cyd)
    assert lease.kind is TaskKind.REVIEW
    with file_database.write() as connection:
        set_rater_state(connection, ada, "quarantined")
    review(file_database, campaign, lease, ACCEPT)
    # Its author is not believed either: somebody who has not read it writes one.
    assert next_text(file_database, campaign, cyd) is None
    dot = somebody(file_database, campaign, "dot")
    assert take(file_database, campaign, dot).kind is TaskKind.WRITE
