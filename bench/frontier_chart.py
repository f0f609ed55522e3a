"""Draws what `bench.frontier` kept: KL from SFT to the right, the truth gained upwards.

    python -m bench.frontier_chart bench/results/frontier.json docs/frontier.svg

It prints the figures as a table as well.

KL runs with its square root, as a policy does that moves away at an even pace (Gao et al. 2023,
arXiv:2210.10760): what happens near the start, where most of the gain is, has room.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import tyro

from accord.evals.report.charts import scales, svg
from accord.stats.intervals import mean

COLOURS = ("#0072b2", "#c44f00", "#007a5a", "#8a3ea8")
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640.0, 380.0, 52.0, 16.0, 44.0, 40.0
NATS = (0.0, 0.25, 1.0, 2.0, 4.0, 6.0, 9.0, 12.0, 16.0, 20.0, 25.0, 30.0, 36.0, 49.0, 64.0)
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#222}.grid{stroke:#e3e6ea;fill:none}"
    ".zero{stroke:#555;fill:none}.line{fill:none;stroke:currentColor;stroke-width:1.9}"
    ".dot{fill:currentColor}.seed{fill:currentColor;opacity:.35}"
    ".price{fill:currentColor}"
)
LABEL = "Change of the truth from SFT against KL from SFT in nats, for each method and price"


@dataclass(frozen=True, slots=True)
class Dot:
    """One method at one price, over all seeds."""

    method: str
    price: float
    points: tuple[tuple[float, float], ...]
    """Of each seed: KL from SFT in nats an answer, and the change of the truth from SFT."""

    @property
    def kl(self) -> float:
        """Mean over seeds, nats an answer."""
        return fmean(kl for kl, _ in self.points)

    @property
    def gain(self) -> float:
        """Mean over seeds of the change of the truth."""
        return fmean(gain for _, gain in self.points)

    @property
    def said(self) -> str:
        """The gain, with its 95% interval over seeds where there are several."""
        if len(self.points) < 2:
            return f"{self.gain:+.2f}"
        found = mean([gain for _, gain in self.points])
        return f"{found.estimate:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def table(dots: Sequence[Dot]) -> str:
    """As Markdown, by method and KL."""
    lines = ["| method | price | KL, nats | truth, change from SFT |", "|---|---|---|---|"]
    lines += [
        f"| {dot.method} | {dot.price:g} | {dot.kl:.1f} | {dot.said} |"
        for dot in sorted(dots, key=lambda one: (one.method, one.kl))
    ]
    return "\n".join(lines)


def chart(dots: Sequence[Dot]) -> str:
    """A drawing that stands alone; a line joins a method's means, small dots are its seeds."""
    ends = [gain for dot in dots for _, gain in dot.points]
    far = max(1.0, *(kl for dot in dots for kl, _ in dot.points))
    x = scales.Scale(0.0, 1.04 * math.sqrt(far), LEFT + 8, WIDTH - RIGHT - 14)
    y = scales.Scale(*scales.span([*ends, 0.0]), HEIGHT - BOTTOM, TOP)
    parts = [
        svg.element("rect", width="100%", height="100%", fill="#fff"),
        *_axes(x, y, far),
        svg.element("circle", cx=x(0.0), cy=y(0.0), r=3.2, fill="#222"),
        svg.words("SFT", x=x(0.0) + 6, y=y(0.0) + 15),
    ]
    for number, method in enumerate(dict.fromkeys(dot.method for dot in dots)):
        own = sorted((dot for dot in dots if dot.method == method), key=lambda dot: dot.kl)
        parts += _line(own, COLOURS[number], x, y)
        at = LEFT + 90.0 * number
        parts.append(svg.element("path", d=f"M{at:g} 14h24", css="line", color=COLOURS[number]))
        parts.append(svg.words(method, x=at + 30, y=18.0))
    return (
        svg.element(
            "svg",
            f"<style>{STYLE}</style>",
            *parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
            role="img",
            aria_label=LABEL,
        )
        + "\n"
    )


def _axes(x: scales.Scale, y: scales.Scale, far: float) -> list[str]:
    rows = scales.ticks(y.low, y.high, 6)
    return [
        *(
            svg.element(
                "path",
                d=f"M{LEFT:g} {y(at):.1f}H{WIDTH - RIGHT:g}",
                css="grid" if abs(at) > 1e-9 else "zero",
            )
            for at in rows
        ),
        *(
            svg.words(text, x=LEFT - 6, y=y(at) + 4, anchor="end")
            for at, text in zip(rows, scales.labels(rows), strict=True)
        ),
        *(
            svg.words(f"{kl:g}", x=x(math.sqrt(kl)), y=HEIGHT - BOTTOM + 16, anchor="middle")
            for kl in NATS
            if kl <= far
        ),
        svg.words("KL from SFT, nats an answer", x=WIDTH - RIGHT, y=HEIGHT - 6, anchor="end"),
        svg.words("truth, change from SFT", x=4.0, y=TOP - 8),
    ]


def _line(own: Sequence[Dot], colour: str, x: scales.Scale, y: scales.Scale) -> list[str]:
    way = "M" + "L".join(f"{x(math.sqrt(dot.kl)):.1f} {y(dot.gain):.1f}" for dot in own)
    parts = [svg.element("path", d=way, css="line", color=colour)]
    for dot in own:
        at, height = x(math.sqrt(dot.kl)), y(dot.gain)
        parts += [
            svg.element("circle", cx=x(math.sqrt(kl)), cy=y(gain), r=2.0, css="seed", color=colour)
            for kl, gain in ((max(kl, 0.0), gain) for kl, gain in dot.points)
        ]
        told = svg.title(f"{dot.method} at {dot.price:g}: {dot.gain:+.2f} at {dot.kl:.1f} nats")
        parts.append(svg.element("circle", told, cx=at, cy=height, r=3.2, css="dot", color=colour))
        price = svg.words(f"{dot.price:g}", x=at + 5, y=height - 6, css="price")
        parts.append(svg.element("g", price, color=colour))
    return parts


def main(kept: Path, drawing: Path, /) -> None:
    """Draw a file that `bench.frontier` wrote."""
    rows = json.loads(kept.read_text(encoding="utf-8"))
    dots = [Dot(row["method"], row["price"], tuple(map(tuple, row["points"]))) for row in rows]
    drawing.write_text(chart(dots), encoding="utf-8")
    print(table(dots))


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
