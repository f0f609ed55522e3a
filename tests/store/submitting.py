"""Submits judgements until it is killed; says on its output which were acknowledged.

A program of `tests.killing`: PLACE PROCESS THREADS. All is sent twice, under the same key.
"""

from __future__ import annotations

import os
import sys
import threading

from accord.core.errors import StoreError
from accord.store.database import Database, open_database
from accord.store.judgements import Judgement, Verdict, submit
from accord.store.registry import register_rater


def said(rater: str, number: int) -> Judgement:
    """What a rater says of task `number`."""
    return Judgement(
        rater=rater,
        responses=("a", "b"),
        verdict=Verdict.RANKING,
        tiers=(number % 2, 1 - number % 2),
        rationale=f"reason {number}",
    )


def rater_of(database: Database) -> str:
    """The one rater, registered by whoever comes first."""
    with database.write() as connection:
        return register_rater(connection, kind="human", key="the rater")


def work(database: Database, rater: str, name: str) -> None:
    """Submit for ever."""
    number = 0
    while True:
        key = f"{name}/{number}"
        for _ in range(2):
            with database.write() as connection:
                seq = submit(connection, said(rater, number), key=key).event.seq
            # One write, so that a kill cannot leave half a line of an acknowledgement.
            os.write(1, f"{key} {seq}\n".encode())
        number += 1


def end(failed: threading.ExceptHookArgs) -> None:
    """Whatever fails in a thread ends the program and is shown."""
    os.write(2, f"{failed.exc_type.__name__}: {failed.exc_value}\n".encode())
    os._exit(1)


def main(words: list[str]) -> int:
    """Start the threads and wait for the end."""
    place, name, threads = words
    database = open_database(place)
    try:
        rater = rater_of(database)
    except StoreError as error:
        sys.exit(str(error))
    threading.excepthook = end
    for number in range(int(threads)):
        thread = threading.Thread(
            target=work, args=(database, rater, f"{name}.{number}"), daemon=True
        )
        thread.start()
    threading.Event().wait()
    return 0
