"""The report in Debian's chromium: what a reader really gets."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

import pytest

from accord.evals.report.render import render

NAMES = ["full", "without_policy", "without_gold", "nothing", "hostile"]
OF_ARMS = ["many", "hostile"]
OPEN_ALL = "document.querySelectorAll('details').forEach(d => d.open = true);"


@pytest.fixture(scope="module")
def files(
    sample: ModuleType, arms: ModuleType, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Addresses of the sample reports."""
    folder = tmp_path_factory.mktemp("reports")
    found = {}
    pages = {name: getattr(sample, name)() for name in NAMES}
    pages |= {f"arms {name}": getattr(arms, name)(sample) for name in OF_ARMS}
    for name, data in pages.items():
        path: Path = folder / f"{name}.html"
        path.write_text(render(data), encoding="utf-8")
        found[name] = path.as_uri()
    return found


@pytest.mark.parametrize("name", [*NAMES, *(f"arms {name}" for name in OF_ARMS)])
@pytest.mark.parametrize("width", [1280, 390])
def test_page_is_quiet_and_fits(name: str, width: int, chrome: Any, files: dict[str, str]) -> None:
    chrome.open("about:blank", width=width)
    chrome.log("browser")
    chrome.requests()
    chrome.open(files[name], width=width)
    wide, screen = chrome.run(
        OPEN_ALL + "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
    )
    assert wide <= screen <= width
    assert chrome.log("browser") == []
    assert set(chrome.requests()) <= {files[name], "data:,"}


@pytest.mark.parametrize("name", NAMES)
def test_browser_reads_the_elements_that_were_written(
    name: str, chrome: Any, files: dict[str, str], page: ModuleType
) -> None:
    chrome.open(files[name], width=1280)
    read = chrome.run("return [...document.querySelectorAll('*')].map(e => e.localName)")
    text = Path(unquote(files[name].removeprefix("file://"))).read_text(encoding="utf-8")
    assert read == [element.name for element in page.Page(text).elements]


def test_hostile_text_runs_nothing(chrome: Any, files: dict[str, str]) -> None:
    chrome.open(files["hostile"], width=1280)
    title, scripts, shown = chrome.run(
        "return [document.title, document.scripts.length, getComputedStyle(document.body).display]"
    )
    assert title == "</title></style><style>body{display:none}</style> - Accord report"
    assert (scripts, shown) == (0, "block")


def test_scripts_are_forbidden_even_where_escaping_failed(
    chrome: Any, tmp_path: Path, sample: ModuleType
) -> None:
    text = render(sample.nothing()).replace(
        "</main>",
        "</main><script>document.title = 'owned'</script><img src='http://127.0.0.1:9/x'>",
    )
    path = tmp_path / "broken.html"
    path.write_text(text, encoding="utf-8")
    chrome.open(path.as_uri(), width=1280)
    assert chrome.run("return document.title") == "empty - Accord report"
    said = [str(entry["message"]) for entry in chrome.log("browser")]
    assert sum("Content Security Policy" in message for message in said) == 2


@pytest.mark.parametrize("name", ["full", "without_gold", "arms many"])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_word_of_a_picture_leaves_its_frame(
    name: str, width: int, chrome: Any, files: dict[str, str]
) -> None:
    chrome.open(files[name], width=width)
    out = chrome.run(
        OPEN_ALL
        + """
        return [...document.querySelectorAll('svg text')].filter(text => {
          const inner = text.getBoundingClientRect();
          const outer = text.closest('figure').getBoundingClientRect();
          return inner.left < outer.left || inner.right > outer.right
            || inner.top < outer.top || inner.bottom > outer.bottom;
        }).map(text => text.textContent)"""
    )
    assert out == []


def test_pictures_are_drawn_with_readable_words(chrome: Any, files: dict[str, str]) -> None:
    chrome.open(files["full"], width=390)
    sizes = chrome.run(
        """return [...document.querySelectorAll('#result svg')].map(svg => {
          const box = svg.getBoundingClientRect();
          const word = svg.querySelector('text').getBoundingClientRect();
          return [box.width, box.height, word.height];
        })"""
    )
    assert len(sizes) == 3
    for width, height, word in sizes:
        assert width > 280
        assert height > 150
        assert word >= 10


def test_dark_mode_is_dark(chrome: Any, files: dict[str, str]) -> None:
    script = "return getComputedStyle(document.body).backgroundColor"
    chrome.open(files["full"], width=1280)
    assert chrome.run(script) == "rgb(255, 255, 255)"
    chrome.open(files["full"], width=1280, dark=True)
    assert chrome.run(script) == "rgb(19, 22, 26)"


def test_print_opens_what_is_folded_and_is_light(chrome: Any, files: dict[str, str]) -> None:
    chrome.open(files["full"], width=1280, dark=True)
    table = "document.querySelector('#settings details table')"
    folded = f"return {table}.checkVisibility({{contentVisibilityProperty: true}})"
    assert chrome.run(folded) is False
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    chrome.cdp("Emulation.setEmulatedMedia", media="print", features=[dark])
    assert chrome.run(folded) is True
    paper = chrome.run("return getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    assert chrome.pdf().startswith(b"%PDF-")


def test_tables_that_scroll_can_be_reached_by_keyboard(chrome: Any, files: dict[str, str]) -> None:
    chrome.open(files["full"], width=390)
    stuck = chrome.run(
        """return [...document.querySelectorAll('*')].filter(e =>
          e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX === 'auto'
          && e.tabIndex < 0).length"""
    )
    assert stuck == 0


@pytest.mark.parametrize(("width", "columns"), [(1280, 5), (390, 1)])
def test_answers_of_all_arms_stay_readable(
    width: int, columns: int, chrome: Any, files: dict[str, str]
) -> None:
    """As many side by side as have room, and none narrower than a short line."""
    chrome.open(files["arms many"], width=width)
    boxes = chrome.run(
        """return [...document.querySelector('.answers').children].map(answer => {
          const box = answer.getBoundingClientRect(); return [box.left, box.width]; })"""
    )
    assert len(boxes) == 7
    assert len({left for left, _ in boxes}) == columns
    assert all(wide >= 200 for _, wide in boxes)


def test_the_table_of_arms_needs_no_scrolling_on_a_screen(
    chrome: Any, files: dict[str, str]
) -> None:
    chrome.open(files["arms many"], width=1280)
    wide, room = chrome.run(
        "const e = document.querySelector('.arms'); return [e.scrollWidth, e.clientWidth]"
    )
    assert wide <= room


def test_the_name_of_an_arm_stays_while_its_row_is_scrolled(
    chrome: Any, files: dict[str, str]
) -> None:
    chrome.open(files["arms many"], width=390)
    before, after = chrome.run(
        """const name = document.querySelector('.arms tbody th');
        const before = name.getBoundingClientRect().left;
        document.querySelector('.arms').scrollLeft = 300;
        return [before, name.getBoundingClientRect().left];"""
    )
    assert after == pytest.approx(before, abs=1.5)
