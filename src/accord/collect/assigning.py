"""Who gets which task, and for how long: leases with fencing tokens, blind and in random order.

Raters never choose: the campaign draws, so that nobody can arrange to meet. A lease that runs out
is given to somebody else; the token of a task grows with every lease, so that a page left open
cannot answer for a newer one. Leases are promises and not judgements: they do not wait for the
disk.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect import statements
from accord.collect.campaign import LEADS, Campaign, CampaignState, Membership, check_asks
from accord.collect.pacing import due
from accord.collect.qualifying import qualify
from accord.collect.sheet import RaterKind, Sheet
from accord.collect.statements import LEASED, RELEASED
from accord.collect.tasks import Purpose, add_task, responses_of
from accord.core.errors import ConflictError, DataError
from accord.core.hashing import digest
from accord.store.database import Database
from accord.store.event import new_id
from accord.store.judgements import Verdict
from accord.store.registry import conversation_in
from accord.store.tables import assignments


class Held(Protocol):
    """What names a lease, whatever it asks for."""

    @property
    def assignment(self) -> str:
        """Id."""
        ...

    @property
    def rater(self) -> str:
        """Whose it is."""
        ...

    @property
    def fence(self) -> int:
        """Token of this lease; an answer under an older one is refused."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """A task that is one rater's until `leased_until`."""

    assignment: str
    task: str
    rater: str
    fence: int
    """Token of this lease; an answer under an older one is refused."""
    sheet: Sheet
    shown: tuple[int, ...]
    """Canonical places in the order of the screen."""
    leased_until: datetime
    lesson: bool = False
    """Whether the right answer is told once one was given; raters are told of no other purpose."""


def next_task(
    database: Database,
    campaign: Campaign,
    rater: str,
    *,
    holding: Collection[str] = (),
    now: datetime | None = None,
) -> Lease | None:
    """The next task for a rater, leased; None where there is nothing for them now.

    A task that the rater has open comes back (a page was reloaded), unless its assignment is in
    `holding`: for fetching one ahead. `now` is for tests and defaults to the clock.
    Raises ConflictError where the campaign hands out no tasks, or not to this rater, or asks for
    texts.
    """
    check_asks(campaign, texts=False, do="`accord rate` asks for texts too")
    now = now or datetime.now(UTC)
    with database.write(durable=False) as connection:
        stand = check_may_work(connection, campaign, rater)
        connection.execute(statements.EXPIRE, {"now": now})
        number, paced = _counts(connection, campaign, rater)
        until = now + timedelta(seconds=campaign.settings.lease_seconds)
        row = held(connection, campaign, rater, holding)
        if row is not None:
            connection.execute(statements.EXTEND, {"of_id": row["id"], "until": until})
        else:
            task = _draw(connection, campaign, rater, stand, paced)
            if task is None:
                return None
            row = assign(connection, campaign, task, rater, now)
        return _lease(connection, campaign, row | {"leased_until": until}, number)


def count_left(connection: Connection, campaign: Campaign, rater: str) -> int:
    """How many tasks of work a person may still get beside the one that they have open, at most
    `statements.MOST_COUNTED`; others may be faster, and checks come between them."""
    wanted = statements.how_many(statements.open_tasks(Purpose.WORK, RaterKind.HUMAN))
    return int(connection.execute(wanted, _of(campaign, rater)).scalar_one())


def release(database: Database, lease: Held) -> None:
    """Give a task back unanswered. A lease that is no longer held is left alone."""
    with database.write(durable=False) as connection:
        connection.execute(
            sa.update(assignments)
            .where(
                assignments.c.id == lease.assignment,
                assignments.c.fence == lease.fence,
                assignments.c.state == LEASED,
            )
            .values(state=RELEASED)
        )


def lease_of(connection: Connection, campaign: Campaign, assignment: str) -> Lease:
    """What an assignment's rater saw, whatever became of it: for showing it again."""
    row = connection.execute(statements.ASSIGNMENT, {"of_id": assignment}).one_or_none()
    if row is None:
        raise DataError("there is no such assignment", got=assignment)
    number = count_judged(connection, campaign, row.rater)
    return _lease(connection, campaign, row._asdict(), number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Newest:
    """A rater's newest answer in a campaign."""

    seq: int
    """Number of its event."""
    assignment: str
    """Id."""
    verdict: Verdict


def newest_answer(connection: Connection, campaign: Campaign, rater: str) -> Newest | None:
    """The newest judgement or skip that its rater may still correct; no lesson, and nothing whose
    words were erased. None where there is none."""
    row = connection.execute(statements.NEWEST, _of(campaign, rater)).one_or_none()
    if row is None:
        return None
    return Newest(seq=row.seq, assignment=row.assignment, verdict=Verdict(row.verdict))


@dataclass(frozen=True, kw_only=True, slots=True)
class Stand:
    """What a rater may do in a campaign now."""

    membership: Membership
    role: str
    kind: str


def check_may_work(connection: Connection, campaign: Campaign, rater: str) -> Stand:
    """How far a rater may work here. Raises ConflictError where not at all."""
    row = connection.execute(statements.STAND, _of(campaign, rater)).one()
    if row.state != CampaignState.OPEN:
        raise ConflictError("this campaign hands out no tasks", got=row.state)
    if row.membership is None:
        raise ConflictError(
            "this rater is no member of the campaign",
            got=rater,
            do=f"let them in: `accord campaign join {campaign.settings.name}`",
        )
    shut_out = row.person if row.person in ("quarantined", "left", "erased") else None
    if shut_out:
        raise ConflictError(
            "this rater gets no tasks", got=shut_out, do="a lead can change that: `accord raters`"
        )
    if row.membership in (Membership.FAILED, Membership.PAUSED):
        failed = row.membership == Membership.FAILED
        raise ConflictError(
            "this rater gets no tasks",
            got="too few qualification tasks were right" if failed else "paused here",
            do="a lead can let them in: "
            f"`accord campaign join {campaign.settings.name} --rater NAME --why REASON`",
        )
    return Stand(membership=Membership(row.membership), role=row.role, kind=row.kind)


# ---- which task ----------------------------------------------------------------------------------


def _of(campaign: Campaign, rater: str) -> dict[str, str]:
    return {"in_campaign": campaign.id, "of_rater": rater}


def _draw(
    connection: Connection, campaign: Campaign, rater: str, stand: Stand, number: int
) -> str | None:
    rng = Random(digest([campaign.settings.seed, rater, number, "next"]))

    def first(purpose: Purpose) -> str | None:
        return _open_task(connection, campaign, rater, purpose, stand.kind, rng)

    # A program has nothing to learn, and is in no figure about people; a lead teaches.
    pupil = stand.kind == RaterKind.HUMAN and stand.role not in LEADS
    if pupil and (found := first(Purpose.LESSON)) is not None:
        return found
    if stand.membership is Membership.TRIAL:
        found = first(Purpose.QUALIFICATION)
        # Nothing is left to answer where the last one's words were erased, say.
        if found is not None or qualify(connection, campaign, rater) is not Membership.ACTIVE:
            return found
    if stand.role in LEADS:
        found = first(Purpose.ADJUDICATION)
        if found is not None:
            return found
    if stand.kind == RaterKind.HUMAN and (found := first(Purpose.CALIBRATION)) is not None:
        return found
    check, found = due(campaign.settings, rater, number), None
    if check is Purpose.GOLD:
        found = first(Purpose.GOLD)
    elif check is Purpose.REPEAT:
        # One that was given back, or ran out, waits for its rater.
        found = first(Purpose.REPEAT)
        found = found or _repeat(connection, campaign, rater, rng)
    return found or first(Purpose.WORK)


def _open_task(
    connection: Connection,
    campaign: Campaign,
    rater: str,
    purpose: Purpose,
    kind: str,
    rng: Random,
) -> str | None:
    """One of the first tasks with a free place that the rater has not had."""
    rows = connection.execute(statements.open_tasks(purpose, kind), _of(campaign, rater)).all()
    first = [row.id for row in rows if row.priority == rows[0].priority]
    return rng.choice(first) if first else None


def _repeat(connection: Connection, campaign: Campaign, rater: str, rng: Random) -> str | None:
    """A new task that shows an older one of the rater's again; None where none is old enough."""
    own = _of(campaign, rater)
    known = set(connection.execute(statements.REPEATED, own).scalars())
    old = connection.execute(statements.JUDGED, own).all()[: -campaign.settings.repeat_after]
    choices = [
        row
        for row in old
        if row.purpose == Purpose.WORK and row.task not in known and not row.erased
    ]
    if not choices:
        return None
    chosen = rng.choice(choices)
    return add_task(
        connection,
        campaign,
        prompt=chosen.prompt,
        responses=responses_of(connection, chosen.task),
        purpose=Purpose.REPEAT,
        overlap=1,
        repeats=chosen.task,
        for_rater=rater,
    )


def count_judged(connection: Connection, campaign: Campaign, rater: str) -> int:
    """How many tasks of the campaign the rater answered."""
    return _counts(connection, campaign, rater)[0]


def _counts(connection: Connection, campaign: Campaign, rater: str) -> tuple[int, int]:
    """Tasks that the rater answered, and how many of them count where checks are planned."""
    row = connection.execute(statements.COUNT, _of(campaign, rater)).one()
    return int(row.judged), int(row.paced or 0)


# ---- the lease -----------------------------------------------------------------------------------


def held(
    connection: Connection, campaign: Campaign, rater: str, holding: Collection[str]
) -> dict[str, Any] | None:
    """The row of a task that the rater has open, none of `holding`; None where there is none."""
    own = {**_of(campaign, rater), "holding": list(holding)}
    row = connection.execute(statements.HELD, own).one_or_none()
    return None if row is None else row._asdict()


def assign(
    connection: Connection,
    campaign: Campaign,
    task: str,
    rater: str,
    now: datetime,
    *,
    k: int | None = None,
) -> dict[str, Any]:
    """A new row, or the row of a lease that was not used, under a new token.

    `k` responses are shown, by default as many as the campaign says.
    Responses stand in a random order; those of a repeat in the reverse of the first showing.
    """
    own = {"of_task": task, "of_rater": rater}
    raised = connection.execute(statements.RAISE_FENCE, {"of_task": task}).one()
    until = now + timedelta(seconds=campaign.settings.lease_seconds)
    again = own | {"token": raised.fence, "now": now, "until": until}
    if (row := connection.execute(statements.LEASE_AGAIN, again).one_or_none()) is not None:
        return row._asdict()
    seed = int(digest([campaign.settings.seed, task, rater, "order"])[:15], 16)
    if raised.purpose == Purpose.REPEAT:
        first = connection.execute(statements.FIRST_SHOWING, own).scalar_one()
        shown = list(reversed(first))
    else:
        shown = list(range(campaign.settings.responses if k is None else k))
        Random(seed).shuffle(shown)
    new = {
        "id": new_id(),
        "task": task,
        "rater": rater,
        "state": LEASED,
        "fence": raised.fence,
        "leased": now,
        "leased_until": until,
        "order_seed": seed,
        "shown": shown,
    }
    connection.execute(statements.LEASE, [new])
    return new


def _lease(connection: Connection, campaign: Campaign, row: dict[str, Any], number: int) -> Lease:
    found = connection.execute(statements.WORDS, {"of_task": row["task"]}).all()
    if any(one.body is None or one.asked is None for one in found):
        raise DataError("the words of this task were erased", got=row["task"])
    texts = {one.place: str(json.loads(one.body)) for one in found}
    sheet = Sheet(
        task=row["task"],
        prompt=conversation_in(found[0].asked),
        responses=tuple(texts[place] for place in row["shown"]),
        criteria=campaign.criteria,
        number=number,
    )
    return Lease(
        assignment=row["id"],
        task=row["task"],
        rater=row["rater"],
        fence=row["fence"],
        sheet=sheet,
        shown=tuple(row["shown"]),
        leased_until=row["leased_until"],
        lesson=found[0].purpose == Purpose.LESSON,
    )
