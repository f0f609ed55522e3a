"""Progress on the terminal: a bar with the figures that matter, or one plain line a step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from accord.telemetry.sink import Sink

MATTERS: tuple[tuple[str, str, str], ...] = (
    ("reward/score", "reward", ".3f"),
    ("group/spread", "spread", ".3f"),
    ("rejection/score", "imitated", ".3f"),
    ("reward/gold", "gold", ".3f"),
    ("kl/sequence", "KL", ".2f"),
    ("answer/length", "length", ".1f"),
    ("policy/entropy", "entropy", ".2f"),
    ("preference/accuracy", "accuracy", ".1%"),
    ("preference/dev_accuracy", "held-out accuracy", ".1%"),
    ("language/dev_nll", "held-out nll", ".3f"),
    ("tokens_per_second", "tok/s", ",.0f"),
)
"""Figures on the progress line: name in the row, word, format. The loss leads where no reward does:
in RL it says nothing that reward, KL and length do not say better. Of group methods it is near 0
whatever happens, and the gradient's norm is shown instead."""

WIDE = 100
"""Columns of a terminal that has room for the long bar."""
STAGE = 8
"""Columns of a stage's name on the bar."""
TIMES = 7 + 4 + 7 + 6
"""Columns of the time that passed, "left", the time to come, and the gaps between all parts."""


def figures(row: Mapping[str, float], *, room: int | None = None) -> str:
    """The figures of a row that matter, as `word value`, two spaces apart.

    With `room`, in characters, no more of them than fit.
    """
    told = [f"{word} {row[name]:{form}}" for name, word, form in MATTERS if name in row]
    if "group/spread" in row and "grad_norm" in row:
        told.insert(2, f"gradient {row['grad_norm']:.3f}")
    if "loss" in row and "reward/score" not in row:
        told.insert(0, f"loss {row['loss']:.4f}")
    while room is not None and told and len("  ".join(told)) > room:
        told.pop()
    return "  ".join(told)


def clock(seconds: float) -> str:
    """Seconds as `42 s` or `3:07` or `1:02:03`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Lines:
    """One line a step: for files, pipes and `--quiet`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage = ""
        self._steps: int | None = None
        self._first, self._begun = 0, 0.0

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def started(self, stage: str, *, steps: int | None, done: int) -> None:
        """Name the stage, and where it goes on from."""
        self._stage, self._steps = stage, steps
        self._first, self._begun = done, time.monotonic()
        self._say(f"{stage}: goes on after step {done}" if done else f"{stage}: starts")

    def total(self, steps: int) -> None:
        """Remember the number of steps for the lines to come."""
        self._steps = steps

    def row(self, step: int, row: Mapping[str, float]) -> None:
        """Step, figures, seconds, and the time left at the mean pace so far."""
        of = f"/{self._steps}" if self._steps else ""
        parts = [f"{self._stage} {step}{of}", figures(row), f"{row.get('seconds', 0):.2f} s"]
        if self._steps and step > self._first:
            pace = (time.monotonic() - self._begun) / (step - self._first)
            parts.append(f"{clock(pace * (self._steps - step))} left")
        self._say("  ".join(part for part in parts if part))

    def ended(self, stage: str, *, seconds: float) -> None:
        """Say that the artifact is in place."""
        self._say(f"{stage}: done in {clock(seconds)}")

    def notice(self, text: str) -> None:
        """Say it as it is."""
        self._say(f"note: {text}")


class Bars:
    """One bar a stage on a terminal; a finished one stays as a line.

    A narrow terminal gets a shorter bar and fewer figures: stage, step and time are never cut.
    """

    def __init__(self, console: Console) -> None:
        self._bar = 20 if console.width >= WIDE else 8
        self.progress = Progress(
            TextColumn(
                "[bold]{task.description}", table_column=Column(min_width=STAGE, no_wrap=True)
            ),
            BarColumn(bar_width=self._bar),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TextColumn("left", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
        )
        self._task = self.progress.add_task("", total=None, visible=False, figures="")
        self._figures = ""
        self._steps: int | None = None

    def started(self, stage: str, *, steps: int | None, done: int) -> None:
        """Show a bar for the stage."""
        self.progress.remove_task(self._task)
        self._figures, self._steps = "", steps
        self._task = self.progress.add_task(stage, total=steps, completed=done, figures="")

    def total(self, steps: int) -> None:
        """Give the bar its end."""
        self._steps = steps
        self.progress.update(self._task, total=steps)

    def row(self, step: int, row: Mapping[str, float]) -> None:
        """Move the bar and show the figures."""
        self._figures = figures(row)
        counted = 1 + 2 * len(str(self._steps or step))
        room = self.progress.console.width - STAGE - self._bar - counted - TIMES
        self.progress.update(self._task, completed=step, figures=figures(row, room=room))

    def ended(self, stage: str, *, seconds: float) -> None:
        """Replace the bar by one line with the last figures."""
        self.progress.update(self._task, visible=False, refresh=True)
        line = Text.assemble(("done ", "green"), (f"{stage:<9}", "bold"), f"{clock(seconds):>8}  ")
        self.progress.console.print(line.append(self._figures, style="dim"))

    def notice(self, text: str) -> None:
        """Print a line above the bar."""
        self.progress.console.print(Text.assemble(("note ", "yellow"), text))


@contextmanager
def terminal(stream: TextIO, *, quiet: bool) -> Iterator[Sink]:
    """Bars where `stream` is a terminal and `quiet` is off, else plain lines."""
    console = Console(file=stream)
    if quiet or not console.is_terminal:
        yield Lines(stream)
        return
    bars = Bars(console)
    with bars.progress:
        yield bars
