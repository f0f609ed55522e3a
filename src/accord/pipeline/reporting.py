"""`report.html` and `result.json` of a workspace: gathered from finished artifacts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accord.core.disk import Guarded
from accord.core.errors import WorkspaceError
from accord.core.files import write_atomic
from accord.core.hashing import digest, plain
from accord.evals.report.data import ReportData, RunFacts, Source, StageReport
from accord.evals.report.parts import Truth
from accord.evals.report.render import render
from accord.pipeline.arms import arms, truth_of
from accord.pipeline.artifact import METRICS, Manifest
from accord.pipeline.blind import ANSWERS
from accord.pipeline.config import ALIGNED, ONLINE, REWARD_BASE, PipelineConfig, start_among
from accord.pipeline.figures import (
    eval_figures,
    judge_trial,
    kl_spent,
    reward_calibration,
    samples,
)
from accord.pipeline.judged import HUMAN_CEILING, RATED, Learnt, Opinions, learnt, opinions
from accord.pipeline.result import RESULT, result, to_json
from accord.pipeline.runner import keys
from accord.pipeline.single import later_than
from accord.pipeline.stage import Stage
from accord.pipeline.workspace import Workspace
from accord.telemetry.rows import read
from accord.telemetry.sink import Silent, Sink

REPORT = "report.html"
_WORLD = "tiny world"
SAMPLES_RULE = (
    "Held-out prompts, none chosen by hand, and the first answer of each. Those that were drawn by "
    "seed are a fair sample; those where a policy gained or lost most are picked by the outcome."
)


def write_report(
    workspace: Workspace,
    config: PipelineConfig,
    stages: Sequence[Stage],
    *,
    sink: Sink | None = None,
) -> Path:
    """Write the workspace's report; its path. The sink hears what was made and is not on the page.

    Raises WorkspaceError where nothing was run yet, an artifact is damaged, or the disk refuses.
    """
    path = workspace.root / REPORT
    made = chain(workspace, stages)
    data = _gathered(workspace, config, stages, made)
    with Guarded(path):
        write_atomic(workspace.root / RESULT, to_json(result(made, data)))
        write_atomic(path, render(data))
    for text in passed_over(workspace, stages, made):
        (sink or Silent()).notice(text)
    return path


def gather(workspace: Workspace, config: PipelineConfig, stages: Sequence[Stage]) -> ReportData:
    """What the finished artifacts tell, as one consistent chain."""
    return _gathered(workspace, config, stages, chain(workspace, stages))


def _gathered(
    workspace: Workspace,
    config: PipelineConfig,
    stages: Sequence[Stage],
    made: Mapping[str, Manifest],
) -> ReportData:
    trained = {name: m for name, m in made.items() if name not in ("base", REWARD_BASE)}
    if not trained:
        raise WorkspaceError(
            "there is nothing to report yet", where=workspace.root, do="`accord run`"
        )
    evaluation: Mapping[str, Any] = _figures(made, "eval").get("evaluation", {})
    policies = [name for name in ALIGNED if name in made]
    before = evaluation.get("before", start_among(made))
    after = policies[0] if policies else ""
    reports = tuple(_stage(workspace, manifest, config) for manifest in trained.values())
    shown = _folder(workspace, made["eval"]) / ANSWERS if "eval" in made else None
    budget = budget_of(made[after].config["own"]) if after in ONLINE else None
    sets = learnt(workspace, made)
    evaluated = workspace.artifact("eval", made["eval"].key) if "eval" in made else None
    heard = opinions(workspace, sets, evaluated, policy=after, versus=before)
    truth, instead = _asked(made, config, sets)
    return ReportData(
        run=_facts(workspace, config, list(trained.values()), before=before, after=after),
        stages=reports,
        sources=tuple(_sources(workspace, made, config)),
        samples=samples(shown) if shown else (),
        samples_rule=SAMPLES_RULE,
        calibration=reward_calibration(
            _figures(made, "reward").get("audit", {}),
            bayes_bound=_figures(made, "compare").get("bayes_bound"),
            human_ceiling=_ceiling(sets),
        ),
        figures=eval_figures(evaluation, truth) if evaluation else (),
        prompts_seen=bool(evaluation.get("prompts_seen_in_training")),
        truth=truth,
        arms=arms(evaluation, instead=instead, own={name: _settings(made, name) for name in made}),
        judge=judge_trial(
            _figures(made, "judge").get("judge", {}),
            trained_on=_figures(made, "judge").get("train_texts"),
        ),
        data_sets=tuple(one.shown for one in sets),
        rounds=heard.rounds,
        blind=heard.blind,
        invitation=heard.invitation,
        interval_rule=_interval_rule(evaluation),
        kl=kl_spent(
            evaluation,
            after,
            budget=budget,
            ended=bool(_figures(made, after).get("budget_spent")),
        )
        if evaluation
        else None,
        not_shown=(
            *passed_over(workspace, stages, made),
            *heard.lost,
            *_not_shown(config, made, heard, _rated(sets)),
        ),
    )


def chain(workspace: Workspace, stages: Sequence[Stage]) -> dict[str, Manifest]:
    """One manifest a stage, in order, such that each was made from those before it.

    The last stage's artifact is the one the settings ask for, else the newest; it decides which
    artifacts of the earlier stages count. One that is gone, or was made from others than those
    that count, is left out.
    """
    wanted = keys(workspace, stages)
    pinned: dict[str, str] = {}
    found: dict[str, Manifest] = {}
    for name in reversed(wanted):
        artifact = workspace.artifact(name, pinned.get(name, wanted[name]))
        if artifact is None and name not in pinned:
            artifact = workspace.newest(name)
        if artifact is None:
            continue
        made_of = {n: e.key for n, e in artifact.manifest.inputs.items() if "/" not in n}
        if any(pinned.get(needed, key) != key for needed, key in made_of.items()):
            continue
        found[name] = artifact.manifest
        pinned |= made_of
    return {name: found[name] for name in wanted if name in found}


def passed_over(
    workspace: Workspace, stages: Sequence[Stage], made: Mapping[str, Manifest]
) -> Iterator[str]:
    """What the settings ask for or a stage made, and the page of the artifacts `made` lacks."""
    wanted = keys(workspace, stages)
    stale = [name for name in wanted if name in made and made[name].key != wanted[name]]
    if stale:
        yield (
            f"What accord.toml asks for now: {', '.join(stale)} on this page came of other "
            "settings, inputs or code. `accord run` brings them up to date."
        )
    used = {name for manifest in made.values() for name in manifest.inputs}
    gone = [name for name in wanted if name in used and name not in made]
    if gone:
        yield f"{', '.join(gone)}: what the others were made from is no longer in this workspace."
    for name in wanted:
        if name not in made and name not in gone and (newest := workspace.newest(name)):
            yield f"{name}-{newest.key}: it was made from other artifacts than those on this page."
    for shown in made.values():
        later = later_than(workspace, shown)
        if later is not None and later.key != wanted[shown.name]:
            yield (
                f"This page shows {shown.name}-{shown.key}, not {later.name}-{later.key}, which "
                "was made after it with other settings. To show that one, put its settings into "
                "accord.toml and run again."
            )


def _folder(workspace: Workspace, manifest: Manifest) -> Path:
    return workspace.artifact_folder(manifest.name, manifest.key)


def _settings(made: Mapping[str, Manifest], stage: str) -> Mapping[str, Any]:
    """A stage's own; empty where it was not made."""
    own: Mapping[str, Any] = made[stage].config.get("own", {}) if stage in made else {}
    return own


def _figures(made: Mapping[str, Manifest], name: str) -> Mapping[str, Any]:
    return made[name].figures if name in made else {}


def _asked(
    made: Mapping[str, Manifest], config: PipelineConfig, sets: Sequence[Learnt]
) -> tuple[Truth, str]:
    """What stood for the truth when it was evaluated, and what prompted arms were asked."""
    settings: Mapping[str, Any] = made["eval"].config if "eval" in made else {}
    own = settings.get("own")
    instead = own.get("instead", "") if isinstance(own, Mapping) else ""
    truth = truth_of(str(settings.get("gold", config.gold)))
    if rated := _rated(sets):
        truth = replace(truth, meaning=f"{truth.meaning} They rated {rated}.")
    return truth, instead


def _rated(sets: Sequence[Learnt]) -> str:
    """What people rated, where that was said when the ratings were brought."""
    return next((str(one.notes[RATED]) for one in sets if one.notes.get(RATED)), "")


def _ceiling(sets: Sequence[Learnt]) -> Mapping[str, float] | None:
    """Of the set that the reward model was tried on, where its maker measured one."""
    found = (one.notes.get(HUMAN_CEILING) for one in sets if "reward" in one.shown.used_by)
    return next((one for one in found if isinstance(one, Mapping)), None)


def budget_of(own: Mapping[str, Any]) -> float | None:
    """The most KL that a stage that samples was allowed, in nats."""
    found: float | None = own["kl"]["budget"] if "kl" in own else own["kl_budget"]
    return found


def _stage(workspace: Workspace, manifest: Manifest, config: PipelineConfig) -> StageReport:
    rows = read(_folder(workspace, manifest) / METRICS)
    inputs = list(manifest.inputs)
    if config.data.world is not None and manifest.name in ("pretrain", "sft"):
        inputs.append(_WORLD)
    return StageReport(
        name=manifest.name,
        seconds=manifest.seconds,
        peak_memory_gib=manifest.peak_memory,
        steps=manifest.steps,
        rows=tuple({k: v for k, v in row.items() if k != "step"} for row in rows),
        row_steps=tuple(int(row["step"]) for row in rows),
        config=manifest.config,
        figures=manifest.figures,
        key=manifest.key,
        digest=manifest.digest,
        inputs=tuple(inputs),
        kind=manifest.kind,
    )


def _facts(
    workspace: Workspace,
    config: PipelineConfig,
    made: Sequence[Manifest],
    *,
    before: str,
    after: str,
) -> RunFacts:
    machine = plain(made[-1].machine)
    return RunFacts(
        title=workspace.root.name,
        model=Path(config.model).name if Path(config.model).is_absolute() else config.model,
        before=before,
        after=after,
        started=min(manifest.started for manifest in made),
        ended=max(manifest.ended for manifest in made),
        seed=config.seed,
        version=made[-1].code,
        machine={k: str(v) for k, v in machine.items()} if isinstance(machine, Mapping) else {},
    )


def _sources(
    workspace: Workspace, made: Mapping[str, Manifest], config: PipelineConfig
) -> Iterator[Source]:
    if "base" in made:
        base = made["base"]
        known = str(base.figures.get("digest", base.digest))
        about = str(base.figures.get("about", config.model))
        yield Source(name="base", kind="model", digest=known, note=about)
    if config.data.world is not None:
        world = config.data.world
        yield Source(
            name=_WORLD,
            kind="text",
            digest=digest(world),
            note=f"{world.documents:,} documents, {world.demonstrations:,} demonstrations, from a "
            f"grammar with seed {world.seed}",
        )
    names = {name: m.inputs[name] for m in made.values() for name in m.inputs if "/" in name}
    for name, entry in names.items():
        kind = name.partition("/")[0]
        yield Source(name=name, kind=kind, digest=entry.digest, note="imported")


def _interval_rule(evaluation: Mapping[str, Any]) -> str:
    if evaluation.get("prompts") == 1:
        return "Intervals cover 95 %; there is one prompt, and its answers are the unit."
    return "Intervals cover 95 %; prompts are the unit, changes are paired by them."


def _not_shown(
    config: PipelineConfig, made: Mapping[str, Manifest], heard: Opinions, rated: str
) -> Iterator[str]:
    evaluation = _figures(made, "eval").get("evaluation", {})
    if rated:
        yield f"Whether the answers are better in any other way: people rated {rated}, no more."
    if evaluation.get("prompts_seen_in_training"):
        yield "What it says to a prompt it never saw: every evaluated prompt was trained on too."
    elif evaluation.get("prompts") == 1:
        yield "What it says to another prompt: there was one."
    if config.data.world is not None:
        if heard.blind is None:
            yield "Whether people agree with the simulated raters: no human judged an answer."
        yield "Whether any of it holds outside the tiny world: its language has a few dozen words."
    elif heard.blind is None and {"reward", *ALIGNED} & set(config.stages):
        yield "Whether people prefer the new answers: nobody judged them after training."
    if (about := _figures(made, "base").get("about")) is not None:
        yield f"What becomes of a base model: the start is {about}."
    yield "Safety: no harmful or adversarial prompt was tried."
    yield "Other seeds: this is one run."
