"""Answers of several policies to one message: in columns where there is room, else in turn."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from accord.cli.sheets import WIDE, beside, printable
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
        panels = [
            Panel(shown(answer), title=Text(name, style="bold"), title_align="left")
            for name, answer in zip(names, answers, strict=True)
        ]
        console.print(beside(panels))
        return
    for name, answer in zip(names, answers, strict=True):
        console.print(Text(f"{name}:", style="bold cyan"), soft_wrap=True)
        show(console, answer)


def show(console: Console, answer: Response) -> None:
    """One answer, its lines unbroken."""
    console.file.write(printable(answer.text))  # a console makes blanks of a tab
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
