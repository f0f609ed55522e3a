"""People who write and review until they are killed; say on their output what was acknowledged.

A program of `tests.killing`: PLACE NAME THREADS. Each thread is a person; all is sent twice.
"""

from __future__ import annotations

import os
import threading
import time
from random import Random

from accord.collect.answering import answer
from accord.collect.assigning import release
from accord.collect.campaign import Campaign, campaign_called, join
from accord.collect.tasks import TaskKind
from accord.collect.text_leases import next_text
from accord.collect.writing import hand_in
from accord.store.database import Database, open_database
from accord.store.registry import register_rater
from tests.collect.clients import end
from tests.collect.texting import ACCEPT, REJECT, SKIP

CAMPAIGN = "texts"
PATIENCE = 30
"""Times that nothing was there before somebody goes home."""


def work(database: Database, campaign: Campaign, name: str) -> None:
    """Write and review until there is nothing for long, a few given back and a few skipped."""
    draws = Random(name)
    with database.write() as connection:
        rater = register_rater(connection, kind="human", key=f"rater {name}")
        join(connection, campaign, rater)
    idle = 0
    while idle < PATIENCE:
        lease = next_text(database, campaign, rater)
        if lease is None:  # others have what is left, or it waits for them
            idle += 1
            time.sleep(0.1)
            continue
        idle = 0
        if draws.random() < 0.05:
            release(database, lease)
            continue
        key = f"{lease.assignment}/{lease.fence}"
        skips = draws.random() < 0.02
        said = SKIP if skips else REJECT if draws.random() < 0.2 else ACCEPT
        for _ in range(2):
            if skips or lease.kind is TaskKind.REVIEW:
                seq = answer(database, campaign, lease, said, key=key, ui="test").seq
            else:
                words = f"what {key} says"
                seq = hand_in(database, campaign, lease, words, key=key, ui="test").seq
            # One write, so that a kill cannot leave half a line of an acknowledgement.
            os.write(1, f"{lease.assignment} {seq}\n".encode())


def main(words: list[str]) -> int:
    """Start the threads and wait for the end."""
    place, name, threads = words
    database = open_database(place)
    with database.read() as connection:
        campaign = campaign_called(connection, CAMPAIGN)
    threading.excepthook = end
    running = [
        threading.Thread(target=work, args=(database, campaign, f"{name}.{n}"), daemon=True)
        for n in range(int(threads))
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return 0
