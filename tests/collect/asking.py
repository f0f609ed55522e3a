"""A small campaign for tests of what is asked and answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from accord.collect.assigning import Lease
from accord.collect.campaign import Campaign, CampaignSettings, join, open_campaign
from accord.collect.sheet import Opinion
from accord.collect.tasks import Purpose, add_task
from accord.core.types import Conversation, Prompt, Response, StopReason
from accord.store.database import Database
from accord.store.registry import (
    add_prompt,
    add_response,
    publish_guideline,
    register_rater,
)

GUIDELINE = "v1"


def made(database: Database, *, tasks: int = 4, k: int = 2, **settings: Any) -> Campaign:
    """A campaign with `tasks` tasks, without gold and repeats unless `settings` say otherwise."""
    plain: dict[str, Any] = {"name": "pilot", "gold_share": 0.0, "repeat_share": 0.0, "seed": 1}
    with database.write() as connection:
        publish_guideline(connection, GUIDELINE, "Prefer the helpful answer.")
        campaign = open_campaign(
            connection,
            CampaignSettings(guideline=GUIDELINE, responses=k, **plain | settings),
        )
        for number in range(tasks):
            _put(connection, campaign, f"question {number}")
    return campaign


def ask(
    database: Database,
    campaign: Campaign,
    words: str,
    *,
    purpose: Purpose = Purpose.WORK,
    gold: Sequence[int] | None = None,
    **more: Any,
) -> str:
    """One task; the answers say which they are: the gold of answer 0 comes first."""
    with database.write() as connection:
        return _put(connection, campaign, words, purpose=purpose, gold=gold, **more)


def _put(connection: Connection, campaign: Campaign, words: str, **how: Any) -> str:
    prompt = add_prompt(connection, Prompt(conversation=Conversation.of(words), source="test"))
    texts = [f"{words}, answer {n}" for n in range(campaign.settings.responses)]
    ids = [
        add_response(
            connection,
            prompt,
            Response(prompt_id=prompt, text=text, stop=StopReason.STOP, policy="p"),
        )
        for text in texts
    ]
    return add_task(connection, campaign, prompt=prompt, responses=ids, **how)


def somebody(database: Database, campaign: Campaign, name: str, *, role: str = "rater") -> str:
    """A person who joined."""
    with database.write() as connection:
        rater = register_rater(connection, kind="human", role=role, key=name)
        join(connection, campaign, rater)
    return rater


def prefers(lease: Lease, answer: int) -> Opinion:
    """An opinion that puts answer number `answer` first and ties the others."""
    best = [text.endswith(f"answer {answer}") for text in lease.sheet.responses]
    return Opinion.ranked([0 if one else 1 for one in best])
