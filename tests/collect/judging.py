"""Campaigns with judgements put straight into the store, for tests of what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from accord.collect.campaign import Campaign, CampaignSettings, open_campaign
from accord.collect.freezing import FreezeSettings, Frozen, freeze
from accord.collect.tasks import Purpose, add_task, responses_of
from accord.core.types import Comparison, Conversation, Prompt, Response, StopReason
from accord.store.database import Database
from accord.store.datasets import Dataset
from accord.store.judgements import Judgement, Verdict, submit
from accord.store.keys import SigningKey
from accord.store.registry import add_prompt, add_response, publish_guideline, register_rater


def campaign(database: Database, name: str = "pilot", **settings: Any) -> Campaign:
    """An open campaign under guidelines of its own."""
    with database.write() as connection:
        publish_guideline(connection, f"of {name}", "Prefer what is true.")
        asked = CampaignSettings(name=name, guideline=f"of {name}", **settings)
        return open_campaign(connection, asked)


def task(database: Database, into: Campaign, words: str, **how: Any) -> str:
    """One task with responses of its own."""
    answers = tuple(f"{words} {n}" for n in range(into.settings.responses))
    return task_of(database, into, words, answers, **how)


def task_of(
    database: Database, into: Campaign, words: str, answers: tuple[str, ...], **how: Any
) -> str:
    """One task with these responses."""
    with database.write() as connection:
        prompt = add_prompt(connection, Prompt(conversation=Conversation.of(words)))
        ids = [
            add_response(
                connection,
                prompt,
                Response(prompt_id=prompt, text=text, stop=StopReason.STOP, policy="p"),
            )
            for text in answers
        ]
        return add_task(connection, into, prompt=prompt, responses=ids, **how)


def again(database: Database, into: Campaign, first: str, prompt: str, **how: Any) -> str:
    """A task with the responses of another one."""
    with database.write() as connection:
        ids = responses_of(connection, first)
        known = add_prompt(connection, Prompt(conversation=Conversation.of(prompt)))
        return add_task(connection, into, prompt=known, responses=ids, repeats=first, **how)


def rater(database: Database, kind: str = "human") -> str:
    """Somebody new."""
    with database.write() as connection:
        return register_rater(connection, kind=kind)


def say(
    database: Database,
    into: Campaign,
    about: str,
    by: str,
    tiers: tuple[int, ...] | None = (0, 1),
    **more: Any,
) -> int:
    """A judgement; the number of its event."""
    corrects = more.pop("corrects", None)
    kind = Verdict.RANKING if tiers is None or len(set(tiers)) > 1 else Verdict.TIE
    with database.write() as connection:
        said: dict[str, Any] = {
            "rater": by,
            "responses": tuple(responses_of(connection, about)),
            "verdict": kind,
            "tiers": tiers,
            "task": about,
            "guideline": into.settings.guideline,
        }
        judgement = Judgement(**said | more)
        return submit(connection, judgement, key=uuid4().hex, corrects=corrects).event.seq


def key_in(folder: Path) -> SigningKey:
    """The key that signs."""
    return SigningKey.load_or_make(folder / "key.pem")


def frozen(database: Database, what: Campaign, folder: Path, **how: Any) -> Frozen:
    """Freeze into `folder`, with no held-out rows unless `how` says otherwise."""
    weights = how.pop("weights", None)
    settings = FreezeSettings(**{"name": "set", "dev": 0.0} | how)
    key = key_in(folder)
    weigh = None if weights is None else lambda _: weights
    return freeze(database, what, folder / "artifacts", settings=settings, key=key, weights=weigh)


def rows(made: Frozen) -> list[Comparison]:
    """What the set holds."""
    return [row for row in Dataset(made.folder).rows() if isinstance(row, Comparison)]


GOLD = {"purpose": Purpose.GOLD, "gold": (0, 1)}
