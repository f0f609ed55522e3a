"""Orders for answers: the same one once, and never for a prompt that was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from accord.collect.campaign import CampaignState, set_campaign_state
from accord.collect.candidates import deliver
from accord.collect.orders import SAMPLE, order_of, request, unfinished, unsampled
from accord.collect.pool import add_prompts
from accord.core.errors import ConfigError, ConflictError, DataError
from accord.core.types import Conversation, Prompt, SamplingSettings
from accord.store.database import Database
from accord.store.jobs import claim, complete, enqueue, fail, job_called
from tests.collect.asking import made

SETTINGS = SamplingSettings(temperature=0.7, max_tokens=12)


def pool(database: Database, count: int) -> list[str]:
    rows = [Prompt(conversation=Conversation.of(f"What about {i}?")) for i in range(count)]
    return add_prompts(database, rows).ids


def test_the_same_request_is_the_same_job(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    ids = pool(file_database, 2)

    def ask(**more: Any) -> str:
        with file_database.write() as connection:
            return request(
                connection, campaign, ids, ["sft-1"], **{"samples": 2, "settings": SETTINGS} | more
            )

    assert ask() == ask()
    assert len({ask(), ask(seed=1), ask(samples=3), ask(tasks=1)}) == 4


def test_prompts_that_a_job_or_task_has_are_not_asked_for_again(file_database: Database) -> None:
    campaign = made(file_database, tasks=2)
    ids = pool(file_database, 6)
    with file_database.read() as connection:
        assert unsampled(connection, campaign) == sorted(ids)
    with file_database.write() as connection:
        first = request(connection, campaign, ids[:2], ["p"], samples=2, settings=SETTINGS)
        second = request(connection, campaign, ids[2:5], ["p"], samples=2, settings=SETTINGS)
        assert unsampled(connection, campaign) == [ids[5]]
        assert [job.id for job, _ in unfinished(connection, campaign)] == [first, second]
        assert unfinished(connection, campaign)[1][1].prompts == tuple(ids[2:5])
    done = claim(file_database, (SAMPLE,), "w", 60, only=first)
    broken = claim(file_database, (SAMPLE,), "w", 60, only=second)
    assert done is not None
    assert broken is not None
    deliver(file_database, broken, {ids[2]: []})
    with file_database.write() as connection:
        complete(connection, done, {})
        fail(connection, broken, "the model is gone")
        # What a failed job did not come to may be asked for otherwise.
        assert unsampled(connection, campaign) == sorted([ids[3], ids[4], ids[5]])
        assert [job.id for job, _ in unfinished(connection, campaign)] == [second]
        other = enqueue(connection, "tidy", {})
        with pytest.raises(DataError, match="does not sample"):
            order_of(job_called(connection, other))


def test_requests_that_cannot_work_are_refused(file_database: Database) -> None:
    campaign = made(file_database, tasks=0, k=3)
    ids = pool(file_database, 2)

    def ask(prompts: Sequence[str] = ids, policies: Sequence[str] = ("p",), **more: Any) -> None:
        with file_database.write() as connection:
            request(
                connection,
                campaign,
                prompts,
                policies,
                **{"samples": 3, "settings": SETTINGS} | more,
            )

    for wrong, error, words in (
        ({"samples": 2}, ConfigError, "more responses than would be sampled"),
        ({"policies": ["p", "p"]}, ConfigError, "named twice"),
        ({"prompts": [ids[0], ids[0]]}, ConfigError, "named twice"),
        ({"prompts": []}, DataError, "no prompt to sample"),
        ({"prompts": ["ghost"]}, DataError, "no such prompt"),
        ({"tasks": 0}, ConfigError, "at least 1"),
    ):
        with pytest.raises(error, match=words):
            ask(**wrong)  # type: ignore[arg-type]
    with file_database.write() as connection:
        set_campaign_state(connection, campaign, CampaignState.CLOSED)
    with pytest.raises(ConflictError, match="closed"):
        ask(seed=9)


def test_rewards_are_for_selections_that_look_at_them(file_database: Database) -> None:
    ids = pool(file_database, 4)
    campaigns = {
        name: made(file_database, tasks=0, name=name, selection=name)
        for name in ("random", "gap", "uncertainty")
    }

    def ask(selection: str, *rewards: str, tasks: int | None = 2) -> str:
        with file_database.write() as connection:
            return request(
                connection,
                campaigns[selection],
                ids,
                ["p"],
                samples=2,
                settings=SETTINGS,
                tasks=tasks,
                rewards=rewards,
            )

    for words, wrong in (
        ("picking tasks by them", lambda: ask("random", "reward-a")),
        ("picking tasks by them", lambda: ask("gap", "reward-a", tasks=None)),
        ("needs 2 reward models", lambda: ask("uncertainty", "reward-a")),
        ("named twice", lambda: ask("uncertainty", "reward-a", "reward-a")),
    ):
        with pytest.raises(ConfigError, match=words):
            wrong()
    job = ask("uncertainty", "reward-a", "reward-b")
    assert job not in {ask("gap", "reward-a"), ask("uncertainty", "reward-b", "reward-c")}
    with file_database.read() as connection:
        assert order_of(job_called(connection, job)).rewards == ("reward-a", "reward-b")


def test_an_order_from_before_there_were_rewards_is_still_one(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    ids = pool(file_database, 2)
    with file_database.write() as connection:
        new = request(connection, campaign, ids, ["p"], samples=2, settings=SETTINGS)
        arguments = dict(job_called(connection, new).arguments)
        assert arguments.pop("rewards") == []
        old = enqueue(connection, SAMPLE, arguments, key="old")
        assert order_of(job_called(connection, old)) == order_of(job_called(connection, new))
