from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from accord.evals.report.absent import not_shown
from accord.evals.report.evidence import MOST_SAMPLES


def test_a_full_run_lists_only_what_its_caller_says(sample: ModuleType) -> None:
    data = sample.full()
    assert not_shown(data) == data.not_shown


def test_every_missing_part_is_listed(sample: ModuleType) -> None:
    said = " ".join(not_shown(sample.nothing()))
    for part in ("score rose", "truly better", "reward model can be believed", "policies say"):
        assert part in said


def test_figures_without_an_interval_are_named(sample: ModuleType) -> None:
    data = sample.full()
    figures = (replace(data.figures[0], low=None, high=None), *data.figures[1:])
    assert "for want of an interval: score." in not_shown(replace(data, figures=figures))[-1]


def test_samples_beyond_the_page_are_counted(sample: ModuleType) -> None:
    data = sample.full()
    many = replace(data, samples=data.samples[:1] * (MOST_SAMPLES + 7))
    assert f"7 of {MOST_SAMPLES + 7} sampled prompts" in not_shown(many)[-1]
