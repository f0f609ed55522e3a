"""Draws what `selection.py` kept: what each method gains over random after each round.

    python -m bench.selection_chart bench/results/selection.json docs/active-selection.svg

It prints the tables of `docs/active-selection.md` as well.

One row an arm; on the left labels weigh as the product weighs them, on the right all the same. The
vertical bars are 95% intervals over seeds of the difference to random. One scale for all panels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tyro

from accord.evals.report.charts import scales, svg
from bench.choosing import ARMS

SHOWN = ("uncertainty", "gap", "coverage")
SURE = "uncertainty, top only"
"""Has no probabilities to weigh by."""
TABLED = ("uncertainty", "gap", "gap, one model", "coverage", SURE)
"""The last one last."""
WAYS = {"by inclusion": "", "alike": " (unweighted)"}
COLOURS = ("#0072b2", "#c44f00", "#007a5a")
DASHES = (None, "7 3", "2.5 2.5")
WIDTH, HEIGHT, LEFT, TOP = 330.0, 150.0, 44.0, 30.0
GAP, HEAD = 30.0, 46.0
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#222}.name{font-weight:600}"
    ".grid{stroke:#e3e6ea;fill:none}.zero{stroke:#555;fill:none}"
    ".line{fill:none;stroke:currentColor;stroke-width:1.9}.dot{fill:currentColor}"
    ".range{stroke:currentColor;stroke-width:1.2;opacity:.6}"
)
EVERY = tuple(arm.name for arm in ARMS)
LABEL = (
    "Held-out accuracy gained over random picking, in percentage points, after each round of "
    "labels, for each set of circumstances and method"
)


def chart(rows: Sequence[Mapping[str, Any]]) -> str:
    """All panels as one drawing that stands alone."""
    ends = [
        value
        for row in rows
        for name in SHOWN
        for end in (name, f"{name} (unweighted)")
        for point in row["methods"][end]["gain"]["accuracy"]
        for value in point[1:]
    ]
    low, high = scales.span([*ends, 0.0])
    parts = [svg.element("rect", width="100%", height="100%", fill="#fff"), *_legend()]
    for number, row in enumerate(rows):
        for side, ending in enumerate(("", " (unweighted)")):
            inside = _panel(row, ending, low, high)
            place = f"translate({side * (WIDTH + GAP):g} {HEAD + number * (HEIGHT + GAP):g})"
            parts.append(svg.element("g", *inside, transform=place))
    width, height = 2 * WIDTH + GAP + 10, HEAD + len(rows) * (HEIGHT + GAP)
    return (
        svg.element(
            "svg",
            f"<style>{STYLE}</style>",
            *parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {width:g} {height:g}",
            role="img",
            aria_label=LABEL,
        )
        + "\n"
    )


def gains(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table: points of accuracy over random after the last round, bold where it is a difference
    beyond chance."""
    head = ("people and prompts", "labels", "random", "labels weigh", *TABLED)
    lines = [head, tuple("---" for _ in head)]
    for row in rows:
        last = len(row["labels"]) - 1
        random = f"{row['methods']['random']['accuracy'][last][0]:.1%}"
        first = (row["arm"], str(row["labels"][last]), random)
        for way, ending in WAYS.items():
            cells = [_gain(row["methods"][name + ending]) for name in TABLED if name != SURE]
            cells.append(_gain(row["methods"][SURE]) if ending else "")
            lines.append((*first, way, *cells))
            first = ("", "", "")
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def worth(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table of the differences beyond chance: in accuracy, regret and labels."""
    head = ("people and prompts", "method", "accuracy, points", "regret", "worth in labels")
    lines = [head, tuple("---" for _ in head)]
    for row in rows:
        limit = row["labels"][-1]
        for name, one in row["methods"].items():
            if "verdict" not in one or one["verdict"]["accuracy"] not in {"helps", "hurts"}:
                continue
            lost = one["gain"]["regret"][-1][0]
            low, high = (f"{value:+.0f}" for value in one["labels_saved"][1:])
            high = f"{high} or more" if one["labels_saved"][2] >= limit else high
            few = f"{one['labels_saved'][0]:+.0f} of {limit} ({low} to {high})"
            points = f"{100 * one['gain']['accuracy'][-1][0]:+.1f}"
            lines.append((row["arm"], name, points, f"{lost:+.3f}", few))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _gain(one: Mapping[str, Any]) -> str:
    value, low, high = (100 * v for v in one["gain"]["accuracy"][-1])
    text = f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
    return f"**{text}**" if one["verdict"]["accuracy"] in {"helps", "hurts"} else text


def _legend() -> list[str]:
    parts = [
        svg.words("weighted by one over inclusion, as in training", x=LEFT, y=38.0, css="name"),
        svg.words("all labels weigh the same", x=WIDTH + GAP + LEFT, y=38.0, css="name"),
    ]
    for k, name in enumerate(SHOWN):
        x = LEFT + 130.0 * k
        parts.append(_path(f"M{x:g} 12h26", k))
        parts.append(svg.words(name, x=x + 32, y=16.0))
    parts.append(svg.words("points of accuracy over random", x=LEFT + 400, y=16.0))
    return parts


def _panel(row: Mapping[str, Any], ending: str, low: float, high: float) -> list[str]:
    labels = row["labels"]
    x = scales.Scale(0.0, labels[-1] * 1.06, LEFT, WIDTH)
    y = scales.Scale(low, high, HEIGHT - 18, TOP)
    places = scales.ticks(low, high, 4)
    random = row["methods"]["random"]["accuracy"][len(labels) - 1][0]
    parts = [
        svg.words(row["arm"], x=LEFT, y=16.0, css="name", more=f"random ends at {random:.1%}")
        if not ending
        else "",
        *(
            svg.element("path", d=f"M{LEFT:g} {y(at):.1f}H{WIDTH:g}", css="grid" if at else "zero")
            for at in places
        ),
        *(
            svg.words(text, x=LEFT - 6, y=y(at) + 4, anchor="end")
            for at, text in zip(places, scales.labels(places, unit="points"), strict=True)
        ),
        *(svg.words(f"{n}", x=x(n), y=HEIGHT, anchor="middle") for n in labels),
    ]
    for k, name in enumerate(SHOWN):
        points = row["methods"][name + ending]["gain"]["accuracy"]
        shift = 4.0 * (k - 1)
        spots = [(x(n) + shift, *map(y, point)) for n, point in zip(labels, points, strict=True)]
        parts.append(_path("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b, _, _ in spots), k))
        for a, b, bottom, top in spots:
            bar = f"M{a:.1f} {bottom:.1f}V{top:.1f}"
            parts.append(svg.element("path", d=bar, css="range", color=COLOURS[k]))
            parts.append(svg.element("circle", cx=a, cy=b, r=2.6, css="dot", color=COLOURS[k]))
    return parts


def _path(d: str, k: int) -> str:
    return svg.element("path", d=d, css="line", color=COLOURS[k], stroke_dasharray=DASHES[k])


def main(kept: Path, drawing: Path, /, arms: tuple[str, ...] = EVERY) -> None:
    """Draw the named arms of a file that `selection.py` wrote."""
    rows = json.loads(kept.read_text(encoding="utf-8"))["arms"]
    by_name = {row["arm"]: row for row in rows}
    chosen = [by_name[name] for name in arms]
    drawing.write_text(chart(chosen), encoding="utf-8")
    print(gains(chosen), worth(chosen), sep="\n\n")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
