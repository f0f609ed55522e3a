"""Work for later: a queue of jobs, each held by one worker at a time.

A worker holds a job by a lease that it renews. A worker that dies loses its lease, and the job goes
to the next one under a higher token (fence), so that a worker which was only slow can no longer
finish it. Whoever writes what a job makes calls `check_held` in the same transaction. Jobs are
working rows, not judgements: what they made is the truth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.core.errors import ConflictError, DataError
from accord.core.hashing import plain
from accord.store.database import Database
from accord.store.event import new_id
from accord.store.tables import jobs
from accord.store.tables.columns import check_fits

MOST_ATTEMPTS = 5
"""Leases that may run out before a job counts as failed: it may be what kills its workers."""


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A job as the database had it."""

    id: str
    kind: str
    key: str | None
    arguments: Mapping[str, Any]
    state: JobState
    priority: int
    """Higher is served first."""
    made: datetime
    worker: str | None
    fence: int
    """Token of the last lease; 0 before the first."""
    leased_until: datetime | None
    attempts: int
    """Leases so far, those that were given back left out."""
    done: datetime | None
    result: Any
    error: str | None


def enqueue(
    connection: Connection,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    key: str | None = None,
    priority: int = 0,
) -> str:
    """Ask for a job and return its id, inside `Database.write`.

    The same `key` again is the same job; one that failed is queued anew. Raises ConflictError where
    the job under this key has another kind or other arguments, DataError for a kind of more than 64
    or a key of more than 200 characters.
    """
    check_fits(jobs.c.kind, kind, "the kind of a job")
    check_fits(jobs.c.key, key, "the key of a job")
    if key is not None and (row := _row(connection, jobs.c.key == key)) is not None:
        if row.kind != kind or row.arguments != plain(arguments):
            raise ConflictError(
                "another job has this key", got=key, where=row.id, do="choose another key"
            )
        retry(connection, row.id)
        return str(row.id)
    made = {
        "id": new_id(),
        "kind": kind,
        "key": key,
        "arguments": arguments,
        "state": JobState.QUEUED,
        "priority": priority,
        "made": datetime.now(UTC),
        "fence": 0,
        "attempts": 0,
    }
    connection.execute(sa.insert(jobs), [made])
    return str(made["id"])


def retry(connection: Connection, name: str) -> None:
    """Queue the job with this id anew where it failed, inside `Database.write`; else leave it."""
    failed = (jobs.c.id == name) & (jobs.c.state == JobState.FAILED)
    again = {"state": JobState.QUEUED, "attempts": 0, "error": None, "done": None}
    connection.execute(sa.update(jobs).where(failed).values(**again))


def claim(
    database: Database,
    kinds: Sequence[str],
    worker: str,
    seconds: float,
    *,
    only: str | None = None,
    now: datetime | None = None,
) -> Job | None:
    """The next job of these kinds, held by `worker` for `seconds`; None where none waits.

    A job whose lease ran out waits like a new one, until it has had `MOST_ATTEMPTS` leases: then it
    has failed. `only` names one job; `now` is for tests and defaults to the clock. Raises DataError
    for a worker's name of more than 64 characters.
    """
    check_fits(jobs.c.worker, worker, "the name of a worker")
    now = now or datetime.now(UTC)
    over = (jobs.c.state == JobState.LEASED) & (jobs.c.leased_until <= now)
    with database.write() as connection:
        connection.execute(
            sa.update(jobs)
            .where(over, jobs.c.attempts >= MOST_ATTEMPTS)
            .values(
                state=JobState.FAILED,
                leased_until=None,
                done=now,
                error=f"{MOST_ATTEMPTS} workers died over it or lost it",
            )
        )
        waits = sa.or_(jobs.c.state == JobState.QUEUED, over) & jobs.c.kind.in_(list(kinds))
        if only is not None:
            waits &= jobs.c.id == only
        found = sa.select(jobs.c.id).where(waits)
        order = (jobs.c.priority.desc(), jobs.c.made, jobs.c.id)
        name = connection.execute(found.order_by(*order).limit(1)).scalar_one_or_none()
        if name is None:
            return None
        held = {
            "state": JobState.LEASED,
            "worker": worker,
            "fence": jobs.c.fence + 1,
            "attempts": jobs.c.attempts + 1,
            "leased_until": now + timedelta(seconds=seconds),
        }
        connection.execute(sa.update(jobs).where(jobs.c.id == name).values(**held))
        return job_called(connection, name)


def heartbeat(
    database: Database, job: Job, seconds: float, *, now: datetime | None = None
) -> datetime:
    """Hold `job` for `seconds` more; until when.

    Also after the lease ran out, as long as nobody else took the job. Raises ConflictError
    where somebody did.
    """
    until = (now or datetime.now(UTC)) + timedelta(seconds=seconds)
    with database.write() as connection:
        _change(connection, job, {"leased_until": until})
    return until


def check_held(connection: Connection, job: Job) -> None:
    """Raise ConflictError unless `job` is still held under its token; inside `Database.write`."""
    _change(connection, job, {"worker": job.worker})


def complete(connection: Connection, job: Job, result: Any) -> None:
    """Say what a job came to, inside `Database.write`.

    Twice with the same result is once. Raises ConflictError where the job is no longer held.
    """
    row = _row(connection, jobs.c.id == job.id)
    if row is not None and row.state == JobState.DONE and row.fence == job.fence:
        if row.result == plain(result):
            return
        raise ConflictError("this job was completed with another result", got=job.id)
    _end(connection, job, JobState.DONE, {"result": result, "error": None})


def fail(connection: Connection, job: Job, error: str) -> None:
    """Say why a job cannot be done, inside `Database.write`. Raises as `complete` does."""
    _end(connection, job, JobState.FAILED, {"error": error})


def give_back(connection: Connection, job: Job) -> None:
    """Let go of a job that was not finished, for whoever asks next, inside `Database.write`.

    Raises ConflictError where it is no longer held.
    """
    freed = {"state": JobState.QUEUED, "leased_until": None, "attempts": jobs.c.attempts - 1}
    _change(connection, job, freed)


def job_called(connection: Connection, name: str) -> Job:
    """The job with this id. Raises DataError where there is none."""
    row = _row(connection, jobs.c.id == name)
    if row is None:
        raise DataError("there is no such job", got=name)
    return _job(row)


def listed(
    connection: Connection, *, kinds: Sequence[str] = (), states: Sequence[str] = ()
) -> list[Job]:
    """Jobs of these kinds in these states (none named: all), the oldest first."""
    found = sa.select(jobs).order_by(jobs.c.made, jobs.c.id)
    if kinds:
        found = found.where(jobs.c.kind.in_(list(kinds)))
    if states:
        found = found.where(jobs.c.state.in_(list(states)))
    return [_job(row) for row in connection.execute(found)]


def _row(connection: Connection, which: sa.ColumnElement[bool]) -> sa.Row[Any] | None:
    return connection.execute(sa.select(jobs).where(which)).one_or_none()


def _job(row: sa.Row[Any]) -> Job:
    values = {field.name: getattr(row, field.name) for field in fields(Job)}
    return Job(**values | {"state": JobState(row.state)})


def _end(connection: Connection, job: Job, state: JobState, values: Mapping[str, Any]) -> None:
    ended = {"state": state, "leased_until": None, "done": datetime.now(UTC)}
    _change(connection, job, ended | dict(values))


def _change(connection: Connection, job: Job, values: Mapping[str, Any]) -> None:
    mine = (jobs.c.id == job.id) & (jobs.c.fence == job.fence) & (jobs.c.state == JobState.LEASED)
    if connection.execute(sa.update(jobs).where(mine).values(**values)).rowcount:
        return
    now = job_called(connection, job.id)
    raise ConflictError(
        "this job is no longer held by its worker",
        got=f"token {job.fence}; now {now.state}, token {now.fence}",
        where=job.id,
        do="throw away what is not written, and ask for the next job",
    )
