"""Every arm at a glance: one table, which ones training beats, and what each one cost in KL."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from accord.evals.report import alarms, words
from accord.evals.report.charts.intervals import Row, forest, zero
from accord.evals.report.charts.plane import Spot, plane
from accord.evals.report.data import EvalFigure, Measure, ReportData
from accord.evals.report.evidence import Picture, colour, policies
from accord.evals.report.findings import Sentence, Tone, tone
from accord.evals.report.parts import Arm, ArmKind

Key = Measure | str
"""A figure by what it is evidence of, or else by its name."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of one arm, and a second line about it."""

    value: str
    detail: str = ""
    tone: Tone = Tone.UNKNOWN


@dataclass(frozen=True, slots=True)
class Column:
    """What a column shows."""

    title: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ArmRow:
    """One arm."""

    label: str
    policy: str
    meaning: str
    css: str
    focus: bool
    cells: tuple[Cell, ...]


class Figures:
    """The figures of a report by arm."""

    def __init__(self, data: ReportData) -> None:
        self.truth, self.before, self.after = data.truth, data.run.before, data.run.after
        self.arms = data.arms
        self.label = {arm.policy: arm.label for arm in data.arms}
        self._found: dict[tuple[Key, str, str], EvalFigure] = {}
        for figure in data.figures:
            for key in (figure.measure, figure.name):
                if key is not Measure.OTHER:
                    self._found.setdefault((key, figure.policy, figure.versus), figure)
        known = any(self.level(Measure.GOLD, arm) for arm in data.arms)
        self.main = Measure.GOLD if known else Measure.PROXY
        """What arms are compared by: the truth, else the score."""

    @property
    def named(self) -> str:
        """What arms are compared by, as a title."""
        return self.truth.name if self.main is Measure.GOLD else "Reward-model score"

    def level(self, key: Key, arm: Arm) -> EvalFigure | None:
        """The figure of one arm."""
        return self._found.get((key, arm.policy, ""))

    def change(self, key: Key, arm: Arm, versus: str | None = None) -> EvalFigure | None:
        """Its paired difference to another, or to the start."""
        return self._found.get((key, arm.policy, self.before if versus is None else versus))


def table(data: ReportData) -> tuple[tuple[Column, ...], tuple[ArmRow, ...]]:
    """The columns that any arm has a figure for, and one row an arm."""
    of, order = Figures(data), policies(data)
    named = [column for column in _columns(of) if any(column[2](arm).value for arm in data.arms)]
    rows = tuple(
        ArmRow(
            arm.label,
            arm.policy if arm.policy != arm.label else "",
            arm.meaning,
            colour(arm.policy, order),
            arm.policy == data.run.after,
            tuple(_given(make(arm), arm, title) for title, _, make in named),
        )
        for arm in data.arms
    )
    return tuple(Column(title, meaning) for title, meaning, _ in named), rows


def _given(cell: Cell, arm: Arm, title: str) -> Cell:
    if cell.value:
        return cell
    start = arm.kind is ArmKind.START and title.startswith("Change")
    return Cell("the start" if start else "-")


_Column = tuple[str, str, Callable[[Arm], Cell]]


def _columns(of: Figures) -> tuple[_Column, ...]:
    start = of.label.get(of.before, of.before)
    return (
        (of.named, "mean, and its interval", lambda arm: _level(of, arm)),
        (f"Change from {start}", "paired, and its interval", lambda arm: _change(of, arm)),
        ("Detectable", "change found 4 times in 5", lambda arm: _detectable(of, arm)),
        ("KL", "nats an answer", lambda arm: _kl(of, arm)),
        ("Length", "tokens", lambda arm: _plain(of, "length", arm, bare=True)),
        ("Ended", "by the stop token", lambda arm: _plain(of, "stopped", arm)),
        ("Log-prob.", "a token, by the base; change", lambda arm: _likely(of, arm)),
        ("Distinct-2", f"word pairs; of {start}'s", lambda a: _distinct(of, a)),
        ("Repeated", "trigrams said before", lambda arm: _plain(of, "repeated", arm)),
        ("VADER", "counted words", lambda arm: _plain(of, "vader", arm)),
    )


def _level(of: Figures, arm: Arm) -> Cell:
    found = of.level(of.main, arm)
    if found is None:
        return Cell("")
    return Cell(words.quantity(found.value, found.unit), _ends(found))


def _change(of: Figures, arm: Arm) -> Cell:
    found = of.change(of.main, arm)
    if found is None:
        return Cell("")
    return Cell(words.change(found.value, found.unit), _ends(found, signed=True), tone(found))


def _detectable(of: Figures, arm: Arm) -> Cell:
    found = of.change(of.main, arm)
    if found is None or found.detectable is None:
        return Cell("")
    return Cell(words.quantity(found.detectable, found.unit))


def _kl(of: Figures, arm: Arm) -> Cell:
    found = of.level(Measure.KL, arm)
    if found is None:
        return Cell("")
    # What is left by rounding is no distance; adding 0 takes the sign off a zero.
    nats = words.number(round(found.value, 3) + 0.0)
    return Cell(nats, "at most" if arm.kind is ArmKind.PICKED else "")


def _plain(of: Figures, name: str, arm: Arm, *, bare: bool = False) -> Cell:
    found = of.level(name, arm)
    if found is None:
        return Cell("")
    show = words.bare if bare else words.quantity
    return Cell(show(found.value, found.unit))


def _likely(of: Figures, arm: Arm) -> Cell:
    found, moved = of.level("start_logp", arm), of.change("start_logp", arm)
    if found is None:
        return Cell("")
    return Cell(words.number(found.value), "" if moved is None else words.change(moved.value, ""))


def _distinct(of: Figures, arm: Arm) -> Cell:
    found = of.level("distinct", arm)
    start = of.level("distinct", Arm(policy=of.before, label="", meaning="", kind=ArmKind.START))
    if found is None:
        return Cell("")
    share = "" if start is None or not start.value else words.share(found.value / start.value)
    return Cell(words.number(found.value), share if arm.policy != of.before else "")


def _ends(figure: EvalFigure, *, signed: bool = False) -> str:
    if figure.low is None or figure.high is None:
        return "no interval"
    return words.interval(figure.low, figure.high, figure.unit, signed=signed)


# ---- sentences -----------------------------------------------------------------------------------


def sentences(data: ReportData) -> tuple[Sentence, ...]:
    """Which arms the trained policies beat and which not: never more than an interval supports."""
    of = Figures(data)
    after = next((arm for arm in data.arms if arm.policy == of.after), None)
    found = []
    if after is not None:
        found += [s for arm in data.arms if (s := _against(of, after, arm)) is not None]
    found += [
        sentence
        for arm in data.arms
        if arm.trained and arm.policy != of.after
        if (sentence := _in_short(of, arm)) is not None
    ]
    if found:
        found += _prompted(of, after)
    return (*found, *alarms.of_others(data))


def _against(of: Figures, after: Arm, arm: Arm) -> Sentence | None:
    figure = of.change(of.main, after, arm.policy)
    if figure is None:
        return None
    size, ends = words.change(figure.value, figure.unit), _ends(figure, signed=True)
    mood = tone(figure)
    if mood is Tone.GOOD:
        text = f"{after.label} beats {arm.said}: {size} (interval {ends})."
    elif mood is Tone.BAD:
        text = f"{after.label} is worse than {arm.said}: {size} (interval {ends})."
    elif mood is Tone.FLAT:
        text = (
            f"{after.label} is not shown to be better or worse than {arm.said}: {size} (interval "
            f"{ends})."
        )
    else:
        text = f"{after.label} against {arm.said}: {size}, without an interval: it may be chance."
    return Sentence(text=text, tone=mood)


def _in_short(of: Figures, arm: Arm) -> Sentence | None:
    """The same of another trained policy, in one line."""
    read: dict[Tone, list[str]] = {}
    for other in of.arms:
        figure = of.change(of.main, arm, other.policy)
        if figure is not None:
            read.setdefault(tone(figure), []).append(other.said)
    if not read:
        return None
    words_of = {
        Tone.GOOD: "beats",
        Tone.FLAT: "is not shown to be better or worse than",
        Tone.BAD: "is worse than",
        Tone.UNKNOWN: "has no interval against",
    }
    told = [f"{say} {', '.join(read[mood])}" for mood, say in words_of.items() if mood in read]
    return Sentence(text=f"{arm.label} {'; '.join(told)}.", tone=Tone.FLAT)


def _prompted(of: Figures, after: Arm | None) -> list[Sentence]:
    levels = [
        (figure.value, arm)
        for arm in of.arms
        if arm.kind is ArmKind.PROMPTED and (figure := of.level(of.main, arm)) is not None
    ]
    if len(levels) < 2:
        return []
    value, best = max(levels, key=lambda item: item[0])
    text = f"Of the two ways to prompt, {best.said} has the higher mean ({words.number(value)})"
    figure = None if after is None else of.change(of.main, after, best.policy)
    if figure is not None and after is not None:
        read = {
            Tone.GOOD: f"{after.label} beats it",
            Tone.BAD: f"{after.label} is worse than it",
        }.get(tone(figure), f"{after.label} is not shown to beat it")
        text += f": {read}"
    return [Sentence(text=f"{text}.", tone=Tone.FLAT)]


def rule(data: ReportData) -> str:
    """What the sentences go by."""
    of = Figures(data)
    by = of.truth.said if of.main is Measure.GOLD else "the score that training pushed up"
    return (
        f"By {by}, on the same {data.asked}s at the same sampling settings. Each interval is "
        "for one comparison alone: of many, one in twenty misses by chance."
    )


# ---- pictures ------------------------------------------------------------------------------------


def pictures(data: ReportData) -> tuple[Picture, ...]:
    """The changes of all arms as a forest; truth and score against the distance that they cost."""
    of, order = Figures(data), policies(data)
    found = [_forest(of, order)]
    for measure, row, name in (
        (Measure.GOLD, "reward/gold", of.truth.name),
        (Measure.PROXY, "reward/score", "Score"),
    ):
        found.append(_against_kl(data, of, order, measure, row, name))
    return tuple(picture for picture in found if picture is not None)


def _forest(of: Figures, order: tuple[str, ...]) -> Picture | None:
    rows = [
        Row(
            arm.label,
            figure.value,
            figure.low,
            figure.high,
            f"{words.change(figure.value, figure.unit)} ({_ends(figure, signed=True)})",
            colour(arm.policy, order),
        )
        for arm in of.arms
        if (figure := of.change(of.main, arm)) is not None
    ]
    if not rows:
        return None
    start = of.label.get(of.before, of.before)
    title = f"{of.named}: change from {start}"
    label = f"{title}: " + "; ".join(f"{row.label} {row.said}" for row in rows)
    axis = of.truth.unit if of.main is Measure.GOLD else "score"
    drawn = forest(rows, label=label, axis=axis, unit=axis, marks=(zero(),))
    return Picture(title, drawn, "Paired on the same prompts; the bar is the interval.")


def _against_kl(
    data: ReportData, of: Figures, order: tuple[str, ...], measure: Measure, row: str, name: str
) -> Picture | None:
    spots = [
        Spot(arm.label, _root(kl.value), at.value, at.low, at.high, colour(arm.policy, order))
        for arm in of.arms
        if (kl := of.level(Measure.KL, arm)) and (at := of.level(measure, arm))
    ]
    stage = next((stage for stage in data.stages if stage.name == of.after), None)
    trace = tuple(
        (_root(one["kl/sequence"]), one[row])
        for one in (() if stage is None else stage.rows)
        if "kl/sequence" in one and row in one
        if math.isfinite(one["kl/sequence"]) and math.isfinite(one[row])
    )
    if len(spots) + len(trace) < 2 or (not trace and len({spot.x for spot in spots}) < 2):
        return None
    said = "; ".join(f"{s.label} {words.number(s.y)} at {words.number(s.x)}" for s in spots)
    title = f"{name} against the root of KL"
    unit = of.truth.unit if measure is Measure.GOLD else "score"
    caption = f"Dots are arms on {data.asked}s, with intervals."
    if trace:
        caption = (
            f"The thin line goes through the {len(trace)} logged steps of {of.after}, in their "
            f"order, on training prompts. {caption}"
        )
    drawn = plane(spots, trace, label=f"{title}: {said}", x_name="root of KL", y_name=unit)
    return Picture(title, drawn, caption)


def _root(kl: float) -> float:
    """Estimates of a KL near 0 may fall below it."""
    return math.sqrt(max(kl, 0.0))
