"""What is said between Accord and somebody at a terminal: lines, questions, things to read."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console, RenderableType
from rich.text import Text

from accord.cli.keys import END, ENTER, Keys
from accord.cli.sheets import Pages, filled, more_told
from accord.collect.ballot import BACK

BACKS = (BACK, "\b")


class Dialogue:
    """A console and the keys in front of it."""

    def __init__(self, console: Console, keys: Keys) -> None:
        self.console, self.keys = console, keys

    def say(self, text: str, *, style: str = "yellow", unbroken: bool = False) -> None:
        """One line, in place of what is being typed; `unbroken` where it is to be copied."""
        self._clear_line()
        self.console.print(Text(text, style=style), soft_wrap=unbroken)

    def typed(self, text: str) -> None:
        """Show what was typed so far; only where somebody sees it."""
        if self.keys.live:
            self._clear_line()
            self.console.file.write(f"> {text}")
            self.console.file.flush()

    def choice(self, question: str, choices: Mapping[str, str]) -> str | None:
        """The key of a choice; None where they go back (Backspace), or there are no more keys.

        Any other key is asked about again, and what was typed after it is dropped.
        """
        named = {key: "Enter" if key == ENTER else key for key in choices}
        offered = [f"{named[key]} {name}".strip() for key, name in choices.items()]
        listed = filled([question, *offered, "Backspace goes back"], self.console.width)
        self.say("\n".join(listed))
        while True:
            key = self.keys.read()
            found = next((one for one in choices if one.lower() == key.lower()), None)
            if found is not None:
                return found
            if key == END or key in BACKS:
                return None
            # A line of a pipe may end between a question and its answer.
            if key != ENTER or self.keys.live:
                self.keys.drop_line()
                self.say(f"that is no answer: {', '.join(named.values())}, or Backspace goes back")

    def words(self, question: str) -> str:
        """A line of their own; empty for none. In a pipe it is what is left of the line, or the
        next one where nothing is."""
        self.say(question)
        line = self.keys.line().strip()
        return line if line or self.keys.live else self.keys.line().strip()

    def sure(self, question: str, does: str) -> bool:
        """Whether they mean it, by an Enter of its own: what was typed before this was asked is no
        answer."""
        if self.keys.live:
            self.keys.forget()
        else:
            self.keys.drop_line()
        return self.choice(question, {ENTER: does}) is not None

    def pages(self, what: RenderableType) -> Pages:
        """Begin to show something: its first page."""
        pages = Pages(self.console, what, live=self.keys.live)
        self._clear_line()
        self.turn(pages)
        return pages

    def end_of(self, what: RenderableType, hint: str) -> None:
        """Show the end of something that its writer knows, as much as there is room for."""
        self._clear_line()
        Pages(self.console, what, live=self.keys.live).end(hint)

    def turn(self, pages: Pages) -> None:
        """The next page. What was pressed before it was there is no answer to it."""
        self._clear_line()
        pages.turn()
        self.keys.forget()

    def read_through(self, what: RenderableType, *, then: str = "") -> bool:
        """Show all of something and wait for Enter, where somebody can press it; without `then`
        only while there is more.

        False where they end it instead, by q or Ctrl-D.
        """
        pages = self.pages(what)
        while self.keys.live and (pages.left or then):
            self.typed(more_told(pages) if pages.left else then)
            key = self.keys.read()
            if key in (END, "q", "Q"):
                self._clear_line()
                return False
            if key in (ENTER, " "):
                if not pages.left:
                    break
                self.turn(pages)
        self._clear_line()
        return True

    def waits_for(self, key: str, told: str) -> bool:
        """Wait for a key where somebody can press it: False for Enter or q in its place."""
        if not self.keys.live:
            return False
        self.typed(told)
        while (pressed := self.keys.read().lower()) not in (key, ENTER, END, "q"):
            pass
        self._clear_line()
        return pressed == key

    def _clear_line(self) -> None:
        if self.keys.live:
            self.console.file.write("\r\x1b[K")
