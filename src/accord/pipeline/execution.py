"""One attempt at one stage: rows in, checkpoints between them, a sealed artifact out."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from accord.core.disk import Guarded
from accord.core.errors import DivergenceError, InterruptedRun, InvariantError
from accord.core.files import sync_tree, write_atomic
from accord.core.hashing import plain
from accord.core.machine import Machine
from accord.core.metrics import check_row
from accord.core.protocols import Row
from accord.pipeline.artifact import (
    MANIFEST,
    METRICS,
    Artifact,
    InputEntry,
    Manifest,
    list_files,
)
from accord.pipeline.checkpoints import Checkpoints, Progress
from accord.pipeline.interrupts import Stop
from accord.pipeline.lineage import machine_changes
from accord.pipeline.memory import Roomy
from accord.pipeline.stage import Stage, StageContext
from accord.pipeline.workspace import Workspace
from accord.telemetry.memory import peak_memory
from accord.telemetry.rows import MetricLog, truncate_after
from accord.telemetry.sink import Sink

CHECKPOINT_SECONDS = 120.0
"""Longest time at work that a kill can cost, where one step takes less."""
RECORD = "run.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """What an unfinished run is, as `run.json` in its folder tells."""

    name: str
    key: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    """Digests of the inputs by name."""
    machine: Machine
    started: str
    """First start, UTC, ISO 8601."""
    steps: int | None = None
    """Rows to come in all, where known."""


def read_record(folder: Path) -> RunRecord | None:
    """The record of the run in `folder`; None where there is none that can be read."""
    try:
        raw = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return RunRecord(**{**raw, "machine": Machine(**raw["machine"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def now() -> str:
    """The present time in UTC, ISO 8601, to the microsecond: what is made within a second has an
    order too."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """All that a stage needs to be made."""

    stage: Stage
    key: str
    code: str
    inputs: Mapping[str, Artifact]
    machine: Machine
    checkpoint_every: int
    """Rows between two checkpoints."""
    strict: bool = False
    """Forget the checkpoints of an attempt on another machine."""

    @property
    def input_digests(self) -> dict[str, str]:
        """Digests of the inputs by name."""
        return {name: artifact.digest for name, artifact in self.inputs.items()}

    def continues(self, record: RunRecord | None) -> bool:
        """Whether the checkpoints of an attempt with this record may be gone on from."""
        if record is None or dict(record.inputs) != self.input_digests:
            return False
        return not (self.strict and machine_changes(record.machine, self.machine))


class Attempt:
    """Runs the body once, from the last checkpoint where there is one."""

    def __init__(self, task: Task, workspace: Workspace, sink: Sink) -> None:
        self.task, self.workspace, self.sink = task, workspace, sink
        self.folder = workspace.run_folder(task.stage.name, task.key)
        if not task.continues(read_record(self.folder)):
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoints = Checkpoints(self.folder / "checkpoints")
        saved = self.checkpoints.latest()
        self.progress = saved[1] if saved else Progress()
        self.record = self._open_record(resumed=saved is not None)
        truncate_after(self.folder / METRICS, self.progress.rows)
        output = self.folder / "output"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir()
        self.context = StageContext(
            stage=task.stage,
            inputs=task.inputs,
            output=output,
            machine=self.record.machine,
            cache=workspace.cache,
            checkpoint=saved[0] if saved else None,
            checkpoint_step=self.progress.step,
            notes=self.progress.notes,
            on_total=self._total,
            on_notice=self.sink.notice,
        )
        self.rows = 0
        self.jumped = False
        self.begun = self.saved_at = time.monotonic()

    def _open_record(self, *, resumed: bool) -> RunRecord:
        """Take over the machine of the first start, so that a resumed run stays the same run."""
        task, machine = self.task, self.task.machine
        before = read_record(self.folder) if resumed else None
        if before is not None and before.machine.device == machine.device:
            # Who lowers the micro-batch after memory ran out must be able to go on.
            tokens = min(before.machine.micro_batch_tokens, machine.micro_batch_tokens)
            kept = replace(
                before.machine, torch=machine.torch, cpu=machine.cpu, micro_batch_tokens=tokens
            )
            if moved := machine_changes(kept, machine):
                self.sink.notice(
                    f"{task.stage.name} goes on with the machine settings of its first start, not "
                    f"those of today ({', '.join(moved)}); --strict starts it over"
                )
            machine = kept
        if before is not None and (facts := machine_changes(before.machine, machine)):
            self.sink.notice(
                f"{task.stage.name} goes on where another machine stopped ({', '.join(facts)}): "
                "its last bits may differ; --strict starts it over"
            )
        record = RunRecord(
            name=task.stage.name,
            key=task.key,
            config=_mapping(plain(task.stage.config)),
            inputs=task.input_digests,
            machine=machine,
            started=before.started if before else now(),
            steps=task.stage.steps,
        )
        self._write(record)
        return record

    def _write(self, record: RunRecord) -> None:
        write_atomic(self.folder / RECORD, json.dumps(asdict(record), indent=2) + "\n")

    def _total(self, steps: int) -> None:
        self.record = replace(self.record, steps=steps)
        self._write(self.record)
        self.sink.total(steps)

    def run(self, stop: Stop) -> Artifact:
        """The finished artifact.

        Raises InterruptedRun after a requested stop, DivergenceError with the batch saved,
        WorkspaceError where the disk gives way, and whatever else the body raises.
        """
        name = self.task.stage.name
        self.sink.started(name, steps=self.record.steps, done=self.progress.rows)
        self._look_first()
        with MetricLog(self.folder / METRICS) as log:
            body = self.task.stage.body(self.context)
            while True:
                begun = time.perf_counter()
                try:
                    row = next(body, None)
                except DivergenceError as error:
                    self._keep_batch(error, step=self._next_step())
                    raise
                if row is None:
                    break
                self._take(row, time.perf_counter() - begun, log)
                self._maybe_save(log, force=stop.requested)
                if stop.requested:
                    raise self._interrupted()
            log.sync()
        artifact = self._seal()
        self.sink.ended(name, seconds=artifact.manifest.seconds)
        return artifact

    def _look_first(self) -> None:
        """Let the stage's preflight see what the body will; what that notes is not the body's."""
        if (look := self.task.stage.preflight) is None:
            return
        context = StageContext(
            stage=self.task.stage,
            inputs=self.task.inputs,
            output=self.context.output,
            machine=self.record.machine,
        )
        self.sink.notice(look(context))

    def _next_step(self) -> int:
        """The step that the body makes next: after a restored state, the one after it."""
        restored = self.context.restored and not self.jumped
        return (self.progress.rows if restored else self.rows) + 1

    def _take(self, row: Row, seconds: float, log: MetricLog) -> None:
        self.rows = self._next_step()
        self.jumped = self.context.restored
        full = {**row, "seconds": row.get("seconds", seconds)}
        if "tokens" in full and full["seconds"] > 0:
            full.setdefault("tokens_per_second", full["tokens"] / full["seconds"])
        full.setdefault("peak_memory", peak_memory())
        try:
            check_row(full, where=f"{self.task.stage.name}, step {self.rows}")
        except DivergenceError as error:
            self._keep_batch(error, step=self.rows)
            raise
        if self.rows > self.progress.rows:
            log.append(self.rows, full)
            self.sink.row(self.rows, full)

    def _seconds(self) -> float:
        return self.progress.seconds + time.monotonic() - self.begun

    def _peak(self) -> float:
        return max(self.progress.peak_memory, peak_memory())

    def _maybe_save(self, log: MetricLog, *, force: bool) -> None:
        state = self.context.state
        late = time.monotonic() - self.saved_at > CHECKPOINT_SECONDS
        if state is None or not (force or late or self.rows % self.task.checkpoint_every == 0):
            return
        log.sync()
        progress = Progress(
            rows=self.rows,
            step=state.step,
            seconds=self._seconds(),
            peak_memory=self._peak(),
            notes=dict(self.context.notes),
        )
        self.checkpoints.save(state, progress)
        self.saved_at = time.monotonic()

    def _interrupted(self) -> InterruptedRun:
        name = self.task.stage.name
        saved = self.context.state is not None
        return InterruptedRun(
            f"stopped at step {self.rows} of {name}",
            got="its state is saved" if saved else "this stage is short and starts over",
            do="`accord resume` goes on" if saved else "`accord resume` makes it",
        )

    def _keep_batch(self, error: DivergenceError, *, step: int) -> None:
        """Save what the step saw; numbers JSON cannot hold become words."""
        path = self.folder / "diverged.json"
        body = {
            "stage": self.task.stage.name,
            "step": step,
            "error": error.what,
            "got": _words(error.got),
            "batch": _words(error.batch),
        }
        write_atomic(path, json.dumps(body, indent=2) + "\n")
        error.where = f"{error.where or self.task.stage.name}; the batch is saved in {path}"

    def _seal(self) -> Artifact:
        """Complete the output folder, make it last, and move it into place by one rename."""
        output, task = self.context.output, self.task
        for reserved in (MANIFEST, METRICS):
            if (output / reserved).exists():
                raise InvariantError(f"stage {task.stage.name!r} wrote a file named {reserved}")
        if (self.folder / METRICS).stat().st_size:
            shutil.copyfile(self.folder / METRICS, output / METRICS)
        manifest = Manifest(
            name=task.stage.name,
            kind=task.stage.kind,
            key=task.key,
            code=task.code,
            seed=task.stage.seed,
            config=self.record.config,
            inputs={n: InputEntry(key=a.key, digest=a.digest) for n, a in task.inputs.items()},
            machine=self.record.machine,
            files=list_files(output),
            figures=self.context.notes,
            steps=max(self.rows, self.progress.rows),
            started=self.record.started,
            ended=now(),
            seconds=round(self._seconds(), 3),
            peak_memory=round(self._peak(), 3),
        )
        (output / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        sync_tree(output)
        artifact = self.workspace.adopt(output, task.stage.name, task.key)
        shutil.rmtree(self.folder, ignore_errors=True)
        return artifact


def execute(task: Task, workspace: Workspace, sink: Sink, stop: Stop) -> Artifact:
    """Make one stage's artifact. Raises what `Attempt.run` raises.

    Whatever happens, `artifacts` holds the whole result or nothing of it; on an error the output
    begun is removed and the last checkpoint kept.
    """
    folder = workspace.run_folder(task.stage.name, task.key)
    try:
        with Guarded(folder), Roomy(task.machine):
            return Attempt(task, workspace, sink).run(stop)
    finally:
        shutil.rmtree(folder / "output", ignore_errors=True)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvariantError("a stage's config must be a dataclass or a mapping", got=value)
    return value


def _words(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _words(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_words(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
