"""What the page says about each stage: its charts, its figures as numbers and its settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from accord.core.metrics import BY_NAME, Better, Metric
from accord.evals.report import words
from accord.evals.report.charts.curves import MOST_DRAWN, Limit, Series, line_chart
from accord.evals.report.data import KLSpent, ReportData, StageReport
from accord.evals.report.panels import Panel, arrange
from accord.evals.report.parts import Truth

GOLD = "reward/gold"
"""Metric of the truth; what that is, the run says."""
WHAT = {
    "pretrain": "Learns the language from raw text.",
    "sft": "Supervised fine-tuning: imitates demonstrations. Its result is the reference of RL.",
    "top": "Fine-tunes the base on the best-rated demonstrations alone: a baseline.",
    "judge": "Makes a grader of people's ratings that no training sees.",
    "compare": "Samples several answers a prompt and has raters put them in order.",
    "reward": "Learns from comparisons to score a whole answer.",
    "ppo": "Reinforcement learning: raises the reward model's score under a price on KL.",
    "grpo": "Reinforcement learning: raises what scores above the other answers to its prompt.",
    "rloo": "Reinforcement learning: raises what scores above the mean of its prompt's others.",
    "reinforce": "Reinforcement learning: raises what earns more than the batch, without a critic.",
    "online_dpo": "As DPO, on pairs of the policy's own answers by score, made while it learns.",
    "rejection": "Imitates the best by score of several answers of the start policy.",
    "dpo": "Direct preference optimisation: learns from comparisons without a reward model.",
    "ipo": "As DPO, with a lead that is bounded however clear the comparisons are.",
    "kto": "Learns from answers that were called good or bad, each by itself.",
    "orpo": "Imitates the better answers and raises their odds, without a reference.",
    "simpo": "Raises the better answers' likelihood a token, without a reference.",
    "distilled": "Makes the policy's implicit reward that of the reward model, pair by pair.",
    "eval": "Measures every policy on held-out prompts.",
    "report": "Writes this page.",
}


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn panel. `span` says in words where it began and ended."""

    title: str
    svg: str
    span: str
    captions: tuple[tuple[str, str], ...]
    """(label or empty, meaning) of each line."""


@dataclass(frozen=True, slots=True)
class ChartGroup:
    """Charts under one heading."""

    title: str
    sentence: str
    folded: bool
    charts: tuple[Chart, ...]


@dataclass(frozen=True, slots=True)
class Numbers:
    """One metric as numbers, for readers who cannot or will not read the chart."""

    name: str
    unit: str
    better: str
    first: str
    last: str
    least: str
    most: str
    meaning: str


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage as the page shows it."""

    name: str
    what: str
    facts: str
    groups: tuple[ChartGroup, ...]
    numbers: tuple[Numbers, ...]
    settings: tuple[tuple[str, str], ...]
    figures: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def stage_views(data: ReportData) -> tuple[StageView, ...]:
    """One view a stage, in the order they ran."""
    return tuple(
        _view(stage, data.kl if stage.name == data.run.after else None, data.truth)
        for stage in data.stages
    )


def key_charts(data: ReportData) -> tuple[Chart, ...]:
    """The few curves that carry the headline: those of the stage that made the final policy."""
    stage = next((s for s in data.stages if s.name == data.run.after), None)
    if stage is None:
        return ()
    order = ("reward/score", "reward/gold", "kl/sequence")
    direct = ("preference/accuracy", "preference/margin", "preference/chosen_drift")
    wanted = order if any(name in row for row in stage.rows for name in order) else direct
    found = [
        (panel, name)
        for _, panels in arrange(_names(stage))
        for panel in panels
        for name in [panel.lines[0][0]]
        if name in wanted
    ]
    found.sort(key=lambda item: wanted.index(item[1]))
    return tuple(
        chart for panel, _ in found if (chart := _chart(stage, panel, data.kl, data.truth))
    )


def flatten(config: Mapping[str, object], head: str = "") -> list[tuple[str, str]]:
    """Nested settings as (dotted name, value as words), in the order given."""
    rows: list[tuple[str, str]] = []
    for name, value in config.items():
        path = f"{head}.{name}" if head else str(name)
        if isinstance(value, Mapping) and value:
            rows += flatten(value, path)
        else:
            rows.append((path, said(value)))
    return rows


def said(value: object) -> str:
    """A setting as words; nothing is rounded."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not math.isfinite(value):
        return "no number"
    if isinstance(value, str):
        return value or "(empty)"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {said(item)}" for key, item in value.items()) or "(none)"
    if isinstance(value, Sequence):
        return ", ".join(said(item) for item in value) or "(none)"
    return str(value)


def _names(stage: StageReport) -> list[str]:
    return list(dict.fromkeys(name for row in stage.rows for name in row))


def _metric(name: str, truth: Truth) -> Metric:
    if name == GOLD:
        return replace(BY_NAME[name], unit=truth.unit, meaning=truth.meaning)
    unknown = Metric(name=name, unit="1", better=Better.NEITHER, meaning="Not described.")
    return BY_NAME.get(name, unknown)


def _points(stage: StageReport, name: str) -> tuple[tuple[float, float], ...]:
    steps = stage.row_steps or tuple(range(1, len(stage.rows) + 1))
    return tuple(
        (float(step), float(row[name]))
        for step, row in zip(steps, stage.rows, strict=True)
        if name in row
    )


def _view(stage: StageReport, kl: KLSpent | None, truth: Truth) -> StageView:
    names = _names(stage)
    groups = []
    for group, panels in arrange(names):
        charts = tuple(chart for panel in panels if (chart := _chart(stage, panel, kl, truth)))
        if charts:
            groups.append(ChartGroup(group.title, group.sentence, group.folded, charts))
    return StageView(
        name=stage.name,
        what=WHAT.get(stage.name, ""),
        facts=_facts(stage),
        groups=tuple(groups),
        numbers=tuple(row for name in names if (row := _numbers(stage, name, truth))),
        settings=tuple(flatten(stage.config)),
        figures=tuple((name, text) for name, text in flatten(stage.figures)),
        notes=tuple(_notes(stage)),
    )


def _facts(stage: StageReport) -> str:
    parts = [words.count(stage.steps, "step")] if stage.steps else []
    parts.append(words.duration(stage.seconds))
    if stage.peak_memory_gib > 0:
        parts.append(f"{words.gib(stage.peak_memory_gib)} at most")
    return ", ".join(parts)


def _notes(stage: StageReport) -> list[str]:
    notes = []
    gaps = sum(not math.isfinite(value) for row in stage.rows for value in row.values())
    if gaps:
        notes.append(f"{words.count(gaps, 'logged value')} no finite number: drawn as a gap.")
    if len(stage.rows) > MOST_DRAWN:
        notes.append(
            f"Of {len(stage.rows):,} logged steps each chart draws the smallest and largest value "
            "of every short run of neighbours."
        )
    return notes


def _chart(stage: StageReport, panel: Panel, kl: KLSpent | None, truth: Truth) -> Chart | None:
    series = [Series(label, _points(stage, name)) for name, label in panel.lines]
    metrics = [_metric(name, truth) for name, _ in panel.lines]
    title = truth.name if panel.lines[0][0] == GOLD else panel.title
    unit = metrics[0].unit
    limits = []
    if panel.lines[0][0] == "kl/sequence" and kl is not None and kl.budget is not None:
        limits = [Limit("budget", kl.budget)]
    span = _span(series, unit)
    label = f"Line chart of {title} over the steps of {stage.name}: {span}"
    drawn = line_chart(series, label=label, unit=unit, limits=limits)
    if not drawn:
        return None
    several = len(panel.lines) > 1
    captions = tuple(
        (label if several else "", metric.meaning)
        for (_, label), metric in zip(panel.lines, metrics, strict=True)
    )
    return Chart(title, drawn, span, captions)


def _span(series: Sequence[Series], unit: str) -> str:
    parts = []
    for line in series:
        finite = [value for _, value in line.points if math.isfinite(value)]
        if not finite:
            continue
        first, last = words.bare(finite[0], unit), words.quantity(finite[-1], unit)
        text = f"{first} to {last}" if len(finite) > 1 else first
        parts.append(f"{line.label} {text}" if len(series) > 1 else text)
    return "; ".join(parts)


def _numbers(stage: StageReport, name: str, truth: Truth) -> Numbers | None:
    values = [value for _, value in _points(stage, name) if math.isfinite(value)]
    if not values:
        return None
    metric = _metric(name, truth)
    better = {Better.UP: "higher", Better.DOWN: "lower", Better.NEITHER: "neither"}
    first, last, least, most = (
        words.quantity(value, metric.unit)
        for value in (values[0], values[-1], min(values), max(values))
    )
    return Numbers(
        name, metric.unit, better[metric.better], first, last, least, most, metric.meaning
    )
