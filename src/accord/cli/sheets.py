"""A task on the terminal: the conversation, the answers without names, the keys."""

from __future__ import annotations

import unicodedata

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from accord.collect.ballot import LETTERS
from accord.collect.sheet import Sheet
from accord.core.types import Speaker

WIDE = 100
"""Columns from which two answers stand side by side."""
UNSHOWN = "\N{REPLACEMENT CHARACTER}"
_WHO = {Speaker.SYSTEM: "system", Speaker.USER: "user", Speaker.ASSISTANT: "assistant"}


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


def show(console: Console, sheet: Sheet, *, heading: str) -> None:
    """Print a task. Nothing of it says who or what wrote an answer."""
    console.rule(Text(heading, style="dim"), style="dim")
    for message in sheet.prompt.messages:
        console.print(Text(_WHO[message.role], style="bold cyan"))
        console.print(Padding(Text(printable(message.content)), (0, 0, 1, 2)))
    console.print(_answers(sheet, side_by_side=console.width >= WIDE))


def legend(k: int) -> Text:
    """The keys, for a task of K answers."""
    order = " ".join(LETTERS[:k])
    scale = "1..7 scale (1 A much better, 4 equal, 7 B)" if k == 2 else "1..4 strength of the lead"
    said = (
        f"order: {order}, best first, = ties   {scale}   0 all equal   x all bad\n"
        "s skip   f flag   r reason   + criteria   u undo the last   ? guidelines   "
        "Backspace   Enter hands in   q end"
    )
    return Text(said, style="dim")


def _answers(sheet: Sheet, *, side_by_side: bool) -> RenderableType:
    panels = [
        Panel(Text(printable(text)), title=Text(letter, style="bold"), title_align="left")
        for letter, text in zip(LETTERS, sheet.responses, strict=False)
    ]
    if len(panels) > 2 or not side_by_side:
        return Group(*panels)
    table = Table.grid(expand=True, padding=(0, 1))
    for _ in panels:
        table.add_column(ratio=1)
    table.add_row(*panels)
    return table
