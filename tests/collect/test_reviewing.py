"""What reviews of a text come to."""

from __future__ import annotations

import pytest

from accord.collect.reviewing import Decision, decided
from accord.collect.text_standing import text_standing
from accord.collect.writing import replace_text
from accord.store.database import Database
from accord.store.erasing import erase
from accord.store.registry import set_rater_state
from tests.collect.asking import somebody
from tests.collect.texting import ACCEPT, REJECT, asked, reviewed, wrote


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
