"""Answers beside one another where there is room, and what is said of their end."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from accord.cli.side_by_side import show, show_row
from accord.core.types import Response, StopReason


def said(text: str, stop: StopReason = StopReason.STOP) -> Response:
    return Response(prompt_id="", text=text, stop=stop)


def row(*texts: str, width: int = 100, terminal: bool = True) -> list[str]:
    """Lines of what is shown of these answers, of policies p, q and so on."""
    out = StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    show_row(console, "pqrs"[: len(texts)], [said(text) for text in texts])
    return out.getvalue().splitlines()


@pytest.mark.parametrize(("count", "width"), [(2, 100), (3, 150), (4, 200)])
def test_columns_need_fifty_each(count: int, width: int) -> None:
    texts = [f"answer{number}" for number in range(count)]
    assert sum(all(text in line for text in texts) for line in row(*texts, width=width)) == 1
    assert not any("answer0" in line and "answer1" in line for line in row(*texts, width=width - 1))
    piped = row(*texts, width=width, terminal=False)
    assert piped == [
        part for p, text in zip("pqrs", texts, strict=False) for part in (f"{p}:", text)
    ]


def test_lines_of_a_pipe_are_not_broken() -> None:
    long = "word " * 60 + "\tend"
    assert row(long, "short", terminal=False) == ["p:", long, "q:", "short"]


def test_a_long_answer_stays_in_its_column() -> None:
    lines = row("word " * 30, "x" * 70)
    assert max(map(len, lines)) <= 100
    assert sum(line.count("x") for line in lines) == 70


@pytest.mark.parametrize("terminal", [True, False])
def test_what_a_model_says_cannot_move_the_cursor(terminal: bool) -> None:
    shown = "\n".join(row("a\x1b[2Jb\u202ec\rd", "fine", terminal=terminal))
    assert not {"\x1b", "\u202e", "\r"} & set(shown)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (said("yes"), "yes\n"),
        (said(" "), " [nothing]\n"),
        (said("yes", StopReason.LENGTH), "yes [cut at --max-tokens]\n"),
        (said("", StopReason.LENGTH), "[nothing] [cut at --max-tokens]\n"),
    ],
)
def test_the_end_is_told(answer: Response, told: str) -> None:
    out = StringIO()
    show(Console(file=out), answer)
    assert out.getvalue() == told
