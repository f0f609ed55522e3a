"""A lock that is given in the order of asking, so that of many writers none waits much longer."""

from __future__ import annotations

import threading
from collections import deque


class Turns:
    """Lets one thread in at a time, first come, first served.

    Python's own lock may pass a waiting thread over again and again.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._holder: int | None = None

    @property
    def mine(self) -> bool:
        """Whether the calling thread has the turn."""
        return self._holder == threading.get_ident()

    def take(self, seconds: float) -> bool:
        """Wait for the turn; False where it did not come in time."""
        with self._guard:
            if self._holder is None:
                self._holder = threading.get_ident()
                return True
            call = threading.Lock()
            call.acquire()
            self._waiting.append(call)
        if not call.acquire(timeout=seconds):
            with self._guard:
                if call in self._waiting:
                    self._waiting.remove(call)
                    return False
        # Called, if only just as the time ran out: nobody else has the turn now.
        self._holder = threading.get_ident()
        return True

    def give(self) -> None:
        """Pass the turn to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._holder = 0
                self._waiting.popleft().release()
            else:
                self._holder = None
