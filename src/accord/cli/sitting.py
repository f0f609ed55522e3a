"""One rater at one terminal: task after task, each answer handed in and its receipt told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import accord
from accord.cli.dialogue import Dialogue
from accord.cli.form import Form
from accord.cli.keeping import keep
from accord.cli.keyed import Wish
from accord.cli.sheets import counted, heading_of, lesson
from accord.cli.turns import Turns
from accord.collect.answering import Answered, answer, correct
from accord.collect.assigning import Lease, count_left, lease_of, newest_answer, next_task, release
from accord.collect.campaign import Campaign
from accord.collect.lessons import Feedback
from accord.collect.sheet import Opinion
from accord.core.errors import StoreError
from accord.store.database import Database
from accord.store.judgements import Verdict

UI = f"terminal {accord.__version__}"


@dataclass(frozen=True, slots=True)
class _Last:
    """What was said last."""

    lease: Lease
    seq: int
    verdict: Verdict
    here: bool = True
    """Whether this sitting counted it; another one did otherwise."""


class Sitting(Turns[Lease]):
    """One rater at one terminal."""

    nothing = "there is nothing to judge for you now"

    def __init__(
        self, database: Database, campaign: Campaign, rater: str, dialogue: Dialogue
    ) -> None:
        super().__init__(database, campaign, rater, dialogue)
        self._last: _Last | None = None
        self._form: Form | None = None
        self.judged = self.skipped = self.corrected = self.lessons = 0

    def summary(self) -> str:
        """What was done, for the rater."""
        told = f"{self.judged} judged, {self.skipped} skipped, {self.corrected} corrected"
        if self.lessons:
            told += f", {counted(self.lessons, 'lesson')}"
        if self.refused:
            told += f", {self.refused} not kept"
        if self._last is not None:
            told += f"; your last receipt is event {self._last.seq}"
        if self._form is not None and self._form.begun:
            told += "\nwhat you typed last was not handed in"
        return told

    def _give_back(self, lease: Lease) -> None:
        with suppress(StoreError):  # then its time runs out
            release(self._database, lease)

    @property
    def begun(self) -> bool:
        """Whether anything was said in it."""
        return bool(self._count + self.corrected + self.refused)

    @property
    def _count(self) -> int:
        return self.judged + self.skipped + self.lessons

    @property
    def _undoable(self) -> bool:
        return self._last is not None

    def _lease(self) -> Lease | None:
        return next_task(self._database, self._campaign, self._rater)

    def _one(self, lease: Lease) -> None:
        """One task, until an answer was handed in or the sitting ends."""
        if not self._introduced(lease.sheet.number):
            return
        if lease.lesson:
            heading = "a lesson: say what you think, then read what is right"
        else:
            heading = heading_of(self._count + 1, self._left())
        form = self._open(lease, heading=heading, again=False)
        key = uuid4().hex
        while not self._ended:
            said = form.ask()
            if said is Wish.UNDO:
                self._undo()
                if not self._ended:
                    self._form = form
            elif isinstance(said, Opinion):
                self._hand_in(lease, form, said, key)
                return
            else:
                self._ended = True

    def _left(self) -> int | None:
        if not self._dialogue.keys.live:
            return None
        with self._database.read() as connection:
            return count_left(connection, self._campaign, self._rater)

    def _hand_in(self, lease: Lease, form: Form, said: Opinion, key: str) -> None:
        done = self._kept(
            lambda: answer(self._database, self._campaign, lease, said, key=key, ui=UI)
        )
        self._form = None
        if done is None:
            return
        if done.feedback is not None:
            self._teach(form, done, done.feedback)
            return
        self._last = _Last(lease, done.seq, said.verdict)
        self._add(said.verdict, 1)
        self._tell("handed in", form, said, done)

    def _teach(self, form: Form, done: Answered, told: Feedback) -> None:
        """The right answer to a lesson. It is no answer to undo: what is right is known now."""
        self.lessons += 1
        page = lesson(told, said=form.told)
        goes_on = "Enter goes on"
        self._ended = not self._dialogue.read_through(page, then=goes_on) or self._ended
        self._dialogue.say(f"handed in (event {done.seq})", style="dim")

    def _undo(self) -> None:
        """Show the last task again and let another answer take the place of the first.

        Where nothing was handed in yet it is the newest one of an earlier sitting.
        """
        last = self._last or self._earlier()
        if last is None:
            self._dialogue.say("there is nothing to undo")
            return
        heading = "the last task again" if last.here else "your last task of an earlier sitting"
        form, key = self._open(last.lease, heading=heading, again=True), uuid4().hex
        said = form.ask()
        if said is Wish.END:
            self._ended = True
        elif not isinstance(said, Opinion):
            self._dialogue.say("left as it was")
        else:
            done = self._kept(
                lambda: correct(self._database, self._campaign, last.seq, said, key=key, ui=UI)
            )
            if done is None:
                return
            self._last = _Last(last.lease, done.seq, said.verdict, last.here)
            if last.here:
                self._add(last.verdict, -1)
                self._add(said.verdict, 1)
            self.corrected += 1
            self._tell("corrected", form, said, done)

    def _earlier(self) -> _Last | None:
        with self._database.read() as connection:
            found = newest_answer(connection, self._campaign, self._rater)
            if found is None:
                return None
            lease = lease_of(connection, self._campaign, found.assignment)
        return _Last(lease, found.seq, found.verdict, here=False)

    def _open(self, lease: Lease, *, heading: str, again: bool) -> Form:
        form = Form(self._dialogue, lease, heading=heading, guide=self._guide, again=again)
        self._form = form
        return form

    def _add(self, verdict: Verdict, change: int) -> None:
        if verdict is Verdict.SKIP:
            self.skipped += change
        else:
            self.judged += change

    def _tell(self, what: str, form: Form, said: Opinion, done: Answered) -> None:
        told = f"skipped, {said.reason}" if said.verdict is Verdict.SKIP else form.told
        late = ", late: the time for it was over" if done.late else ""
        self._dialogue.say(f"{what}: {told} (event {done.seq}{late})", style="dim")

    def _kept(self, send: Callable[[], Answered]) -> Answered | None:
        """What became of it; None where it was not kept."""
        sent = keep(self._dialogue, send)
        self._ended = self._ended or sent.ended
        self.refused += sent.done is None
        return sent.done
