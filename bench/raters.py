"""Who is found out, and who is accused wrongly: planted raters judging real texts.

    ACCORD_DATA=... python -m bench.raters --campaigns 200 --out bench/results/raters.json

Twelve raters give 60 judgements each; two of them are planted, the others honest. Every rule runs
at its default. The thresholds were chosen on seeds below 100,000; the table uses seeds from
1,000,000. `detected` is the share put into quarantine, with Wilson's interval; honest raters of one
campaign share its tasks, so that their interval is a little narrow.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from accord.collect.consensus import CHOICES, Label, consensus
from accord.collect.habits import Habit, rater_report
from accord.collect.trust import decide
from accord.collect.votes import QUARANTINED, Votes
from accord.stats.intervals import Interval, proportion
from bench.panel import Archetype, Design, World, hh_harmless, pandalm, simulate

FIRST_SEED = 1_000_000
GROUPS: tuple[tuple[Archetype, Archetype], ...] = (
    (Archetype.RANDOM, Archetype.FIRST),
    (Archetype.LONGEST, Archetype.MINORITY),
    (Archetype.INVERTED, Archetype.PEEKER),
    (Archetype.NEIGHBOUR, Archetype.TWIN),
    (Archetype.HONEST, Archetype.HONEST),
)
DESIGNS = {
    "by default": Design(overlap=3, gold=0.05, repeats=0.05),
    "a twentieth each, drawn": Design(overlap=3, gold=0.05, repeats=0.05, paced=False),
    "by default; matters of taste among them": Design(
        overlap=3, gold=0.05, repeats=0.05, of_taste=True
    ),
}
"""How known answers and repeats come; the overlap is varied."""
WORLDS = {"pandalm": pandalm, "hh": hh_harmless}
LOOKS = (30, 45, 60)
"""Judgements of each rater after which the rules are asked, for raters ever accused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is run."""

    campaigns: int = 200
    """Of each pair of planted raters."""
    designs: tuple[str, ...] = tuple(DESIGNS)
    overlaps: tuple[int, ...] = (3, 5)
    worlds: tuple[str, ...] = tuple(WORLDS)
    seed: int = FIRST_SEED
    out: Path | None = None


@dataclass(kw_only=True, slots=True)
class Tally:
    """What became of one kind of rater."""

    accused: list[bool] = field(default_factory=list)
    ever: list[bool] = field(default_factory=list)
    """At any of `LOOKS`."""
    noticed: list[bool] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def main(options: Options) -> None:
    """Run every condition, print a table, and keep it."""
    folder = os.environ.get("ACCORD_DATA")
    if not folder:
        sys.exit("ACCORD_DATA, the folder of real data, is not set")
    kept = {} if options.out is None or not options.out.exists() else _read(options.out)
    for name in options.designs:
        for world in (WORLDS[one](Path(folder)) for one in options.worlds):
            for overlap in options.overlaps:
                began, design = time.perf_counter(), replace(DESIGNS[name], overlap=overlap)
                found = condition(world, name, design, options.campaigns, options.seed)
                found["seconds"] = round(time.perf_counter() - began)
                kept[world.name, name, overlap] = found
                print(told(found), flush=True)
                if options.out is not None:
                    text = json.dumps({"conditions": list(kept.values())}, indent=1)
                    options.out.write_text(text + "\n", encoding="utf-8")


def _read(path: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Conditions that were run before."""
    found = json.loads(path.read_text(encoding="utf-8"))["conditions"]
    return {(one["world"], one["design"], one["overlap"]): one for one in found}


def condition(world: World, name: str, design: Design, campaigns: int, seed: int) -> dict[str, Any]:
    """All campaigns of one world and design."""
    tallies: dict[Archetype, Tally] = defaultdict(Tally)
    right: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(campaigns):
        for place, pair in enumerate(GROUPS):
            kinds = [Archetype.HONEST] * 12
            kinds[5], kinds[11] = pair
            votes = simulate(world, kinds, design, seed + number * len(GROUPS) + place)
            out = _judge(votes, kinds, tallies)
            for key, value in accuracies(world, votes, out).items():
                right[" and ".join(pair), key].append(value)
    return {
        "world": world.name,
        "design": name,
        "overlap": design.overlap,
        "judgements": design.judgements,
        "campaigns": campaigns * len(GROUPS),
        "seeds": [seed, seed + campaigns * len(GROUPS) - 1],
        "raters": {kind.value: _row(tally) for kind, tally in tallies.items()},
        "consensus": {
            f"{pair}: {key}": {
                "accuracy": round(float(np.mean(values)), 4),
                "standard_error": round(float(np.std(values, ddof=1) / len(values) ** 0.5), 4),
                "campaigns": len(values),
            }
            for (pair, key), values in right.items()
        },
    }


def _judge(votes: Votes, kinds: Sequence[Archetype], tallies: dict[Archetype, Tally]) -> set[str]:
    """Ask the rules, and count; returns who is in quarantine at the end."""
    out = set()
    accused = [set(found) for found in looks(votes)]
    reports = rater_report(votes, resamples=0)
    for number, (report, trust) in enumerate(zip(reports, decide(reports), strict=True)):
        tally = tallies[kinds[number]]
        tally.accused.append(trust.quarantined)
        tally.noticed.append(trust.quarantined or trust.look)
        tally.ever.append(trust.quarantined or any(report.rater in found for found in accused))
        for habit in Habit:
            tally.reasons[habit] += report.findings[habit].q <= 0.05
        tally.reasons["guesses"] += report.guesses >= 0.5
        if trust.quarantined:
            out.add(report.rater)
    return out


def looks(votes: Votes) -> Iterator[list[str]]:
    """Raters whom the rules accuse at each earlier look."""
    for most in LOOKS[:-1]:
        seen: dict[str, int] = defaultdict(int)
        rows = []
        for row in votes.rows:
            seen[row.rater] += 1
            if seen[row.rater] <= most:
                rows.append(row)
        reports = rater_report(replace(votes, rows=tuple(rows)), resamples=0)
        yield [one.rater for one in decide(reports) if one.quarantined]


def accuracies(world: World, votes: Votes, out: set[str]) -> dict[str, float]:
    """Share of pairs whose better response is named, by each way to reach a consensus."""
    states = {name: QUARANTINED if name in out else "new" for name in votes.raters}
    full, kept = consensus(votes), consensus(replace(votes, states=states))
    by_task = {label.task: label for label in kept}
    pairs = [(label, by_task.get(label.task)) for label in full]
    found = {
        "majority": [_credit(world, label, label.majority) for label, _ in pairs],
        "one coin": [_credit(world, label, label.believed) for label, _ in pairs],
        "full": [_credit(world, label, CHOICES[int(np.argmax(label.full))]) for label, _ in pairs],
        "majority without quarantined": [
            _credit(world, label, other.majority if other else None) for label, other in pairs
        ],
        "one coin without quarantined": [
            _credit(world, label, other.believed if other else None) for label, other in pairs
        ],
    }
    return {name: float(np.nanmean(values)) for name, values in found.items()}


def _credit(world: World, label: Label, said: float | None) -> float:
    """1 right, 0 wrong, half where nothing is preferred; NaN where the truth is a tie."""
    gap = world.gap[int(label.task[1:])]
    if abs(gap) <= world.tie:
        return float("nan")
    return 0.5 if said in (None, 0.5) else float((gap > 0) == (said == 1.0))


def _row(tally: Tally) -> dict[str, Any]:
    n = len(tally.accused)
    return {
        "raters": n,
        "quarantined": _share(proportion(sum(tally.accused), n)),
        "quarantined_at_any_look": _share(proportion(sum(tally.ever), n)),
        "looked_at_or_quarantined": _share(proportion(sum(tally.noticed), n)),
        "reasons": {name: round(count / n, 4) for name, count in sorted(tally.reasons.items())},
    }


def _share(interval: Interval) -> list[float]:
    return [round(value, 4) for value in (interval.estimate, interval.low, interval.high)]


def told(found: dict[str, Any]) -> str:
    """One condition as lines."""
    lines = [
        f"{found['world']}, overlap {found['overlap']}, known answers and repeats {found['design']}"
    ]
    for kind, row in found["raters"].items():
        share, ever, look = (
            "{:.3f} [{:.3f}, {:.3f}]".format(*row[name])
            for name in ("quarantined", "quarantined_at_any_look", "looked_at_or_quarantined")
        )
        lines.append(f"  {kind:<26} {row['raters']:>6}  {share}  ever {ever}  noticed {look}")
    for name, row in found["consensus"].items():
        lines.append(f"  {name}: {row['accuracy']:.3f} +- {row['standard_error']:.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
