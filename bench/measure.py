"""Contestants measured in turn, A B A B, in one process: only ratios taken together count."""

from __future__ import annotations

import ctypes
import gc
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median

import torch

from accord.telemetry.memory import peak_memory

GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Lap:
    """What one contestant took in one round."""

    seconds: Mapping[str, float]
    """By figure."""
    losses: tuple[float, ...] = ()
    """Loss of each step, where something was trained."""
    gib: float | None = None
    """Peak memory over what was in use before, where the system tells it."""


Runner = Callable[[], Lap]


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """What is measured, and by whom. `ours` and `peers` name runners; others are shown beside."""

    name: str
    about: str
    runners: Mapping[str, Runner]
    ours: str
    peers: tuple[str, ...]
    tokens: Mapping[str, float]
    """Real tokens that a figure's seconds are for."""
    warm: bool
    """Whether each runner needs a lap that is not counted."""
    left_out: tuple[str, ...] = ()
    """What could not be measured here, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """A median with the smallest and largest value seen."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """Laps of one workload by contestant."""

    workload: Workload
    laps: Mapping[str, list[Lap]] = field(default_factory=dict)

    def seconds(self, figure: str, name: str) -> list[float]:
        """Seconds of every round."""
        return [lap.seconds[figure] for lap in self.laps[name]]

    def fastest_peer(self, figure: str) -> str | None:
        """The peer setting with the lowest median; None where no peer was run."""
        peers = [name for name in self.workload.peers if name in self.laps]
        return min(peers, key=lambda name: median(self.seconds(figure, name)), default=None)

    def ratio(self, figure: str) -> Spread | None:
        """How many times as fast as the fastest peer Accord is, round by round."""
        peer = self.fastest_peer(figure)
        if peer is None:
            return None
        pairs = zip(
            self.seconds(figure, peer), self.seconds(figure, self.workload.ours), strict=True
        )
        return spread([theirs / ours for theirs, ours in pairs])


def alternate(workload: Workload, *, rounds: int, say: Callable[[str], None]) -> Result:
    """Run every contestant once a round, in the same order each time."""
    laps: dict[str, list[Lap]] = {name: [] for name in workload.runners}
    if workload.warm:
        for name, runner in workload.runners.items():
            say(f"{workload.name}: warming up {name}")
            runner()
    for number in range(rounds):
        for name, runner in workload.runners.items():
            say(f"{workload.name}: round {number + 1} of {rounds}, {name}")
            laps[name].append(runner())
    return Result(workload=workload, laps=laps)


def spread(values: Sequence[float]) -> Spread:
    """Median and range of at least one value."""
    return Spread(median=median(values), low=min(values), high=max(values))


def now() -> float:
    """Seconds on a clock that only rises, once everything asked of a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def step_seconds(marks: Sequence[float]) -> float:
    """Mean seconds a step, from the time of the start and of each step's end.

    The first step pays for memory and caches and is left out. Raises ValueError below two steps.
    """
    if len(marks) < 3:
        raise ValueError(f"a step is timed after a first one: {len(marks) - 1} steps are too few")
    return fmean(b - a for a, b in pairwise(marks[1:]))


class Peak:
    """Peak memory from its making on, over what was in use then.

    On a GPU that of the GPU. None where Linux does not let a process reset its own peak.
    """

    def __init__(self) -> None:
        gc.collect()
        self.cuda = torch.cuda.is_available()
        self.before: float | None = None
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self.before = torch.cuda.memory_allocated() / GIB
            return
        try:
            ctypes.CDLL(None).malloc_trim(0)  # what an earlier contestant freed is not ours
            Path("/proc/self/clear_refs").write_text("5")
        except (OSError, AttributeError):
            return
        self.before = _resident()

    def gib(self) -> float | None:
        """GiB above the start."""
        if self.before is None:
            return None
        peak = torch.cuda.max_memory_allocated() / GIB if self.cuda else peak_memory()
        return peak - self.before


def _resident() -> float | None:
    told = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(told.group(1)) / 2**20 if told else None
