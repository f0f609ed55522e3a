"""What reviews of a text come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.collect.campaign import Campaign
from accord.collect.reviewing import Decision, decided, texts
from accord.collect.text_frozen import text_origins
from accord.collect.text_leases import next_text
from accord.collect.text_standing import TextStanding, text_standing
from accord.collect.trust import quarantine
from accord.collect.writing import replace_text
from accord.store.database import Database
from accord.store.erasing import erase, erase_rater
from accord.store.registry import TEXT, set_rater_state
from accord.store.tables import prompts
from tests.collect.asking import somebody
from tests.collect.texting import (
    ACCEPT,
    REJECT,
    asked,
    frozen_texts,
    review,
    reviewed,
    rows,
    send,
    take,
    wrote,
)


@pytest.mark.parametrize(
    ("accepts", "rejects", "wanted", "decision"),
    [
        (0, 0, 0, Decision.ACCEPTED),
        (0, 0, 1, Decision.WAITING),
        (1, 0, 1, Decision.ACCEPTED),
        (0, 1, 1, Decision.REJECTED),
        (1, 0, 2, Decision.WAITING),
        (1, 1, 2, Decision.REJECTED),
        (2, 1, 3, Decision.ACCEPTED),
        (1, 1, 1, Decision.REJECTED),  # the second one came late
        (2, 1, 2, Decision.ACCEPTED),
    ],
)
def test_more_than_half_accept(accepts: int, rejects: int, wanted: int, decision: Decision) -> None:
    assert decided(accepts, rejects, wanted) is decision


def test_every_text_stands_somewhere(database: Database) -> None:
    campaign = asked(database, write=6, most_skips=1)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    wrote(database, campaign, ada)
    reviewed(database, campaign, bea, ACCEPT)
    wrote(database, campaign, ada)
    reviewed(database, campaign, bea, REJECT)
    first = wrote(database, campaign, ada)
    replace_text(database, campaign, first.seq, "another", key="r", ui="test")
    with database.read() as connection:
        now = text_standing(connection, campaign)
    assert (now.written, now.accepted, now.rejected, now.waiting, now.unused) == (3, 1, 1, 1, 0)
    # Three prompts that nobody has answered, and the one that is asked again.
    assert (now.to_write, now.given_up) == (4, 0)
    (author,) = now.authors
    assert (author.rater, author.written, author.accepted, author.rejected) == (ada, 3, 1, 1)

    reviewed(database, campaign, bea, ACCEPT)
    for _ in range(4):  # one of them is what was asked again
        done = wrote(database, campaign, cyd)
        reviewed(database, campaign, bea, REJECT)
    erase(database, done.seq, "text")
    with database.write() as connection:
        set_rater_state(connection, ada, "quarantined")
    with database.read() as connection:
        now = text_standing(connection, campaign)
    assert (now.written, now.accepted, now.rejected, now.waiting, now.unused) == (7, 0, 3, 0, 4)
    assert now.given_up >= 1
    assert [one.quarantined for one in now.authors] == [False, True]


def test_without_reviews_what_is_written_is_accepted(file_database: Database) -> None:
    campaign = asked(file_database, write=2, reviews=0)
    ada = somebody(file_database, campaign, "ada")
    first = wrote(file_database, campaign, ada)
    replace_text(file_database, campaign, first.seq, "another", key="r", ui="test")
    with file_database.read() as connection:
        now = text_standing(connection, campaign)
    assert (now.written, now.accepted, now.to_write) == (1, 1, 1)
    with file_database.write() as connection:
        set_rater_state(connection, ada, "quarantined")
    with file_database.read() as connection:
        now = text_standing(connection, campaign)
    assert (now.written, now.accepted, now.unused) == (1, 0, 1)


def held(database: Database, rater: str) -> None:
    with database.write() as connection:
        quarantine(connection, rater, why="guesses")


def figures(database: Database, campaign: Campaign) -> TextStanding:
    with database.read() as connection:
        return text_standing(connection, campaign)


def test_quarantine_of_a_reviewer_outlasts_their_name(database: Database, tmp_path: Path) -> None:
    campaign = asked(database, write=1)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    wrote(database, campaign, ada)
    reviewed(database, campaign, bea, ACCEPT)
    held(database, bea)
    erase_rater(database, bea, words=False)
    assert figures(database, campaign).waiting == 1
    reviewed(database, campaign, cyd, ACCEPT)
    assert len(rows(frozen_texts(database, campaign, tmp_path))) == 1


def test_quarantine_of_an_author_outlasts_their_name(database: Database) -> None:
    campaign = asked(database, write=1)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    wrote(database, campaign, ada)
    reviewed(database, campaign, bea, ACCEPT)
    held(database, ada)
    erase_rater(database, ada, words=False)
    now = figures(database, campaign)
    assert (now.accepted, now.unused, now.authors[0].quarantined) == (0, 1, True)
    wrote(database, campaign, cyd)


def test_one_person_counts_once_in_a_text(database: Database, tmp_path: Path) -> None:
    """Bea's time ran out, she was asked again in another task, and both her reviews came."""
    campaign = asked(database, write=1)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    wrote(database, campaign, ada)
    first, later = take(database, campaign, bea), datetime.now(UTC) + timedelta(hours=2)
    review(database, campaign, take(database, campaign, cyd, now=later), ACCEPT, now=later)
    held(database, cyd)
    second = take(database, campaign, bea, now=later)
    assert second.task != first.task
    review(database, campaign, second, REJECT, now=later)
    review(database, campaign, first, ACCEPT, now=later)
    with database.read() as connection:
        (text,) = texts(connection, campaign)
    assert (text.accepts, text.rejects, text.decision) == (1, 0, Decision.ACCEPTED)
    made = frozen_texts(database, campaign, tmp_path)
    assert made.counts["reviews"] == 1


def test_without_reviews_erased_and_untrusted_texts_are_unused(database: Database) -> None:
    campaign = asked(database, write=3, reviews=0)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    erase(database, wrote(database, campaign, ada).seq, TEXT)
    wrote(database, campaign, ada)
    wrote(database, campaign, bea)
    now = figures(database, campaign)
    assert (now.written, now.accepted, now.unused) == (3, 2, 1)
    held(database, bea)
    now = figures(database, campaign)
    assert (now.written, now.accepted, now.unused) == (3, 1, 2)
    wrote(database, campaign, cyd)  # what quarantine leaves open is asked again
    assert next_text(database, campaign, cyd) is None


def test_what_was_erased_is_not_still_to_write(database: Database) -> None:
    campaign = asked(database, write=2)
    with database.read() as connection:
        seq = connection.execute(sa.select(sa.func.min(prompts.c.seq))).scalar_one()
    erase(database, seq, TEXT)
    assert figures(database, campaign).to_write == 1


def test_a_review_of_somebody_who_then_wrote_for_the_same_prompt_counts_no_more(
    database: Database, tmp_path: Path
) -> None:
    campaign = asked(database, write=1)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    old = take(database, campaign, ada)
    later = datetime.now(UTC) + timedelta(hours=2)
    rival = send(database, campaign, take(database, campaign, bea, now=later), now=later)
    review(database, campaign, take(database, campaign, ada, now=later), REJECT, now=later)
    with database.read() as connection:
        assert text_standing(connection, campaign).rejected == 1
    assert send(database, campaign, old, now=later).late
    with database.read() as connection:
        now = text_standing(connection, campaign)
    assert (now.written, now.rejected, now.waiting) == (2, 0, 2)
    for _ in range(2):  # her text, and what her review left open
        lease = take(database, campaign, cyd)
        review(database, campaign, lease, ACCEPT)
    done = frozen_texts(database, campaign, tmp_path)
    assert done.manifest.rows == 2
    texts = {origin.seq for origin in text_origins(done.folder)}
    assert rival.seq in texts
