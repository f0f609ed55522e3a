"""A small pipeline with real files and a state of numpy arrays; also a program to be killed.

python -m tests.pipeline.toy WORKSPACE SECONDS_A_STEP [--strict]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from accord.core.errors import AccordError
from accord.core.machine import Machine
from accord.core.protocols import Row
from accord.pipeline.runner import Outcome, run
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.workspace import Workspace
from accord.telemetry.sink import Sink

MACHINE = Machine(
    device="cpu", dtype="float32", threads=1, micro_batch_tokens=512, torch="none", cpu="any"
)
STEPS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class WalkConfig:
    """A random walk."""

    steps: int = STEPS
    stride: float = 0.5
    size: int = 64


@dataclass(slots=True)
class Walker:
    """Position, generator and step: all that the walk remembers."""

    position: np.ndarray
    generator: np.random.Generator
    step: int = 0
    loads: list[int] = field(default_factory=list)

    def save(self, folder: Path) -> None:
        np.save(folder / "position.npy", self.position)
        body = {"step": self.step, "generator": self.generator.bit_generator.state}
        (folder / "walk.json").write_text(json.dumps(body))

    def load(self, folder: Path) -> None:
        body = json.loads((folder / "walk.json").read_text())
        self.position = np.load(folder / "position.npy")
        self.generator.bit_generator.state = body["generator"]
        self.step = body["step"]


def walk(pause: float = 0.0, break_at: int | None = None):
    """A body that walks from where its input stands, one random step a row."""

    def body(context: StageContext) -> Iterator[Row]:
        config = context.config
        position = np.zeros(config.size)
        if "first" in context.inputs:
            position = np.load(context.input("first").folder / "position.npy")
        walker = Walker(position, np.random.default_rng(context.seed))
        context.total(config.steps)
        context.note("start", float(position.sum()))
        context.track(walker)
        while walker.step < config.steps:
            walker.position += config.stride * walker.generator.standard_normal(config.size)
            walker.step += 1
            time.sleep(pause)
            broken = walker.step == break_at
            loss = float("nan") if broken else float(np.square(walker.position).mean())
            yield {"loss": loss, "tokens": config.size}
        context.note("end", float(walker.position.sum()))
        np.save(context.output / "position.npy", walker.position)

    return body


def stages(*, pause: float = 0.0, stride: float = 0.5, seed: int = 0) -> list[Stage]:
    """Two walks, the second from where the first ends."""
    return [
        Stage(name="first", kind="walk", config=WalkConfig(), body=walk(pause), seed=seed),
        Stage(
            name="second",
            kind="walk",
            config=WalkConfig(stride=stride),
            body=walk(pause),
            inputs=("first",),
            seed=seed,
        ),
    ]


def run_toy(workspace: Workspace, *, sink: Sink | None = None, **how: object) -> list[Outcome]:
    """Run both walks; `how` goes to `stages` or, where it belongs there, to `run`."""
    own = {name: how.pop(name) for name in ("strict", "to", "machine") if name in how}
    machine = own.pop("machine", MACHINE)
    plan = how.pop("plan", None) or stages(**how)
    return run(workspace, plan, machine=lambda: machine, checkpoint_every=5, sink=sink, **own)


if __name__ == "__main__":
    try:
        run_toy(
            Workspace.open(Path(sys.argv[1])),
            pause=float(sys.argv[2]),
            strict="--strict" in sys.argv,
        )
    except AccordError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
