"""Who gets which task: overlap, leases, fencing, blind order, gold, repeats, adjudication."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from accord.collect.answering import answer, correct
from accord.collect.assigning import Lease, count_left, lease_of, newest_answer, next_task, release
from accord.collect.campaign import (
    Campaign,
    CampaignState,
    Membership,
    join,
    membership_of,
    set_campaign_state,
    set_membership,
)
from accord.collect.sheet import Opinion
from accord.collect.tasks import Purpose
from accord.core.errors import ConflictError
from accord.store.database import Database
from accord.store.erasing import erase
from accord.store.registry import register_rater, set_rater_state
from accord.store.tables import assignments, prompts, responses, task_responses, tasks
from tests.collect.asking import ask, made, prefers, somebody


def taken(database: Database, campaign: Campaign, rater: str, **more: object) -> Lease:
    lease = next_task(database, campaign, rater, **more)  # type: ignore[arg-type]
    assert lease is not None
    return lease


def work_off(database: Database, campaign: Campaign, rater: str, most: int = 1000) -> list[Lease]:
    """Answer until there is nothing more; the leases that were had."""
    had: list[Lease] = []
    while len(had) < most and (lease := next_task(database, campaign, rater)) is not None:
        answer(database, campaign, lease, prefers(lease, 0), key=lease.assignment, ui="test")
        had.append(lease)
    return had


def test_every_task_is_asked_as_often_as_its_overlap(database: Database) -> None:
    campaign = made(database, tasks=5, overlap=2)
    had = [
        lease.task
        for name in "abc"
        for lease in work_off(database, campaign, somebody(database, campaign, name))
    ]
    assert sorted(Counter(had).values()) == [2] * 5
    with database.read() as connection:
        assert set(connection.execute(sa.select(tasks.c.state)).scalars()) == {"done"}


def test_the_tasks_left_are_those_that_a_rater_gets(database: Database) -> None:
    campaign = made(database, tasks=6, overlap=2)
    ada, bea, cyd = (somebody(database, campaign, name) for name in ("ada", "bea", "cyd"))
    work_off(database, campaign, ada, most=4)
    work_off(database, campaign, bea, most=3)
    taken(database, campaign, cyd)
    with database.read() as connection:
        left = [count_left(connection, campaign, rater) for rater in (ada, bea, cyd)]
        rows = connection.execute(sa.select(assignments.c.task, assignments.c.rater)).all()
        every = list(connection.execute(sa.select(tasks.c.id)).scalars())
    places = Counter(row.task for row in rows)
    for rater, count in zip((ada, bea, cyd), left, strict=True):
        had = {row.task for row in rows if row.rater == rater}
        assert count == sum(places[task] < 2 and task not in had for task in every)
    # Cyd has one of them open.
    assert left[2] + 1 == len(work_off(database, campaign, cyd))
    with database.read() as connection:
        assert count_left(connection, campaign, cyd) == 0


def test_the_newest_answer_is_the_last_that_stands(database: Database) -> None:
    campaign = made(database, tasks=2)
    ada, bea = (somebody(database, campaign, name) for name in ("ada", "bea"))
    with database.read() as connection:
        assert newest_answer(connection, campaign, ada) is None
    had = work_off(database, campaign, ada)
    with database.read() as connection:
        found = newest_answer(connection, campaign, ada)
        assert newest_answer(connection, campaign, bea) is None
    assert found is not None
    assert found.assignment == had[1].assignment
    skip = Opinion.skipped("unreadable")
    done = correct(database, campaign, found.seq, skip, key="again", ui="test")
    with database.read() as connection:
        newest = newest_answer(connection, campaign, ada)
    assert newest is not None
    assert (newest.seq, newest.verdict) == (done.seq, "skip")
    ask(database, campaign, "easy", purpose=Purpose.LESSON, gold=[0, 1])
    work_off(database, campaign, ada)
    with database.read() as connection:
        assert newest_answer(connection, campaign, ada) == newest


def test_a_rater_never_gets_a_task_twice(file_database: Database) -> None:
    campaign = made(file_database, tasks=6, overlap=3)
    had = work_off(file_database, campaign, somebody(file_database, campaign, "a"))
    assert len({lease.task for lease in had}) == 6


def test_a_page_that_is_reloaded_gets_its_task_again(file_database: Database) -> None:
    campaign = made(file_database)
    rater = somebody(file_database, campaign, "a")
    first, again = (taken(file_database, campaign, rater) for _ in range(2))
    assert (again.assignment, again.fence, again.shown) == (
        first.assignment,
        first.fence,
        first.shown,
    )
    ahead = taken(file_database, campaign, rater, holding=[first.assignment])
    assert ahead.task != first.task


def test_a_lease_that_ran_out_goes_to_somebody_else(database: Database) -> None:
    campaign = made(database, tasks=1, overlap=1, lease_seconds=60)
    slow, quick = (somebody(database, campaign, name) for name in ("slow", "quick"))
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first = taken(database, campaign, slow, now=start)
    assert next_task(database, campaign, quick, now=start + timedelta(seconds=59)) is None
    second = taken(database, campaign, quick, now=start + timedelta(seconds=60))
    assert (second.task, second.fence) == (first.task, first.fence + 1)


def test_a_task_given_back_is_free(file_database: Database) -> None:
    campaign = made(file_database, tasks=1, overlap=1)
    one, other = (somebody(file_database, campaign, name) for name in "ab")
    lease = taken(file_database, campaign, one)
    assert next_task(file_database, campaign, other) is None
    release(file_database, lease)
    assert taken(file_database, campaign, other).task == lease.task
    release(file_database, lease)  # no longer held: left alone
    assert taken(file_database, campaign, other).task == lease.task


def test_many_who_ask_at_once_never_pass_the_overlap(database: Database) -> None:
    campaign = made(database, tasks=3, overlap=2)
    people = [somebody(database, campaign, str(n)) for n in range(12)]
    with ThreadPoolExecutor(12) as pool:
        got = list(pool.map(lambda rater: next_task(database, campaign, rater), people))
    counts = Counter(lease.task for lease in got if lease is not None)
    assert sorted(counts.values()) == [2, 2, 2]


def test_what_is_shown_is_blind_and_in_random_order(file_database: Database) -> None:
    campaign = made(file_database, tasks=40, overlap=1)
    had = work_off(file_database, campaign, somebody(file_database, campaign, "a"))
    swapped = sum(lease.shown == (1, 0) for lease in had)
    assert 8 <= swapped <= 32
    shown = str(had[0].sheet)
    with file_database.read() as connection:
        ids = connection.execute(sa.select(responses.c.id)).scalars().all()
        again = lease_of(connection, campaign, had[0].assignment)
    assert not any(one in shown for one in ids)
    assert again.sheet.responses == had[0].sheet.responses


def test_gold_comes_at_its_share_and_once_a_rater(file_database: Database) -> None:
    campaign = made(file_database, tasks=60, overlap=1, gold_share=0.3)
    gold = {
        ask(file_database, campaign, f"known {n}", purpose=Purpose.GOLD, gold=(0, 1))
        for n in range(20)
    }
    had = work_off(file_database, campaign, somebody(file_database, campaign, "a"))
    seen = [lease.task for lease in had if lease.task in gold]
    assert len(set(seen)) == len(seen)
    assert 4 <= len(seen) <= 20
    assert len(had) - len(seen) == 60


def test_a_repeat_shows_an_old_task_in_swapped_order(file_database: Database) -> None:
    campaign = made(file_database, tasks=40, overlap=1, repeat_share=0.4, repeat_after=3)
    rater = somebody(file_database, campaign, "a")
    had = work_off(file_database, campaign, rater)
    place = {lease.task: number for number, lease in enumerate(had)}
    by_task = {lease.task: lease for lease in had}
    with file_database.read() as connection:
        rows = connection.execute(
            sa.select(tasks.c.id, tasks.c.repeats).where(tasks.c.purpose == Purpose.REPEAT)
        ).all()
    assert 6 <= len(rows) <= 40
    assert len({row.repeats for row in rows}) == len(rows)
    for row in rows:
        again, first = by_task[row.id], by_task[row.repeats]
        assert again.sheet.responses == first.sheet.responses[::-1]
        assert place[row.id] - place[row.repeats] > 3


def test_a_trial_asks_its_tasks_alone_and_decides(database: Database) -> None:
    campaign = made(database, tasks=2, overlap=3, qualification_pass=0.75)
    known = {
        ask(database, campaign, f"trial {n}", purpose=Purpose.QUALIFICATION, gold=(0, 1))
        for n in range(4)
    }
    good, bad = (somebody(database, campaign, name) for name in ("good", "bad"))
    for rater, wrong in ((good, 1), (bad, 2)):
        for number in range(4):
            lease = taken(database, campaign, rater)
            assert lease.task in known
            said = prefers(lease, 1 if number < wrong else 0)
            answer(database, campaign, lease, said, key=lease.assignment, ui="test")
    with database.read() as connection:
        assert membership_of(connection, campaign, good) is Membership.ACTIVE
        assert membership_of(connection, campaign, bad) is Membership.FAILED
    assert taken(database, campaign, good).task not in known
    with pytest.raises(ConflictError, match="gets no tasks"):
        next_task(database, campaign, bad)


def test_nobody_passes_a_trial_by_skipping_it(database: Database) -> None:
    campaign = made(database, tasks=1, overlap=9, most_skips=2)
    known = {
        ask(database, campaign, f"trial {n}", purpose=Purpose.QUALIFICATION, gold=(0, 1))
        for n in range(2)
    }
    for name in "abc":
        rater = somebody(database, campaign, name)
        for _ in known:
            lease = taken(database, campaign, rater)
            assert lease.task in known
            said = Opinion.skipped("other")
            answer(database, campaign, lease, said, key=lease.assignment, ui="test")
        with database.read() as connection:
            assert membership_of(connection, campaign, rater) is Membership.FAILED


@pytest.mark.parametrize("right", [True, False])
def test_a_trial_is_decided_where_its_last_task_was_erased(
    database: Database, *, right: bool
) -> None:
    campaign = made(database, tasks=1)
    known = {
        ask(database, campaign, f"trial {n}", purpose=Purpose.QUALIFICATION, gold=(0, 1))
        for n in range(2)
    }
    rater = somebody(database, campaign, "a")
    lease = taken(database, campaign, rater)
    answer(database, campaign, lease, prefers(lease, 0 if right else 1), key="k", ui="test")
    (left,) = known - {lease.task}
    with database.read() as connection:
        seq = connection.execute(
            sa.select(prompts.c.seq).join(tasks).where(tasks.c.id == left)
        ).scalar_one()
    erase(database, seq, "text")
    after = next_task(database, campaign, rater)
    assert (after is not None) == right
    with database.read() as connection:
        stand = membership_of(connection, campaign, rater)
    assert stand is (Membership.ACTIVE if right else Membership.FAILED)


def test_a_split_goes_to_a_lead_who_had_no_part_in_it(database: Database) -> None:
    campaign = made(database, tasks=1, overlap=2)
    one, other = (somebody(database, campaign, name) for name in "ab")
    part, free = (somebody(database, campaign, name, role="lead") for name in ("part", "free"))
    del other
    for rater, choice in ((one, 0), (part, 1)):
        lease = taken(database, campaign, rater)
        answer(database, campaign, lease, prefers(lease, choice), key=lease.assignment, ui="test")
    assert next_task(database, campaign, one) is None
    assert next_task(database, campaign, part) is None
    decided = taken(database, campaign, free)
    with database.read() as connection:
        row = connection.execute(sa.select(tasks).where(tasks.c.id == decided.task)).one()
    assert (row.purpose, row.repeats) == (Purpose.ADJUDICATION, lease.task)


def test_agreement_asks_no_lead(file_database: Database) -> None:
    campaign = made(file_database, tasks=1, overlap=2)
    for name in "ab":
        work_off(file_database, campaign, somebody(file_database, campaign, name))
    lead = somebody(file_database, campaign, "lead", role="lead")
    assert next_task(file_database, campaign, lead) is None


def test_skips_free_a_task_until_it_is_withdrawn(file_database: Database) -> None:
    campaign = made(file_database, tasks=1, overlap=1, most_skips=2)
    states = []
    for name in "abc":
        rater = somebody(file_database, campaign, name)
        lease = next_task(file_database, campaign, rater)
        if lease is not None:
            said = Opinion.skipped("unreadable")
            answer(file_database, campaign, lease, said, key=lease.assignment, ui="test")
        with file_database.read() as connection:
            states.append(connection.execute(sa.select(tasks.c.state)).scalar_one())
    assert states == ["open", "withdrawn", "withdrawn"]


def test_who_may_not_work_is_told_why(file_database: Database) -> None:
    campaign = made(file_database)
    rater = somebody(file_database, campaign, "a")
    with file_database.write() as connection:
        stranger = register_rater(connection, kind="human")
    with pytest.raises(ConflictError, match="no member"):
        next_task(file_database, campaign, stranger)
    with file_database.write() as connection:
        set_rater_state(connection, rater, "quarantined")
    with pytest.raises(ConflictError, match="gets no tasks"):
        next_task(file_database, campaign, rater)
    with file_database.write() as connection:
        set_rater_state(connection, rater, "active")
        set_membership(connection, campaign, rater, Membership.PAUSED)
    with pytest.raises(ConflictError, match="gets no tasks"):
        next_task(file_database, campaign, rater)
    with file_database.write() as connection:
        set_membership(connection, campaign, rater, Membership.ACTIVE)
        set_campaign_state(connection, campaign, CampaignState.PAUSED)
    with pytest.raises(ConflictError, match="hands out no tasks"):
        next_task(file_database, campaign, rater)


@pytest.mark.parametrize("what", [prompts, responses])
def test_a_task_whose_words_were_erased_is_not_asked(
    file_database: Database, what: sa.Table
) -> None:
    campaign = made(file_database, tasks=1)
    one, other = (somebody(file_database, campaign, name) for name in "ab")
    taken(file_database, campaign, one)
    with file_database.read() as connection:
        seq = connection.execute(sa.select(what.c.seq).limit(1)).scalar_one()
    erase(file_database, seq, "text")
    assert next_task(file_database, campaign, one) is None
    assert next_task(file_database, campaign, other) is None


def test_a_task_whose_words_were_erased_is_not_repeated(file_database: Database) -> None:
    campaign = made(file_database, tasks=8, overlap=1, repeat_share=0.5, repeat_after=1)
    rater = somebody(file_database, campaign, "a")
    work_off(file_database, campaign, rater, most=2)
    with file_database.read() as connection:
        judged = sa.select(assignments.c.task).where(assignments.c.state == "submitted")
        shown = sa.select(task_responses.c.response).where(task_responses.c.task.in_(judged))
        chosen = sa.select(responses.c.seq).where(responses.c.id.in_(shown))
        seqs = connection.execute(chosen).scalars().all()
    for seq in seqs:
        erase(file_database, seq, "text")
    had = {lease.task for lease in work_off(file_database, campaign, rater)}
    with file_database.read() as connection:
        work = sa.select(tasks.c.id).where(tasks.c.purpose == Purpose.WORK, tasks.c.id.in_(had))
        assert len(connection.execute(work).all()) == 6


def test_a_repeat_that_was_given_back_is_asked_again(file_database: Database) -> None:
    campaign = made(file_database, tasks=20, overlap=1, repeat_share=0.5, repeat_after=1)
    rater = somebody(file_database, campaign, "a")
    given_back: set[str] = set()
    while (lease := next_task(file_database, campaign, rater)) is not None:
        if lease.task in given_back or not _is_repeat(file_database, lease):
            said = prefers(lease, 0)
            answer(file_database, campaign, lease, said, key=lease.assignment, ui="test")
        else:
            given_back.add(lease.task)
            release(file_database, lease)
    with file_database.read() as connection:
        again = sa.select(tasks.c.id, tasks.c.state).where(tasks.c.purpose == Purpose.REPEAT)
        rows = connection.execute(again).all()
    assert {row.id for row in rows} == given_back
    assert {row.state for row in rows} == {"done"}
    assert len(rows) >= 4


def _is_repeat(database: Database, lease: Lease) -> bool:
    with database.read() as connection:
        purpose = sa.select(tasks.c.purpose).where(tasks.c.id == lease.task)
        return bool(connection.execute(purpose).scalar_one() == Purpose.REPEAT)


def test_a_lost_lease_leaves_no_trace_but_a_row(file_database: Database) -> None:
    campaign = made(file_database)
    lease = taken(file_database, campaign, somebody(file_database, campaign, "a"))
    with file_database.read() as connection:
        row = connection.execute(sa.select(assignments)).one()
    assert (row.id, row.state, row.fence) == (lease.assignment, "leased", lease.fence)


# ---- people and programs -------------------------------------------------------------------------


def program(database: Database, campaign: Campaign) -> str:
    with database.write() as connection:
        rater = register_rater(connection, kind="synthetic")
        join(connection, campaign, rater)
    return rater


def test_programs_take_no_persons_place(database: Database) -> None:
    campaign = made(database, tasks=5, overlap=2)
    for _ in range(3):
        work_off(database, campaign, program(database, campaign))
    with database.read() as connection:
        states = connection.execute(sa.select(assignments.c.state)).scalars().all()
    assert len(states) == 2 * 5  # places for programs of one kind are as many, and no more
    people = [somebody(database, campaign, name) for name in "abc"]
    assert [len(work_off(database, campaign, one)) for one in people] == [5, 5, 0]


def test_programs_are_asked_what_people_are_done_with(file_database: Database) -> None:
    campaign = made(file_database, tasks=5, overlap=1)
    assert len(work_off(file_database, campaign, somebody(file_database, campaign, "a"))) == 5
    with file_database.read() as connection:
        assert set(connection.execute(sa.select(tasks.c.state)).scalars()) == {"done"}
    assert len(work_off(file_database, campaign, program(file_database, campaign))) == 5


def test_people_alone_are_split_or_not(file_database: Database) -> None:
    """One to one is a split, though a program agrees with one of them; two programs are none."""
    campaign = made(file_database, tasks=1, overlap=2)
    for _ in range(2):
        work_off(file_database, campaign, program(file_database, campaign))
    for number, name in enumerate("ab"):
        rater = somebody(file_database, campaign, name)
        lease = taken(file_database, campaign, rater)
        answer(
            file_database, campaign, lease, prefers(lease, number), key=f"{name} says", ui="test"
        )
        with file_database.read() as connection:
            asked = sa.select(sa.func.count()).where(tasks.c.purpose == Purpose.ADJUDICATION)
            assert connection.execute(asked).scalar_one() == number


def test_skips_of_programs_withdraw_nothing(file_database: Database) -> None:
    campaign = made(file_database, tasks=1, overlap=3, most_skips=2)
    for number in range(3):
        lease = taken(file_database, campaign, program(file_database, campaign))
        said = Opinion.skipped("cannot say")
        answer(file_database, campaign, lease, said, key=str(number), ui="test")
    assert next_task(file_database, campaign, somebody(file_database, campaign, "a")) is not None
