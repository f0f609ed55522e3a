from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest

from accord.evals.report.render import render
from accord.evals.report.words import visible

NAMES = ["full", "without_policy", "without_gold", "exploited", "nothing", "hostile"]
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", NAMES)
def test_page_is_well_formed_and_accessible(
    name: str, sample: ModuleType, page: ModuleType
) -> None:
    text = render(getattr(sample, name)())
    found = page.Page(text)
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    ids = [e.attributes["id"] for e in found.elements if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    targets = [e.attributes["href"][1:] for e in found.all("a")]
    assert set(targets) <= set(ids)
    levels = [int(e.name[1]) for e in found.all("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels)), levels
    assert all(e.attributes.get("scope") in {"row", "col"} for e in found.all("th"))
    assert len(found.all("caption")) == len(found.all("table"))
    assert all(
        e.attributes["role"] == "img" and e.attributes["aria-label"] for e in found.all("svg")
    )
    assert all("figure" in e.path for e in found.all("svg"))
    assert len(found.all("main")) == 1
    labelled = [
        e.attributes["aria-labelledby"] for e in found.elements if "aria-labelledby" in e.attributes
    ]
    assert set(labelled) <= set(ids)
    assert all(e.text.strip() for e in found.all("h1", "h2", "h3", "h4", "th", "figcaption", "li"))


@pytest.mark.parametrize("name", NAMES)
def test_page_asks_for_nothing_and_prints_no_nan(
    name: str, sample: ModuleType, page: ModuleType
) -> None:
    text = render(getattr(sample, name)())
    found = page.Page(text)
    policy = next(e for e in found.all("meta") if "http-equiv" in e.attributes)
    assert policy.attributes["content"].startswith("default-src 'none';")
    for element in found.elements:
        assert "src" not in element.attributes
        link = element.attributes.get("href", "#")
        assert link.startswith("#") or link == "data:,"
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"\b(nan|inf|None|undefined)\b", text)


def test_everything_that_was_given_is_on_the_page(sample: ModuleType, page: ModuleType) -> None:
    data = sample.full()
    words = page.Page(render(data)).elements[0].text
    given = [stage.digest for stage in data.stages] + [stage.key for stage in data.stages]
    given += [source.digest for source in data.sources] + list(data.not_shown)
    given += [answer.text for pair in data.samples for answer in pair.answers]
    given += [pair.prompt for pair in data.samples]
    given += [figure.meaning for figure in data.figures]
    given += [f"{key}" for stage in data.stages for key in stage.config]
    given += [data.run.version, *data.run.machine.values()]
    given += list(data.calibration.baselines)
    assert [text for text in given if text not in words] == []


def test_hostile_text_is_shown_as_text(sample: ModuleType, page: ModuleType) -> None:
    found = page.Page(render(sample.hostile()))
    shown = [e.text for e in found.all("p") if "words" in e.attributes.get("class", "")]
    wanted = [visible(text) for text in sample.HOSTILE if text]
    assert [text for text in shown if text in wanted] == [text for text in wanted for _ in (0, 1)]
    empty = [e for e in found.all("p") if e.text == "(empty answer)"]
    assert len(empty) == 2
    assert (
        len(found.all("style"))
        == len(found.all("title")) - len([e for e in found.all("title") if "svg" in e.path])
        == 1
    )


def test_page_can_be_written_as_utf8_whatever_it_holds(sample: ModuleType) -> None:
    text = render(sample.hostile())
    text.encode("utf-8")
    hidden = "\u202e\u2066\u200b\ufeff\x00\x1b\ud800\ufffe\u2028"
    assert not [hex(ord(mark)) for mark in hidden if mark in text]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("without_policy", "No policy was trained against a reward or preferences"),
        ("without_policy", "Nothing was evaluated on held-out prompts"),
        ("without_gold", "Whether the answers are truly better is not known"),
        ("without_gold", "Best possible"),
        ("nothing", "No stage has finished yet."),
        ("nothing", "No reward model was tested"),
        ("nothing", "No answers were sampled side by side"),
    ],
)
def test_missing_parts_say_so(name: str, said: str, sample: ModuleType) -> None:
    assert said in render(getattr(sample, name)())


def test_same_data_same_bytes(sample: ModuleType) -> None:
    assert render(sample.full()) == render(sample.full())


@pytest.mark.parametrize("name", ["full", "hostile", "long_run"])
def test_page_stays_small(name: str, sample: ModuleType) -> None:
    assert len(render(getattr(sample, name)()).encode()) < 1_000_000


def test_long_runs_say_that_they_are_thinned(sample: ModuleType) -> None:
    assert "Of 20,000 logged steps each chart draws" in render(sample.long_run())


def test_renderer_needs_no_torch() -> None:
    code = (
        "import sys; import accord.evals.report.render; "
        "print([m for m in ('torch', 'transformers', 'matplotlib', 'numpy') if m in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert found.stdout.strip() == "[]"
