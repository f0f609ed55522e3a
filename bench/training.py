"""What the training workloads share: the roles, the order of the rows, and the timing of steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean

from accord.algorithms.descent import batch_rows, fresh_state
from accord.algorithms.settings import OptimizerSettings, Schedule
from accord.core.protocols import Row
from accord.models.backbone import Backbone
from accord.models.role import Role, ScalarHead
from accord.models.state import TrainState
from bench import peers
from bench.measure import Lap, Peak, Runner, Workload, now, step_seconds
from bench.workloads import Setting

OURS = "accord"
ADAPTER, RANK, ALPHA = "bench", 16, 32.0


def optimizer(setting: Setting, *, full: float) -> OptimizerSettings:
    """A constant rate, `full` for all weights and ten times that for adapters."""
    return OptimizerSettings(
        learning_rate=full * 10 if setting.lora else full,
        schedule=Schedule.CONSTANT,
        warmup_share=0.0,
    )


def trained_role(setting: Setting, head: ScalarHead | None = None) -> Role:
    """The policy or reward model at its start."""
    backbone = Backbone.load(setting.folder, machine=setting.machine, train_all=not setting.lora)
    if not setting.lora:
        return Role(backbone, (), head)
    backbone.add_adapter(ADAPTER, rank=RANK, alpha=ALPHA, seed=setting.seed)
    return Role(backbone, (ADAPTER,), head)


def state_of(role: Role, settings: OptimizerSettings) -> TrainState:
    """A state at step 0 over the role's trained weights."""
    return fresh_state(role.trained(), settings)


def order(setting: Setting) -> list[int]:
    """Row numbers of all steps, one after the other, as Accord's loops take them."""
    sizes = setting.sizes
    return [
        row
        for step in range(sizes.steps)
        for row in batch_rows(sizes.rows, sizes.batch, step, setting.seed)
    ]


def step_tokens(setting: Setting, lengths: list[int]) -> float:
    """Mean tokens of the steps that are timed: all but the first. `lengths` are in `order`."""
    batch = setting.sizes.batch
    steps = [sum(lengths[i : i + batch]) for i in range(0, len(lengths), batch)]
    return fmean(steps[1:])


def lap(rows: Iterator[Row], memory: Peak) -> Lap:
    """Run a loop to its end and time its steps."""
    marks, losses = [now()], []
    for row in rows:
        marks.append(now())
        losses.append(row["loss"])
    return Lap(seconds={"step": step_seconds(marks)}, losses=tuple(losses), gib=memory.gib())


def workload(
    setting: Setting,
    name: str,
    accord: Runner,
    trained: peers.Trained,
    *,
    beside: Mapping[str, Runner] | None = None,
) -> Workload:
    """A training workload: Accord, what is shown `beside` it, and TRL where it is installed."""
    sizes = setting.sizes
    theirs = peers.trainers(setting, trained)
    missing = peers.trl_missing()
    return Workload(
        name=f"{name}, {'LoRA rank 16' if setting.lora else 'all weights'}",
        about=f"{sizes.rows} rows, {sizes.batch} a step, {sizes.steps} steps, the first not timed",
        runners={OURS: accord, **(beside or {}), **theirs},
        ours=OURS,
        peers=tuple(theirs),
        tokens={"step": step_tokens(setting, trained.lengths)},
        warm=False,
        left_out=(missing,) if missing else (),
    )
