"""A campaign in figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from accord.collect.answering import answer, correct
from accord.collect.assigning import next_task
from accord.collect.orders import request
from accord.collect.pool import add_prompts
from accord.collect.sheet import Opinion
from accord.collect.standing import standing
from accord.collect.tasks import Purpose
from accord.collect.trust import quarantine
from accord.core.types import Conversation, Prompt, SamplingSettings
from accord.store.database import Database
from accord.store.erasing import erase, erase_rater
from tests.collect.asking import ask, made, prefers, somebody


def test_an_empty_campaign_stands_at_nothing(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    with file_database.read() as connection:
        found = standing(connection, campaign)
    assert (found.tasks, found.wanted, found.judgements, found.late) == ({}, 0, {}, 0)
    assert (found.raters, found.leases, found.jobs) == ({}, 0, ())


def test_everything_is_counted_once(database: Database) -> None:
    campaign = made(database, tasks=3, overlap=1)
    ask(database, campaign, "known", purpose=Purpose.GOLD, gold=(0, 1))
    ada, grace = somebody(database, campaign, "Ada"), somebody(database, campaign, "Grace")
    past = datetime.now(UTC) - timedelta(days=1)
    first = next_task(database, campaign, ada, now=past)
    assert first is not None
    late = answer(database, campaign, first, prefers(first, 0), key="a", ui="test")
    assert late.late
    correct(database, campaign, late.seq, prefers(first, 1), key="b", ui="test")
    second = next_task(database, campaign, ada)
    assert second is not None
    answer(database, campaign, second, Opinion.skipped("unclear"), key="c", ui="test")
    assert next_task(database, campaign, grace) is not None
    ids = add_prompts(database, [Prompt(conversation=Conversation.of("More?"))]).ids
    with database.write() as connection:
        job = request(connection, campaign, ids, ["sft-1"], samples=2, settings=SamplingSettings())
    with database.read() as connection:
        found = standing(connection, campaign)
        later = standing(connection, campaign, now=datetime.now(UTC) + timedelta(days=1))
    assert sum(found.tasks["work"].values()) == 3
    assert found.tasks["gold"] == {"open": 1}
    assert found.wanted == 3
    assert (found.judgements, found.late) == ({"ranking": 1, "skip": 1}, 1)
    assert found.raters == {"active": 2}
    assert (found.leases, later.leases) == (1, 0)
    assert [one.id for one in found.jobs] == [job]


def test_what_counts_nowhere_is_told_apart(database: Database) -> None:
    """Four answers: one of somebody in quarantine, one erased, one taken back by an erasure of its
    rater's verdicts, one that counts."""
    campaign = made(database, tasks=4, overlap=1)
    people = [somebody(database, campaign, name) for name in ("Ada", "Bea", "Cyd", "Dot")]
    seqs = []
    for rater in people:
        lease = next_task(database, campaign, rater)
        assert lease is not None
        said = answer(database, campaign, lease, prefers(lease, 0), key=rater, ui="test")
        seqs.append(said.seq)
    with database.write() as connection:
        quarantine(connection, people[0], why="a test")
    erase(database, seqs[1], "verdict")
    erase_rater(database, people[2], verdicts=True)
    with database.read() as connection:
        found = standing(connection, campaign)
    assert (found.answered, found.unused, found.leads) == ({"human": 4}, 3, 0)
    assert found.raters == {"active": 2, "erased": 1, "quarantined": 1}
