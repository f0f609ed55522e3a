"""A stage as a value, and what its body is given while it runs.

A body is a generator: it is called with a `StageContext`, yields one metric row a step, writes
its result into `context.output` and returns. All that it remembers between two steps is one
state passed to `context.track`; the runner saves it between two rows and never inside a step.
After a kill the body starts again from its first line: `output` is empty, `track` gives the state
back as it was after the last saved row and returns True, and rows already logged are not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accord.core.errors import InvariantError
from accord.core.hashing import plain
from accord.core.machine import Machine as Machine
from accord.core.protocols import Checkpointable, Row
from accord.pipeline.artifact import Artifact as Artifact

Body = Callable[["StageContext"], Iterator[Row]]
Preflight = Callable[["StageContext"], str]
"""Looks at what a stage is about to read; what to tell, in one line. What it raises stops the
stage."""
Agreement = Callable[[Mapping[str, Any]], None]
"""Looks at the settings of a stage's inputs, JSON values by name, before anything is made; raises
ConfigError where they contradict the stage's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One step of a pipeline: equal fields, inputs and code give the same artifact."""

    name: str
    """Unique in its pipeline; the command that runs it alone has the same name."""
    kind: str
    """What the artifact is: model, adapter, preferences, evaluation ..."""
    config: Any
    """A frozen dataclass with everything that shapes the result."""
    body: Body
    inputs: tuple[str, ...] = ()
    """Names of stages, or of imported data sets as `kind/name` (`preferences/movies`)."""
    steps: int | None = None
    """Rows to expect, for the progress bar; None where only the body knows (`context.total`)."""
    seed: int = 0
    """Handed to the body as `context.seed`; a part of the lineage key."""
    preflight: Preflight | None = None
    """Runs before each start of the body, from a checkpoint too; it changes nothing."""
    agrees: Agreement | None = None
    """Runs before any stage of a run is made."""


class StageContext:
    """What a running body may see and do."""

    def __init__(
        self,
        *,
        stage: Stage,
        inputs: Mapping[str, Artifact],
        output: Path,
        machine: Machine,
        cache: Path | None = None,
        checkpoint: Path | None = None,
        checkpoint_step: int = 0,
        notes: Mapping[str, object] | None = None,
        on_total: Callable[[int], None] | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        self.config: Any = stage.config
        self.seed = stage.seed
        self.output = output
        """An empty folder; whatever is in it when the body returns is the artifact."""
        self.machine = machine
        self.cache = cache
        """A folder for what can be computed again (`stages.remembering`); None keeps nothing."""
        self.state: Checkpointable | None = None
        self.restored = False
        """Whether the tracked state came from a checkpoint."""
        self.notes: dict[str, object] = dict(notes or {})
        self._stage = stage.name
        self._inputs = dict(inputs)
        self._checkpoint = checkpoint
        self._checkpoint_step = checkpoint_step
        self._on_total = on_total
        self._on_notice = on_notice

    def input(self, name: str) -> Artifact:
        """The artifact of a declared input. Raises InvariantError for an undeclared one."""
        if name not in self._inputs:
            raise InvariantError(
                f"stage {self._stage!r} asks for an input it does not declare", got=name
            )
        return self._inputs[name]

    @property
    def inputs(self) -> Mapping[str, Artifact]:
        """All declared inputs by name, in the order of the declaration."""
        return self._inputs

    def track(self, state: Checkpointable) -> bool:
        """Name the one state to save between rows; True if it was restored from a checkpoint."""
        if self.state is not None:
            raise InvariantError(f"stage {self._stage!r} tracks a second state")
        self.state = state
        if self._checkpoint is None:
            return False
        state.load(self._checkpoint)
        if state.step != self._checkpoint_step:
            raise InvariantError(
                f"stage {self._stage!r} restored another step than it saved",
                got=f"{state.step}, not {self._checkpoint_step}",
                where=self._checkpoint,
            )
        self.restored = True
        return True

    def total(self, steps: int) -> None:
        """Tell the progress bar how many rows are to come in all, restored ones included."""
        if self._on_total is not None:
            self._on_total(steps)

    def tell(self, text: str) -> None:
        """Say something to whoever watches the run."""
        if self._on_notice is not None:
            self._on_notice(text)

    def note(self, key: str, value: object) -> None:
        """Put a JSON value among the manifest's figures; a later note of the same key wins."""
        self.notes[key] = plain(value)
