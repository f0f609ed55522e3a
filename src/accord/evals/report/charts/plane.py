"""One figure against another: where arms lie, and the way that training took between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accord.evals.report.charts import scales, svg
from accord.evals.report.words import number

WIDTH, HEIGHT = 400.0, 270.0
LEFT, RIGHT, TOP, BOTTOM = 48.0, 138.0, 26.0, 40.0
LINE = 15.0
"""Height that a label takes."""
LETTERS = 18


@dataclass(frozen=True, slots=True)
class Spot:
    """One dot with the interval of its height."""

    label: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None
    css: str = "s0"


def plane(
    spots: Sequence[Spot],
    trace: Sequence[tuple[float, float]],
    *,
    label: str,
    x_name: str,
    y_name: str,
) -> str:
    """Labelled dots, and a thin line through `trace` in its order. Needs a dot or a point.

    Labels stand beside the picture, one under the other, and a line leads from each to its dot, so
    that dots that lie close can be told apart.
    """
    xs = [spot.x for spot in spots] + [x for x, _ in trace]
    ys = [y for s in spots for y in (s.y, s.low, s.high) if y is not None] + [y for _, y in trace]
    left, right = scales.span(xs)
    x = scales.Scale(max(left, 0.0) if min(xs) >= 0 else left, right, LEFT + 6, WIDTH - RIGHT)
    y = scales.Scale(*scales.span(ys), HEIGHT - BOTTOM, TOP)
    return svg.picture(
        *_axes(x, y, x_name=x_name, y_name=y_name),
        *_trace(trace, x, y),
        *_labels(spots, x, y),
        *(_spot(spot, x, y) for spot in spots),
        width=WIDTH,
        height=HEIGHT,
        label=label,
        css="plane",
    )


def _axes(x: scales.Scale, y: scales.Scale, *, x_name: str, y_name: str) -> list[str]:
    ground = HEIGHT - BOTTOM
    rows, columns = scales.ticks(y.low, y.high, 6), scales.ticks(x.low, x.high, 5)
    parts = [
        svg.element("path", d=f"M{LEFT:g} {y(tick):.1f}H{WIDTH - RIGHT:g}", css="grid")
        for tick in rows
    ]
    parts += [
        svg.words(text, x=LEFT - 6, y=y(tick) + 4, anchor="end")
        for tick, text in zip(rows, scales.labels(rows), strict=True)
    ]
    parts += [
        svg.words(text, x=x(tick), y=ground + 16, anchor="middle")
        for tick, text in zip(columns, scales.labels(columns), strict=True)
    ]
    parts.append(svg.element("path", d=f"M{LEFT:g} {ground:g}H{WIDTH - RIGHT:g}", css="axis"))
    parts.append(svg.words(x_name, x=WIDTH - RIGHT, y=HEIGHT - 6, anchor="end", css="axis-name"))
    parts.append(svg.words(y_name, x=2, y=12, css="axis-name"))
    return parts


def _trace(points: Sequence[tuple[float, float]], x: scales.Scale, y: scales.Scale) -> list[str]:
    if not points:
        return []
    path = "".join(
        f"{'L' if number else 'M'}{x(a):.1f} {y(b):.1f}" for number, (a, b) in enumerate(points)
    )
    dots = [svg.element("circle", cx=x(a), cy=y(b), r=1.8, css="step") for a, b in points]
    return [svg.element("path", d=path, css="trace"), *dots]


def _labels(spots: Sequence[Spot], x: scales.Scale, y: scales.Scale) -> list[str]:
    order = sorted(spots, key=lambda spot: (y(spot.y), spot.label))
    parts = []
    for spot, place in zip(order, _places([y(spot.y) for spot in order]), strict=True):
        start, end = WIDTH - RIGHT + 14, x(spot.x) + 7
        path = f"M{end:.1f} {y(spot.y):.1f}L{max(start - 10, end):.1f} {place:.1f}H{start:g}"
        parts.append(svg.element("path", d=path, css=f"leader {spot.css}"))
        label = svg.clip(spot.label, LETTERS)
        parts.append(svg.words(label, x=start + 3, y=place + 4, css="row-name"))
    return parts


def _places(wanted: Sequence[float]) -> list[float]:
    """Heights in the order of those wanted, `LINE` apart, inside the picture where they fit."""
    places: list[float] = []
    for height in wanted:
        places.append(max(height, places[-1] + LINE) if places else max(height, TOP))
    floor = HEIGHT - BOTTOM
    for index in range(len(places) - 1, -1, -1):
        places[index] = min(places[index], floor)
        floor = places[index] - LINE
    return places


def _spot(spot: Spot, x: scales.Scale, y: scales.Scale) -> str:
    drawn, said = "", f"{spot.label}: {number(spot.y)} at {number(spot.x)}"
    if spot.low is not None and spot.high is not None:
        path = f"M{x(spot.x):.1f} {y(spot.low):.1f}V{y(spot.high):.1f}"
        drawn = svg.element("path", d=path, css=f"range {spot.css}")
        said += f" (interval {number(spot.low)} to {number(spot.high)})"
    return drawn + svg.element(
        "circle",
        svg.title(said),
        cx=x(spot.x),
        cy=y(spot.y),
        r=5.0,
        css=f"dot {spot.css}",
    )
