"""Forest plots and bars: one row a thing, its value as a dot with an interval or as a bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accord.evals.report.charts import scales, svg

WIDTH, LEFT, RIGHT = 400.0, 14.0, 14.0
ROW, HEAD, FOOT = 40.0, 10.0, 40.0
WORDS = 18.0
"""Height at the top of a row that its words take."""
LINE = 54
"""Characters that a label and its value have together."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a forest plot: what, its value, the ends of its interval, and all as words."""

    label: str
    value: float
    low: float | None
    high: float | None
    said: str
    css: str = "s0"


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line to read the rows against: zero, a coin, a bound."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar from zero and its value as words."""

    label: str
    value: float
    said: str


def forest(rows: Sequence[Row], *, label: str, axis: str, unit: str, marks: Sequence[Mark]) -> str:
    """Dots with intervals on one axis. Needs a row."""
    ends = [value for row in rows for value in (row.value, row.low, row.high) if value is not None]
    low, high = scales.span(ends + [mark.value for mark in marks])
    if unit == "share":  # no axis leads to more than all
        low, high = max(low, min(0.0, *ends)), min(high, max(1.0, *ends))
    x = scales.Scale(low, high, LEFT + 6, WIDTH - RIGHT - 6)
    top = HEAD + (16 if marks else 0)
    ground = top + ROW * len(rows) + 2
    parts = [
        *_axis(x, ground, axis=axis, unit=unit, top=top),
        *_marks(marks, x, top=top, rows=len(rows)),
    ]
    for index, row in enumerate(rows):
        parts += _row(row, x, top + ROW * index)
    return svg.picture(*parts, width=WIDTH, height=ground + FOOT, label=label, css="forest")


def _row(row: Row, x: scales.Scale, top: float) -> list[str]:
    line = top + 27
    room = max(12, LINE - len(row.said))
    parts = [
        svg.words(svg.clip(row.label, room), x=LEFT, y=top + 14, css="row-name"),
        svg.words(row.said, x=WIDTH - RIGHT, y=top + 14, anchor="end"),
    ]
    if row.low is not None and row.high is not None:
        path = f"M{x(row.low):.1f} {line:g}H{x(row.high):.1f}"
        caps = "".join(f"M{x(end):.1f} {line - 4:g}v8" for end in (row.low, row.high))
        parts.append(svg.element("path", d=path + caps, css=f"range {row.css}"))
    parts.append(
        svg.element(
            "circle",
            svg.title(f"{row.label}: {row.said}"),
            cx=x(row.value),
            cy=line,
            r=5.0,
            css=f"dot {row.css}",
        )
    )
    return parts


def _axis(x: scales.Scale, ground: float, *, axis: str, unit: str, top: float) -> list[str]:
    places = scales.ticks(x.low, x.high, 5)
    parts = [
        svg.element("path", d=f"M{x(tick):.1f} {top:g}V{ground:g}", css="grid") for tick in places
    ]
    parts += [
        svg.words(text, x=x(tick), y=ground + 16, anchor="middle")
        for tick, text in zip(places, scales.labels(places, unit=unit), strict=True)
    ]
    parts.append(svg.element("path", d=f"M{LEFT:g} {ground:g}H{WIDTH - RIGHT:g}", css="axis"))
    parts.append(
        svg.words(axis, x=WIDTH - RIGHT, y=ground + FOOT - 6, anchor="end", css="axis-name")
    )
    return parts


def _marks(marks: Sequence[Mark], x: scales.Scale, *, top: float, rows: int) -> list[str]:
    """Each line is broken where a row has its words, so that it crosses none."""
    parts = []
    pieces = [f"{top + ROW * row + WORDS:g}V{top + ROW * (row + 1) + 2:g}" for row in range(rows)]
    for mark in marks:
        place = x(mark.value)
        anchor = "end" if place > 0.7 * WIDTH else "start" if place < 0.3 * WIDTH else "middle"
        lines = "".join(f"M{place:.1f} {piece}" for piece in (f"{top - 4:g}V{top + 2:g}", *pieces))
        parts.append(svg.element("path", d=lines, css="limit"))
        parts.append(svg.words(mark.label, x=place, y=top - 8, anchor=anchor, css="limit-name"))
    return parts


def bars(rows: Sequence[Bar], *, label: str, axis: str) -> str:
    """Bars from zero, longest value to the full width. Needs a row."""
    most = max(*(row.value for row in rows), 1e-12)
    x = scales.Scale(0.0, most, LEFT, WIDTH - RIGHT)
    parts = []
    for index, row in enumerate(rows):
        top = 4 + 36.0 * index
        parts += [
            svg.words(svg.clip(row.label, 34), x=LEFT, y=top + 13, css="row-name"),
            svg.words(row.said, x=WIDTH - RIGHT, y=top + 13, anchor="end"),
            svg.element(
                "rect", x=LEFT, y=top + 18, width=WIDTH - LEFT - RIGHT, height=8.0, css="rail"
            ),
            svg.element(
                "rect",
                svg.title(f"{row.label}: {row.said}"),
                x=LEFT,
                y=top + 18,
                width=max(x(row.value) - LEFT, 1.0),
                height=8.0,
                css="bar s0",
            ),
        ]
    height = 4 + 36.0 * len(rows) + 18
    parts.append(svg.words(axis, x=LEFT, y=height - 2, css="axis-name"))
    return svg.picture(*parts, width=WIDTH, height=height, label=label)


def zero(label: str = "no change") -> Mark:
    """The line of no difference."""
    return Mark(label, 0.0)
