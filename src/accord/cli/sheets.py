"""What is read on the terminal: a task without names, its keys, guidelines; page by page."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from accord.collect.ballot import LETTERS, order_told
from accord.collect.lessons import Feedback
from accord.collect.sheet import Sheet
from accord.collect.statements import MOST_COUNTED
from accord.core.types import Conversation, Speaker

WIDE = 100
"""Columns from which two answers stand side by side."""
GAP = "   "
"""What stands between two keys of the legend."""
UNSHOWN = "\N{REPLACEMENT CHARACTER}"
_WHO = {
    Speaker.SYSTEM: "system",
    Speaker.USER: "user",
    Speaker.ASSISTANT: "assistant",
    Speaker.OPENING: "assistant (each answer goes on from here)",
}


def printable(text: str) -> str:
    """`text` without what could move the cursor, hide words or turn their direction.

    A model's answer is a stranger's text: escape sequences, zero-width and bidirectional controls
    become one visible sign each.
    """
    return "".join(
        sign
        if sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co")
        else UNSHOWN
        for sign in text.replace("\r\n", "\n")
    )


def counted(number: int, what: str) -> str:
    """So many of something, as `1 line` or `2 lines`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def heading_of(number: int, left: int | None) -> str:
    """What stands above a task: its number in the sitting, and about how many wait after it where
    somebody sees that."""
    told = f"task {number} of this sitting"
    if left is None:
        return told
    about = f"more than {MOST_COUNTED - 1}" if left >= MOST_COUNTED else f"about {left}"
    return f"{told}, {about if left else 'none'} left"


def more_told(pages: Pages) -> str:
    """What Enter does while there is more to read."""
    return f"Enter shows more ({counted(pages.left, 'line')})"


def task(console: Console, sheet: Sheet, *, heading: str, again: bool = False) -> RenderableType:
    """A task and its keys. Nothing of it says who or what wrote an answer.

    `again` for the last task, shown to be corrected.
    """
    parts = opening(sheet.prompt, heading=heading)
    parts.append(_answers(sheet, side_by_side=console.width >= WIDE))
    parts.append(legend(len(sheet.responses), console.width, again=again))
    return Group(*parts)


def opening(prompt: Conversation, *, heading: str) -> list[RenderableType]:
    """What stands above the answers of a task: its heading, and what was said before them."""
    parts: list[RenderableType] = [Rule(Text(heading, style="dim"), style="dim")]
    for message in prompt.messages:
        parts.append(Text(_WHO[message.role], style="bold cyan"))
        parts.append(Padding(Text(printable(message.content)), (0, 0, 1, 2)))
    return parts


def guidelines(text: str) -> RenderableType:
    """Markdown as a page; links are shown as they are written, and nothing can be clicked."""
    return Padding(Markdown(printable(text), hyperlinks=False), (0, 2, 1, 2))


def lesson(told: Feedback, *, said: str) -> RenderableType:
    """What is told after a lesson: the right order, the rater's own where it differs, and why."""
    order = order_told(told.tiers)
    match told.right:
        case True:
            verdict = Text(f"right: {order}", style="bold green")
        case False:
            verdict = Text(f"the right order is {order}; you said {said}", style="bold yellow")
        case None:
            verdict = Text(f"the right order is {order}", style="bold")
    parts: list[RenderableType] = [verdict]
    if told.explanation:
        parts.append(Padding(Text(printable(told.explanation)), (0, 2, 1, 2)))
    return Group(*parts)


def legend(k: int, width: int, *, again: bool = False) -> Text:
    """The keys, for a task of K answers, on lines that end between two of them."""
    order = " ".join(LETTERS[:k])
    scale = "1..7 scale (1 A much better, 4 equal, 7 B)" if k == 2 else "1..4 strength of the lead"
    items = (
        f"order: {order}, best first, = ties",
        scale,
        "0 all equal",
        "x all bad",
        "s skip",
        "f flag",
        "r reason",
        "+ criteria",
        "u leave as it was" if again else "u undo the last",
        "? guidelines",
        "Backspace",
        "Enter hands in",
        "q end",
    )
    return Text("\n".join(filled(items, width)), style="dim")


def filled(items: Sequence[str], width: int) -> list[str]:
    """Lines of at most `width` columns in which no item is broken that fits one."""
    lines: list[str] = []
    for item in items:
        longer = f"{lines[-1]}{GAP}{item}" if lines else item
        if lines and len(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(item)
    return lines


def beside(parts: Sequence[RenderableType]) -> RenderableType:
    """Columns of equal width; a word that is longer than one is broken, and nothing is left out."""
    table = Table.grid(expand=True, padding=(0, 1))
    for _ in parts:
        table.add_column(ratio=1, overflow="fold")
    table.add_row(*parts)
    return table


class Pages:
    """Something to read on a screen of few lines, as much at a time as there is room for."""

    def __init__(self, console: Console, what: RenderableType, *, live: bool) -> None:
        with console.capture() as captured:
            console.print(what)
        self._lines = captured.get().removesuffix("\n").split("\n")
        self._console, self._live = console, live and console.is_terminal

    @property
    def left(self) -> int:
        """Lines that were not shown yet."""
        return len(self._lines)

    def end(self, hint: str) -> None:
        """Show the last lines that fit, under a line that counts those above, and a hint."""
        # One line for that count and the last one of the screen for what is typed.
        above = max(self.left - max(self._console.height - 2, 1), 0) if self._live else 0
        if above:
            lines = f"... {counted(above, 'line')} above; {hint}"
            self._lines = [lines, *self._lines[above:]]
        self.turn()

    def turn(self) -> None:
        """Show what comes next: all that is left where it fits, or where nobody turns pages."""
        # The last line of the screen is for what is typed.
        room = max(self._console.height - 1, 1) if self._live else self.left
        shown, self._lines = self._lines[:room], self._lines[room:]
        self._console.file.write("\n".join(shown) + "\n")
        self._console.file.flush()


def _answers(sheet: Sheet, *, side_by_side: bool) -> RenderableType:
    panels = [
        Panel(Text(printable(text)), title=Text(letter, style="bold"), title_align="left")
        for letter, text in zip(LETTERS, sheet.responses, strict=False)
    ]
    if len(panels) > 2 or not side_by_side:
        return Group(*panels)
    return beside(panels)
