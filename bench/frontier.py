"""The truth that a policy gains for the KL it spends: PPO, DPO, IPO and KTO at four prices each.

    python -m bench.frontier [FOLDER] [--seeds 3] [--out bench/results/frontier.json]

The frontier of the DPO paper's sentiment experiment (Rafailov et al. 2023, figure 2) on the grammar
task of `bench.learning`, whose folder can be given, at the same budget of sampled answers. The
price is PPO's coefficient of KL in the reward and the others' beta; no other setting differs
between the dots of a method. The truth is that of held-out prompts. Stopped and started again, it
goes on where it was.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from bench.frontier_chart import Dot, table
from bench.grammar import DIRECT, PPO, WHOLE, Run, make
from bench.learning import RATE

PRICES = (0.03, 0.1, 0.3, 1.0)
NAMES = {"ppo": "PPO", "dpo": "DPO", "ipo": "IPO", "kto": "KTO"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Frontier:
    """Flags of `python -m bench.frontier`."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("accord-learning")
    """Where the workspaces are made, one a seed."""
    seeds: int = 3
    """How many."""
    first: int = 0
    """The first of them."""
    out: Path = Path("bench/results/frontier.json")
    """Where the figures go."""


def runs(price: float) -> tuple[Run, Run]:
    """One that samples, and those that learn from comparisons."""
    sampling = f"ppo = {{ kl = {{ coefficient = {price} }}, {PPO} }}\n"
    comparing = "".join(
        f"{name} = {{ beta = {price}, {DIRECT}, {RATE} }}\n" for name in NAMES if name != "ppo"
    )
    return (
        Run(arms={"ppo": "PPO"}, settings=sampling),
        Run(
            arms={name: NAMES[name] for name in NAMES if name != "ppo"},
            settings=comparing,
            prompts=WHOLE,
        ),
    )


def main(asked: Frontier) -> None:
    """Run what is missing, print the table and write the figures, which `frontier_chart` draws."""
    found: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for seed in range(asked.first, asked.first + asked.seeds):
        for price in PRICES:
            for run in runs(price):
                made = make(asked.folder / f"seed-{seed}", run, seed)
                start = made.measured("sft")["gold"]["value"]
                for stage, name in run.arms.items():
                    one = made.measured(stage)
                    point = (one["kl"]["value"], one["gold"]["value"] - start)
                    found.setdefault((name, price), []).append(point)
        dots = [Dot(name, price, tuple(points)) for (name, price), points in found.items()]
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(json.dumps([asdict(dot) for dot in dots], indent=1) + "\n")
    print(table(dots))


if __name__ == "__main__":
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    main(tyro.cli(Frontier, description=__doc__))
