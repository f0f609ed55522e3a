"""Judgements a second with full synchronous writes: `python bench/store.py [URL] [--seconds 5]`.

First the store alone, then whole turns of a rater: a task is leased, shown and answered.

Beside them the time that this machine takes to flush 4 KiB to the disk, which every acknowledged
judgement waits for. Without URL a SQLite file in a temporary folder is used.
"""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated
from uuid import uuid4

import numpy as np
import tyro

from accord.collect.answering import answer
from accord.collect.assigning import next_task
from accord.collect.campaign import Campaign, CampaignSettings, join, open_campaign
from accord.collect.sheet import Opinion
from accord.collect.tasks import add_task
from accord.core.types import Conversation, Prompt, Response, StopReason
from accord.store.database import Database, open_database
from accord.store.judgements import Judgement, Verdict, submit
from accord.store.registry import (
    add_prompt,
    add_response,
    publish_guideline,
    register_rater,
)
from accord.store.verifying import verify_database

THREADS = (1, 8, 50)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is measured."""

    url: Annotated[str, tyro.conf.Positional] = ""
    """A database, which is filled; empty: a new SQLite file."""
    seconds: float = 5.0
    """How long each number of threads submits."""


def main() -> None:
    """Measure and print."""
    options = tyro.cli(Options, description=__doc__)
    with TemporaryDirectory() as folder:
        flushes = [1e3 * taken for taken in _flushes(Path(folder), 300)]
        print(f"flush of 4 KiB: {_spread(flushes)} ms ({folder})")
        with open_database(options.url or Path(folder, "accord.db")) as database:
            print(f"database: {database.engine.dialect.name}")
            with database.write() as connection:
                rater = register_rater(connection, kind="synthetic", definition={"bench": True})
            for threads in THREADS:
                taken = _submit(database, rater, threads, options.seconds)
                rate = len(taken) / options.seconds
                spread = _spread([1e3 * one for one in taken])
                print(f"{threads} threads: {rate:.0f} judgements/s, each {spread} ms")
            for threads in THREADS:
                asked, answered = _turns(database, threads, options.seconds)
                rate = len(answered) / options.seconds
                print(
                    f"{threads} raters: {rate:.0f} answers/s, each {_spread(answered)} ms; "
                    f"next task {_spread(asked)} ms"
                )
            began = time.perf_counter()
            verdict = verify_database(database)
            rate = verdict.events / (time.perf_counter() - began)
            print(f"verified {verdict.events} events, {rate:.0f}/s: {verdict.ok}")


def _flushes(folder: Path, count: int) -> list[float]:
    taken = []
    descriptor = os.open(folder / "flush", os.O_CREAT | os.O_WRONLY)
    try:
        for _ in range(count):
            os.write(descriptor, b"x" * 4096)
            began = time.perf_counter()
            os.fsync(descriptor)
            taken.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
    return taken


def _submit(database: Database, rater: str, threads: int, seconds: float) -> list[float]:
    """Seconds of every judgement that `threads` clients get acknowledged in `seconds`."""
    end = time.perf_counter() + seconds

    def client(_: int) -> list[float]:
        taken = []
        while (began := time.perf_counter()) < end:
            with database.write() as connection:
                submit(connection, _said(rater), key=uuid4().hex)
            taken.append(time.perf_counter() - began)
        return taken

    with ThreadPoolExecutor(threads) as pool:
        return [one for found in pool.map(client, range(threads)) for one in found]


def _turns(database: Database, threads: int, seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds of each task asked for and of each answer acknowledged."""
    campaign, raters = _campaign(database, threads)
    end = time.perf_counter() + seconds

    def client(number: int) -> list[tuple[float, float]]:
        taken = []
        while (began := time.perf_counter()) < end:
            lease = next_task(database, campaign, raters[number])
            if lease is None:
                raise SystemExit("the campaign has too few tasks for this machine")
            shown = time.perf_counter()
            said = Opinion.ranked((0, 1), strength=2, seconds=41.5)
            answer(database, campaign, lease, said, key=uuid4().hex, ui="bench")
            taken.append((1e3 * (shown - began), 1e3 * (time.perf_counter() - shown)))
        return taken

    with ThreadPoolExecutor(threads) as pool:
        turns = [one for found in pool.map(client, range(threads)) for one in found]
    return [asked for asked, _ in turns], [answered for _, answered in turns]


def _campaign(database: Database, threads: int) -> tuple[Campaign, list[str]]:
    """A campaign of 2,000 tasks, three raters each, and its raters."""
    with database.write() as connection:
        publish_guideline(connection, "bench", "Prefer the helpful answer.")
        settings = CampaignSettings(name=f"bench {uuid4().hex}", guideline="bench")
        campaign = open_campaign(connection, settings)
        for number in range(2000):
            words = Conversation.of(f"question {number}")
            prompt = add_prompt(connection, Prompt(conversation=words, source="bench"))
            ids = [
                add_response(
                    connection,
                    prompt,
                    Response(prompt_id=prompt, text=f"{n} of {number}" * 40, stop=StopReason.STOP),
                )
                for n in range(2)
            ]
            add_task(connection, campaign, prompt=prompt, responses=ids)
        raters = [register_rater(connection, kind="human") for _ in range(threads)]
        for rater in raters:
            join(connection, campaign, rater)
    return campaign, raters


def _said(rater: str) -> Judgement:
    return Judgement(
        rater=rater,
        responses=("a" * 24, "b" * 24),
        verdict=Verdict.RANKING,
        tiers=(0, 1),
        strength=2,
        ratings={"helpfulness": (5, 3), "accuracy": (4, 4)},
        rationale="The first one answers the question, the second one does not.",
        shown=(1, 0),
        order_seed=7,
        seconds=41.5,
    )


def _spread(values: list[float]) -> str:
    low, high = np.percentile(values, [50, 95])
    return f"median {low:.2f}, p95 {high:.2f}"


if __name__ == "__main__":
    sys.exit(main())
