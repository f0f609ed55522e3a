"""Arc diagram of a lineage: artifacts from top to bottom, an arc from each input to its user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from accord.evals.report.charts import svg

WIDTH, ROW, TOP = 400.0, 30.0, 18.0
MOST_BULGE = 150.0


@dataclass(frozen=True, slots=True)
class Node:
    """One artifact or source, and the names of what it was made from."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    source: bool


def graph(nodes: Sequence[Node], *, label: str) -> str:
    """Nodes in the order given, which must put inputs first. Needs a node."""
    place = {node.name: index for index, node in enumerate(nodes)}
    links = [
        (place[name], index)
        for index, node in enumerate(nodes)
        for name in node.inputs
        if name in place
    ]
    longest = max((abs(end - start) for start, end in links), default=1)
    unit = min(24.0, MOST_BULGE / longest)
    axis = 22 + unit * longest * 0.75
    parts = [_arc(nodes, start, end, axis, unit) for start, end in links]
    for index, node in enumerate(nodes):
        y = TOP + ROW * index
        css = "node source" if node.source else "node"
        parts += [
            svg.element("circle", svg.title(_made_from(node)), cx=axis, cy=y, r=6.0, css=css),
            svg.words(
                svg.clip(node.name, 26),
                x=axis + 14,
                y=y + 4.5,
                css="row-name",
                more=svg.clip(node.kind, 24),
            ),
        ]
    height = TOP + ROW * (len(nodes) - 1) + 18
    return svg.picture(*parts, width=WIDTH, height=height, label=label, css="lineage")


def _made_from(node: Node) -> str:
    return f"{node.name} from {', '.join(node.inputs)}" if node.inputs else f"{node.name}: a source"


def _arc(nodes: Sequence[Node], start: int, end: int, axis: float, unit: float) -> str:
    top, bottom = TOP + ROW * start, TOP + ROW * end
    side = axis - 9 - unit * abs(end - start)
    tip = axis - 8
    bow = f"C{side:.1f} {top:g} {side:.1f} {bottom:g} {tip:.1f} {bottom:g}"
    return svg.element(
        "g",
        svg.title(f"{nodes[start].name} is an input of {nodes[end].name}"),
        svg.element(
            "path",
            d=f"M{axis - 6:.1f} {top:g}{bow}",
            css="arc",
        ),
        svg.element("path", d=f"M{tip:.1f} {bottom:g}l-7 -4v8z", css="tip"),
        css="link",
    )
