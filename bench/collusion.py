"""Two of twelve who agree in secret: how often they are noticed, and who is noticed wrongly.

    ACCORD_DATA=... python -m bench.collusion --out bench/results/collusion.json

Twelve raters judge real texts (`panel`); two are planted, each row of the table in campaigns of
its own. Colluders answer honestly but for the share of tasks that their secret decides. A pair is
noticed where its q is at most .05 (`accord.stats.collusion`); nobody is put into quarantine for it.
Intervals are Wilson's over campaigns. Two of an honest minority share a taste that nobody else has:
noticing them is no error of the test, and the reason why it decides nothing.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from accord.collect.alliances import pairs_alike
from accord.collect.habits import rater_report
from accord.collect.trust import decide
from accord.collect.votes import Votes
from accord.stats.collusion import Alike
from accord.stats.intervals import Interval, proportion
from bench.panel import Archetype, Design, World, hh_harmless, name_of, pandalm, simulate

FIRST_SEED = 2_000_000
LEVEL = 0.05
PLANTED: tuple[tuple[Archetype, Archetype], ...] = (
    (Archetype.COLLUDER_FIFTH, Archetype.COLLUDER_FIFTH),
    (Archetype.COLLUDER_HALF, Archetype.COLLUDER_HALF),
    (Archetype.COLLUDER_ALL, Archetype.COLLUDER_ALL),
    (Archetype.HONEST, Archetype.TWIN),
    (Archetype.MINORITY, Archetype.MINORITY),
    (Archetype.HONEST, Archetype.HONEST),
)
SHORT = 60
"""Judgements of each rater in the table's first part."""
RULED = 50
"""Campaigns of each row of the first part in which the rules are asked too; they take longest."""
SEATS = (10, 11)
"""Whom the planted are; a second account copies the rater before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is run."""

    campaigns: int = 200
    """Of each planted pair, overlap and world, at 60 judgements."""
    longer: tuple[int, ...] = (120, 360)
    """Judgements of each rater for the question how many shared tasks are enough; on HH-RLHF."""
    longer_campaigns: int = 40
    seed: int = FIRST_SEED
    out: Path | None = None


@dataclass(kw_only=True, slots=True)
class Tally:
    """What became of one planted pair."""

    noticed: list[bool] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    """Other pairs noticed in each campaign."""
    quarantined: list[bool] = field(default_factory=list)
    """By the rules, which know nothing of pairs; each of the two."""


def main(options: Options) -> None:
    """Run every condition, print a table, and keep it."""
    folder = Path(os.environ.get("ACCORD_DATA") or sys.exit("ACCORD_DATA is not set"))
    hh, panda = hh_harmless(folder), pandalm(folder)
    found = []
    plan = [(world, SHORT, (3, 5), options.campaigns) for world in (panda, hh)]
    plan += [(hh, number, (5, 12), options.longer_campaigns) for number in options.longer]
    for world, judgements, overlaps, campaigns in plan:
        for overlap in overlaps:
            design = Design(overlap=overlap, gold=0.05, repeats=0.05, judgements=judgements)
            for place, planted in enumerate(PLANTED):
                seed = options.seed + place * 10_000
                row = condition(world, planted, design, campaigns, seed)
                found.append(row)
                print(told(row), flush=True)
                if options.out is not None:
                    text = json.dumps({"conditions": found}, indent=1)
                    options.out.write_text(text + "\n", encoding="utf-8")


def condition(
    world: World, planted: Sequence[Archetype], design: Design, campaigns: int, seed: int
) -> dict[str, Any]:
    """All campaigns of one planted pair."""
    tally = Tally()
    for number in range(campaigns):
        kinds = [Archetype.HONEST] * 12
        for seat, kind in zip(SEATS, planted, strict=True):
            kinds[seat] = kind
        votes = simulate(world, kinds, design, seed + number)
        count(votes, tally, rules=number < RULED and design.judgements == SHORT)
    wrong = [others > 0 for others in tally.others]
    row = {
        "world": world.name,
        "overlap": design.overlap,
        "judgements": design.judgements,
        "planted": " and ".join(dict.fromkeys(kind.value for kind in planted)),
        "campaigns": campaigns,
        "seeds": [seed, seed + campaigns - 1],
        "shared_tasks": round(float(np.mean(tally.shared)), 1),
        "open_tasks": round(float(np.mean(tally.open)), 1),
        "noticed": _share(proportion(sum(tally.noticed), campaigns)),
        "campaigns_with_another_pair_noticed": _share(proportion(sum(wrong), campaigns)),
        "other_pairs_noticed": round(sum(tally.others) / (campaigns * 65), 6),
    }
    if tally.quarantined:
        share = proportion(sum(tally.quarantined), len(tally.quarantined))
        row["quarantined_by_other_rules"] = _share(share)
    return row


def count(votes: Votes, tally: Tally, *, rules: bool) -> None:
    """Ask about every pair of one campaign, and add up; `rules`: who is in quarantine too."""
    both = {name_of(seat) for seat in SEATS}
    pairs = pairs_alike(votes)
    found = [pair for pair in pairs if _called(pair)]
    mine = next((pair for pair in pairs if {pair.one, pair.other} == both), None)
    tally.noticed.append(mine is not None and _called(mine))
    tally.shared.append(0 if mine is None else mine.shared)
    tally.open.append(0 if mine is None else mine.open)
    tally.others.append(len(found) - tally.noticed[-1])
    trusts = decide(rater_report(votes, resamples=0), pairs=pairs) if rules else ()
    tally.quarantined += [one.quarantined for one in trusts if one.rater in both]


def _called(pair: Alike) -> bool:
    return pair.q <= LEVEL


def _share(interval: Interval) -> list[float]:
    return [round(value, 4) for value in (interval.estimate, interval.low, interval.high)]


def told(row: dict[str, Any]) -> str:
    """One condition as a line."""
    noticed, wrong = (
        "{:.3f} [{:.3f}, {:.3f}]".format(*row[name])
        for name in ("noticed", "campaigns_with_another_pair_noticed")
    )
    return (
        f"{row['world']:<17} overlap {row['overlap']}, {row['judgements']:>3} judgements,"
        f" {row['shared_tasks']:>5} shared {row['open_tasks']:>5} open: {row['planted']:<40}"
        f" noticed {noticed}, another pair {wrong}"
    )


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
