"""`accord doctor`: proves on the user's own model and data what usually fails in silence."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from accord.cli.commands import Options
from accord.cli.flags import parse
from accord.cli.session import open_session
from accord.cli.sheets import printable
from accord.core.errors import AccordError
from accord.pipeline.doctor import Finding, Outcome, Patient, Result
from accord.pipeline.doctor.shown import counted, pieces
from accord.pipeline.doctor.visit import Visit, visit
from accord.pipeline.memory import Roomy
from accord.telemetry.terminal import terminal

PASSED, FAILED = 0, 2
OPENS, CLOSES = "[+", "+]"
"""What stands around trained tokens, also where there is no colour."""
_COLOURS = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.NOT_APPLICABLE: "dim"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Doctor:
    """Flags of `accord doctor`."""

    fast: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Only what runs by itself before each training stage: files and tokens, no weights."""
    stage: str | None = None
    """Look at this stage alone (sft, reward, ppo, dpo ...)."""
    rows: int = 2
    """Rows of the decoded training batch that are shown; 0 shows none."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the findings as JSON in place of a table."""


def main(words: Sequence[str], options: Options) -> int:
    """Look, tell, and give 2 where a check failed."""
    about = (
        "Prove on your own model and data what fails in silence elsewhere: stop tokens, masks, "
        "leaks, reference, sampler, reward head, readiness. Changes nothing; exit code 2 where a "
        "check fails."
    )
    asked = parse(Doctor, words, command="doctor", about=about)
    session = open_session(options)
    plan = session.plan(extra=asked.stage or "")
    machine = session.machine()
    with terminal(sys.stderr, quiet=options.quiet) as sink:
        found = visit(session.workspace, session.config, plan, machine, only=asked.stage, sink=sink)
    quiet = options.quiet or asked.json
    with Roomy(machine()):
        look = found.fast if asked.fast else found.whole
        results = look(lambda result: None if quiet else _progress(result))
    if asked.json:
        print(json.dumps(_body(found, results), indent=2))
    else:
        _print(found, results, rows=asked.rows)
    return PASSED if _sound(results) else FAILED


def _sound(results: Sequence[Result]) -> bool:
    """Whether nothing failed; where nothing passed, nothing was proved."""
    outcomes = {result.finding.outcome for result in results}
    return Outcome.PASSED in outcomes and Outcome.FAILED not in outcomes


def _progress(result: Result) -> None:
    """One line a check while they run, for the slow ones."""
    if result.seconds > 1 and not result.failed:
        told = f"{result.stage}: {result.check.name} took {result.seconds:.1f} s"
        print(told, file=sys.stderr, flush=True)


def _print(found: Visit, results: Sequence[Result], *, rows: int) -> None:
    console = Console(file=sys.stdout, highlight=False)
    if rows > 0:
        _batch(console, found.patients, rows)
    if results:
        console.print(_table(results))
    for name, error in found.waiting.items():
        why = f"{error.what}: {error.do}" if error.do else error.what
        console.print(Text(f"{name} was not looked at: {why}"))
    for result in results:
        if result.failed:
            line = Text.assemble((f"{result.stage}, {result.check.name}: ", "bold"))
            console.print(line.append(f"it does not hold that: {result.check.proves}"))
            console.print(Text(f"  do: {result.finding.do}"))
    counts = Counter(result.finding.outcome for result in results)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome)
    console.print(told if counts[Outcome.PASSED] else f"{told}: nothing was proved")


def _batch(console: Console, patients: Sequence[Patient], rows: int) -> None:
    """Rows of the first stage that has some, what is trained between marks."""
    for patient in patients:
        try:
            examples = patient.examples[:rows]
            shown = [pieces(one, patient.template) for one in examples]
        except AccordError:  # a check tells why
            continue
        console.print(
            Text(
                f"{patient.stage}: rows as they are trained; what is trained stands between "
                f"{OPENS} and {CLOSES}"
            )
        )
        for number, row in enumerate(shown, start=1):
            tokens, trained = counted(row)
            console.print(Text(f"row {number}: {tokens} tokens, {trained} trained", style="dim"))
            line = Text()
            for piece in row:
                text = printable(piece.text)
                line.append(
                    f"{OPENS}{text}{CLOSES}" if piece.trained else text,
                    style="bold green" if piece.trained else "",
                )
            console.print(line)
        console.print()
        return


def _table(results: Sequence[Result]) -> Table:
    """A row for each check; those of a stage that are not applicable for one reason share one."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("stage", "check", "outcome", "found"):
        table.add_column(column, overflow="fold")
    before = ""
    for stage, names, finding in _grouped(results):
        told = finding.told
        if finding.outcome is Outcome.NOT_APPLICABLE and finding.do:
            told = f"{told}: {finding.do}"
        table.add_row(
            "" if stage == before else stage,
            ", ".join(names),
            Text(finding.outcome, style=_COLOURS[finding.outcome]),
            Text(printable(told)),
        )
        before = stage
    return table


def _grouped(results: Sequence[Result]) -> list[tuple[str, list[str], Finding]]:
    """Stage, names of checks and what they found, in the order of the checks."""
    found: list[tuple[str, list[str], Finding]] = []
    absent: dict[tuple[str, str], list[str]] = {}
    for one in results:
        if one.finding.outcome is not Outcome.NOT_APPLICABLE:
            found.append((one.stage, [one.check.name], one.finding))
            continue
        reason = (one.stage, one.finding.told)
        if reason not in absent:
            absent[reason] = []
            found.append((one.stage, absent[reason], one.finding))
        absent[reason].append(one.check.name)
    return found


def _body(found: Visit, results: Sequence[Result]) -> dict[str, object]:
    """The findings as JSON values."""
    return {
        "passed": _sound(results),
        "checks": [
            {
                "stage": one.stage,
                "check": one.check.name,
                "proves": one.check.proves,
                "outcome": one.finding.outcome.value,
                "found": one.finding.told,
                "do": one.finding.do,
                "figures": dict(one.finding.figures),
                "seconds": round(one.seconds, 3),
            }
            for one in results
        ],
        "not_looked_at": {name: error.what for name, error in found.waiting.items()},
    }
