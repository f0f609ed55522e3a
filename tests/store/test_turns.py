"""Turns: one at a time, in the order of asking, and never lost."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from accord.store.turns import Turns


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order = Turns(), []
    assert turns.take(1)

    def ask(number: int) -> None:
        assert turns.take(30)
        order.append(number)
        turns.give()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for number, thread in enumerate(threads, start=1):
        thread.start()
        while len(turns._waiting) < number:
            time.sleep(0.001)
    turns.give()
    for thread in threads:
        thread.join()
    assert order == list(range(8))


def test_who_waits_in_vain_is_passed_over() -> None:
    turns = Turns()
    assert turns.take(1)
    assert turns.mine
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(turns.take, 0.01).result() is False
        turns.give()
        assert not turns.mine
        assert pool.submit(turns.take, 0.01).result() is True
        assert not turns.mine
        pool.submit(turns.give).result()
    assert turns.take(0.01)


def test_impatient_threads_never_share_or_lose_the_turn() -> None:
    turns, inside, taken = Turns(), [0], []

    def work(seed: int) -> None:
        draws = random.Random(seed)
        for _ in range(200):
            if turns.take(draws.choice([0.0, 0.0005, 5])):
                inside[0] += 1
                taken.append(inside[0])
                if draws.random() < 0.2:
                    time.sleep(0.0002)
                inside[0] -= 1
                turns.give()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert set(taken) == {1}
    assert turns.take(0)
