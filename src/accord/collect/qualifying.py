"""Trials: whether a rater who is new in a campaign may work, by tasks whose answer is known."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from accord.collect.campaign import Campaign, Membership, membership_of, set_membership
from accord.collect.gold import is_right
from accord.collect.tasks import Purpose, TaskState, erased_words
from accord.store.tables import judgements, tasks


def qualify(connection: Connection, campaign: Campaign, rater: str) -> Membership | None:
    """Let a rater on trial work, or not, once no qualification task is left; where they stand then.

    A skip is not right. A task whose words were erased counts where the rater answered it before.
    Inside `Database.write`.
    """
    stand = membership_of(connection, campaign, rater)
    if stand is not Membership.TRIAL:
        return stand
    asked = connection.execute(
        sa.select(tasks.c.id, tasks.c.gold, erased_words().label("erased")).where(
            tasks.c.campaign == campaign.id,
            tasks.c.purpose == Purpose.QUALIFICATION,
            tasks.c.state == TaskState.OPEN,
        )
    ).all()
    said = sa.select(judgements.c.task, judgements.c.tiers).where(
        judgements.c.rater == rater,
        judgements.c.superseded_by.is_(None),
        judgements.c.task.in_([one.id for one in asked]),
    )
    given = {row.task: row.tiers for row in connection.execute(said)}
    if any(one.id not in given and not one.erased for one in asked):
        return stand
    right = sum(is_right(given[one.id], one.gold) for one in asked if one.id in given)
    passed = right >= campaign.settings.qualification_pass * len(given)
    stand = Membership.ACTIVE if passed else Membership.FAILED
    why = {"right": right, "of": len(given)}
    set_membership(connection, campaign, rater, stand, why=why)
    return stand
