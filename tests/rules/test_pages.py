"""The manual says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accord.core.metrics import METRICS
from docs.generate import main, metrics_page, pages, settings_page, table
from tests.rules.source import ROOT, name_of, tracked

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("path", sorted(pages()), ids=lambda path: path.name)
def test_made_pages_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == pages()[path], "run `make docs`"


def test_every_metric_is_on_its_page() -> None:
    lines = metrics_page().splitlines()
    assert [m.name for m in METRICS if sum(f"`{m.name}`" in line for line in lines) != 1] == []


def test_a_changed_default_changes_the_page(tmp_path: Path) -> None:
    folder = tmp_path / "src/accord/algorithms/settings"
    folder.mkdir(parents=True)
    source = 'class AConfig:\n    """What."""\n    rate: float = {}\n    """Per step."""\n'
    (folder / "a.py").write_text(source.format(0.5))
    before = settings_page(tmp_path)
    (folder / "a.py").write_text(source.format(0.25))
    assert "| `rate` | `float` | `0.5` | Per step. |" in before
    assert "| `rate` | `float` | `0.25` | Per step. |" in settings_page(tmp_path)


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("a",), iter([("x | y\nz",)])) == "| a |\n| --- |\n| x \\| y z |"


def test_check_fails_on_a_stale_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    assert main(["--check"], tmp_path) == 1
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
    page = tmp_path / "docs" / "metrics.md"
    page.write_text(page.read_text().replace("nats", "bits"))
    capsys.readouterr()
    assert main(["--check"], tmp_path) == 1
    assert capsys.readouterr().out.startswith("metrics.md: differs")


def test_links_lead_somewhere() -> None:
    dead = []
    for path in tracked():
        if path.suffix != ".md":
            continue
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                dead.append(f"{name_of(path)}: {target}")
    assert dead == []


def test_the_index_names_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = {(ROOT / "docs" / target).resolve() for target in LINK.findall(index)}
    written = {path for path in tracked() if path.suffix == ".md" and "docs" in path.parts}
    assert {name_of(path) for path in written - listed} == {"docs/index.md"}


def test_named_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE))
    named = {
        target
        for path in tracked()
        if path.suffix == ".md"
        for target in re.findall(r"`make ([a-z-]+)", path.read_text(encoding="utf-8"))
    }
    assert named
    assert named - targets == set()
