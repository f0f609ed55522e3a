"""Line charts of metric rows: every value as it was logged, nothing smoothed.

A missing number breaks its line. Long series are drawn by the smallest and largest value of each
column of pixels, so that no peak is lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from accord.evals.report.charts import scales, svg
from accord.evals.report.words import quantity, setting

WIDTH, HEIGHT = 400.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 14.0, 34.0, 36.0
MOST_DRAWN = 500
MOST_HOVER = 40
DOTTED = 40
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Series:
    """One line: its label and its (step, value) points in order; NaN is a gap."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """A horizontal line that the values are read against, such as a budget."""

    label: str
    value: float


def thin(points: Sequence[Point], most: int = MOST_DRAWN) -> list[Point]:
    """At most about `most` points: of each run of neighbours the smallest and the largest.

    Gaps (NaN) survive as gaps.
    """
    if len(points) <= most:
        return list(points)
    size = math.ceil(2 * len(points) / most)
    kept: list[Point] = []
    for start in range(0, len(points), size):
        group = points[start : start + size]
        finite = [index for index, point in enumerate(group) if math.isfinite(point[1])]
        if len(finite) < len(group):
            kept.append(next(point for point in group if not math.isfinite(point[1])))
        if finite:
            ends = {
                min(finite, key=lambda i: group[i][1]),
                max(finite, key=lambda i: group[i][1]),
            }
            kept.extend(group[index] for index in sorted(ends))
    return kept


def line_chart(
    series: Sequence[Series], *, label: str, unit: str, limits: Sequence[Limit] = ()
) -> str:
    """A chart of one unit over steps, with hover titles; empty text where no value is finite."""
    found = [point for line in series for point in line.points if math.isfinite(point[1])]
    if not found:
        return ""
    steps = [x for x, _ in found]
    left, right = (min(steps), max(steps)) if min(steps) < max(steps) else scales.span(steps)
    low, high = scales.span([y for _, y in found] + [limit.value for limit in limits])
    if unit == "share":
        low, high = (max(low, -0.02) if min(y for _, y in found) >= 0 else low), min(high, 1.02)
    x = scales.Scale(left, right, LEFT, WIDTH - RIGHT)
    y = scales.Scale(low, high, HEIGHT - BOTTOM, TOP)
    return svg.picture(
        *_axes(x, y, unit=unit),
        *(_limit(limit, y) for limit in limits),
        *(_line(line, index, x, y) for index, line in enumerate(series)),
        *_legend(series),
        *_hover(series, x, y, unit),
        width=WIDTH,
        height=HEIGHT,
        label=label,
    )


def _axes(x: scales.Scale, y: scales.Scale, *, unit: str) -> list[str]:
    ground = HEIGHT - BOTTOM
    rows, columns = scales.ticks(y.low, y.high, 6), _whole(scales.ticks(x.low, x.high, 5))
    parts = [
        svg.element("path", d=f"M{LEFT:g} {y(tick):.1f}H{WIDTH - RIGHT:g}", css="grid")
        for tick in rows
    ]
    parts += [
        svg.words(text, x=LEFT - 6, y=y(tick) + 4, anchor="end")
        for tick, text in zip(rows, scales.labels(rows, unit=unit), strict=True)
    ]
    parts += [
        svg.words(text, x=x(tick), y=ground + 16, anchor="middle")
        for tick, text in zip(columns, scales.labels(columns), strict=True)
    ]
    parts.append(svg.element("path", d=f"M{LEFT:g} {ground:g}H{WIDTH - RIGHT:g}", css="axis"))
    parts.append(svg.words("step", x=WIDTH - RIGHT, y=HEIGHT - 4, anchor="end", css="axis-name"))
    name = "per cent" if unit == "share" else "no unit" if unit == "1" else unit
    parts.append(svg.words(name, x=2, y=12, css="axis-name"))
    return parts


def _whole(values: list[float]) -> list[float]:
    return [value for value in values if abs(value - round(value)) < 1e-6] or values


def _limit(limit: Limit, y: scales.Scale) -> str:
    height = y(limit.value)
    return svg.element(
        "path", d=f"M{LEFT:g} {height:.1f}H{WIDTH - RIGHT:g}", css="limit"
    ) + svg.words(
        f"{limit.label} {setting(limit.value)}",
        x=WIDTH - RIGHT - 2,
        y=height - 5 if height > TOP + 12 else height + 14,
        anchor="end",
        css="limit-name",
    )


def _line(line: Series, index: int, x: scales.Scale, y: scales.Scale) -> str:
    points = thin(line.points)
    path, pen = [], "M"
    for step, value in points:
        if not math.isfinite(value):
            pen = "M"
            continue
        path.append(f"{pen}{x(step):.1f} {y(value):.1f}")
        pen = "L"
    drawn = svg.element("path", d="".join(path), css=f"line s{index % 4}")
    if len(points) <= DOTTED:
        drawn += "".join(
            svg.element("circle", cx=x(step), cy=y(value), r=2.4, css=f"dot s{index % 4}")
            for step, value in points
            if math.isfinite(value)
        )
    return drawn


def _legend(series: Sequence[Series]) -> list[str]:
    if len(series) < 2:
        return []
    parts, place = [], WIDTH - RIGHT
    for index, line in reversed(list(enumerate(series))):
        text = svg.clip(line.label, 22)
        parts.append(svg.words(text, x=place, y=12, anchor="end", css="legend"))
        place -= 6.4 * len(text) + 8
        parts.append(
            svg.element("path", d=f"M{place - 20:.1f} 8H{place:.1f}", css=f"line s{index % 4}")
        )
        place -= 34
    return parts


def _hover(series: Sequence[Series], x: scales.Scale, y: scales.Scale, unit: str) -> list[str]:
    at: dict[float, list[tuple[int, str, float]]] = {}
    for index, line in enumerate(series):
        for step, value in line.points:
            if math.isfinite(value):
                at.setdefault(step, []).append((index, line.label, value))
    chosen = _spread(sorted(at), MOST_HOVER)
    edges = [LEFT, *((x(a) + x(b)) / 2 for a, b in pairwise(chosen)), WIDTH - RIGHT]
    parts = []
    for step, (start, end) in zip(chosen, pairwise(edges), strict=True):
        said = ", ".join(f"{label} {quantity(value, unit)}" for _, label, value in at[step])
        dots = "".join(
            svg.element("circle", cx=x(step), cy=y(value), r=3.6, css=f"s{index % 4}")
            for index, _, value in at[step]
        )
        parts.append(
            svg.element(
                "g",
                svg.title(f"step {step:g}: {said}"),
                svg.element("path", d=f"M{start:.0f} {TOP:g}H{end:.0f}V{HEIGHT:g}H{start:.0f}z"),
                dots,
                css="hit",
            )
        )
    return parts


def _spread(values: list[float], most: int) -> list[float]:
    if len(values) <= most:
        return values
    last = len(values) - 1
    return [values[round(index * last / (most - 1))] for index in range(most)]
