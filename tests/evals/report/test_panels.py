from __future__ import annotations

from accord.core.metrics import BY_NAME, METRICS
from accord.evals.report.panels import GROUPS, arrange


def _shown(names: list[str]) -> list[str]:
    return [metric for _, panels in arrange(names) for panel in panels for metric, _ in panel.lines]


def test_every_declared_metric_is_shown_exactly_once() -> None:
    names = [metric.name for metric in METRICS]
    assert sorted(_shown(names)) == sorted(names)


def test_lines_of_one_chart_share_a_unit() -> None:
    for group in GROUPS:
        for panel in group.panels:
            units = {BY_NAME[name].unit for name, _ in panel.lines}
            assert len(units) == 1, (panel.title, units)


def test_an_unknown_metric_still_gets_a_chart() -> None:
    found = arrange(["reward/new_thing", "surprise"])
    assert [(group.title, [p.title for p in panels]) for group, panels in found] == [
        ("Reward", ["New thing"]),
        ("Other figures", ["Surprise"]),
    ]


def test_nothing_logged_shows_nothing() -> None:
    assert arrange([]) == []
