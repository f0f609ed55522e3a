"""`accord resume`: the last run again, from where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.quickstart import go_on
from accord.cli.session import REMEMBER, Session, open_session, print_summary
from accord.core.errors import WorkspaceError
from accord.pipeline.runner import Made, Outcome
from accord.pipeline.settings import Source, structure


@dataclass(frozen=True, kw_only=True, slots=True)
class Resume:
    """`accord resume` has no flags of its own."""


def main(words: Sequence[str], options: Options) -> int:
    """Do what the last run was asked for; finished stages are kept."""
    about = "Go on with the last run of this workspace where it stopped."
    parse(Resume, words, command="resume", about=about)
    session = open_session(options)
    if (session.workspace.last_run() or {}).get("command") == REMEMBER["command"]:
        go_on(session)
        return 0
    outcomes = _again(session)
    if all(outcome.made is Made.KEPT for outcome in outcomes):
        print("nothing was left to do")
    print_summary(outcomes)
    return 0


def _again(session: Session) -> list[Outcome]:
    last = session.workspace.last_run()
    if last is None:
        raise WorkspaceError(
            "nothing was run in this workspace yet",
            where=session.workspace.root,
            do="`accord run`",
        )
    if last["command"] == "run":
        return session.run(to=last["to"], strict=last["strict"])
    name = last["command"]
    kind = type(getattr(session.config, name))
    own = structure(last["settings"], kind, Source(session.workspace.settings, ""))
    return [session.run_stage(name, own, strict=last["strict"])]
