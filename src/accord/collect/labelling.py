"""Raters other than people answer a campaign's tasks the way a person's page does: one at a time,
under a lease, blind to names and in an order drawn for them, each answer kept before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.answering import answer
from accord.collect.assigning import Lease, next_task, release
from accord.collect.campaign import Campaign, Membership, join, membership_of
from accord.collect.sheet import Rater, RaterKind
from accord.collect.synthetic import SimulatedPerson
from accord.core.errors import ConfigError, ConflictError, DataError
from accord.core.hashing import digest, plain
from accord.store.database import Database
from accord.store.judgements import Verdict
from accord.store.log import parts_of
from accord.store.registry import register_rater
from accord.store.tables import events, raters

UI = "accord-label/1"
"""What is stored as the page that asked."""
DEFINITION = "definition"
"""Part of a rater's event that says what makes them judge as they do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Labelled:
    """What `label` did."""

    judgements: int
    """Answers that were kept, skips included."""
    ties: int
    skips: int
    stand: Membership | None
    """What the rater may do in the campaign now: a trial may have been passed, or failed."""


def enrol(database: Database, campaign: Campaign, rater: Rater, name: str) -> str:
    """Register a rater that is no person, let it into a campaign, and return its id.

    The same definition again is the same rater, whatever the name. Raises ConfigError for a person:
    they enrol themselves; and for a simulated person to whom all answers are the same.
    """
    if isinstance(rater, SimulatedPerson):
        rater.check_prefers(name)
    if rater.kind is RaterKind.HUMAN:
        raise ConfigError("a person has no definition and judges on a page", got=name)
    definition = plain(rater.definition)
    key = f"rater:{rater.kind.value}:{digest(definition)}"
    with database.write() as connection:
        known = connection.execute(sa.select(events.c.subject).where(events.c.key == key))
        found = known.scalar_one_or_none()
        if found is None:
            found = register_rater(
                connection,
                kind=rater.kind.value,
                identity={"name": name},
                definition=dict(rater.definition),
                key=key,
            )
        join(connection, campaign, found)
    return str(found)


def label(
    database: Database,
    campaign: Campaign,
    rater_id: str,
    rater: Rater,
    *,
    most: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Labelled:
    """Let `rater`, enrolled as `rater_id`, answer until there is no task for it, or `most` times.

    `progress` is called with the number of answers after each. What was answered is kept whatever
    happens then; a task that the rater cannot answer is given back, so that a second call goes on.
    Raises ConflictError where `rater` is not what was enrolled under this id, or gets no tasks here
    from the start; DataError, naming the task, where its opinion is none.
    """

    def told(_: str, done: int) -> None:
        if progress is not None:
            progress(done)

    one = {rater_id: rater}
    return label_in_turn(database, campaign, one, most=most, progress=told)[rater_id]


def label_in_turn(
    database: Database,
    campaign: Campaign,
    enrolled: Mapping[str, Rater],
    *,
    most: int | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, Labelled]:
    """`label` for several raters, by id, who answer one task each in turn: all get their share.

    One after another, the first few would fill the overlap of every task. `most` is of each rater;
    `progress` gets the rater's id too. Raises as `label` does, ConflictError for tasks only where
    no rater gets any.
    """
    with database.read() as connection:
        for rater_id, rater in enrolled.items():
            _check_enrolled(connection, rater_id, rater)
    said: dict[str, list[Verdict]] = {rater_id: [] for rater_id in enrolled}
    working = dict(enrolled) if most is None or most > 0 else {}
    refusals: list[ConflictError] = []
    while working:
        for rater_id, rater in list(working.items()):
            try:
                lease = next_task(database, campaign, rater_id)
            except ConflictError as error:
                # A trial was failed, say, or somebody closed the campaign between two answers.
                refusals.append(error)
                lease = None
            if lease is None:
                del working[rater_id]
                continue
            said[rater_id].append(_answered(database, campaign, lease, rater))
            if progress is not None:
                progress(rater_id, len(said[rater_id]))
            if len(said[rater_id]) == most:
                del working[rater_id]
    if refusals and len(refusals) == len(enrolled) and not any(said.values()):
        raise refusals[0]
    with database.read() as connection:
        return {
            rater_id: Labelled(
                judgements=len(given),
                ties=given.count(Verdict.TIE),
                skips=given.count(Verdict.SKIP),
                stand=membership_of(connection, campaign, rater_id),
            )
            for rater_id, given in said.items()
        }


def _answered(database: Database, campaign: Campaign, lease: Lease, rater: Rater) -> Verdict:
    """What the rater said of the task, once that is on the disk; an unanswered task goes back."""
    try:
        opinion = rater.judge(lease.sheet)
        # One lease has one answer, however often it is sent.
        key = f"label:{lease.assignment}:{lease.fence}"
        answer(database, campaign, lease, opinion, key=key, ui=UI)
    except BaseException as error:
        release(database, lease)
        if isinstance(error, DataError) and lease.task not in str(error):
            where = f"task {lease.task}" + (f": {error.where}" if error.where is not None else "")
            raise DataError(error.what, got=error.got, where=where, do=error.do) from error
        raise
    return opinion.verdict


def _check_enrolled(connection: Connection, rater_id: str, rater: Rater) -> None:
    """Refuse a rater whose judgements would be stored under the definition of another."""
    row = connection.execute(sa.select(raters).where(raters.c.id == rater_id)).one_or_none()
    if row is None:
        raise DataError("there is no such rater", got=rater_id)
    said = parts_of(connection, row.seq).get(DEFINITION)
    if row.kind != rater.kind.value or said != plain(rater.definition):
        raise ConflictError(
            "this rater is not what was enrolled under the id",
            got=f"{rater.kind.value} rater, enrolled as {row.kind}",
            where=rater_id,
            do="enrol it: what judges differently is another rater",
        )
