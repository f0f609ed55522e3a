"""What the page says about the outcome: tiles, figures, samples and the reward model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accord.evals.report import words
from accord.evals.report.charts.intervals import Mark, Row, forest, zero
from accord.evals.report.charts.reliability import reliability
from accord.evals.report.data import (
    Answer,
    Calibration,
    EvalFigure,
    Measure,
    ReportData,
    SamplePair,
    Slice,
)
from accord.evals.report.findings import Tone, find, level, tone
from accord.evals.report.parts import Estimate

MOST_TEXT = 4_000
MOST_SAMPLES = 40
OPEN_SAMPLES = 4
OPEN_OTHERS = 2
"""Prompts of every later heading that are shown unfolded."""
COLOURS = 8


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure of the headline."""

    label: str
    value: str
    detail: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn figure with its title and caption."""

    title: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One paired difference as words."""

    name: str
    meaning: str
    """What the figure is; empty where a row above has said it."""
    pair: str
    change: str
    ends: str
    n: str
    reading: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class LevelRow:
    """One figure of every policy as words."""

    name: str
    meaning: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AnswerView:
    """One answer, cut to a length that a page can hold."""

    policy: str
    css: str
    text: str
    cut: int
    marks: tuple[str, ...]
    focus: bool = False
    """Whether the report is about this policy."""


@dataclass(frozen=True, slots=True)
class SampleView:
    """One prompt with its answers."""

    prompt: str
    cut: int
    answers: tuple[AnswerView, ...]


@dataclass(frozen=True, slots=True)
class SampleGroup:
    """Prompts that were chosen in one way."""

    why: str
    shown: tuple[SampleView, ...]
    folded: tuple[SampleView, ...]


def tiles(data: ReportData) -> tuple[Tile, ...]:
    """The figures that a reader wants first; what is missing says so."""
    parts = [
        _change_tile(data, Measure.PROXY, "Reward-model score"),
        _change_tile(data, Measure.GOLD, data.truth.name),
    ]
    if data.kl is not None:
        budget = data.kl.budget
        of = "no budget set" if budget is None else f"of {words.setting(budget)} allowed"
        over = budget is not None and data.kl.nats > budget
        parts.append(
            Tile(
                "KL spent",
                f"{words.number(data.kl.nats)} nats",
                f"a response, {of}",
                Tone.BAD if over else Tone.FLAT,
            )
        )
    if data.calibration is not None:
        rules = data.calibration.baselines
        best = (
            f"best simple rule {words.share(max(rules.values()))}" if rules else "no rule beside it"
        )
        parts.append(
            Tile("Reward-model accuracy", words.share(data.calibration.accuracy), best, Tone.FLAT)
        )
    if data.stages:
        total = words.duration(sum(stage.seconds for stage in data.stages))
        most = words.gib(max(stage.peak_memory_gib for stage in data.stages))
        count = words.count(len(data.stages), "stage")
        parts.append(Tile("Cost", total, f"{count}, {most} at most", Tone.FLAT))
    return tuple(parts)


def _change_tile(data: ReportData, measure: Measure, label: str) -> Tile:
    figure = find(data, measure)
    if figure is None:
        return Tile(label, "not measured", "no comparison before and after", Tone.UNKNOWN)
    ends = "no interval"
    if figure.low is not None and figure.high is not None:
        ends = f"interval {words.interval(figure.low, figure.high, figure.unit, signed=True)}"
    start, end = (level(data, figure, name) for name in (figure.versus, figure.policy))
    if start is not None and end is not None:
        was, now = (words.quantity(part.value, part.unit) for part in (start, end))
        ends = f"from {was} to {now}; {ends}"
    return Tile(label, words.change(figure.value, figure.unit), ends, tone(figure))


def policies(data: ReportData) -> tuple[str, ...]:
    """Every policy that a figure or a sample names, in the order of appearance."""
    names = [figure.policy for figure in data.figures if not figure.versus]
    names += [answer.policy for pair in data.samples for answer in pair.answers]
    return tuple(dict.fromkeys(names))


def called(data: ReportData, policy: str) -> str:
    """What people call a policy."""
    return next((arm.label for arm in data.arms if arm.policy == policy), policy)


def colour(name: str, order: Sequence[str]) -> str:
    """Style of a policy: the same on the whole page."""
    return f"s{order.index(name) % COLOURS}" if name in order else "s0"


_READING = {
    Tone.GOOD: "better",
    Tone.BAD: "worse",
    Tone.FLAT: "no clear change",
    Tone.UNKNOWN: "no interval",
}


def changes(data: ReportData) -> tuple[ChangeRow, ...]:
    """Every paired difference, figure by figure; the first of a figure says what it is."""
    rows = []
    for found in _differences(data).values():
        meanings = [found[0].meaning, *("" for _ in found[1:])]
        rows += [_change_row(data, f, text) for f, text in zip(found, meanings, strict=True)]
    return tuple(rows)


def _differences(data: ReportData) -> dict[str, list[EvalFigure]]:
    """Paired differences by the name of their figure, in the order of appearance."""
    found: dict[str, list[EvalFigure]] = {}
    for figure in data.figures:
        if figure.versus:
            found.setdefault(figure.name, []).append(figure)
    return found


def _pair(data: ReportData, figure: EvalFigure) -> str:
    return f"{called(data, figure.versus)} to {called(data, figure.policy)}"


def _change_row(data: ReportData, figure: EvalFigure, meaning: str) -> ChangeRow:
    mood, ends = tone(figure), "none"
    reading = _READING[mood]
    if figure.low is not None and figure.high is not None:
        ends = words.interval(figure.low, figure.high, figure.unit, signed=True)
        if mood is Tone.FLAT and not figure.low <= 0 <= figure.high:
            reading = "changed"
    return ChangeRow(
        figure.name,
        meaning,
        _pair(data, figure),
        words.change(figure.value, figure.unit),
        ends,
        f"{figure.n:,}" if figure.n else "not given",
        reading,
        mood,
    )


def levels(data: ReportData) -> tuple[tuple[str, ...], tuple[LevelRow, ...]]:
    """The policies, and one row a figure with the value of each of them."""
    found = [figure for figure in data.figures if not figure.versus]
    names = tuple(dict.fromkeys(figure.policy for figure in found))
    rows = []
    for title in dict.fromkeys(figure.name for figure in found):
        mine = {figure.policy: figure for figure in found if figure.name == title}
        cells = tuple(_said(mine[name]) if name in mine else "not measured" for name in names)
        rows.append(LevelRow(title, next(iter(mine.values())).meaning, cells))
    return tuple(called(data, name) for name in names), tuple(rows)


def _said(figure: EvalFigure) -> str:
    text = words.quantity(figure.value, figure.unit)
    if figure.low is None or figure.high is None:
        return text
    return f"{text} ({words.interval(figure.low, figure.high, figure.unit)})"


def level_pictures(data: ReportData) -> tuple[Picture, ...]:
    """A forest plot of each figure that more than one policy has."""
    order, pictures = policies(data), []
    found = [figure for figure in data.figures if not figure.versus]
    for title in dict.fromkeys(figure.name for figure in found):
        mine = [figure for figure in found if figure.name == title]
        if len(mine) < 2:
            continue
        rows = [
            Row(called(data, f.policy), f.value, f.low, f.high, _said(f), colour(f.policy, order))
            for f in mine
        ]
        unit = mine[0].unit
        drawn = forest(
            rows, label=_forest_label(title, rows), axis=_axis(unit), unit=unit, marks=()
        )
        pictures.append(Picture(title, drawn, mine[0].meaning))
    return tuple(pictures)


def change_pictures(data: ReportData) -> tuple[Picture, ...]:
    """A forest plot of the differences in each figure, against the line of no change."""
    order, pictures = policies(data), []
    for name, found in _differences(data).items():
        rows = [
            Row(
                _pair(data, f),
                f.value,
                f.low,
                f.high,
                words.change(f.value, f.unit),
                colour(f.policy, order),
            )
            for f in found
        ]
        unit, title = found[0].unit, f"Change of {name}"
        drawn = forest(
            rows,
            label=_forest_label(title, rows),
            axis="percentage points" if unit == "share" else _axis(unit),
            unit="points" if unit == "share" else unit,
            marks=(zero(),),
        )
        pictures.append(
            Picture(title, drawn, "Paired on the same prompts; the bar is the interval.")
        )
    return tuple(pictures)


def _axis(unit: str) -> str:
    return {"share": "per cent", "1": "no unit", "": "no unit"}.get(unit, unit)


def _forest_label(title: str, rows: Sequence[Row]) -> str:
    return f"{title}: " + "; ".join(f"{row.label} {row.said}" for row in rows)


def estimate(figure: Estimate) -> str:
    """A share as words, with its interval where there is one."""
    if figure.low is None or figure.high is None:
        return words.share(figure.value)
    return f"{words.share(figure.value)} ({words.interval(figure.low, figure.high, 'share')})"


def reliability_picture(model: Calibration) -> Picture | None:
    """The reliability diagram, where there is a bin."""
    if not model.bins:
        return None
    said = "; ".join(
        f"predicted {words.share(part.predicted)} observed {words.share(part.observed)}"
        for part in model.bins
    )
    caption = (
        "Each dot is a tenth or so of the held-out pairs. On the dashed line a probability means "
        "what it says; below it on the right the model is too sure of itself."
    )
    drawn = reliability(model.bins, label=f"Reliability diagram: {said}")
    return Picture("Does a probability mean what it says?", drawn, caption)


def accuracy_picture(model: Calibration) -> Picture:
    """The reward model beside simple rules, a coin and the best that is possible."""
    low, high = model.interval or (None, None)
    ends = (
        f" ({words.interval(low, high, 'share')})" if low is not None and high is not None else ""
    )
    rows = [Row("Reward model", model.accuracy, low, high, words.share(model.accuracy) + ends)]
    rows += [
        Row(name, value, None, None, words.share(value), "s1")
        for name, value in model.baselines.items()
    ]
    if (human := model.human_ceiling) is not None:
        rows.append(Row("One person", human.value, human.low, human.high, estimate(human), "s2"))
    marks = [Mark("coin", 0.5)]
    if model.bayes_bound is not None:
        marks.append(Mark(f"best possible {words.share(model.bayes_bound)}", model.bayes_bound))
    drawn = forest(
        rows, label=_forest_label("Accuracy", rows), axis="accuracy", unit="share", marks=marks
    )
    caption = "Share of held-out pairs whose better answer is put first; ties are left out."
    return Picture("Better than a simple rule?", drawn, caption)


def slice_picture(title: str, slices: Sequence[Slice], caption: str) -> Picture | None:
    """Accuracy on parts of the pairs."""
    if not slices:
        return None
    rows = [
        Row(
            f"{part.name} ({words.count(part.pairs, 'pair')})",
            part.accuracy,
            part.low,
            part.high,
            words.share(part.accuracy),
        )
        for part in slices
    ]
    drawn = forest(
        rows,
        label=_forest_label(title, rows),
        axis="accuracy",
        unit="share",
        marks=(Mark("coin", 0.5),),
    )
    return Picture(title, drawn, caption)


def samples(data: ReportData) -> tuple[SampleGroup, ...]:
    """At most `MOST_SAMPLES` prompts with their answers, by how they were chosen."""
    order = policies(data)
    kept = data.samples[:MOST_SAMPLES]
    groups = []
    for number, why in enumerate(dict.fromkeys(pair.why for pair in kept)):
        views = tuple(_sample(pair, order, data) for pair in kept if pair.why == why)
        most = OPEN_OTHERS if number else OPEN_SAMPLES
        groups.append(SampleGroup(why, views[:most], views[most:]))
    return tuple(groups)


def _sample(pair: SamplePair, order: Sequence[str], data: ReportData) -> SampleView:
    prompt, left = words.cut(pair.prompt, MOST_TEXT)
    answers = tuple(_answer(answer, order, data) for answer in pair.answers)
    return SampleView(prompt, left, answers)


def _answer(answer: Answer, order: Sequence[str], data: ReportData) -> AnswerView:
    text, left = words.cut(answer.text, MOST_TEXT)
    marks = []
    if answer.score is not None:
        marks.append(f"score {words.number(answer.score)}")
    if answer.gold is not None:
        marks.append(f"{data.truth.short} {words.number(answer.gold)}")
    if not answer.stopped:
        marks.append("cut off by the length limit")
    css, focus = colour(answer.policy, order), answer.policy == data.run.after
    return AnswerView(called(data, answer.policy), css, text, left, tuple(marks), focus)
