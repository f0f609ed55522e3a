"""`accord rate`: judge blind answers in the terminal; real judgements, through the same leases."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import tyro
from rich.console import Console
from rich.text import Text

import accord
from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.keys import END, ENTER, Keys, pressed_keys
from accord.cli.session import find_workspace
from accord.cli.sheets import legend, printable, show
from accord.collect.answering import Answered, answer, correct
from accord.collect.assigning import Lease, next_task, release
from accord.collect.ballot import LETTERS, Ballot
from accord.collect.campaign import Campaign, CampaignState, all_campaigns, campaign_called, join
from accord.collect.people import person, person_called
from accord.collect.sheet import LEAST_RATING, MOST_RATING, Opinion
from accord.core.errors import ConfigError, DataError, StoreError
from accord.pipeline.whereabouts import open_workspace_database
from accord.store.database import Database
from accord.store.registry import guideline_text

UI = f"terminal {accord.__version__}"
LONGEST_PAUSE = 60.0
"""Seconds between two keys that count as looking at the task; the rest was a pause."""
SKIPS = ("cannot judge it", "not my language", "unreadable", "upsetting", "other")
FLAGS = ("harmful", "personal data", "says what wrote it", "broken text", "off topic", "other")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """Flags of `accord rate`."""

    campaign: Annotated[str, tyro.conf.Positional] = ""
    """Which campaign; needed where several are open."""
    name: str = ""
    """Who you are; by default the name you logged in with. Kept apart from what you say."""
    most: int = 0
    """Stop after so many tasks; 0 goes on while there are any."""


def main(words: Sequence[str], options: Options) -> int:
    """Ask for tasks and take answers until there are none, or the rater has had enough."""
    about = "Judge blind answers, one task after another. The order shown is random and stored."
    asked = parse(Rate, words, command="rate", about=about)
    if asked.most < 0:
        raise ConfigError("--most counts tasks", got=asked.most, do="use 0 for no limit")
    workspace = find_workspace(options)
    with open_workspace_database(workspace) as database:
        campaign = _campaign(database, asked.campaign)
        with database.write() as connection:
            name = asked.name or getpass.getuser()
            rater = person_called(connection, name) or person(connection, name)
            join(connection, campaign, rater)
        console = Console(file=sys.stdout, highlight=False)
        with pressed_keys() as keys:
            sitting = Sitting(database, campaign, rater, console, keys)
            sitting.work(most=asked.most)
    console.print(sitting.summary(), markup=False)
    return 0


def _campaign(database: Database, name: str) -> Campaign:
    with database.read() as connection:
        if name:
            return campaign_called(connection, name)
        open_ones = [c for c in all_campaigns(connection) if c.state is CampaignState.OPEN]
    if len(open_ones) == 1:
        return open_ones[0]
    names = ", ".join(c.settings.name for c in open_ones)
    raise ConfigError(
        "no campaign is open" if not open_ones else "several campaigns are open",
        got=names or None,
        do="open one with `accord campaign open`" if not open_ones else "name one of them",
    )


@dataclass(slots=True)
class Draft:
    """What has been said of a task so far."""

    ballot: Ballot
    ratings: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    flags: tuple[tuple[int | None, str], ...] = ()
    rationale: str | None = None
    seconds: float = 0.0


class Sitting:
    """One rater at one terminal."""

    def __init__(
        self, database: Database, campaign: Campaign, rater: str, console: Console, keys: Keys
    ) -> None:
        self._database, self._campaign, self._rater = database, campaign, rater
        self._console, self._keys = console, keys
        self._last: tuple[Lease, Answered] | None = None
        self.judged = self.skipped = self.corrected = 0

    def work(self, *, most: int) -> None:
        """Task after task, until there is none, `most` are done, or the rater ends it."""
        while not most or self.judged + self.skipped < most:
            lease = next_task(self._database, self._campaign, self._rater)
            if lease is None:
                self._say("there is nothing to judge for you now")
                return
            try:
                done = self._one(lease)
            except BaseException:
                release(self._database, lease)
                raise
            if not done:
                release(self._database, lease)
                return

    def summary(self) -> str:
        """What was done, for the rater."""
        told = f"{self.judged} judged, {self.skipped} skipped, {self.corrected} corrected"
        if self._last is None:
            return told
        return f"{told}; your last receipt is event {self._last[1].seq}"

    def _one(self, lease: Lease) -> bool:
        """One task; False where the rater ends the sitting."""
        number = self.judged + self.skipped + 1
        opened, key = datetime.now(UTC), uuid4().hex
        while True:
            said = self._opinion(lease, heading=f"task {number} of this sitting", opened=opened)
            if said is None:
                return False
            if isinstance(said, _Undo):
                if not self._undo():
                    return False
                continue
            done = self._handed_over(lease, said, key)
            if done is None:
                return False
            self._last = (lease, done)
            if said.reason is None:
                self.judged += 1
            else:
                self.skipped += 1
            return True

    def _handed_over(self, lease: Lease, said: Opinion, key: str) -> Answered | None:
        """Keep it, trying again for as long as the rater wants; the key makes it count once."""
        while True:
            try:
                return answer(self._database, self._campaign, lease, said, key=key, ui=UI)
            except StoreError as error:
                self._say(f"not kept: {error.what}; Enter tries again, q gives up")
            if self._keys.read() != ENTER:
                return None

    def _undo(self) -> bool:
        """Show the last task again and let another answer take the place of the first."""
        if self._last is None:
            self._say("there is nothing to undo in this sitting")
            return True
        lease, before = self._last
        said = self._opinion(lease, heading="the last task again", opened=datetime.now(UTC))
        if said is None:
            return False
        if isinstance(said, _Undo):
            self._say("left as it was")
            return True
        done = correct(self._database, self._campaign, before.seq, said, key=uuid4().hex, ui=UI)
        self._last = (lease, done)
        self.corrected += 1
        return True

    # ---- one opinion -----------------------------------------------------------------------------

    def _opinion(self, lease: Lease, *, heading: str, opened: datetime) -> Opinion | _Undo | None:
        """What the rater says; None where they end the sitting."""
        draft = Draft(Ballot(k=len(lease.sheet.responses)))
        show(self._console, lease.sheet, heading=heading)
        self._console.print(legend(draft.ballot.k))
        while True:
            self._prompt(draft)
            began = time.monotonic()
            key = self._keys.read()
            draft.seconds += min(time.monotonic() - began, LONGEST_PAUSE)
            if key in (END, "q", "Q"):
                return None
            if key in ("u", "U"):
                return _Undo()
            if key in ("s", "S"):
                reason = self._choice("why skip?", SKIPS)
                if reason is not None:
                    return Opinion.skipped(
                        reason,
                        flags=draft.flags,
                        rationale=draft.rationale,
                        seconds=round(draft.seconds, 3),
                        opened=opened,
                    )
            elif key == ENTER:
                if not draft.ballot.missing:
                    return self._handed_in(draft, opened)
                if sys.stdin.isatty() or draft.ballot.placed:
                    self._say(draft.ballot.missing)
            else:
                self._change(draft, lease, key)

    def _handed_in(self, draft: Draft, opened: datetime) -> Opinion:
        return replace(
            draft.ballot.opinion(),
            ratings=draft.ratings,
            flags=draft.flags,
            rationale=draft.rationale,
            seconds=round(draft.seconds, 3),
            opened=opened,
        )

    def _change(self, draft: Draft, lease: Lease, key: str) -> None:
        if key in ("f", "F"):
            self._flag(draft)
        elif key in ("r", "R"):
            self._say("in your own words, one line:")
            draft.rationale = self._keys.line().strip() or None
        elif key == "+":
            self._rate(draft, lease)
        elif key == "?":
            with self._database.read() as connection:
                text = guideline_text(connection, self._campaign.settings.guideline)
            self._console.print(Text(printable(text)))
        else:
            try:
                draft.ballot = draft.ballot.press(key)
            except DataError as error:
                self._say(f"{error.what}: {error.got}" if error.got else error.what)

    def _flag(self, draft: Draft) -> None:
        letters = LETTERS[: draft.ballot.k]
        self._say(f"flag which answer? {' '.join(letters)}, or Enter for the whole task")
        key = self._keys.read().upper()
        if key != ENTER and key not in letters:
            self._say("nothing was flagged")
            return
        reason = self._choice("why?", FLAGS)
        if reason is not None:
            place = None if key == ENTER else letters.index(key)
            draft.flags = (*draft.flags, (place, reason))

    def _rate(self, draft: Draft, lease: Lease) -> None:
        """A line a criterion: one number an answer, in the order of the letters."""
        letters = LETTERS[: draft.ballot.k]
        ratings = dict(draft.ratings)
        for name in lease.sheet.criteria:
            self._say(f"{name}, {LEAST_RATING} to {MOST_RATING} for {' '.join(letters)} (- none):")
            given = self._keys.line().split()
            if not given:
                continue
            try:
                values = tuple(None if one == "-" else float(one) for one in given)
            except ValueError:
                values = ()
            right = all(v is None or LEAST_RATING <= v <= MOST_RATING for v in values)
            if len(values) != len(letters) or not right:
                self._say(f"{name} was left out: type {len(letters)} numbers, as in 4 2")
                continue
            ratings[name] = values
        draft.ratings = ratings

    def _choice(self, question: str, choices: Sequence[str]) -> str | None:
        listed = "   ".join(f"{number} {name}" for number, name in enumerate(choices, start=1))
        self._say(f"{question}   {listed}")
        key = self._keys.read()
        if key.isdecimal() and 1 <= int(key) <= len(choices):
            return choices[int(key) - 1]
        self._say("nothing chosen")
        return None

    # ---- the line under the task -----------------------------------------------------------------

    def _prompt(self, draft: Draft) -> None:
        if not sys.stdin.isatty():
            return
        extra = [f"{len(draft.ratings)} rated"] if draft.ratings else []
        extra += [f"{len(draft.flags)} flagged"] if draft.flags else []
        extra += ["reason given"] if draft.rationale else []
        told = "   ".join([draft.ballot.told(), *extra])
        sys.stdout.write(f"\r\x1b[K> {told}")
        sys.stdout.flush()

    def _say(self, text: str) -> None:
        if sys.stdin.isatty():
            sys.stdout.write("\r\x1b[K")
        self._console.print(Text(text, style="yellow"))


class _Undo:
    """The rater wants the last task back."""
