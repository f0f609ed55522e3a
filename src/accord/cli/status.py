"""`accord status`: where every stage stands, and why."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import Session, open_session
from accord.pipeline.status import StageStatus, State, beside, status
from accord.telemetry.terminal import clock, figures

_COLOURS = {
    State.DONE: "green",
    State.RUNNING: "green",
    State.PARTIAL: "yellow",
    State.STALE: "yellow",
    State.READY: "cyan",
    State.WAITING: "dim",
    State.DAMAGED: "red",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """`accord status` has no flags of its own."""


def main(words: Sequence[str], options: Options) -> int:
    """Print the data there are, then one row a stage."""
    about = "Show what is done, running, partial, stale or waiting, and why. Runs nothing."
    parse(Status, words, command="status", about=about)
    session = open_session(options)
    console = Console(file=sys.stdout)
    console.print(f"{session.workspace.root}  model {session.config.model}", markup=False)
    for line in _data(session):
        console.print(line, markup=False)
    console.print(_table(session))
    return 0


def _data(session: Session) -> list[str]:
    kinds = ("demonstrations", "preferences", "prompts", "feedback", "ratings")
    unread = "  not read: the tiny world gives the data" if session.unread else ""
    return [
        f"data {artifact.name}  {artifact.digest[:16]}{unread}"
        for kind in kinds
        for artifact in session.workspace.datasets(kind)
    ]


def _table(session: Session) -> Table:
    plan = session.plan()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("stage", "state", "key", "steps", "time", "figures"):
        table.add_column(column, overflow="fold")
    for one in status(session.workspace, plan.stages):
        table.add_row(*_row(one))
    for one in beside(session.workspace, plan.stages):
        if one.name not in plan.waiting:
            table.add_row(*_row(one))
    for name, error in plan.waiting.items():
        why = f"{error.what}: {error.do}" if error.do else error.what
        waiting = Text(State.WAITING, style=_COLOURS[State.WAITING])
        table.add_row(name, waiting, "", "", "", Text(why))
    return table


def _row(one: StageStatus) -> tuple[Text | str, ...]:
    told = "  ".join(part for part in (one.why, figures(one.last_row)) if part)
    return (
        one.name,
        Text(one.state, style=_COLOURS[one.state]),
        one.key,
        "" if one.steps is None else str(one.steps),
        "" if one.seconds is None else clock(one.seconds),
        Text(told),
    )
