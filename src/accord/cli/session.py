"""What the commands of a workspace share: its settings, its stages, the run that they ask for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accord.cli.commands import Options
from accord.core.machine import Machine
from accord.pipeline.config import STAGES, PipelineConfig
from accord.pipeline.plan import Plan, possible, unmatched
from accord.pipeline.runner import Outcome, keys, order, run
from accord.pipeline.settings import load
from accord.pipeline.single import run_single
from accord.pipeline.stage import Stage
from accord.pipeline.stages import build
from accord.pipeline.workspace import Workspace
from accord.recipes import RECIPES
from accord.store.manifest import DatasetKind
from accord.telemetry.terminal import clock, terminal

REMEMBER: Mapping[str, Any] = {"command": "quickstart"}
"""What `accord resume` finds after a quickstart: rounds are no stages, so that the stages alone are
not all that was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A workspace with its settings read."""

    workspace: Workspace
    config: PipelineConfig
    options: Options

    def plan(self, *, extra: str = "") -> Plan:
        """The stages that settings and data allow, and `extra`."""
        return possible(self.config, self.workspace, extra=extra)

    def run(
        self,
        *,
        to: str | None = None,
        strict: bool = False,
        remember: Mapping[str, Any] | None = None,
    ) -> list[Outcome]:
        """`accord run`: every stage of the settings, or what `to` needs.

        `remember` is what `accord resume` goes on with where that is more than these stages.
        """
        self._tell_unread()
        stages = self.stages(to=to)
        self._tell_unmatched([stage.name for stage in order(stages, to=to)])
        with terminal(sys.stderr, quiet=self.options.quiet) as sink:
            return run(
                self.workspace,
                stages,
                machine=self.machine(),
                to=to,
                strict=strict,
                checkpoint_every=self.config.machine.checkpoint_every,
                sink=sink,
                remember=remember or {"command": "run", "to": to, "strict": strict},
            )

    def stages(self, *, to: str | None) -> Sequence[Stage]:
        """All stages of the settings; with `to`, no more than the data for it allow."""
        if to is None:
            return build(self.config, self.workspace)
        plan = self.plan()
        if to in plan.waiting:
            raise plan.waiting[to]
        return plan.stages

    def run_stage(self, name: str, own: Any, *, strict: bool = False) -> Outcome:
        """One stage with the settings `own` in place of those of the workspace."""
        self._tell_unread()
        self._tell_unmatched([name])
        planned = self.plan(extra=name).stages
        changed = replace(self, config=replace(self.config, **{name: own})).plan(extra=name)
        stage = changed.stage(name)
        # What has no command of its own is made with these settings: a reward model's own base.
        stages = [
            *(one for one in planned if one.name in STAGES),
            *(one for one in changed.stages if one.name not in STAGES),
        ]
        with terminal(sys.stderr, quiet=self.options.quiet) as sink:
            return run_single(
                self.workspace,
                stage,
                stages,
                machine=self.machine(),
                strict=strict,
                checkpoint_every=self.config.machine.checkpoint_every,
                sink=sink,
                remember={"command": name, "settings": own, "strict": strict},
            )

    @property
    def unread(self) -> list[str]:
        """Imported sets that no stage reads, because the tiny world gives the data."""
        if self.config.data.world is None:
            return []
        return [one.name for kind in DatasetKind for one in self.workspace.datasets(kind)]

    def _tell_unread(self) -> None:
        if self.unread:
            print(
                f"note: {', '.join(self.unread)} are not read: the recipe's tiny world gives the "
                'data. To train on what was imported, replace recipe = "tiny" by '
                f'recipe = "smollm2" in {self.workspace.settings.name}',
                file=sys.stderr,
            )

    def _tell_unmatched(self, stages: Collection[str]) -> None:
        for setting, form in unmatched(self.config, self.workspace, stages):
            print(
                f"note: no imported set is called {form}, as data.{setting} has it: nothing is read"
                " for it (rounds of a quickstart are taken by `accord quickstart` in its folder)",
                file=sys.stderr,
            )

    def report(self) -> Path:
        """Write report.html, and result.json beside it; the page's path."""
        from accord.pipeline.reporting import write_report

        shown = self._with_evaluated()
        with terminal(sys.stderr, quiet=self.options.quiet) as sink:
            return write_report(self.workspace, self.config, shown, sink=sink)

    def _with_evaluated(self) -> Sequence[Stage]:
        """The stages of the settings, and those that the newest evaluation compared beside them.

        `accord quickstart --all` and `accord dpo` make more than accord.toml names. Where the
        settings' own evaluation is there, it is the one that is meant.
        """
        stages = self.plan().stages
        wanted = keys(self.workspace, stages).get("eval")
        newest = self.workspace.newest("eval")
        if newest is None or wanted is None or self.workspace.artifact("eval", wanted):
            return stages
        more = [name for name in newest.manifest.inputs if name in STAGES]
        named = tuple(name for name in STAGES if name in (*self.config.stages, *more))
        return replace(self, config=replace(self.config, stages=named)).plan().stages

    def machine(self) -> Callable[[], Machine]:
        """Resolves the machine when it is asked: torch is loaded by then and not before."""

        def resolve() -> Machine:
            from accord.models.machine import resolve

            own = self.config.machine
            return resolve(own.precision, own.device, own.micro_batch_tokens)

        return resolve


def find_workspace(options: Options) -> Workspace:
    """The named or nearest workspace. Raises WorkspaceError where there is none."""
    if options.workspace is not None:
        return Workspace.open(options.workspace)
    return Workspace.find(Path.cwd())


def open_session(options: Options) -> Session:
    """The session of the named or nearest workspace.

    Raises WorkspaceError where there is none and ConfigError for settings that cannot be used.
    """
    workspace = find_workspace(options)
    config = load(workspace.settings, RECIPES)
    return Session(workspace=workspace, config=config, options=options)


def print_summary(outcomes: Sequence[Outcome]) -> None:
    """The stages of a whole run, what came out of them, and what to do next."""
    from accord.pipeline.figures import key_figures

    print_outcomes(outcomes)
    made = {outcome.stage: outcome.artifact.manifest for outcome in outcomes}
    for line in key_figures({stage: manifest.figures for stage, manifest in made.items()}):
        print(line)
    if any(manifest.kind == "policy" for manifest in made.values()):
        print('next: accord report, accord sample "a question"')


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """One line a stage: what was done, the artifact, the time."""
    for outcome in outcomes:
        manifest = outcome.artifact.manifest
        print(
            f"{outcome.stage:<10} {outcome.made:<6} {outcome.stage}-{outcome.artifact.key}"
            f"  {manifest.steps} steps  {clock(manifest.seconds)}"
        )
