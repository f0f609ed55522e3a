"""What a finished run tells on the terminal: the arms, the reward model, the judge, the cost."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from accord.cli.typed import typed
from accord.core.errors import WorkspaceError
from accord.telemetry.terminal import clock

WIDE = 200
"""Columns of what goes to a file or a program."""
ROOMY = 104
"""Columns from which an interval stands beside its figure; else it stands below."""


def read_result(path: Path) -> Mapping[str, Any]:
    """What `accord report` wrote. Raises WorkspaceError where it is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise TypeError("it is no object")
    except (OSError, ValueError, TypeError) as error:
        raise WorkspaceError(
            "the result cannot be read", got=error, where=path, do="`accord report` writes it anew"
        ) from None
    return found


def print_result(found: Mapping[str, Any], *, folder: Path, console: Console | None = None) -> None:
    """The arms as a table, and below it a line each for what a sceptic asks next."""
    out = console or Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False
    )
    evaluation = found.get("evaluation")
    if evaluation:
        out.print(_table(found, evaluation, wide=out.width >= ROOMY))
        out.print(
            f"over {evaluation['prompts']} {_asked(evaluation)}, in brackets 95% intervals; a"
            " change is paired, and green or red where its interval leaves out 0",
            style="dim",
            markup=False,
        )
    for line, style in _alarms(found):
        out.print(line, style=style, markup=False)
    for line in (*_reward_model(found), *_judge(found), *_agreement(found), *_blind(found)):
        out.print(line, markup=False)
    for line in (_cost(found), *_files(folder)):
        out.print(line, markup=False, soft_wrap=True)


def _asked(evaluation: Mapping[str, Any]) -> str:
    if evaluation.get("prompts_seen_in_training"):
        return "prompts that TRAINING SAW (none is held out)"
    return "held-out prompts"


def print_next(
    found: Mapping[str, Any], *, folder: Path, pairs: int, console: Console | None = None
) -> None:
    """The invitation to judge up to so many pairs blind, and the commands for one's own data."""
    out = console or Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False
    )
    where, accord = typed(folder), program()
    if found.get("invitation") and not found.get("blind"):
        command = str(found["invitation"]).removeprefix("accord ")
        out.print(f"\njudge {pairs} blind pairs yourself, and see it in the report:", style="bold")
        for words in (f"{command} --workspace {where}", f"report --workspace {where}"):
            out.print(f"  {accord} {words}", markup=False, soft_wrap=True)
    out.print("\nwith data of your own:", style="bold")
    for words in (
        "init my-assistant",
        "import my-answers.jsonl --workspace my-assistant",
        "import my-pairs.jsonl --workspace my-assistant",
        "run --workspace my-assistant",
    ):
        out.print(f"  {accord} {words}", markup=False, soft_wrap=True)


def program() -> str:
    """How this program is called from here: by name where the shell finds it."""
    if shutil.which("accord"):
        return "accord"
    beside = Path(sys.executable).with_name("accord")
    return typed(beside) if beside.is_file() else f"{typed(Path(sys.executable))} -m accord.cli"


# ---- the table -----------------------------------------------------------------------------------


def _table(found: Mapping[str, Any], evaluation: Mapping[str, Any], *, wide: bool) -> Table:
    policies, changes = evaluation["policies"], evaluation["changes"]
    truth = found.get("truth") or {}
    main = "gold" if any("gold" in one for one in policies.values()) else "score"
    named = str(truth.get("short", "gold")) if main == "gold" else "score"
    arms: Sequence[Mapping[str, Any]] = found["arms"]
    start = next((arm["label"] for arm in arms if arm["policy"] == evaluation["before"]), "start")
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("arm", no_wrap=True)
    columns = (named, f"change from {start}", "KL", "length", "ended", "distinct-2")
    for column in columns:
        made.add_column(column, justify="right")
    for arm in arms:
        level, change = policies[arm["policy"]], changes.get(arm["policy"], {})
        bound = "<= " if arm["kind"] == "picked" else ""
        style = "bold" if arm["policy"] == found["run"]["after"] else ""
        made.add_row(
            Text(str(arm["label"])),
            Text(_number(level.get(main), "+.2f", wide=wide)),
            _colour(change.get(main), _number(change.get(main), "+.2f", wide=wide) or "-"),
            # Adding 0 takes the sign off a zero.
            f"{bound}{round(level['kl']['value'], 2) + 0.0:.2f}" if "kl" in level else "",
            f"{level['length']['value']:.1f}" if "length" in level else "",
            f"{level['stopped']['value']:.0%}" if "stopped" in level else "",
            f"{level['distinct']['value']:.2f}" if "distinct" in level else "",
            style=style,
        )
    return made


def _number(one: Mapping[str, float] | None, form: str, *, wide: bool = True) -> str:
    """A figure with its interval."""
    if one is None:
        return ""
    text = format(one["value"], form)
    if one.get("low") is None or one.get("high") is None:
        return text
    gap = " " if wide else "\n"
    return f"{text}{gap}[{format(one['low'], form)}, {format(one['high'], form)}]"


def _colour(one: Mapping[str, float] | None, text: str) -> Text:
    """Green or red only where the whole interval lies on one side of zero."""
    if one is None or one.get("low") is None or one["low"] <= 0 <= one["high"]:
        return Text(text)
    return Text(text, style="green" if one["low"] > 0 else "red")


# ---- the lines below -----------------------------------------------------------------------------


def _alarms(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Lines and how they are coloured: what a gain at like length answers needs no alarm."""
    for one in found.get("alarms") or ():
        if one["state"] == "raised" and one["accounted"]:
            yield f"{one['name']}: {one['said']}", ""
        elif one["state"] == "raised":
            yield f"WATCH {one['name']}: {one['said']} {one['do']}", "red"


def _reward_model(found: Mapping[str, Any]) -> Iterator[str]:
    model = found.get("reward_model")
    if not model:
        return
    parts = [f"reward model: held-out accuracy {_share(model['accuracy'], model['interval'])}"]
    parts += [f"{name} {value:.1%}" for name, value in model["baselines"].items()]
    if human := model.get("human_ceiling"):
        parts.append(f"one person {_share(human['value'], (human['low'], human['high']))}")
    if (bound := model.get("bayes_bound")) is not None:
        parts.append(f"best possible {bound:.1%}")
    yield f"{', '.join(parts)}; {model['pairs']} pairs"


def _judge(found: Mapping[str, Any]) -> Iterator[str]:
    judge = found.get("judge")
    if not judge:
        return
    accuracy = judge["accuracy"]
    text = f"judge: accuracy {_share(accuracy['value'], (accuracy['low'], accuracy['high']))}"
    text += f" on pairs rated {judge['gap']:g} or more apart, r {judge['r']:.2f}"
    tricks = judge.get("tricks") or ()
    if tricks:
        worst = max(tricks, key=lambda trick: trick["above"]["value"])
        above = worst["above"]
        text += (
            f"; of the worst trick ({worst['name']}) "
            f"{_share(above['value'], (above['low'], above['high']))} are graded above the median"
            " text that people liked"
        )
        beside = [f"{name} {value:.0%}" for name, value in worst.get("beside", {}).items()]
        text += f", by {', '.join(beside)}" if beside else ""
        fooled = [trick["name"] for trick in tricks if trick["above"]["value"] >= 0.5]
        text += f"; FOOLED by {', '.join(fooled)}" if fooled else "; below half for all"
    yield text


def _agreement(found: Mapping[str, Any]) -> Iterator[str]:
    for one in found.get("agreement") or ():
        percent, alpha = (_number(one.get(name), ".2f") for name in ("percent", "alpha"))
        yield (
            f"raters of {', '.join(one['sets'])}: {one['judgements']} judgements of "
            f"{one['prompts']} prompts by {_who(one)}, agreement "
            f"{percent or 'not known'}, alpha {alpha or 'not known'}"
        )


def _who(one: Mapping[str, Any]) -> str:
    """Raters by number; those that are no people are called so."""
    simulated = len(one.get("simulated") or ())
    if not simulated:
        return f"{one['raters']} raters"
    people = one["raters"] - simulated
    return f"{people} people and {simulated} simulated" if people else f"{simulated} simulated"


def _blind(found: Mapping[str, Any]) -> Iterator[str]:
    if blind := found.get("blind"):
        share = blind["share"]
        yield (
            f"people, blind: {blind['policy']} before {blind['versus']} in "
            f"{_share(share['value'], (share['low'], share['high']))} of {blind['judgements']}"
            f" judgements by {blind['raters']}, {blind['ties']} of them ties"
        )


def _share(value: float, ends: Sequence[float | None] | None) -> str:
    if ends is None or ends[0] is None or ends[1] is None:
        return f"{value:.1%}"
    return f"{value:.1%} [{ends[0]:.1%}, {ends[1]:.1%}]"


def _cost(found: Mapping[str, Any]) -> str:
    cost = found["cost"]
    stages = ", ".join(f"{name} {clock(one['seconds'])}" for name, one in cost["stages"].items())
    return (
        f"stages took {clock(cost['seconds'])} ({stages}), at most"
        f" {cost['peak_memory_gib']:.2f} GiB of memory"
    )


def _files(folder: Path) -> Iterator[str]:
    yield f"report: {folder / 'report.html'}"
    yield f"as numbers: {folder / 'result.json'}"
