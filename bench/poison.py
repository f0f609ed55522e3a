"""False labels in a copy of a campaign: what the rules catch, and what a model learns of the rest.

    ACCORD_DATA=... python -m bench.poison --out bench/results/poison.json

Thirty simulated raters judge real texts (`panel`), three a pair. In a copy, the response with a
common word wins on a share of the labels: by hostile raters, as few as can do it, or by everybody a
little (`accord.collect.drill`). A model of words is asked about the real pairs of 30% of the
prompts, whose judgements are taken out first. Intervals are Student's over seeds; differences are
of the same seed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from accord.collect.drill import Drilled, Pair, Spread, drill
from accord.stats.baselines import WORD
from accord.stats.intervals import mean
from bench.panel import Archetype, Design, World, hh_harmless, pandalm, simulate

FIRST_SEED = 3_000_000
RATERS = 30
HELD_OUT = 0.3
"""Share of prompts."""
PLAN: dict[str, tuple[Callable[[Path], World], str, int]] = {
    "hh": (hh_harmless, "people", 120),
    "pandalm": (pandalm, "and", 50),
}
"""World, word, judgements of each rater."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is run."""

    seeds: int = 10
    """Campaigns of each share, spread and world."""
    shares: tuple[float, ...] = (0.005, 0.01, 0.03, 0.05)
    worlds: tuple[str, ...] = tuple(PLAN)
    seed: int = FIRST_SEED
    out: Path | None = None


def main(options: Options) -> None:
    """Run every condition, print a table, and keep it."""
    folder = Path(os.environ.get("ACCORD_DATA") or sys.exit("ACCORD_DATA is not set"))
    found = []
    for name in options.worlds:
        make, word, judgements = PLAN[name]
        world = make(folder)
        for spread in Spread:
            for share in options.shares:
                seeds = range(options.seed, options.seed + options.seeds)
                drills = [one(world, word, judgements, share, spread, seed) for seed in seeds]
                row = {"world": world.name, "word": word, "raters": RATERS}
                row |= {"judgements": judgements, "seeds": [seeds[0], seeds[-1]], **told(drills)}
                found.append(row)
                print(line(row), flush=True)
                if options.out is not None:
                    text = json.dumps({"conditions": found}, indent=1)
                    options.out.write_text(text + "\n", encoding="utf-8")


def one(
    world: World, word: str, judgements: int, share: float, spread: Spread, seed: int
) -> Drilled:
    """One campaign, poisoned."""
    design = Design(overlap=3, gold=0.05, repeats=0.05, judgements=judgements)
    votes = simulate(world, [Archetype.HONEST] * RATERS, design, seed)
    texts = {
        f"{pair}{letter}": text
        for pair, both in enumerate(world.texts)
        for letter, text in zip("ab", both, strict=True)
    }
    prompts = sorted(set(world.prompts))
    drawn = np.random.default_rng(seed).permutation(len(prompts))[: round(HELD_OUT * len(prompts))]
    away = {prompts[place] for place in drawn}
    rest = votes.only(lambda row: row.prompt not in away)
    asked = held_out(world, away, word)
    return drill(rest, texts, word, asked, share=share, spread=spread, seed=seed)


def held_out(world: World, away: set[str], word: str) -> list[Pair]:
    """Pairs of these prompts, with what people preferred."""
    pairs = []
    for place, (first, second) in enumerate(world.texts):
        gap = world.gap[place]
        if world.prompts[place] not in away or abs(gap) <= world.tie:
            continue
        have = [word in WORD.findall(text.lower()) for text in (first, second)]
        has = float(have[0]) if sum(have) == 1 else None
        pairs.append(Pair(first=first, second=second, label=float(gap > 0), word=has))
    return pairs


def told(drills: Sequence[Drilled]) -> dict[str, Any]:
    """Means over campaigns, with intervals."""
    first = drills[0]
    row: dict[str, Any] = {"spread": first.spread.value, "asked": first.asked}
    row["held_out"] = round(float(np.mean([one.held_out for one in drills])), 1)
    row["held_out_with_word"] = round(float(np.mean([one.held_out_with_word for one in drills])), 1)
    for name in ("share", "poisoners", "before", "after"):
        row[name] = _mean([getattr(one, name) for one in drills])
    for name, of in (
        ("quarantined", "poisoners"),
        ("looked_at", "poisoners"),
        ("honest_quarantined", "honest"),
        ("honest_looked_at", "honest"),
    ):
        there = [one for one in drills if getattr(one, of)]
        row[f"{name}_share"] = _mean([getattr(one, name) / getattr(one, of) for one in there])
    for figure in ("clean", "triggered", "word_wins"):
        base = np.array([getattr(one.untouched, figure) for one in drills])
        row[f"{figure}_untouched"] = _mean(base)
        for arm in ("poisoned", "defended"):
            now = np.array([getattr(getattr(one, arm), figure) for one in drills])
            row[f"{figure}_change_{arm}"] = _mean(now - base)
    return row


def _mean(values: Any) -> list[float] | None:
    """(mean, low, high); None where nothing was measured."""
    if len(values) < 2:
        return None
    found = mean(values)
    return [round(value, 4) for value in (found.estimate, found.low, found.high)]


def line(row: dict[str, Any]) -> str:
    """One condition as a line."""
    names = ("poisoners", "quarantined_share", "looked_at_share", "before", "after")
    changes = ("clean_change_poisoned", "clean_change_defended")
    wins = ("word_wins_untouched", "word_wins_change_poisoned", "word_wins_change_defended")
    figures = "  ".join(
        f"{name} " + ("-" if row[name] is None else "{:.3f} [{:.3f}, {:.3f}]".format(*row[name]))
        for name in (*names, *changes, *wins)
    )
    return f"{row['world']} {row['spread']} {row['asked']:.1%}: {figures}"


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
