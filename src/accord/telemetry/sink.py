"""Where the runner tells what happens: the terminal, a test, another program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Sink(Protocol):
    """Receives the life of each stage in order: started, rows, ended."""

    def started(self, stage: str, *, steps: int | None, done: int) -> None:
        """A stage begins, or goes on after `done` rows; `steps` is None while unknown."""

    def total(self, steps: int) -> None:
        """The running stage now knows how many rows there will be in all."""

    def row(self, step: int, row: Mapping[str, float]) -> None:
        """One more step is done; steps count from 1."""

    def ended(self, stage: str, *, seconds: float) -> None:
        """The stage's artifact is in place, after `seconds` of work."""

    def notice(self, text: str) -> None:
        """Something the user should know, one sentence."""


class Silent:
    """A sink that keeps quiet."""

    def started(self, stage: str, *, steps: int | None, done: int) -> None:
        """Say nothing."""

    def total(self, steps: int) -> None:
        """Say nothing."""

    def row(self, step: int, row: Mapping[str, float]) -> None:
        """Say nothing."""

    def ended(self, stage: str, *, seconds: float) -> None:
        """Say nothing."""

    def notice(self, text: str) -> None:
        """Say nothing."""
