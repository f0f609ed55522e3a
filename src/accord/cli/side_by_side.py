"""Answers of several policies to one message: in columns where there is room, else in turn."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from accord.cli.sheets import WIDE, printable
from accord.core.types import Response, StopReason

COLUMN = WIDE // 2
"""Columns of the screen that an answer beside others needs."""
NOTHING = "[nothing]"
CUT = "[cut at --max-tokens]"


def show_row(console: Console, names: Sequence[str], answers: Sequence[Response]) -> None:
    """Answers to the same message, each under its name.

    Beside one another on a terminal of `COLUMN` columns for each; elsewhere one below the other,
    its lines unbroken.
    """
    if console.is_terminal and console.width >= COLUMN * len(answers):
        table = Table.grid(expand=True, padding=(0, 1))
        panels = []
        for name, answer in zip(names, answers, strict=True):
            table.add_column(ratio=1)
            title = Text(name, style="bold")
            panels.append(Panel(shown(answer), title=title, title_align="left"))
        table.add_row(*panels)
        console.print(table)
        return
    for name, answer in zip(names, answers, strict=True):
        console.print(Text(f"{name}:", style="bold cyan"), soft_wrap=True)
        show(console, answer)


def show(console: Console, answer: Response) -> None:
    """One answer, its lines unbroken."""
    console.out(printable(answer.text), end="", highlight=False)
    console.out(ending(answer), style="dim", highlight=False)


def shown(answer: Response) -> Text:
    """An answer as it may be printed, and what is to be known of its end."""
    return Text.assemble(printable(answer.text), (ending(answer), "dim"))


def ending(answer: Response) -> str:
    """What stands after the words of an answer: that there are none, or that they were cut."""
    told = [] if answer.text.strip() else [NOTHING]
    if answer.stop is not StopReason.STOP:
        told.append(CUT)
    space = " " if told and answer.text.strip() else ""
    return space + " ".join(told)
