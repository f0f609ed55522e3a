"""A small campaign for tests of what people write, edit and review."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from accord.collect.answering import Answered, answer
from accord.collect.campaign import Campaign, CampaignSettings, open_campaign
from accord.collect.formats import Unjudged
from accord.collect.freezing import Frozen
from accord.collect.ready import add_tasks
from accord.collect.sheet import Opinion
from accord.collect.tasks import TaskKind
from accord.collect.text_freezing import freeze_texts
from accord.collect.text_leases import TextLease, next_text
from accord.collect.text_reckoning import TextFreezeSettings
from accord.collect.writing import HandedIn, hand_in
from accord.core.types import Conversation, Demonstration, Prompt
from accord.store.database import Database
from accord.store.datasets import Dataset
from accord.store.judgements import Verdict
from accord.store.registry import publish_guideline
from tests.collect.judging import key_in

ACCEPT = Opinion(verdict=Verdict.RANKING, tiers=(0,))
REJECT = Opinion(verdict=Verdict.ALL_BAD, flags=((0, "wrong"),), rationale="two is not three")
SKIP = Opinion.skipped("cannot judge it")


def asked(database: Database, *, write: int = 2, edit: int = 0, **settings: Any) -> Campaign:
    """A campaign for demonstrations with so many prompts to answer and answers to make better."""
    with database.write() as connection:
        publish_guideline(connection, "v1", "Prefer the helpful answer.")
        plain: dict[str, Any] = {"name": "texts", "guideline": "v1", "seed": 1}
        wanted = CampaignSettings(asks="demonstrations", **plain | settings)
        campaign = open_campaign(connection, wanted)
    prompts = [
        Prompt(conversation=Conversation.of(f"question {n}"), source="test") for n in range(write)
    ]
    given = [
        Unjudged(
            row=n, prompt=Conversation.of(f"better {n}"), responses=(f"draft {n}",), source="test"
        )
        for n in range(edit)
    ]
    made = add_tasks(database, campaign, [*prompts, *given])
    assert made.tasks == write + edit
    return campaign


def take(database: Database, campaign: Campaign, who: str, **how: Any) -> TextLease:
    """The next task, which there is."""
    lease = next_text(database, campaign, who, **how)
    assert lease is not None
    return lease


def send(
    database: Database, campaign: Campaign, lease: TextLease, text: str | None = None, **how: Any
) -> HandedIn:
    """Hand a text in; by default one of its own."""
    text = f"text {uuid4().hex}" if text is None else text
    return hand_in(database, campaign, lease, text, **{"key": uuid4().hex, "ui": "test"} | how)


def review(
    database: Database, campaign: Campaign, lease: TextLease, said: Opinion, **how: Any
) -> Answered:
    """Hand a review in."""
    assert lease.kind is TaskKind.REVIEW
    return answer(database, campaign, lease, said, **{"key": uuid4().hex, "ui": "test"} | how)


def wrote(database: Database, campaign: Campaign, who: str, text: str | None = None) -> HandedIn:
    """A text for the next task, which is one of writing."""
    lease = take(database, campaign, who)
    assert lease.kind is not TaskKind.REVIEW
    return send(database, campaign, lease, text)


def reviewed(database: Database, campaign: Campaign, who: str, said: Opinion) -> Answered:
    """A review of the next task, which is one."""
    return review(database, campaign, take(database, campaign, who), said)


def frozen_texts(database: Database, what: Campaign, folder: Path, **how: Any) -> Frozen:
    """Freeze into `folder`, with no held-out rows unless `how` says otherwise."""
    settings = TextFreezeSettings(**{"name": "set", "dev": 0.0} | how)
    key = key_in(folder)
    return freeze_texts(database, what, folder / "artifacts", settings=settings, key=key)


def rows(made: Frozen) -> list[Demonstration]:
    """What the set holds."""
    return [row for row in Dataset(made.folder).rows() if isinstance(row, Demonstration)]
