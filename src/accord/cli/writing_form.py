"""A text in front of whoever writes it, until it is handed in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from rich.console import RenderableType

from accord.cli.dialogue import BACKS, Dialogue
from accord.cli.drafts import Drafts
from accord.cli.editor import edit
from accord.cli.form import ask_skip
from accord.cli.keyed import LONGEST_PAUSE, Wish
from accord.cli.keys import END, ENTER
from accord.cli.sheets import Pages, counted, more_told
from accord.cli.text_sheets import changes, panel, text_task
from accord.collect.sheet import Opinion
from accord.collect.text_leases import TextLease
from accord.core.errors import ConfigError, WorkspaceError

Read = TypeVar("Read", str, str | None)
STOP = "."
"""A line that ends a text."""
LONGEST_LINE = 4095
"""Bytes of a line that Linux keeps where it is typed; what follows is dropped (termios(3))."""
LETTERS = "tevdbsu?q"
"""Lines of one sign that are no text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """A text, and how long it took."""

    text: str
    opened: datetime
    """When the task was shown."""
    seconds: float
    """Active time: typing and editing, pauses left out."""


class WritingForm:
    """One task of writing or editing in front of one person."""

    def __init__(
        self,
        dialogue: Dialogue,
        lease: TextLease,
        drafts: Drafts,
        *,
        heading: str,
        guide: RenderableType,
        again: str | None = None,
    ) -> None:
        """`guide` are the guidelines; `again` is the last text, shown to be replaced."""
        self._dialogue, self._keys = dialogue, dialogue.keys
        self._lease, self._drafts, self._heading, self._guide = lease, drafts, heading, guide
        self._again = again
        self._opened, self._seconds = datetime.now(UTC), 0.0
        found = drafts.load(lease.task) if again is None else None
        self._found = found is not None
        self._text = again if again is not None else found or ""
        self._before = ""
        self._told_unkept = False

    @property
    def begun(self) -> bool:
        """Whether there are words that were not handed in."""
        return bool(self._text.strip()) and self._text != self._again

    def ask(self) -> Said | Opinion | Wish:
        """Show the task, and take a text, a skip, or what is wanted in place of them."""
        console = self._dialogue.console
        shown = text_task(console, self._lease, self._legend(), heading=self._heading)
        pages = self._dialogue.pages(shown)
        if self._text:
            if self._found:
                self._dialogue.say("you began this before; b drops it")
            self._show()
        while True:
            line = self._line(pages)
            key = _command(line)
            if key in (END, "q"):
                return Wish.END
            if key == "u" and not self.begun:
                return Wish.UNDO
            if pages.left and key == ENTER:
                self._dialogue.turn(pages)
            elif key == ENTER or (key == "s" and self._again is None):
                said = self._handed_in() if key == ENTER else self._skipped()
                if said is not None:
                    return said
            elif key == "?":
                pages = self._guided(shown, pages)
            else:
                self._change(key, line)

    def _handed_in(self) -> Said | None:
        if self._text.strip():
            return Said(text=self._text, opened=self._opened, seconds=round(self._seconds, 3))
        # Between the lines of a pipe an Enter means nothing.
        if self._keys.live:
            self._dialogue.say("nothing is written yet: type it, or e opens your editor")
        return None

    def _skipped(self) -> Opinion | None:
        skip = ask_skip(self._dialogue, "this drops your text" if self.begun else "")
        if skip is None:
            return None
        return Opinion.skipped(
            skip.reason,
            rationale=skip.beside(None),
            opened=self._opened,
            seconds=round(self._seconds, 3),
        )

    def _legend(self) -> list[str]:
        editing = self._lease.text is not None
        return [
            "type your text, a line that is a single . ends it",
            "or a letter and Enter: t begins with what looks like one of these",
            "e opens your editor" + (" with this answer" if editing else ""),
            *(["d what you changed"] if editing else []),
            "v your text from its beginning",
            "b drops it",
            "Enter hands in",
            *(["s skip"] if self._again is None else []),
            "u leave as it was" if self._again is not None else "u replace the last one",
            "? guidelines",
            "q end",
        ]

    def _line(self, pages: Pages) -> str | None:
        words = len(self._text.split())
        told = f"{counted(words, 'word')}, Enter hands in" if words else "your text, or a letter"
        told = more_told(pages) if pages.left else told
        if not self._keys.live:  # the end of a line of a pipe on which a question was answered
            self._keys.drop_line()
        with self._keys.lent():  # before it is said: what is typed at once is seen, too
            self._dialogue.typed(f"[{told}] ")
            return self._timed(self._keys.whole_line)

    def _guided(self, shown: RenderableType, pages: Pages) -> Pages:
        """The guidelines, then task and text again; what is left of the task."""
        self._dialogue.read_through(self._guide, then="Enter goes back to the task")
        if not self._keys.live:
            return pages
        pages = self._dialogue.pages(shown)
        self._show()
        return pages

    def _change(self, key: str, line: str | None) -> None:
        if key in ("", "t"):
            self._type(None if key else line)
        elif key == "e":
            self._edit()
        elif key == "d" and self._lease.text is not None:
            self._dialogue.read_through(changes(self._lease.text, self._text or self._lease.text))
        elif key == "v" and self._text.strip():
            self._dialogue.read_through(panel(self._text, "your text"))
        elif key == "b":
            self._drop()
        elif key == "u":
            self._dialogue.say("b drops what you wrote; u replaces the last one after that")
        else:
            self._dialogue.say(f"{key!a} means nothing here; t and Enter begins a text with it")

    def _drop(self) -> None:
        if not (self._text or self._before):
            self._dialogue.say("nothing is written yet")
            return
        self._text, self._before = self._before, self._text
        self._keep()
        if self._text:
            self._show()
        else:
            self._dialogue.say("dropped; b brings it back")

    def _type(self, line: str | None) -> None:
        """Lines, each kept as it comes, to one that is a single `.`, or the end of input.

        The first one is `line`, where somebody just typed on.
        """
        more = "; they follow what is there" if self._text else ""
        self._before = self._text
        with self._keys.lent():  # before it is said: what is typed at once is seen, too
            if line is None:
                self._dialogue.say(f"your lines; a line that is a single {STOP} ends them{more}:")
                line = self._timed(self._keys.whole_line)
            else:
                self._dialogue.say(f"go on; a line that is a single {STOP} ends it{more}:")
            while line not in (None, STOP):
                if self._keys.live and len(str(line).encode()) >= LONGEST_LINE:
                    self._dialogue.say(
                        f"a terminal takes {LONGEST_LINE} bytes of a line: its end may be missing; "
                        "e opens your editor, which takes longer ones"
                    )
                self._text = f"{self._text}\n{line}" if self._text else str(line)
                self._keep()
                line = self._timed(self._keys.whole_line)
        self._show()

    def _edit(self) -> None:
        """In the editor; an edit begins with what is to be made better."""
        before = self._text or self._lease.text or ""
        began = time.monotonic()
        with self._file(before + "\n" if before else "") as path:
            try:
                found = edit(path, self._keys)
            except ConfigError as error:
                got = f": {error.got}" if error.got is not None else ""
                do = f"; {error.do}" if error.do else ""
                self._dialogue.say(f"{error.what}{got}{do}")
                self._keep()
                return
        if found.failed is not None:
            saved = found.text != before
            self._dialogue.say(found.failed + ("; what it saved is kept" if saved else ""))
            if not saved:
                self._keep()
                return
        self._seconds += time.monotonic() - began
        self._before, self._text = self._text, found.text
        self._keep()
        self._show()

    @contextmanager
    def _file(self, text: str) -> Iterator[Path]:
        """A private file with a text: its draft, or where none can be kept one for this block."""
        try:
            path = self._drafts.save(self._lease.task, text)
        except WorkspaceError as error:
            self._unkept(error)
            with TemporaryDirectory() as folder:
                path = Path(folder) / "text.txt"
                path.write_text(text, encoding="utf-8", errors="replace")
                yield path
        else:
            yield path

    def _unkept(self, error: WorkspaceError) -> None:
        """Say once that nothing outlives this terminal; writing goes on."""
        if not self._told_unkept:
            self._told_unkept = True
            self._dialogue.say(
                f"no draft can be kept: {error.what}: {error.got}; what you write is lost where "
                "the terminal ends before you hand it in"
            )

    def _show(self) -> None:
        if self._text.strip():
            self._dialogue.end_of(panel(self._text, "your text"), "v shows all")

    def _keep(self) -> None:
        """What was written so far outlives this terminal."""
        if self.begun:
            try:
                self._drafts.save(self._lease.task, self._text)
            except WorkspaceError as error:
                self._unkept(error)
        else:
            self._drafts.remove(self._lease.task)

    def _timed(self, read: Callable[[], Read]) -> Read:
        """What somebody typed, its time counted."""
        began = time.monotonic()
        found = read()
        self._seconds += min(time.monotonic() - began, LONGEST_PAUSE)
        return found


def _command(line: str | None) -> str:
    """What a line asks for, as a key; empty where it is text."""
    if line is None:
        return END
    if not line.strip():
        return ENTER
    if line in BACKS:
        return "b"
    return line.lower() if line.lower() in tuple(LETTERS) else ""
