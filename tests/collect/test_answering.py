"""Answers are taken in once, under their lease, in canonical order, and never lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from accord.collect.answering import answer, correct, is_split
from accord.collect.assigning import Lease, next_task, release
from accord.collect.campaign import Campaign, CampaignSettings, open_campaign
from accord.collect.gold import is_right
from accord.collect.sheet import Opinion
from accord.core.errors import ConflictError, DataError
from accord.store.database import Database
from accord.store.erasing import erase
from accord.store.judgements import Verdict, current, history
from accord.store.registry import publish_guideline, response_text
from accord.store.tables import responses, tasks
from accord.store.verifying import verify_database
from tests.collect.asking import made, prefers, somebody

START = datetime(2026, 1, 1, tzinfo=UTC)


def opened(
    database: Database, *, now: datetime | None = None, k: int = 2, **settings: object
) -> tuple[Campaign, Lease]:
    campaign = made(database, tasks=1, k=k, **settings)
    lease = next_task(database, campaign, somebody(database, campaign, "a"), now=now)
    assert lease is not None
    return campaign, lease


def test_an_answer_is_kept_once_however_often_it_is_sent(database: Database) -> None:
    campaign, lease = opened(database)
    said = prefers(lease, 0)
    first = answer(database, campaign, lease, said, key="k", ui="test")
    for _ in range(2):
        again = answer(database, campaign, lease, said, key="k", ui="test")
        assert (again.seq, again.new) == (first.seq, False)
    with database.read() as connection:
        assert len(current(connection)) == 1
    assert verify_database(database).ok


def test_an_answer_sent_again_by_a_newer_program_is_the_same_one(database: Database) -> None:
    campaign, lease = opened(database)
    said = prefers(lease, 0)
    first = answer(database, campaign, lease, said, key="k", ui="terminal 0.1")
    again = answer(database, campaign, lease, said, key="k", ui="terminal 0.2")
    assert (again.seq, again.new) == (first.seq, False)
    with pytest.raises(ConflictError, match="another submission has this key"):
        answer(database, campaign, lease, prefers(lease, 1), key="k", ui="terminal 0.2")
    other = prefers(lease, 1)
    second = correct(database, campaign, first.seq, other, key="c", ui="terminal 0.1")
    again = correct(database, campaign, first.seq, other, key="c", ui="terminal 0.2")
    assert (again.seq, again.new) == (second.seq, False)
    with pytest.raises(ConflictError, match="another submission has this key"):
        correct(database, campaign, first.seq, said, key="c", ui="terminal 0.2")
    with database.read() as connection:
        assert [row.ui for row in current(connection)] == ["terminal 0.1"]
    assert verify_database(database).ok


def test_a_late_answer_sent_again_is_the_same_one(file_database: Database) -> None:
    campaign, lease = opened(file_database, now=START, lease_seconds=60)
    said, after = prefers(lease, 0), START + timedelta(seconds=61)
    first = answer(file_database, campaign, lease, said, key="k", ui="test", now=after)
    again = answer(file_database, campaign, lease, said, key="k", ui="test", now=START)
    assert (first.late, again.late, again.new, again.seq) == (True, True, False, first.seq)


def test_an_answer_in_time_sent_again_late_is_in_time(file_database: Database) -> None:
    campaign, lease = opened(file_database, now=START, lease_seconds=60)
    said = prefers(lease, 0)
    first = answer(file_database, campaign, lease, said, key="k", ui="test", now=START)
    later = START + timedelta(days=1)
    again = answer(file_database, campaign, lease, said, key="k", ui="test", now=later)
    assert (first.late, again.late, again.seq) == (False, False, first.seq)


def test_the_order_of_the_screen_becomes_the_canonical_one(file_database: Database) -> None:
    campaign = made(file_database, tasks=12, k=3, overlap=1)
    rater = somebody(file_database, campaign, "a")
    orders = set()
    while (lease := next_task(file_database, campaign, rater)) is not None:
        tiers = tuple(int(text[-1]) for text in lease.sheet.responses)
        worst = tiers.index(2)
        said = Opinion.ranked(
            tiers,
            ratings={"helpfulness": tuple(5 - tier for tier in tiers)},
            flags=((worst, "rude"), (None, "odd")),
        )
        answer(file_database, campaign, lease, said, key=lease.assignment, ui="test")
        orders.add(lease.shown)
    assert len(orders) > 2
    with file_database.read() as connection:
        for row in current(connection):
            texts = [response_text(connection, one) for one in row.responses]
            assert row.tiers == [int(text[-1]) for text in texts]
            assert row.ratings["helpfulness"] == [5 - tier for tier in row.tiers]
            assert row.flags == [[row.tiers.index(2), "rude"], [None, "odd"]]
            assert row.guideline == "v1"


def test_an_old_token_is_refused_and_the_new_one_taken(file_database: Database) -> None:
    campaign, old = opened(file_database, now=START, lease_seconds=60)
    new = next_task(file_database, campaign, old.rater, now=START + timedelta(seconds=60))
    assert new is not None
    assert new.fence > old.fence
    with pytest.raises(ConflictError, match="opened again since"):
        answer(file_database, campaign, old, prefers(old, 0), key="old", ui="test")
    assert new.shown == old.shown
    assert answer(file_database, campaign, new, prefers(new, 0), key="new", ui="test").new


def test_a_late_answer_is_kept_beside_the_one_that_took_its_place(database: Database) -> None:
    campaign, slow = opened(database, now=START, lease_seconds=60, overlap=1)
    over = START + timedelta(seconds=60)
    quick = next_task(database, campaign, somebody(database, campaign, "b"), now=over)
    assert quick is not None
    answer(database, campaign, quick, prefers(quick, 0), key="quick", ui="test", now=over)
    late = answer(database, campaign, slow, prefers(slow, 1), key="slow", ui="test", now=over)
    assert late.late
    with database.read() as connection:
        assert sorted(row.late for row in current(connection)) == [False, True]


def test_a_late_answer_in_nobodys_place_finishes_the_task(file_database: Database) -> None:
    campaign, lease = opened(file_database, now=START, lease_seconds=60, overlap=1)
    over = START + timedelta(days=2)
    answer(file_database, campaign, lease, prefers(lease, 0), key="k", ui="test", now=over)
    with file_database.read() as connection:
        assert connection.execute(sa.select(tasks.c.state)).scalar_one() == "done"


def test_a_second_answer_under_another_key_is_refused(file_database: Database) -> None:
    campaign, lease = opened(file_database)
    answer(file_database, campaign, lease, prefers(lease, 0), key="k", ui="test")
    with pytest.raises(ConflictError, match="answered before"):
        answer(file_database, campaign, lease, prefers(lease, 0), key="other", ui="test")
    with pytest.raises(ConflictError, match="another submission has this key"):
        answer(file_database, campaign, lease, prefers(lease, 1), key="k", ui="test")


def test_a_task_given_back_takes_no_answer(file_database: Database) -> None:
    campaign, lease = opened(file_database)
    release(file_database, lease)
    with pytest.raises(ConflictError, match="given back"):
        answer(file_database, campaign, lease, prefers(lease, 0), key="k", ui="test")


def test_a_correction_supersedes_and_is_idempotent(database: Database) -> None:
    campaign, lease = opened(database)
    first = answer(database, campaign, lease, prefers(lease, 0), key="k", ui="test")
    for _ in range(2):
        second = correct(database, campaign, first.seq, prefers(lease, 1), key="k2", ui="test")
    with database.read() as connection:
        (row,) = current(connection)
        assert [one.seq for one in history(connection, row.judgement)] == [first.seq, second.seq]
    with pytest.raises(ConflictError, match="corrected before"):
        correct(database, campaign, first.seq, prefers(lease, 0), key="k3", ui="test")
    assert verify_database(database).ok


def test_an_answer_belongs_to_the_campaign_that_asked(file_database: Database) -> None:
    """Or it would be kept under guidelines that the rater never saw."""
    campaign, lease = opened(file_database)
    with file_database.write() as connection:
        publish_guideline(connection, "v2", "Prefer the short answer.")
        settings = CampaignSettings(name="other", guideline="v2")
        other = open_campaign(connection, settings)
    said = prefers(lease, 0)
    with pytest.raises(DataError, match="no such assignment"):
        answer(file_database, other, lease, said, key="k", ui="test")
    seq = answer(file_database, campaign, lease, said, key="k", ui="test").seq
    with pytest.raises(DataError, match="no judgement of a task"):
        correct(file_database, other, seq, prefers(lease, 1), key="k2", ui="test")


def test_an_answer_is_kept_where_its_words_were_erased_meanwhile(file_database: Database) -> None:
    campaign = made(file_database, tasks=1, overlap=2)
    people = [somebody(file_database, campaign, name) for name in "ab"]
    leases = [next_task(file_database, campaign, rater) for rater in people]
    with file_database.read() as connection:
        seq = connection.execute(sa.select(responses.c.seq).limit(1)).scalar_one()
    erase(file_database, seq, "text")
    for choice, lease in enumerate(leases):
        assert lease is not None
        said = prefers(lease, choice)
        assert answer(file_database, campaign, lease, said, key=str(choice), ui="test").new
    with file_database.read() as connection:
        assert len(current(connection)) == 2
        # They are split, and no lead could read what it is about.
        assert connection.execute(sa.select(tasks.c.purpose)).scalars().all() == ["work"]


def test_a_correction_to_a_skip_frees_the_task(file_database: Database) -> None:
    campaign, lease = opened(file_database, overlap=1)
    first = answer(file_database, campaign, lease, prefers(lease, 0), key="k", ui="test")
    skip = Opinion.skipped("wrong language")
    correct(file_database, campaign, first.seq, skip, key="k2", ui="test")
    other = next_task(file_database, campaign, somebody(file_database, campaign, "b"))
    assert other is not None
    assert other.task == lease.task


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Opinion.ranked((0, 1, 2)), "names every response"),
        (Opinion.ranked((0, 2)), "without gaps"),
        (Opinion.ranked((0, 1), strength=5), "strength"),
        (Opinion.ranked((0, 1), ratings={"wit": (1, 2)}), "no such criterion"),
        (Opinion.ranked((0, 1), ratings={"safety": (1,)}), "one rating a response"),
        (Opinion.ranked((0, 1), ratings={"safety": (0, 6)}), "from 1 to 5"),
        (Opinion.ranked((0, 1), flags=((2, "rude"),)), "not shown"),
        (Opinion.ranked((0, 1), seconds=float("nan")), "seconds"),
        (Opinion(verdict=Verdict.SKIP), "reason"),
    ],
)
def test_an_opinion_that_does_not_fit_changes_nothing(
    file_database: Database, said: Opinion, words: str
) -> None:
    campaign, lease = opened(file_database)
    with pytest.raises(DataError, match=words):
        answer(file_database, campaign, lease, said, key="k", ui="test")
    with file_database.read() as connection:
        assert current(connection) == []
    assert answer(file_database, campaign, lease, prefers(lease, 0), key="k", ui="test").new


def test_a_tie_all_bad_and_a_skip_stay_apart(file_database: Database) -> None:
    campaign = made(file_database, tasks=1, overlap=3)
    said = (Opinion.ranked((0, 0)), Opinion(verdict=Verdict.ALL_BAD), Opinion.skipped("odd"))
    for name, opinion in zip("abc", said, strict=True):
        lease = next_task(file_database, campaign, somebody(file_database, campaign, name))
        assert lease is not None
        answer(file_database, campaign, lease, opinion, key=lease.assignment, ui="test")
    with file_database.read() as connection:
        assert [row.verdict for row in current(connection)] == ["tie", "all_bad", "skip"]


@pytest.mark.parametrize(
    ("answers", "split"),
    [("AB", True), ("AAB", False), ("ABC", True), ("AABB", True), ("A", False), ("", True)],
)
def test_a_split_is_where_nothing_has_more_than_half(answers: str, *, split: bool) -> None:
    assert is_split(list(answers)) is split


@pytest.mark.parametrize(
    ("tiers", "gold", "right"),
    [
        ((0, 1), (0, 1), True),
        ((1, 0), (0, 1), False),
        ((0, 0), (0, 1), False),
        ((0, 1), (0, 0), False),
        ((0, 0), (0, 0), True),
        ((0, 2, 1), (0, 1, 1), True),
        ((1, 2, 0), (0, 1, 1), False),
        (None, (0, 1), False),
    ],
)
def test_gold_is_right_where_every_pair_is(
    tiers: tuple[int, ...] | None, gold: tuple[int, ...], *, right: bool
) -> None:
    assert is_right(tiers, gold) is right
