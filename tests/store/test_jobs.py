"""The queue of jobs: asked for once, held by one, never finished by one who lost it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from accord.core.errors import ConflictError, DataError
from accord.store.database import Database, open_database
from accord.store.jobs import (
    MOST_ATTEMPTS,
    Job,
    JobState,
    check_held,
    claim,
    complete,
    enqueue,
    fail,
    give_back,
    heartbeat,
    job_called,
    listed,
)

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SRC = Path(__file__).parents[2] / "src"


def ask(database: Database, number: int = 0, *, key: str | None = None, priority: int = 0) -> str:
    with database.write() as connection:
        return enqueue(connection, "work", {"n": number}, key=key, priority=priority)


def take(database: Database, *, after: float = 0, worker: str = "w") -> Job:
    found = claim(database, ("work",), worker, 60, now=NOW + timedelta(seconds=after))
    assert found is not None
    return found


def state(database: Database, name: str) -> Job:
    with database.read() as connection:
        return job_called(connection, name)


def test_asking_twice_makes_one_job(database: Database) -> None:
    first = ask(database, 1, key="same")
    assert ask(database, 1, key="same") == first
    with pytest.raises(ConflictError, match="another job has this key"):
        ask(database, 2, key="same")
    assert ask(database, 1) != ask(database, 1)
    with database.read() as connection:
        assert len(listed(connection)) == 3


def test_jobs_come_by_priority_and_then_by_age(database: Database) -> None:
    old, urgent, young = ask(database), ask(database, priority=1), ask(database)
    assert [take(database).id for _ in range(3)] == [urgent, old, young]
    assert claim(database, ("work",), "w", 60, now=NOW) is None


def test_other_kinds_and_other_jobs_are_left_alone(file_database: Database) -> None:
    one, two = ask(file_database), ask(file_database)
    assert claim(file_database, ("play",), "w", 60) is None
    found = claim(file_database, ("play", "work"), "w", 60, only=two)
    assert found is not None
    assert found.id == two
    assert claim(file_database, ("work",), "w", 60, only=two) is None
    assert take(file_database).id == one


def test_a_lease_that_ran_out_goes_to_the_next_under_a_higher_token(database: Database) -> None:
    name = ask(database)
    slow = take(database)
    assert claim(database, ("work",), "other", 60, now=NOW + timedelta(seconds=59)) is None
    heartbeat(database, slow, 60, now=NOW + timedelta(seconds=50))
    assert claim(database, ("work",), "other", 60, now=NOW + timedelta(seconds=100)) is None
    other = take(database, after=111, worker="other")
    assert (other.id, other.fence, other.attempts) == (name, slow.fence + 1, 2)
    for late in (
        lambda connection: complete(connection, slow, {"by": "slow"}),
        lambda connection: fail(connection, slow, "no"),
        lambda connection: give_back(connection, slow),
        lambda connection: check_held(connection, slow),
    ):
        with pytest.raises(ConflictError, match="no longer held"), database.write() as connection:
            late(connection)
    with pytest.raises(ConflictError, match="no longer held"):
        heartbeat(database, slow, 60)
    with database.write() as connection:
        check_held(connection, other)
        complete(connection, other, {"by": "other"})
        complete(connection, other, {"by": "other"})
        with pytest.raises(ConflictError, match="another result"):
            complete(connection, other, {"by": "somebody"})
    ended = state(database, name)
    assert (ended.state, ended.result, ended.leased_until) == (
        JobState.DONE,
        {"by": "other"},
        None,
    )


def test_a_lease_that_ran_out_may_be_renewed_while_nobody_took_it(file_database: Database) -> None:
    ask(file_database)
    held = take(file_database)
    heartbeat(file_database, held, 60, now=NOW + timedelta(seconds=500))
    assert claim(file_database, ("work",), "x", 60, now=NOW + timedelta(seconds=550)) is None


def test_what_kills_its_workers_is_given_up(database: Database) -> None:
    name = ask(database)
    for attempt in range(MOST_ATTEMPTS):
        assert take(database, after=100 * attempt).id == name
    assert claim(database, ("work",), "w", 60, now=NOW + timedelta(days=1)) is None
    ended = state(database, name)
    assert ended.state is JobState.FAILED
    assert "died" in str(ended.error)


def test_giving_back_costs_no_attempt(file_database: Database) -> None:
    name = ask(file_database)
    for _ in range(MOST_ATTEMPTS + 2):
        held = take(file_database)
        with file_database.write() as connection:
            give_back(connection, held)
    found = state(file_database, name)
    assert (found.state, found.attempts, found.fence) == (JobState.QUEUED, 0, MOST_ATTEMPTS + 2)


def test_a_job_that_failed_is_queued_when_asked_for_again(database: Database) -> None:
    name = ask(database, 1, key="same")
    held = take(database)
    with database.write() as connection:
        fail(connection, held, "the model is gone")
    assert state(database, name).error == "the model is gone"
    assert claim(database, ("work",), "w", 60) is None
    assert ask(database, 1, key="same") == name
    again = take(database)
    assert (again.id, again.fence, again.error) == (name, 2, None)
    with database.read() as connection:
        assert [job.id for job in listed(connection, kinds=("work",), states=("leased",))] == [name]
        assert listed(connection, states=("failed",)) == []
        with pytest.raises(DataError, match="no such job"):
            job_called(connection, "ghost")


def test_no_job_is_given_twice_while_it_is_leased(place: str) -> None:
    with open_database(place) as first:
        names = {ask(first, n) for n in range(24)}
    given: list[str] = []
    done: Counter[str] = Counter()
    guard = threading.Lock()

    def worker(number: int) -> None:
        with open_database(place) as own:
            while (job := claim(own, ("work",), f"w{number}", 60)) is not None:
                with guard:
                    given.append(job.id)
                with own.write() as connection:
                    complete(connection, job, {"by": number})
                with guard:
                    done[job.id] += 1

    threads = [threading.Thread(target=worker, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(given) == sorted(names)
    assert set(done.values()) == {1}


HOLDER = """
import sys, time
from accord.store.database import open_database
from accord.store.jobs import claim
job = claim(open_database(sys.argv[1]), ("work",), "doomed", 1.0)
print(job.id, flush=True)
time.sleep(600)
"""


def test_the_job_of_a_killed_worker_is_taken_over(place: str) -> None:
    with open_database(place) as database:
        name = ask(database)
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, place],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SRC)},
            text=True,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline().strip() == name
            holder.send_signal(signal.SIGKILL)
        later = datetime.now(UTC) + timedelta(seconds=2)
        found = claim(database, ("work",), "heir", 60, now=later)
        assert found is not None
        assert (found.id, found.worker, found.attempts) == (name, "heir", 2)
