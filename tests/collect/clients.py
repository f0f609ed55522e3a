"""Raters who work until they are killed; say on their output which answers were acknowledged.

A program of `tests.killing`: PLACE NAME THREADS. Each thread is a rater; all is sent twice.
"""

from __future__ import annotations

import os
import threading
from random import Random

from accord.collect.answering import answer
from accord.collect.assigning import next_task, release
from accord.collect.campaign import Campaign, campaign_called, join
from accord.collect.sheet import Opinion
from accord.store.database import Database, open_database
from accord.store.registry import register_rater

CAMPAIGN = "pilot"


def work(database: Database, campaign: Campaign, name: str) -> None:
    """Judge for ever, a few tasks given back and a few skipped."""
    draws = Random(name)
    with database.write() as connection:
        rater = register_rater(connection, kind="human", key=f"rater {name}")
        join(connection, campaign, rater)
    while (lease := next_task(database, campaign, rater)) is not None:
        if draws.random() < 0.05:
            release(database, lease)
            continue
        said = Opinion.skipped("odd") if draws.random() < 0.02 else Opinion.ranked((0, 1))
        key = f"{lease.assignment}/{lease.fence}"
        for _ in range(2):
            seq = answer(database, campaign, lease, said, key=key, ui="test").seq
            # One write, so that a kill cannot leave half a line of an acknowledgement.
            os.write(1, f"{lease.assignment} {seq}\n".encode())


def end(failed: threading.ExceptHookArgs) -> None:
    """Whatever fails in a thread ends the program and is shown."""
    os.write(2, f"{failed.exc_type.__name__}: {failed.exc_value}\n".encode())
    os._exit(1)


def main(words: list[str]) -> int:
    """Start the threads and wait for the end."""
    place, name, threads = words
    database = open_database(place)
    with database.read() as connection:
        campaign = campaign_called(connection, CAMPAIGN)
    threading.excepthook = end
    for number in range(int(threads)):
        thread = threading.Thread(
            target=work, args=(database, campaign, f"{name}.{number}"), daemon=True
        )
        thread.start()
    threading.Event().wait()
    return 0
