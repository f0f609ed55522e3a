"""What is read on a terminal: text that cannot do anything, keys that stay whole, pages."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from accord.cli.sheets import (
    GAP,
    UNSHOWN,
    Pages,
    beside,
    filled,
    guidelines,
    heading_of,
    legend,
    printable,
)


def test_a_strangers_text_cannot_move_the_cursor() -> None:
    text = "a\x1b[2Jb\u202ec\u200bd\te\n"
    assert printable(text) == f"a{UNSHOWN}[2Jb{UNSHOWN}c{UNSHOWN}d\te\n"


@pytest.mark.parametrize("width", [50, 80, 81, 120, 300])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_no_key_of_the_legend_is_torn_from_what_it_does(k: int, width: int) -> None:
    console = Console(file=StringIO(), width=width)
    with console.capture() as captured:
        console.print(legend(k, width))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    items = [item.strip() for line in lines for item in line.split(GAP)]
    assert "0 all equal" in items
    assert "u undo the last" in items
    assert "u leave as it was" in str(legend(k, width, again=True))


def test_an_item_that_fits_no_line_has_one_of_its_own() -> None:
    assert filled(["a", "b" * 9, "c", "d"], 5) == ["a", "b" * 9, "c   d"]


def test_pages_show_every_line_once() -> None:
    told = StringIO()
    console = Console(file=told, force_terminal=True, width=40, height=5, color_system=None)
    pages = Pages(console, Text("\n".join(map(str, range(10)))), live=True)
    left = []
    while pages.left:
        pages.turn()
        left.append(pages.left)
    assert left == [6, 2, 0]
    assert told.getvalue().split() == list(map(str, range(10)))


def test_nobody_turns_the_pages_of_a_pipe() -> None:
    told = StringIO()
    pages = Pages(Console(file=told, height=5), Text("x\n" * 30), live=False)
    pages.turn()
    assert (pages.left, told.getvalue().count("x")) == (0, 30)


def test_guidelines_are_a_page_and_no_markup() -> None:
    console = Console(file=StringIO(), width=60, force_terminal=True)
    text = "# How to judge\n\n* **Be** fair\x1b[2J, see [this](https://arxiv.org/abs/2203.02155)\n"
    with console.capture() as captured:
        console.print(guidelines(text))
    shown = captured.get()
    assert "How to judge" in shown
    assert "https://arxiv.org/abs/2203.02155" in shown
    for raw in ("# ", "**", "\x1b[2J", "\x1b]8"):
        assert raw not in shown


def test_a_heading_says_about_how_many_are_left() -> None:
    assert heading_of(57, 143) == "task 57 of this sitting, about 143 left"
    assert heading_of(1, 1000) == "task 1 of this sitting, more than 999 left"
    assert heading_of(2, 0) == "task 2 of this sitting, none left"
    assert heading_of(3, None) == "task 3 of this sitting"


def test_columns_leave_nothing_out() -> None:
    console = Console(file=StringIO(), width=100)
    with console.capture() as captured:
        console.print(beside([Text("x" * 70), Text("word " * 30)]))
    shown = captured.get()
    assert shown.count("x") == 70
    assert shown.count("word") == 30
    assert max(map(len, shown.splitlines())) <= 100
