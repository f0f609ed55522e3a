"""A sitting: task after task at one terminal, until there is none or the rater ends it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

from rich.console import RenderableType

from accord.cli.dialogue import Dialogue
from accord.cli.sheets import guidelines
from accord.collect.campaign import Campaign
from accord.core.errors import ConflictError
from accord.store.database import Database
from accord.store.registry import guideline_text

L = TypeVar("L")
"""A task under a lease."""
UNDO_OR_END = "u undoes the last one, Enter ends"
"""What is left to do where no task is."""


class Turns(ABC, Generic[L]):
    """What every sitting does between tasks; what is done with one is its own."""

    nothing: str
    """What is said where there is no task."""

    def __init__(
        self, database: Database, campaign: Campaign, rater: str, dialogue: Dialogue
    ) -> None:
        self._database, self._campaign, self._rater = database, campaign, rater
        self._dialogue = dialogue
        with database.read() as connection:
            words = guideline_text(connection, campaign.settings.guideline)
        self._guide: RenderableType = guidelines(words)
        self._ended = False
        self.refused = 0

    def work(self, *, most: int) -> None:
        """Task after task, until there is none, `most` are done, or the rater ends it.

        Raises ConflictError where the campaign hands out no task, or none to this rater, from the
        beginning. Ctrl-C ends it as q does.
        """
        try:
            while not self._ended and (not most or self._count < most):
                lease = self._next()
                if lease is None:
                    if not self._stays():
                        return
                    self._undo()
                    continue
                try:
                    self._one(lease)
                except BaseException:
                    self._give_back(lease)
                    raise
                if self._ended:
                    self._give_back(lease)
        except KeyboardInterrupt:
            self._ended = True

    @property
    @abstractmethod
    def begun(self) -> bool:
        """Whether anything was said in it."""

    @abstractmethod
    def summary(self) -> str:
        """What was done, for the rater."""

    @property
    @abstractmethod
    def _count(self) -> int:
        """Tasks that are done with."""

    @property
    @abstractmethod
    def _undoable(self) -> bool:
        """Whether something of this sitting can be taken back."""

    @abstractmethod
    def _lease(self) -> L | None:
        """The next task. Raises ConflictError where none is handed out."""

    @abstractmethod
    def _one(self, lease: L) -> None:
        """One task, until it is done with or the sitting ends."""

    @abstractmethod
    def _undo(self) -> None:
        """Take the last answer back."""

    @abstractmethod
    def _give_back(self, lease: L) -> None:
        """Leave a task that is not done with."""

    def _next(self) -> L | None:
        try:
            lease = self._lease()
        except ConflictError as error:
            if not self.begun:
                raise
            kept = "" if self.refused else "; what you handed in was kept"
            self._dialogue.say(f"{error.what}: {error.got}{kept}")
            self._ended = True
            return None
        if lease is None:
            self._dialogue.say(self.nothing)
        return lease

    def _stays(self) -> bool:
        """Whether somebody for whom there is no task would take back what they said last."""
        can = self._undoable and not self._ended
        return can and self._dialogue.waits_for("u", UNDO_OR_END)

    def _introduced(self, before: int) -> bool:
        """Whether the rater, who did `before` tasks here, goes on: the first time after reading the
        guidelines."""
        if before or self.begun:
            return True
        self._dialogue.say("the guidelines; ? shows them again", style="dim")
        goes_on = self._dialogue.read_through(self._guide, then="Enter goes on to the first task")
        self._ended = not goes_on
        return goes_on
