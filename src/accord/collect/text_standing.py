"""Where a campaign that asks for demonstrations stands: what was written, and what became of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign
from accord.collect.people import in_quarantine
from accord.collect.reviewing import Decision, lost_unreviewed, texts
from accord.collect.statements import ANSWERED
from accord.collect.tasks import erased_words
from accord.collect.text_tasks import WRITING
from accord.store.registry import ABOUT
from accord.store.tables import assignments, events, payloads, responses, tasks


@dataclass(frozen=True, kw_only=True, slots=True)
class Author:
    """One person's texts, those that they replaced left out."""

    rater: str
    written: int
    accepted: int
    rejected: int
    quarantined: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TextStanding:
    """The texts of a campaign in figures: `written` = the next four."""

    written: int
    """Texts that nobody replaced."""
    waiting: int
    """For reviews."""
    accepted: int
    rejected: int
    unused: int
    """Erased since, or of an author in quarantine."""
    given_up: int
    """Prompts that are asked no more: rejected `most_skips` times and once more, or skipped so
    often."""
    to_write: int
    """Texts that are still asked for."""
    authors: tuple[Author, ...]
    """Those who wrote most first."""


def text_standing(connection: Connection, campaign: Campaign) -> TextStanding:
    """Count."""
    found: Counter[tuple[str, str]] = Counter()
    lost: Counter[str] = Counter()
    outside: set[str] = set()
    if campaign.settings.reviews:
        for one in texts(connection, campaign):
            if not one.trusted:
                outside.add(one.author)
            used = one.trusted and not one.erased
            found[one.author, one.decision if used else ""] += 1
            lost[one.root] += one.decision is Decision.REJECTED or not one.trusted
    else:
        held = in_quarantine(connection)
        for rater, there in _unreviewed(connection, campaign):
            if rater in held:
                outside.add(rater)
            found[rater, Decision.ACCEPTED if there and rater not in held else ""] += 1
        lost = lost_unreviewed(connection, campaign)

    def count(decision: str) -> int:
        return sum(n for (_, said), n in found.items() if said == decision)

    skipped, places = _asked(connection, campaign)
    most = campaign.settings.most_skips
    written = Counter({rater: 0 for rater, _ in found})
    for (rater, _), n in found.items():
        written[rater] += n
    return TextStanding(
        written=sum(found.values()),
        waiting=count(Decision.WAITING),
        accepted=count(Decision.ACCEPTED),
        rejected=count(Decision.REJECTED),
        unused=count(""),
        given_up=sum(n > most for n in lost.values()) + skipped,
        to_write=places,
        authors=tuple(
            Author(
                rater=rater,
                written=n,
                accepted=found[rater, Decision.ACCEPTED],
                rejected=found[rater, Decision.REJECTED],
                quarantined=rater in outside,
            )
            for rater, n in sorted(written.items(), key=lambda item: (-item[1], item[0]))
        ),
    )


def _unreviewed(connection: Connection, campaign: Campaign) -> Sequence[tuple[str, bool]]:
    """Author of each text that nobody replaced, where none is reviewed, and whether its words are
    still there."""
    here = sa.select(tasks.c.id).where(tasks.c.campaign == campaign.id, tasks.c.kind.in_(WRITING))
    given = connection.execute(
        sa.select(assignments.c.rater).where(
            assignments.c.task.in_(here), assignments.c.state.in_(ANSWERED)
        )
    )
    of_prompts = sa.select(tasks.c.prompt).where(tasks.c.campaign == campaign.id)
    kept = connection.execute(
        sa.select(responses.c.rater, payloads.c.body)
        .join(payloads, (payloads.c.seq == responses.c.seq) & (payloads.c.name == ABOUT))
        .where(
            responses.c.prompt.in_(of_prompts),
            responses.c.rater.is_not(None),
            responses.c.digest.is_not(None),
            payloads.c.body.is_not(None),
            ~sa.exists().where(events.c.supersedes == responses.c.seq),
        )
    )
    names = set(connection.execute(here).scalars())
    left = Counter(row.rater for row in kept if json.loads(row.body).get("task") in names)
    found = []
    for rater in given.scalars():
        found.append((rater, left[rater] > 0))
        left[rater] -= 1
    return found


def _asked(connection: Connection, campaign: Campaign) -> tuple[int, int]:
    """Writing tasks that were skipped too often, and texts that open ones still want."""
    given = (
        sa.select(sa.func.count())
        .where(assignments.c.task == tasks.c.id, assignments.c.state.in_(ANSWERED))
        .scalar_subquery()
    )
    begun = sa.exists().where(assignments.c.task == tasks.c.id, assignments.c.state == "skipped")
    rows = connection.execute(
        sa.select(
            tasks.c.state,
            tasks.c.overlap,
            given.label("given"),
            begun.label("skipped"),
            erased_words().label("erased"),
        ).where(tasks.c.campaign == campaign.id, tasks.c.kind.in_(WRITING))
    ).all()
    skipped = sum(row.state == "withdrawn" and row.skipped for row in rows)
    return skipped, sum(
        row.overlap - row.given for row in rows if row.state == "open" and not row.erased
    )
