"""What each algorithm learns from the same number of sampled answers, on the grammar task.

    python -m bench.learning [FOLDER] [--seeds 5] [--out bench/results/learning.json]
    python -m bench.learning [FOLDER] --then --seeds 2

A tiny model is pretrained and fine-tuned anew for each seed; simulated raters, who know the truth
but for some noise, compare answers of the fine-tuned one; then every algorithm starts from there.
What is measured is the truth itself, of answers to prompts that nothing was trained on: no training
saw it, though what the raters say comes from it.

Every arm has the same budget of answers sampled for training. An algorithm that learns from
comparisons has all of them compared. One that samples has half of them compared, for its reward
model, and samples the other half itself, unless it has spent 10 nats. One arm is SFT for twice as
many epochs; `coin` arms learn from raters who toss a coin, and should gain nothing.

Settings were chosen on seed 100, which is not among those that are shown; those of `--then`, which
runs the relatives of DPO and of the online methods in place of the others, were not chosen: they
are DPO's, PPO's and GRPO's. Stopped and started again, it goes on where it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from accord.stats.intervals import mean
from bench.grammar import (
    ADAPTER,
    ANSWERS,
    BATCH,
    DIRECT,
    FOUR,
    GROUPS,
    ONE_EACH,
    PPO,
    STEPS,
    WHOLE,
    Made,
    Run,
    make,
)

PRICE = "kl = { coefficient = 0.1, budget = 10.0 }"
IN_REWARD = 'coefficient = 0.1, budget = 10.0, estimator = "k1", place = "reward"'
ONCE = "optimizer = { learning_rate = 3e-3, epsilon = 1e-5 }"
"""For methods that take one step a batch: PPO takes four."""
RATE = "optimizer = { learning_rate = 3e-3 }"
SLOW = "optimizer = { learning_rate = 3e-4 }"
COIN = 1.0
"""Raters who toss a coin for every answer."""
RUNS = (
    Run(
        arms={
            "ppo": "PPO",
            "grpo": "GRPO",
            "rloo": "RLOO",
            "reinforce": "REINFORCE++",
            "rejection": "rejection sampling",
        },
        settings=f"""\
ppo = {{ {PRICE}, {PPO} }}
grpo = {{ {PRICE}, {GROUPS}, {ONCE} }}
rloo = {{ {PRICE}, {GROUPS}, {ONCE} }}
reinforce = {{ {PRICE}, {ONE_EACH}, {ONCE} }}
rejection = {{ steps = {STEPS}, batch_prompts = {BATCH // 8}, samples = 8, {ADAPTER}, {RATE} }}
""",
    ),
    Run(
        arms={"grpo": "Dr. GRPO"},
        settings=f"""\
grpo = {{ normalise = false, denominator = "constant", kl = {{ {IN_REWARD} }}, {GROUPS}, {ONCE} }}
""",
    ),
    Run(
        arms={
            "dpo": "DPO",
            "ipo": "IPO",
            "kto": "KTO",
            "orpo": "ORPO",
            "simpo": "SimPO",
            "distilled": "distilled DPO",
        },
        settings=f"""\
dpo = {{ beta = 0.3, {DIRECT}, {RATE} }}
ipo = {{ beta = 0.1, {DIRECT}, {RATE} }}
kto = {{ beta = 0.3, {DIRECT}, {RATE} }}
orpo = {{ lam = 1.0, {DIRECT}, {RATE} }}
simpo = {{ {DIRECT}, {SLOW} }}
distilled = {{ beta = 1.0, {DIRECT}, {RATE} }}
""",
        prompts=WHOLE,
    ),
    Run(
        arms={"ppo": "PPO, coin", "rloo": "RLOO, coin"},
        settings=f"""\
ppo = {{ {PRICE}, {PPO} }}
rloo = {{ {PRICE}, {GROUPS}, {ONCE} }}
""",
        lapse=COIN,
    ),
    Run(
        arms={"dpo": "DPO, coin"},
        settings=f"""\
dpo = {{ beta = 0.3, {DIRECT}, {RATE} }}
""",
        prompts=WHOLE,
        lapse=COIN,
        reward=False,
    ),
    Run(
        arms={"sft": "SFT for twice as long"},
        settings="sft = { epochs = 4 }\n",
        prompts=0,
        reward=False,
    ),
)
RELATIVES = {
    "DPO": "",
    "DPO with likelihood": "nll = 1.0",
    "DPO-Positive": "dpop = 50.0",
    "CPO": "reference_free = true, nll = 1.0",
    "SLiC": 'loss = "hinge", reference_free = true, nll = 1.0',
    "hinge": 'loss = "hinge"',
    "EXO": 'loss = "exo", smoothing = 0.001',
    "NCA": 'loss = "nca"',
    "BCO": 'loss = "bco"',
    "SPPO": 'loss = "sppo"',
    "APO-zero": 'loss = "apo_zero"',
    "APO-down": 'loss = "apo_down"',
}
"""What makes another of DPO, by name."""
K2 = 'coefficient = 0.1, budget = 10.0, estimator = "k2", place = "loss"'
ONE_LESS = GROUPS.replace(f"steps = {STEPS}", f"steps = {STEPS - 1}")
"""For what is asked once more after its last step, to be held against its budget."""
FURTHER = (
    (
        "clip-higher, token mean",
        "grpo",
        f'grpo = {{ denominator = "token", clip_high = 0.28, {PRICE}, {GROUPS}, {FOUR} }}\n',
    ),
    (
        "GSPO",
        "grpo",
        (
            'grpo = { ratio = "sequence", clip = 0.01, clip_high = 0.013, '
            f"{PRICE}, {GROUPS}, {FOUR} }}\n"
        ),
    ),
    (
        "CISPO",
        "grpo",
        f'grpo = {{ ratio = "detached", denominator = "token", {PRICE}, {GROUPS}, {FOUR} }}\n',
    ),
    (
        "REINFORCE++ with a baseline",
        "reinforce",
        f"reinforce = {{ baseline = true, kl = {{ {K2} }}, {GROUPS}, {ONCE} }}\n",
    ),
    (
        "online DPO",
        "online_dpo",
        f"online_dpo = {{ beta = 0.3, kl_budget = 10.0, {ONE_LESS}, {RATE} }}\n",
    ),
    (
        "online DPO, soft labels",
        "online_dpo",
        (
            'online_dpo = { beta = 0.3, labels = "soft", pairs = "all", kl_budget = 10.0, '
            f"{ONE_LESS}, {RATE} }}\n"
        ),
    ),
    (
        "iterative DPO",
        "online_dpo",
        f"online_dpo = {{ beta = 0.3, round_steps = 9, kl_budget = 10.0, {ONE_LESS}, {RATE} }}\n",
    ),
)
"""Name, stage and settings of methods that sample on their own. The first three take PPO's four
steps a batch: in one step they are GRPO but for the mean over tokens. The first is DAPO without its
dynamic sampling, which would exceed the budget of answers, and with a price of KL."""
THEN = tuple(
    Run(
        arms={"dpo": name},
        settings=f"dpo = {{ {', '.join(filter(None, ('beta = 0.3', own, DIRECT, RATE)))} }}\n",
        prompts=WHOLE,
        reward=False,
    )
    for name, own in RELATIVES.items()
) + tuple(Run(arms={stage: name}, settings=settings) for name, stage, settings in FURTHER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Learning:
    """Flags of `python -m bench.learning`."""

    folder: Annotated[Path, tyro.conf.Positional] = Path("accord-learning")
    """Where the workspaces are made, one a seed."""
    seeds: int = 5
    """How many."""
    first: int = 0
    """The first of them."""
    then: bool = False
    """DPO and its relatives in place of the others."""
    out: Path | None = None
    """Where the figures go; None: learning.json, or learning_then.json, of bench/results."""


@dataclass(slots=True)
class Figures:
    """What became of one arm, by seed."""

    gold: list[float] = field(default_factory=list)
    """The truth's mean over held-out prompts, less that of the start."""
    kl: list[float] = field(default_factory=list)
    length: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Of the arm's own stage."""
    sampled: list[float] = field(default_factory=list)
    """Tokens that policies sampled for its training."""


def main(asked: Learning) -> None:
    """Run what is missing, print the table, write the figures."""
    arms: dict[str, Figures] = {}
    named = "learning_then.json" if asked.then else "learning.json"
    out = asked.out or Path("bench/results") / named
    for seed in range(asked.first, asked.first + asked.seeds):
        start: float | None = None
        for run in THEN if asked.then else RUNS:
            made = make(asked.folder / f"seed-{seed}", run, seed)
            start = made.measured("sft")["gold"]["value"] if start is None else start
            for stage, name in run.arms.items():
                _add(arms.setdefault(name, Figures()), made, stage, start)
        body = {name: _shown(one) for name, one in arms.items()}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"answers": ANSWERS, "arms": body}, indent=1) + "\n")
    print(table(arms))


def _add(arm: Figures, made: Made, stage: str, start: float) -> None:
    found = made.measured(stage)
    arm.gold.append(found["gold"]["value"] - start)
    arm.kl.append(found["kl"]["value"])
    arm.length.append(found["length"]["value"])
    arm.seconds.append(made.seconds(stage))
    arm.sampled.append(made.sampled(stage))


def _shown(one: Figures) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__}


def table(arms: Mapping[str, Figures]) -> str:
    """As Markdown, the largest gain first; "spread" is the standard deviation over seeds."""
    return "\n".join(_lines(arms))


def _lines(arms: Mapping[str, Figures]) -> Iterator[str]:
    yield "| arm | truth, change from SFT | spread | KL, nats | tokens an answer | seconds |"
    yield "|---|---|---|---|---|---|"
    for name, one in sorted(arms.items(), key=lambda item: -np.mean(item[1].gold)):
        gain = f"{one.gold[0]:+.2f}"
        spread = "-"
        if len(one.gold) > 1:
            found = mean(one.gold)
            gain = f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"
            spread = f"{np.std(one.gold, ddof=1):.2f}"
        kl, length, seconds = (np.mean(x) for x in (one.kl, one.length, one.seconds))
        yield f"| {name} | {gain} | {spread} | {kl:.1f} | {length:.1f} | {seconds:.0f} |"


if __name__ == "__main__":
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    main(tyro.cli(Learning, description=__doc__))
