"""Works on jobs that ask the workspace's policies for answers, and its reward models for scores.

A worker may be killed at any moment: the job goes to the next one when its lease has run out, and
goes on after the last prompts that were delivered. The same job gives the same answers, killed or
not: a chunk of prompts is sampled with a seed of its own.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np

from accord.collect.candidates import conclude, deliver, remaining, shown_of
from accord.collect.orders import SAMPLE, order_of
from accord.collect.selection import Score, predicted
from accord.core.errors import (
    AccordError,
    ConfigError,
    ConflictError,
    DataError,
    InterruptedRun,
    StoreError,
)
from accord.core.hashing import digest
from accord.core.machine import Machine
from accord.core.types import Conversation, Response, SamplingSettings
from accord.pipeline.answering import Voice, find_policy
from accord.pipeline.interrupts import Stop, listening
from accord.pipeline.predicting import RewardModel, find_reward
from accord.pipeline.stage import Stage
from accord.pipeline.workspace import Workspace
from accord.store.database import Database
from accord.store.event import new_id
from accord.store.jobs import (
    Job,
    JobState,
    claim,
    fail,
    give_back,
    heartbeat,
    job_called,
)
from accord.store.registry import conversation_of, response_text
from accord.telemetry.sink import Silent, Sink

LEASE_SECONDS = 60.0
"""How long a job is held without a sign of life; a sign is given four times as often."""
CHUNK = 32
"""Prompts that are sampled and delivered together: what a kill can cost."""


class Speaker(Protocol):
    """A loaded policy, as `answering.Voice` is one."""

    def tokens_over(self, conversation: Conversation, settings: SamplingSettings) -> int:
        """Tokens of a prompt that find no room; 0: it fits."""
        ...

    def respond(
        self,
        conversations: Sequence[Conversation],
        *,
        settings: SamplingSettings,
        n: int,
        seed: int,
    ) -> list[list[Response]]:
        """`n` answers to each, in order; the same seed, the same answers."""
        ...


class Predictor(Protocol):
    """A loaded reward model, as `predicting.RewardModel` is one."""

    def rewards(self, asked: Sequence[tuple[Conversation, str]]) -> list[float | None]:
        """A score for each prompt and answer, None where there can be none; the difference of two
        is a log-odds."""
        ...


def work(
    workspace: Workspace,
    database: Database,
    *,
    stages: Sequence[Stage],
    machine: Callable[[], Machine],
    once: bool = True,
    only: str | None = None,
    sink: Sink | None = None,
) -> list[Job]:
    """Do the jobs that wait, with the policies of `workspace`; the jobs that ended here.

    With `once` until none waits, else for ever; with `only` that one job, waiting where another
    worker holds it. A job that cannot be done has failed, with the reason in it. Raises
    InterruptedRun where somebody asked to stop: the job is given back as far as it is.
    """

    def load(policy: str) -> Speaker:
        return Voice(workspace, find_policy(workspace, stages, policy), machine())

    def load_reward(reward: str) -> Predictor:
        return RewardModel(workspace, find_reward(workspace, stages, reward), machine())

    return work_with(load, database, load_reward=load_reward, once=once, only=only, sink=sink)


def work_with(
    load: Callable[[str], Speaker],
    database: Database,
    *,
    load_reward: Callable[[str], Predictor] | None = None,
    once: bool = True,
    only: str | None = None,
    sink: Sink | None = None,
    pause: float = 1.0,
    lease: float = LEASE_SECONDS,
) -> list[Job]:
    """`work` with policies from `load` and reward models from `load_reward`, by the names that the
    jobs give them.

    `pause` is the time between two looks at an empty queue, `lease` that which a job is held
    without a sign of life, both in seconds.
    """
    sink = sink or Silent()
    name = f"{platform.node()[:30]}:{os.getpid()}:{new_id()[:8]}"
    models = _Models(load, load_reward)
    ended: list[Job] = []
    told = False
    with listening() as stop:
        while True:
            if (job := claim(database, (SAMPLE,), name, lease, only=only)) is not None:
                with _held(database, job, lease):
                    ended.append(_attempt(database, job, models, sink, stop))
                told = False
                if only is not None:
                    return ended
                continue
            if only is not None:
                with database.read() as connection:
                    other = job_called(connection, only)
                if other.state is not JobState.LEASED:
                    return ended
                if not told:
                    sink.notice("another worker holds this job; if it died, its lease ends soon")
                    told = True
            elif once:
                return ended
            if stop.requested:
                raise InterruptedRun("stopped; no job was under way")
            time.sleep(pause)


def _attempt(database: Database, job: Job, models: _Models, sink: Sink, stop: Stop) -> Job:
    """Work on a held job to its end, whichever that is; the job as it is then."""
    try:
        _sample(database, job, models, sink, stop)
    except InterruptedRun:
        with database.write() as connection:
            give_back(connection, job)
        raise
    except (ConflictError, StoreError) as error:
        # Somebody else has it, or nothing can be written: there is nothing to say in the job.
        sink.notice(f"a job was let go: {error.what}")
    except AccordError as error:
        with database.write() as connection:
            fail(connection, job, str(error))
        sink.notice(f"a job failed: {error.what}")
    with database.read() as connection:
        return job_called(connection, job.id)


def _sample(database: Database, job: Job, models: _Models, sink: Sink, stop: Stop) -> None:
    order = order_of(job)
    places = {prompt: place for place, prompt in enumerate(order.prompts)}
    with database.read() as connection:
        left = remaining(connection, job)
    begun = time.monotonic()
    done = len(order.prompts) - len(left)
    sink.started(SAMPLE, steps=len(order.prompts), done=done)
    for start in range(0, len(left), CHUNK):
        chunk = left[start : start + CHUNK]
        asked = _conversations(database, chunk)
        answers: dict[str, list[Response]] = {prompt: [] for prompt in chunk}
        for number, policy in enumerate(order.policies):
            voice = models.policy(policy)
            fit = [p for p in asked if not voice.tokens_over(asked[p], order.settings)]
            # Of nothing that code or a workspace names: the same weights give the same answers.
            seed = int(digest([order.seed, number, places[chunk[0]]])[:12], 16)
            if not fit:
                continue
            said = voice.respond(
                [asked[p] for p in fit], settings=order.settings, n=order.samples, seed=seed
            )
            for prompt, group in zip(fit, said, strict=True):
                answers[prompt] += group
        deliver(database, job, answers)
        done += len(chunk)
        sink.row(done, {"seconds": time.monotonic() - begun})
        if stop.requested and start + CHUNK < len(left):
            raise InterruptedRun(
                "stopped; what was delivered is kept",
                got=f"{done} of {len(order.prompts)} prompts",
                do="ask for the same again: it goes on from there",
            )
    conclude(database, job, scores=_predicted(database, job, models, sink, stop))
    sink.ended(SAMPLE, seconds=time.monotonic() - begun)


def _predicted(
    database: Database, job: Job, models: _Models, sink: Sink, stop: Stop
) -> dict[str, Score]:
    """Scores by response (id) of what each task would show, of all reward models of the order.

    A candidate that one of them cannot score, or whose words were erased, has none: the random
    sample alone can bring it in.
    """
    rewards = order_of(job).rewards
    if not rewards:
        return {}
    with database.read() as connection:
        shown = shown_of(connection, job)
    asked: list[tuple[Conversation, str]] = []
    places: dict[str, range] = {}
    for prompt, words in _words(database, shown).items():
        places[prompt] = range(len(asked), len(asked) + len(words))
        asked += words
    table = []
    for name in rewards:
        if stop.requested:
            raise InterruptedRun("stopped; every answer is kept, nothing is picked yet")
        table.append(models.reward(name).rewards(asked))
    found: dict[str, Score] = {}
    for prompt, place in places.items():
        rows = [[row[at] for at in place] for row in table]
        if all(value is not None for row in rows for value in row):
            scores = predicted(np.array(rows, dtype=np.float64))
            found.update(zip(shown[prompt], scores, strict=True))
    if left := len(shown) - sum(names[0] in found for names in shown.values()):
        sink.notice(
            f"{left} of {len(shown)} candidates have no predicted reward (too long, or erased): "
            "only the random sample can bring them in"
        )
    return found


def _words(
    database: Database, shown: Mapping[str, Sequence[str]]
) -> dict[str, list[tuple[Conversation, str]]]:
    """Prompt and responses of each candidate that still has all its words."""
    found = {}
    with database.read() as connection:
        for prompt, names in shown.items():
            try:
                said = conversation_of(connection, prompt)
                found[prompt] = [(said, response_text(connection, name)) for name in names]
            except DataError:  # erased since it was said
                continue
    return found


def _conversations(database: Database, chunk: Sequence[str]) -> dict[str, Conversation]:
    """Words of the prompts that still have them."""
    found: dict[str, Conversation] = {}
    with database.read() as connection:
        for prompt in chunk:
            try:
                found[prompt] = conversation_of(connection, prompt)
            except DataError:  # erased since it was asked for: counted as unanswered
                continue
    return found


class _Models:
    """The model that was used last stays loaded; two at a time could be more than memory holds."""

    def __init__(
        self,
        load: Callable[[str], Speaker],
        load_reward: Callable[[str], Predictor] | None,
    ) -> None:
        self._load, self._load_reward = load, load_reward
        self._policy: tuple[str, Speaker] | None = None

    def policy(self, name: str) -> Speaker:
        """The loaded policy of this name."""
        if self._policy is None or self._policy[0] != name:
            self._policy = None
            self._policy = (name, self._load(name))
        return self._policy[1]

    def reward(self, name: str) -> Predictor:
        """A reward model, loaded for its caller alone."""
        self._policy = None
        if self._load_reward is None:
            raise ConfigError("this worker has no reward models", got=name)
        return self._load_reward(name)


@contextmanager
def _held(database: Database, job: Job, lease: float) -> Iterator[None]:
    """Renew the lease from a thread of its own: sampling takes as long as it takes."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(lease / 4):
            try:
                heartbeat(database, job, lease)
            except ConflictError:
                return  # lost, and the next delivery is refused; or ended
            except StoreError:
                continue  # busy: tried again long before the lease ends

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
