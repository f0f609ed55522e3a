"""Reliability diagram: of the pairs given probability p, was the first better in p of them?"""

from __future__ import annotations

from collections.abc import Sequence

from accord.evals.report.charts import scales, svg
from accord.evals.report.data import Bin
from accord.evals.report.words import count, interval, share

WIDTH, HEIGHT = 400.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 54.0, 60.0, 22.0, 44.0


def reliability(bins: Sequence[Bin], *, label: str) -> str:
    """Dots with intervals against the diagonal of a perfectly calibrated model. Needs a bin."""
    x = scales.Scale(0.0, 1.0, LEFT, WIDTH - RIGHT)
    y = scales.Scale(0.0, 1.0, HEIGHT - BOTTOM, TOP)
    most = max(part.count for part in bins)
    ordered = sorted(bins, key=lambda part: part.predicted)
    path = "".join(
        f"{'L' if index else 'M'}{x(part.predicted):.1f} {y(part.observed):.1f}"
        for index, part in enumerate(ordered)
    )
    return svg.picture(
        *_frame(x, y),
        svg.element("path", d=path, css="line thin s0"),
        *(_bin(part, x, y, most) for part in ordered),
        width=WIDTH,
        height=HEIGHT,
        label=label,
    )


def _frame(x: scales.Scale, y: scales.Scale) -> list[str]:
    places = [0.0, 0.25, 0.5, 0.75, 1.0]
    parts = []
    for place, text in zip(places, scales.labels(places, unit="share"), strict=True):
        parts += [
            svg.element("path", d=f"M{x(0):.1f} {y(place):.1f}H{x(1):.1f}", css="grid"),
            svg.element("path", d=f"M{x(place):.1f} {y(0):.1f}V{y(1):.1f}", css="grid"),
            svg.words(text, x=LEFT - 6, y=y(place) + 4, anchor="end"),
            svg.words(text, x=x(place), y=y(0) + 16, anchor="middle"),
        ]
    return [
        *parts,
        svg.element("path", d=f"M{x(0):.1f} {y(0):.1f}L{x(1):.1f} {y(1):.1f}", css="limit"),
        svg.words("perfect", x=x(1) + 4, y=y(1) + 4, css="limit-name"),
        svg.words("observed share", x=2, y=12, css="axis-name"),
        svg.words("predicted probability", x=x(1), y=HEIGHT - 6, anchor="end", css="axis-name"),
    ]


def _bin(part: Bin, x: scales.Scale, y: scales.Scale, most: int) -> str:
    said = (
        f"{count(part.count, 'pair')}: predicted {share(part.predicted)}, "
        f"observed {share(part.observed)}"
    )
    drawn = ""
    if part.low is not None and part.high is not None:
        said += f" ({interval(part.low, part.high, 'share')})"
        path = f"M{x(part.predicted):.1f} {y(part.low):.1f}V{y(part.high):.1f}"
        drawn = svg.element("path", d=path, css="range s0")
    # Area, not radius, stands for the number of pairs: that is what an eye compares.
    radius = 2.5 + 4.5 * (part.count / most) ** 0.5
    return drawn + svg.element(
        "circle",
        svg.title(said),
        cx=x(part.predicted),
        cy=y(part.observed),
        r=radius,
        css="dot s0",
    )
