"""Judgements made by hand, for the tests of figures; and a small campaign in a real database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import Connection

from accord.collect.campaign import Campaign, CampaignSettings, open_campaign
from accord.collect.sheet import RaterKind
from accord.collect.tasks import Purpose, add_task, responses_of
from accord.collect.votes import Vote, Votes
from accord.core.types import Conversation, Prompt, Response, StopReason
from accord.store.judgements import Judgement, Verdict, submit
from accord.store.registry import add_prompt, add_response, publish_guideline, register_rater

START = datetime(2026, 1, 1, tzinfo=UTC)


def vote(
    rater: str, task: str, tiers: Sequence[int] | None = (0, 1), *, seq: int = 0, **more: Any
) -> Vote:
    """A ranking, a tie where all tiers are equal, all bad where there are none."""
    if tiers is None:
        verdict = Verdict.ALL_BAD
    else:
        verdict = Verdict.TIE if len(set(tiers)) == 1 else Verdict.RANKING
    k = 2 if tiers is None else len(tiers)
    values: dict[str, Any] = {
        "seq": seq,
        "task": task,
        "prompt": task,
        "rater": rater,
        "kind": RaterKind.HUMAN,
        "purpose": Purpose.WORK,
        "verdict": verdict,
        "tiers": None if tiers is None else tuple(tiers),
        "responses": tuple(f"{task}{place}" for place in range(k)),
        "shown": tuple(range(k)),
        "time": START + timedelta(seconds=seq),
    }
    return Vote(**values | more)


def skip(rater: str, task: str, **more: Any) -> Vote:
    """No answer."""
    return vote(rater, task, None, **{"verdict": Verdict.SKIP} | more)


def panel(table: dict[str, str], **more: Any) -> Votes:
    """Votes from a word a rater, a letter a task t0, t1 ...: A the first is better, B the second,
    = a tie, x all bad, s a skip, . nothing. Rater by rater in time."""
    tiers = {"A": (0, 1), "B": (1, 0), "=": (0, 0), "x": None}
    numbers, rows = count(1), []
    for rater, word in table.items():
        for place, letter in enumerate(word):
            if letter == ".":
                continue
            make = skip if letter == "s" else vote
            said = () if letter == "s" else (tiers[letter],)
            rows.append(make(rater, f"t{place}", *said, seq=next(numbers), **more))
    return Votes(rows=tuple(rows), states=dict.fromkeys(table, "new"))


class Desk:
    """A campaign in a database with raters a, b, c ... who answer by hand."""

    def __init__(
        self, connection: Connection, *, raters: int = 3, responses: int = 2, name: str = "one"
    ) -> None:
        publish_guideline(connection, "v1", "Prefer what is true.", criteria=("safety",))
        self.connection, self.responses = connection, responses
        self.raters = [register_rater(connection, kind="human") for _ in range(raters)]
        settings = CampaignSettings(name=name, guideline="v1", responses=responses)
        self.campaign: Campaign = open_campaign(connection, settings)
        self._keys = count()

    def task(self, words: str, **more: Any) -> str:
        """A task about a new prompt; gold, if any, by the order `Answer 0`, `Answer 1` ..."""
        asked = Prompt(conversation=Conversation.of(words))
        prompt = add_prompt(self.connection, asked)
        ids = [
            add_response(
                self.connection,
                prompt,
                Response(prompt_id=prompt, text=f"Answer {n}." + " Yes." * n, stop=StopReason.STOP),
            )
            for n in range(self.responses)
        ]
        return add_task(self.connection, self.campaign, prompt=prompt, responses=ids, **more)

    def again(self, task: str, rater: int) -> str:
        """The same task for one rater once more."""
        ids = responses_of(self.connection, task)
        found = next(
            row.prompt
            for row in self.connection.exec_driver_sql("SELECT id, prompt FROM tasks")
            if row.id == task
        )
        return add_task(
            self.connection,
            self.campaign,
            prompt=found,
            responses=ids,
            purpose=Purpose.REPEAT,
            overlap=1,
            repeats=task,
            for_rater=self.raters[rater],
        )

    def say(self, rater: int, task: str, tiers: Sequence[int] | None = (0, 1), **more: Any) -> int:
        """A judgement by canonical place; its number."""
        corrects = more.pop("corrects", None)
        verdict = Verdict.SKIP
        if tiers is not None:
            verdict = Verdict.TIE if len(set(tiers)) == 1 else Verdict.RANKING
        else:
            more = {"reason": "unclear"} | more
        values: dict[str, Any] = {
            "rater": self.raters[rater],
            "responses": tuple(responses_of(self.connection, task)),
            "verdict": verdict,
            "tiers": None if tiers is None else tuple(tiers),
            "task": task,
            "shown": tuple(range(self.responses)),
        }
        said = Judgement(**values | more)
        key = f"{self.campaign.id}-{next(self._keys)}"
        return submit(self.connection, said, key=key, corrects=corrects).event.seq
