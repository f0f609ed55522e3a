"""The worker: every prompt answered once, whatever stops it in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from accord.collect.campaign import Campaign, CampaignSettings, open_campaign
from accord.collect.orders import SAMPLED, request
from accord.collect.pool import add_prompts
from accord.core.errors import InterruptedRun, ModelError
from accord.core.types import Conversation, Prompt, Response, SamplingSettings, StopReason
from accord.pipeline.worker import CHUNK, Speaker, work_with
from accord.store.database import Database, open_database
from accord.store.erasing import erase
from accord.store.jobs import JobState, claim, job_called
from accord.store.registry import TEXT, publish_guideline
from accord.store.tables import events, prompts, responses, tasks
from accord.telemetry.sink import Silent
from tests.rules.source import ROOT

SETTINGS = SamplingSettings(max_tokens=8)


class Echo:
    """A policy without a model: says the prompt's own words, a number and the seed."""

    def __init__(self, name: str, *, pause: float = 0.0) -> None:
        self.name, self.pause = name, pause
        self.calls: list[tuple[int, int]] = []
        self.interrupt_at: int | None = None

    def tokens_over(self, conversation: Conversation, settings: SamplingSettings) -> int:
        return max(0, len(conversation.messages[-1].content) - 100)

    def respond(
        self,
        conversations: Sequence[Conversation],
        *,
        settings: SamplingSettings,
        n: int,
        seed: int,
    ) -> list[list[Response]]:
        time.sleep(self.pause)
        self.calls.append((len(conversations), seed))
        if len(self.calls) == self.interrupt_at:
            os.kill(os.getpid(), signal.SIGINT)
        return [
            [
                Response(
                    prompt_id="",
                    text=f"{self.name} {i} to {one.messages[-1].content} by {seed}",
                    stop=StopReason.STOP,
                    policy=self.name[0] * 64,
                    settings=settings,
                )
                for i in range(n)
            ]
            for one in conversations
        ]


def ordered(
    database: Database, count: int, *, policies: Sequence[str] = ("new",), seed: int = 0
) -> str:
    """A job for `count` prompts, the last of which is too long."""
    texts = [f"Question {i}?" for i in range(count - 1)] + ["long " * 30]
    ids = add_prompts(database, [Prompt(conversation=Conversation.of(text)) for text in texts]).ids
    with database.write() as connection:
        publish_guideline(connection, "v1", "Prefer what is true.")
        campaign: Campaign = open_campaign(
            connection, CampaignSettings(name="pilot", guideline="v1")
        )
        return request(connection, campaign, ids, policies, samples=2, settings=SETTINGS, seed=seed)


def ended(database: Database, job: str) -> dict[str, int]:
    with database.read() as connection:
        found = job_called(connection, job)
    assert found.state is JobState.DONE, found.error
    return dict(found.result)


def texts(database: Database) -> list[str]:
    with database.read() as connection:
        return sorted(connection.execute(sa.select(responses.c.digest)).scalars())


def test_every_prompt_is_answered_by_every_policy(database: Database) -> None:
    job = ordered(database, 2 * CHUNK + 3, policies=("new", "old"))
    loaded: list[Echo] = []

    def load(name: str) -> Speaker:
        loaded.append(Echo(name))
        return loaded[-1]

    (done,) = work_with(load, database)
    assert done.id == job
    result = ended(database, job)
    count = 2 * CHUNK + 3
    assert (result["prompts"], result["unanswered"], result["tasks"]) == (count, 1, count - 1)
    assert result["answers"] == 4 * (count - 1)
    # A chunk with another policy loads it again: only one is held at a time.
    assert [echo.name for echo in loaded] == ["new", "old"] * 3
    assert work_with(load, database) == []


def test_a_stopped_job_goes_on_with_the_same_answers(tmp_path: Path) -> None:
    count = 4 * CHUNK
    with open_database(tmp_path / "whole.db") as whole:
        job = ordered(whole, count)
        work_with(Echo, whole)
        expected = texts(whole)
        assert ended(whole, job)["tasks"] == count - 1
    with open_database(tmp_path / "stopped.db") as stopped:
        job = ordered(stopped, count)
        echo = Echo("new")
        echo.interrupt_at = 2
        with pytest.raises(InterruptedRun, match="stopped"):
            work_with(lambda _: echo, stopped)
        with stopped.read() as connection:
            assert job_called(connection, job).state is JobState.QUEUED
        work_with(lambda _: echo, stopped)
        assert [size for size, _ in echo.calls] == [CHUNK, CHUNK, CHUNK, CHUNK - 1]
        assert texts(stopped) == expected


WORKER = """
import sys
from accord.pipeline import worker
from accord.store.database import open_database
from tests.pipeline.test_worker import Echo
slow = lambda name: Echo(name, pause=0.15)
worker.work_with(slow, open_database(sys.argv[1]), once=False, lease=1.0)
"""


def test_a_killed_worker_costs_a_chunk_and_nothing_twice(place: str) -> None:
    count = 6 * CHUNK
    with open_database(place) as database:
        job = ordered(database, count)
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        deadline = time.monotonic() + 120
        for wanted in (CHUNK, 3 * CHUNK):
            with subprocess.Popen([sys.executable, "-c", WORKER, place], env=environment) as worker:
                while (seen := delivered(database)) < wanted:
                    assert worker.poll() is None
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                worker.send_signal(signal.SIGKILL)
            assert seen < count
        (done,) = work_with(Echo, database, only=job, pause=0.05, lease=1.0)
        assert done.state is JobState.DONE
        assert ended(database, job)["tasks"] == count - 1
        with database.read() as connection:
            kinds = Counter(connection.execute(sa.select(events.c.type)).scalars())
        assert kinds[SAMPLED] == count
        assert kinds["response.added"] == 2 * (count - 1)
        assert kinds["task.added"] == count - 1


def delivered(database: Database) -> int:
    with database.read() as connection:
        found = sa.select(sa.func.count()).where(events.c.type == SAMPLED)
        return int(connection.execute(found).scalar_one())


def test_a_job_that_cannot_be_done_says_why(database: Database) -> None:
    job = ordered(database, 2)

    def broken(name: str) -> Speaker:
        raise ModelError("the model is gone", got=name)

    (failed,) = work_with(broken, database)
    assert failed.state is JobState.FAILED
    assert "the model is gone" in str(failed.error)
    assert work_with(Echo, database, only=job) == []


def test_a_prompt_that_was_erased_is_counted(file_database: Database) -> None:
    job = ordered(file_database, 3)
    with file_database.read() as connection:
        seq = connection.execute(sa.select(prompts.c.seq).order_by(prompts.c.seq)).scalars().first()
    assert seq is not None
    erase(file_database, seq, TEXT)
    work_with(Echo, file_database)
    assert ended(file_database, job)["unanswered"] == 2


def test_a_job_that_another_holds_is_waited_for(file_database: Database) -> None:
    job = ordered(file_database, 2)
    held = claim(file_database, ("sample",), "other", 0.6)
    assert held is not None
    (done,) = work_with(Echo, file_database, only=job, pause=0.05)
    assert (done.state, done.fence) == (JobState.DONE, held.fence + 1)


# ---- predicted rewards ---------------------------------------------------------------------------


class Fond:
    """A reward model without a model: fond of the first answer to some questions, by so much."""

    def __init__(self, leads: Mapping[int, float], *, shift: float = 0.0) -> None:
        self.leads, self.shift = leads, shift
        self.asked: list[int] = []
        self.blind: set[int] = set()
        self.interrupts = False

    def rewards(self, asked: Sequence[tuple[Conversation, str]]) -> list[float | None]:
        self.asked.append(len(asked))
        if self.interrupts:
            os.kill(os.getpid(), signal.SIGINT)
        return [self._one(prompt.messages[-1].content, answer) for prompt, answer in asked]

    def _one(self, question: str, answer: str) -> float | None:
        number = int(question.removeprefix("Question ").removesuffix("?"))
        if number in self.blind:
            return None
        return self.shift + (self.leads.get(number, 0.0) if answer.startswith("new 0") else 0.0)


def picking(database: Database, selection: str, rewards: Sequence[str]) -> tuple[str, list[str]]:
    """A job for 20 prompts of which 5 become tasks, and the prompts."""
    rows = [Prompt(conversation=Conversation.of(f"Question {i}?")) for i in range(20)]
    ids = add_prompts(database, rows).ids
    with database.write() as connection:
        publish_guideline(connection, "v1", "Prefer what is true.")
        campaign = open_campaign(
            connection, CampaignSettings(name="keen", guideline="v1", selection=selection)
        )
        job = request(
            connection,
            campaign,
            ids,
            ("new",),
            samples=2,
            settings=SETTINGS,
            tasks=5,
            rewards=rewards,
        )
    return job, ids


def picked(database: Database) -> dict[str, float]:
    """Prompts that are asked, and the probability that each had."""
    with database.read() as connection:
        rows = connection.execute(sa.select(tasks.c.prompt, tasks.c.inclusion))
        return {row.prompt: row.inclusion for row in rows}


def test_tasks_are_picked_by_the_gap_that_one_model_predicts(database: Database) -> None:
    job, ids = picking(database, "gap", ("reward-a",))
    model = Fond({7: 3.0, 8: -2.0})
    work_with(Echo, database, load_reward={"reward-a": model}.__getitem__)
    assert ended(database, job)["tasks"] == 5
    assert model.asked == [40]
    found = picked(database)
    # Two have a gap, whichever way, and are taken surely; nothing speaks for the others.
    assert found[ids[7]] == found[ids[8]] == 1.0
    assert {found[name] for name in found.keys() - {ids[7], ids[8]}} == {3 / 18}


def test_tasks_are_picked_by_what_models_disagree_on(database: Database) -> None:
    job, ids = picking(database, "uncertainty", ("reward-a", "reward-b"))
    # They agree on 4, but for a reward of everything that has no meaning; on 11 they do not.
    models = {"reward-a": Fond({4: 3.0, 11: 2.0}), "reward-b": Fond({4: 3.0, 11: -2.0}, shift=9)}
    work_with(Echo, database, load_reward=models.__getitem__)
    assert ended(database, job)["tasks"] == 5
    found = picked(database)
    assert found[ids[11]] == 1.0
    assert {found[name] for name in found.keys() - {ids[11]}} == {4 / 19}


def test_a_stop_between_two_models_loses_nothing_and_what_is_gone_has_no_score(
    file_database: Database,
) -> None:
    ids = picking(file_database, "gap", ("reward-a", "reward-b"))[1]
    first, second = Fond({7: 3.0, 8: 2.0, 9: 1.0}), Fond({7: 3.0, 8: 2.0, 9: 1.0})
    first.interrupts = True
    load = {"reward-a": first, "reward-b": second}.__getitem__
    with pytest.raises(InterruptedRun, match="nothing is picked"):
        work_with(Echo, file_database, load_reward=load)
    assert (first.asked, second.asked, picked(file_database)) == ([40], [], {})
    first.interrupts = False
    second.blind = {8}  # one model alone cannot read the answers to it
    with file_database.read() as connection:
        of_seven = sa.select(responses.c.seq).where(responses.c.prompt == ids[7])
        seq = connection.execute(of_seven).scalars().first()
    assert seq is not None
    erase(file_database, seq, TEXT)
    heard = Heard()
    work_with(Echo, file_database, load_reward=load, sink=heard)
    assert first.asked == [40, 38]
    (told,) = heard.notices
    assert told.startswith("2 of 20 candidates have no predicted reward")
    found = picked(file_database)
    assert found.pop(ids[9]) == 1.0
    assert set(found.values()) == {4 / 19}
    assert ids[7] not in found


class Heard(Silent):
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)


def test_a_worker_without_reward_models_says_so_in_the_job(database: Database) -> None:
    job, _ = picking(database, "gap", ("reward-a",))
    (failed,) = work_with(Echo, database)
    assert (failed.id, failed.state) == (job, JobState.FAILED)
    assert "no reward models" in str(failed.error)
    assert picked(database) == {}
