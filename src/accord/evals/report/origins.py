"""Where everything came from and what it cost: lineage, time and memory."""

from __future__ import annotations

from dataclasses import dataclass

from accord.evals.report import words
from accord.evals.report.charts.intervals import Bar, bars
from accord.evals.report.charts.lineage import Node, graph
from accord.evals.report.data import ReportData
from accord.evals.report.evidence import Picture

_ABSENT = "not in this report"
_PEAK = (
    "The largest so far: a process never gives a peak back, so later stages in one process show at "
    "least what earlier ones needed."
)


@dataclass(frozen=True, slots=True)
class Origin:
    """One artifact or source of the lineage table."""

    name: str
    kind: str
    inputs: str
    key: str
    digest: str
    note: str


def _kinds(data: ReportData) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Kind and inputs of everything that is known, by name."""
    known = {source.name: (source.kind, ()) for source in data.sources}
    made = {stage.name: (stage.kind or "stage", stage.inputs) for stage in data.stages}
    return {**known, **made}


def nodes(data: ReportData) -> tuple[Node, ...]:
    """Everything in an order that puts inputs first, each source just before its first use."""
    known = _kinds(data)
    order: dict[str, None] = {}

    def visit(name: str, above: frozenset[str]) -> None:
        if name in order or name in above:
            return
        for wanted in known.get(name, ("", ()))[1]:
            visit(wanted, above | {name})
        order[name] = None

    for name in [stage.name for stage in data.stages] + [source.name for source in data.sources]:
        visit(name, frozenset())
    stages = {stage.name for stage in data.stages}
    return tuple(
        Node(name, *known.get(name, (_ABSENT, ())), source=name not in stages) for name in order
    )


def origins(data: ReportData) -> tuple[Origin, ...]:
    """The lineage as a table, in the same order as the drawing."""
    stages = {stage.name: stage for stage in data.stages}
    sources = {source.name: source for source in data.sources}
    rows = []
    for node in nodes(data):
        stage, source = stages.get(node.name), sources.get(node.name)
        rows.append(
            Origin(
                name=node.name,
                kind=node.kind,
                inputs=", ".join(node.inputs) or "nothing: it is a source",
                key=stage.key if stage else "",
                digest=stage.digest if stage else source.digest if source else "",
                note=source.note if source else "",
            )
        )
    return tuple(rows)


def lineage_picture(data: ReportData) -> Picture | None:
    """The lineage drawn, where there is anything to draw."""
    drawn = nodes(data)
    if not drawn:
        return None
    label = "Lineage: " + "; ".join(
        f"{node.name} from {', '.join(node.inputs)}" if node.inputs else f"{node.name} is a source"
        for node in drawn
    )
    caption = "Time runs down; an arc leads from an input to what was made of it. Hollow: a source."
    return Picture("What was made of what", graph(drawn, label=label), caption)


def cost_pictures(data: ReportData) -> tuple[Picture, ...]:
    """Time and peak memory by stage."""
    if not data.stages:
        return ()
    times = [Bar(s.name, s.seconds, words.duration(s.seconds)) for s in data.stages]
    sizes = [Bar(s.name, s.peak_memory_gib, words.gib(s.peak_memory_gib)) for s in data.stages]
    return tuple(
        Picture(
            title,
            bars(
                rows, label=f"{title}: " + "; ".join(f"{r.label} {r.said}" for r in rows), axis=axis
            ),
            caption,
        )
        for title, rows, axis, caption in (
            (
                "Time by stage",
                times,
                "wall time",
                "From the start of a stage to its sealed result.",
            ),
            (
                "Peak memory by stage",
                sizes,
                "resident memory of the process",
                _PEAK,
            ),
        )
    )
