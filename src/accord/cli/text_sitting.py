"""One person at one terminal who writes, edits and reviews, with a receipt for each text.

What was being written when a sitting ends is kept as a draft, and its task stays theirs until the
lease runs out.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

from accord.cli.dialogue import Dialogue
from accord.cli.drafts import Drafts
from accord.cli.keeping import keep
from accord.cli.keyed import Wish
from accord.cli.review_form import ReviewForm
from accord.cli.sheets import counted, heading_of
from accord.cli.sitting import UI
from accord.cli.turns import Turns
from accord.cli.writing_form import Said, WritingForm
from accord.collect.answering import Answered, answer, correct
from accord.collect.assigning import newest_answer, release
from accord.collect.campaign import Campaign
from accord.collect.sheet import Opinion
from accord.collect.tasks import TaskKind
from accord.collect.text_leases import TextLease, count_texts_left, next_text, text_lease_of
from accord.collect.writing import HandedIn, check_replaceable, hand_in, newest_text, replace_text
from accord.core.errors import ConflictError, DataError, StoreError
from accord.store.database import Database
from accord.store.judgements import Verdict

_COUNTED = {TaskKind.WRITE: "written", TaskKind.EDIT: "made better", TaskKind.REVIEW: "reviewed"}


@dataclass(frozen=True, slots=True)
class _Last:
    """What was handed in last."""

    lease: TextLease
    seq: int
    text: str | None
    """None for a review or a skip."""
    skipped: bool
    here: bool = True
    """Whether this sitting counted it; another one did otherwise."""

    @property
    def stands(self) -> bool:
        """Whether it is the skip of something to be written: nothing can take its place."""
        return self.skipped and self.lease.kind is not TaskKind.REVIEW


class TextSitting(Turns[TextLease]):
    """One person at one terminal."""

    nothing = "there is nothing to write or review for you now"

    def __init__(
        self,
        database: Database,
        campaign: Campaign,
        rater: str,
        dialogue: Dialogue,
        drafts: Drafts,
    ) -> None:
        super().__init__(database, campaign, rater, dialogue)
        self._drafts = drafts
        self._last: _Last | None = None
        self._draft = ""
        self._done = dict.fromkeys((*_COUNTED.values(), "skipped", "replaced"), 0)

    def summary(self) -> str:
        """What was done, for the rater."""
        told = ", ".join(f"{n} {what}" for what, n in self._done.items())
        if self.refused:
            told += f", {self.refused} not kept"
        if self._last is not None:
            told += f"; your last receipt is event {self._last.seq}"
        return told + self._draft

    @property
    def begun(self) -> bool:
        """Whether anything was said in it."""
        return bool(sum(self._done.values()) + self.refused)

    @property
    def _count(self) -> int:
        return sum(n for what, n in self._done.items() if what != "replaced")

    @property
    def _undoable(self) -> bool:
        return self._last is not None and not self._last.stands

    def _lease(self) -> TextLease | None:
        return next_text(self._database, self._campaign, self._rater)

    def _give_back(self, lease: TextLease) -> None:
        """Let others have the task, unless something was begun: it stays theirs for its time."""
        if lease.kind is not TaskKind.REVIEW and self._drafts.load(lease.task) is not None:
            self._draft = "\nwhat you wrote last was not handed in; it is kept for next time"
            return
        with suppress(StoreError):  # then its time runs out
            release(self._database, lease)

    def _one(self, lease: TextLease) -> None:
        """One task, until something was handed in or the sitting ends."""
        if not self._introduced(lease.number):
            return
        form = self._form(lease, heading_of(self._count + 1, self._left()))
        key = uuid4().hex
        while not self._ended:
            said = form.ask()
            if said is Wish.UNDO:
                self._undo()
            elif isinstance(said, Said):
                if self._hand_in(lease, said, key):
                    return
            elif isinstance(said, Opinion):
                told = form.told if isinstance(form, ReviewForm) else ""
                self._judge(lease, said, key, told)
                return
            else:
                self._ended = True

    def _left(self) -> int | None:
        if not self._dialogue.keys.live:
            return None
        with self._database.read() as connection:
            return count_texts_left(connection, self._campaign, self._rater)

    def _form(self, lease: TextLease, heading: str) -> WritingForm | ReviewForm:
        if lease.kind is TaskKind.REVIEW:
            return ReviewForm(self._dialogue, lease, heading=heading, guide=self._guide)
        return WritingForm(self._dialogue, lease, self._drafts, heading=heading, guide=self._guide)

    # ---- handing in ------------------------------------------------------------------------------

    def _hand_in(self, lease: TextLease, said: Said, key: str) -> bool:
        """Whether the task is done with: a text that is refused may be changed."""
        sent = keep(
            self._dialogue,
            lambda: hand_in(
                self._database,
                self._campaign,
                lease,
                said.text,
                key=key,
                ui=UI,
                opened=said.opened,
                seconds=said.seconds,
            ),
        )
        self._ended = self._ended or sent.ended
        if sent.done is None:
            if isinstance(sent.refused, DataError):
                return False
            self.refused += 1
            return True
        self._drafts.remove(lease.task)
        self._last = _Last(lease, sent.done.seq, said.text, skipped=False)
        self._done[_COUNTED[lease.kind]] += 1
        self._tell("handed in", counted(len(said.text.split()), "word"), sent.done)
        return True

    def _judge(self, lease: TextLease, said: Opinion, key: str, told: str) -> None:
        """A review, or a skip of any task."""
        sent = keep(
            self._dialogue,
            lambda: answer(self._database, self._campaign, lease, said, key=key, ui=UI),
        )
        self._ended = self._ended or sent.ended
        if sent.done is None:
            self.refused += 1
            return
        skipped = said.verdict is Verdict.SKIP
        if skipped:
            self._drafts.remove(lease.task)
        self._last = _Last(lease, sent.done.seq, None, skipped)
        self._done["skipped" if skipped else _COUNTED[lease.kind]] += 1
        self._tell("handed in", f"skipped, {said.reason}" if skipped else told, sent.done)

    # ---- a change of mind ------------------------------------------------------------------------

    def _undo(self) -> None:
        """Show the last task again and let something else take the place of what was said.

        Where nothing was handed in yet it is the newest one of an earlier sitting.
        """
        last = self._last or self._earlier()
        if last is None:
            self._dialogue.say("there is nothing to undo")
        elif last.text is not None:
            self._replace(last, last.text)
        elif last.lease.kind is TaskKind.REVIEW:
            self._correct(last)
        else:
            self._dialogue.say("a task that you skipped is not asked of you again")

    def _earlier(self) -> _Last | None:
        with self._database.read() as connection:
            said = newest_answer(connection, self._campaign, self._rater)
            text = newest_text(connection, self._campaign, self._rater)
            if text is not None and (said is None or text.seq > said.seq):
                lease = text_lease_of(connection, self._campaign, text.assignment)
                return _Last(lease, text.seq, text.text, skipped=False, here=False)
            if said is None:
                return None
            lease = text_lease_of(connection, self._campaign, said.assignment)
            return _Last(lease, said.seq, None, said.verdict is Verdict.SKIP, here=False)

    def _replace(self, last: _Last, text: str) -> None:
        try:
            with self._database.read() as connection:
                check_replaceable(connection, last.seq)
        except ConflictError as error:
            self._dialogue.say(f"{error.what}: it stays as it is")
            return
        try:
            self._replaced(last, text)
        finally:
            self._drafts.remove(last.lease.task)

    def _replaced(self, last: _Last, text: str) -> None:
        form = WritingForm(
            self._dialogue,
            last.lease,
            self._drafts,
            heading="your last text again" if last.here else "your text of an earlier sitting",
            guide=self._guide,
            again=text,
        )
        key = uuid4().hex
        while not self._ended:
            said = form.ask()
            if not isinstance(said, Said) or said.text == text:
                self._ended = said is Wish.END
                self._dialogue.say("left as it was")
                return
            new = said.text
            sent = keep(
                self._dialogue,
                lambda new=new: replace_text(  # type: ignore[misc]
                    self._database, self._campaign, last.seq, new, key=key, ui=UI
                ),
            )
            if sent.ended:
                self._ended = True
            if sent.done is None and isinstance(sent.refused, DataError):
                continue
            if sent.done is None:
                self.refused += 1
                return
            self._last = _Last(last.lease, sent.done.seq, new, skipped=False, here=last.here)
            self._done["replaced"] += 1
            self._tell("replaced", counted(len(new.split()), "word"), sent.done)
            return

    def _correct(self, last: _Last) -> None:
        heading = "the last text again" if last.here else "your last review of an earlier sitting"
        form = ReviewForm(
            self._dialogue, last.lease, heading=heading, guide=self._guide, again=True
        )
        said, key = form.ask(), uuid4().hex
        if not isinstance(said, Opinion):
            self._ended = said is Wish.END
            self._dialogue.say("left as it was")
            return
        sent = keep(
            self._dialogue,
            lambda: correct(self._database, self._campaign, last.seq, said, key=key, ui=UI),
        )
        self._ended = self._ended or sent.ended
        if sent.done is None:
            self.refused += 1
            return
        skipped = said.verdict is Verdict.SKIP
        for was, change in ((last.skipped, -1), (skipped, 1)) if last.here else ():
            self._done["skipped" if was else _COUNTED[last.lease.kind]] += change
        self._last = _Last(last.lease, sent.done.seq, None, skipped, last.here)
        self._tell("corrected", f"skipped, {said.reason}" if skipped else form.told, sent.done)

    def _tell(self, what: str, told: str, done: Answered | HandedIn) -> None:
        late = ", late: the time for it was over" if done.late else ""
        self._dialogue.say(f"{what}: {told} (event {done.seq}{late})", style="dim")
