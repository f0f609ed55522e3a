"""What raters say: one event a judgement, and a row that is derived from it and from it alone.

A tie, "all bad" and a skip are different verdicts and are never turned into one another. A
correction or a withdrawal is a new event that supersedes; nothing is overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.core.errors import DataError
from accord.core.hashing import plain
from accord.store.event import Entry, Event
from accord.store.log import Appended, append, event_at
from accord.store.tables import judgements, raters
from accord.store.tables.columns import stamp

GIVEN, CORRECTED, WITHDRAWN = "judgement.given", "judgement.corrected", "judgement.withdrawn"
EVENTS = frozenset({GIVEN, CORRECTED, WITHDRAWN})
LONGEST_REASON = 200
"""Characters of the reason of a skip."""
VERDICT, RATIONALE = "verdict", "rationale"
"""Names of the two parts of a judgement, each of which can be erased alone."""
COUNTS = (
    judgements.c.superseded_by.is_(None),
    judgements.c.verdict.not_in(("withdrawn", "erased")),
)
"""Conditions of a judgement that counts: neither superseded nor withdrawn nor erased."""


class Verdict(StrEnum):
    """What kind of answer a rater gave."""

    RANKING = "ranking"
    """Some responses are better than others; equal tiers are ties among them."""
    TIE = "tie"
    """All are equally good."""
    ALL_BAD = "all_bad"
    """None is acceptable; tiers may still say which is worse."""
    SKIP = "skip"
    """No answer, with the reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """What one rater said of K responses to one prompt. Checked when made.

    Shape words: K responses in canonical order (`responses`); whatever has one value a response
    follows that order, never the order on the screen, which is `shown`.
    """

    rater: str
    responses: tuple[str, ...]
    """Ids, K of them; none for a skip of a task that shows none."""
    verdict: Verdict
    tiers: tuple[int, ...] | None = None
    """Rank of each response, 0 the best, without gaps; K values, or None."""
    strength: int | None = None
    """How far the first is ahead: 1 negligible, 2 slight, 3 clear, 4 strong."""
    ratings: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """Criterion to K ratings, None where one was left out."""
    flags: tuple[tuple[int | None, str], ...] = ()
    """Place (None: the whole task) and reason of each flag."""
    reason: str | None = None
    """Why it was skipped; a short code, no free text."""
    rationale: str | None = None
    """The rater's own words."""
    shown: tuple[int, ...] = ()
    """Places in the order on the screen: shown[0] stood first."""
    order_seed: int | None = None
    task: str | None = None
    assignment: str | None = None
    guideline: str | None = None
    ui: str | None = None
    policies: tuple[str, ...] = ()
    """Digest of the policy behind each response, in canonical order; empty where not known."""
    opened: datetime | None = None
    """When the task was shown."""
    seconds: float | None = None
    """Active time."""
    late: bool = False
    """Whether the lease had run out: kept, but counted apart."""

    def __post_init__(self) -> None:
        k = len(self.responses)
        if not k and self.verdict is not Verdict.SKIP:
            raise DataError("a judgement is of one response at least, unless it is a skip")
        _check_tiers(self.verdict, self.tiers, k)
        if self.strength is not None and (
            self.strength not in (1, 2, 3, 4) or self.verdict in (Verdict.TIE, Verdict.SKIP)
        ):
            raise DataError(
                "a strength is 1 to 4 and belongs to a ranking",
                got=f"{self.strength} with {self.verdict}",
            )
        _check_reason(self.verdict, self.reason)
        for name, given in self.ratings.items():
            if len(given) != k:
                raise DataError(
                    "a criterion needs one rating a response", got=list(given), where=name
                )
        if self.shown and sorted(self.shown) != list(range(k)):
            raise DataError("the order shown names every place once", got=list(self.shown))
        if any(place is not None and not 0 <= place < k for place, _ in self.flags):
            raise DataError("a flag names a place that was not shown", got=self.flags)
        if self.seconds is not None and not 0 <= self.seconds < float("inf"):
            raise DataError("seconds are finite and at least 0", got=self.seconds)

    def parts(self) -> dict[str, Any]:
        """What the log says of it: the verdict and, apart, the rater's own words."""
        names = (
            "responses",
            "verdict",
            "tiers",
            "strength",
            "ratings",
            "flags",
            "reason",
            "shown",
            "task",
            "assignment",
            "seconds",
            "late",
        )
        said = {name: plain(getattr(self, name)) for name in names}
        said["opened"] = None if self.opened is None else stamp(self.opened)
        parts: dict[str, Any] = {VERDICT: said}
        return parts if self.rationale is None else parts | {RATIONALE: self.rationale}


def submit(
    connection: Connection, judgement: Judgement, *, key: str, corrects: int | None = None
) -> Appended:
    """Keep a judgement, once, inside `Database.write`.

    `key` is the sender's: the same key again finds the first event. `corrects` is the number of the
    event that this one replaces, of the same rater. Raises DataError for an unknown rater,
    ConflictError for another judgement under `key` or an event that was corrected before.
    """
    older = None if corrects is None else _correctable(connection, corrects, judgement.rater)
    entry = Entry(
        type=GIVEN if older is None else CORRECTED,
        actor=judgement.rater,
        subject=None if older is None else older.subject,
        key=key,
        parts=judgement.parts(),
        supersedes=corrects,
        guideline=judgement.guideline,
        ui=judgement.ui,
        order_seed=judgement.order_seed,
        policies=judgement.policies,
    )
    return _keep(connection, entry)


def withdraw(connection: Connection, seq: int, *, rater: str, key: str) -> Appended:
    """Take a judgement back, inside `Database.write`: a new event supersedes it and says nothing.

    Raises as `submit` does.
    """
    older = _correctable(connection, seq, rater)
    entry = Entry(type=WITHDRAWN, actor=rater, subject=older.subject, key=key, supersedes=seq)
    return _keep(connection, entry)


def derive(event: Event, parts: Mapping[str, Any]) -> dict[str, Any]:
    """The row of `judgements` that an event comes to, `superseded_by` left out: a pure function.

    `parts` is what the event says, None for a part that was erased.
    """
    said = parts.get(VERDICT) or {}
    if event.type == WITHDRAWN:
        verdict = "withdrawn"
    else:
        verdict = said.get("verdict", "erased")
    names = (
        "task",
        "assignment",
        "tiers",
        "strength",
        "ratings",
        "flags",
        "reason",
        "responses",
        "shown",
        "opened",
        "seconds",
        "late",
    )
    return {name: said.get(name) for name in names} | {
        "seq": event.seq,
        "judgement": event.subject,
        "rater": event.actor,
        "verdict": verdict,
        "order_seed": event.order_seed,
        "guideline": event.guideline,
        "ui": event.ui,
        "time": event.time,
        "supersedes": event.supersedes,
    }


def current(connection: Connection) -> Sequence[sa.Row[Any]]:
    """Judgements that count: neither superseded nor withdrawn nor erased, oldest first."""
    chosen = sa.select(judgements).where(*COUNTS)
    return connection.execute(chosen.order_by(judgements.c.seq)).all()


def history(connection: Connection, judgement: str) -> Sequence[sa.Row[Any]]:
    """Every version of a judgement, the first one first."""
    chosen = sa.select(judgements).where(judgements.c.judgement == judgement)
    return connection.execute(chosen.order_by(judgements.c.seq)).all()


def _keep(connection: Connection, entry: Entry) -> Appended:
    known = connection.execute(sa.select(raters.c.state).where(raters.c.id == entry.actor))
    if (state := known.scalar_one_or_none()) in (None, "erased"):
        raise DataError(
            "a judgement needs a rater that is registered",
            got=f"{entry.actor} ({'unknown' if state is None else state})",
        )
    done = append(connection, entry)
    if done.new:
        row = derive(done.event, entry.parts)
        connection.execute(sa.insert(judgements), [row])
        if entry.supersedes is not None:
            older = sa.update(judgements).where(judgements.c.seq == entry.supersedes)
            connection.execute(older.values(superseded_by=done.event.seq))
    return done


def _correctable(connection: Connection, seq: int, rater: str) -> Event:
    older = event_at(connection, seq)
    if older.type not in EVENTS:
        raise DataError("this event is no judgement", got=older.type, where=f"event {seq}")
    if older.actor != rater:
        raise DataError(
            "a judgement is corrected by the rater who gave it",
            got=rater,
            where=f"event {seq}",
            do="adjudicate with a judgement of your own",
        )
    return older


def _check_reason(verdict: Verdict, reason: str | None) -> None:
    if (verdict is Verdict.SKIP) != (reason is not None):
        raise DataError("a skip has a reason, and nothing else has", got=reason)
    if reason is not None and not (0 < len(reason) <= LONGEST_REASON and reason.isprintable()):
        raise DataError(
            f"the reason of a skip has 1 to {LONGEST_REASON} printable characters",
            got=ascii(reason)[:80],
            do="use a short code; own words are the rationale",
        )


def _check_tiers(verdict: Verdict, tiers: tuple[int, ...] | None, k: int) -> None:
    if tiers is None:
        if verdict in (Verdict.RANKING, Verdict.TIE):
            raise DataError(f"a {verdict} needs tiers")
        return
    if verdict is Verdict.SKIP:
        raise DataError("a skip has no tiers", got=list(tiers))
    if len(tiers) != k or sorted(set(tiers)) != list(range(max(tiers) + 1)):
        raise DataError(
            "tiers must be one a response and count 0, 1, 2 ... without gaps, 0 the best",
            got=list(tiers),
        )
    tied = len(set(tiers)) == 1 and k > 1
    if verdict is not Verdict.ALL_BAD and tied != (verdict is Verdict.TIE):
        raise DataError(
            "equal tiers are a tie, and a tie has equal tiers", got=f"{verdict}: {tiers}"
        )
