from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from accord.evals.report.data import ReportData, RunFacts, Source, StageReport
from accord.evals.report.origins import cost_pictures, lineage_picture, nodes, origins


def _stage(name: str, *inputs: str) -> StageReport:
    return StageReport(
        name=name, seconds=1, peak_memory_gib=1, steps=1, inputs=inputs, key=f"k-{name}"
    )


def _report(*stages: StageReport, sources: tuple[Source, ...] = ()) -> ReportData:
    return ReportData(run=RunFacts(title="t", model="m"), stages=stages, sources=sources)


def test_inputs_come_before_what_was_made_of_them(sample: ModuleType) -> None:
    order = [node.name for node in nodes(sample.full())]
    for node in nodes(sample.full()):
        assert all(order.index(name) < order.index(node.name) for name in node.inputs)
    assert len(order) == len(set(order)) == 10


def test_an_input_that_nobody_described_is_shown_as_absent() -> None:
    (absent, made) = origins(_report(_stage("ppo", "sft")))
    assert (absent.name, absent.kind, absent.digest) == ("sft", "not in this report", "")
    assert (made.inputs, made.key) == ("sft", "k-ppo")


def test_a_circle_does_not_hang() -> None:
    names = [node.name for node in nodes(_report(_stage("a", "b"), _stage("b", "a")))]
    assert sorted(names) == ["a", "b"]


def test_unused_sources_are_listed_too() -> None:
    source = Source(name="spare", kind="prompts", digest="d1", note="3 rows")
    found = origins(_report(_stage("sft"), sources=(source,)))
    assert [(row.name, row.digest, row.note) for row in found][1] == ("spare", "d1", "3 rows")


def test_nothing_gives_no_picture() -> None:
    assert lineage_picture(_report()) is None
    assert cost_pictures(_report()) == ()


def test_costs_name_every_stage(sample: ModuleType) -> None:
    data = sample.full()
    slow = replace(data, stages=(replace(data.stages[0], seconds=3700.0), *data.stages[1:]))
    time, memory = cost_pictures(slow)
    assert "1\xa0h 2\xa0min" in time.svg
    assert all(stage.name in memory.svg for stage in data.stages)
