"""What is shown of texts: nothing that moves the cursor, and changes that add up."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from accord.cli.text_sheets import changes, differences, panel

WORDS = st.lists(st.sampled_from(["one", "two", " ", "\n", ".", "\N{SNOWMAN}"])).map("".join)


@given(WORDS, WORDS)
def test_both_texts_can_be_read_from_their_differences(before: str, after: str) -> None:
    found = list(differences(before, after))
    assert "".join(words for kind, words in found if kind != "new") == before
    assert "".join(words for kind, words in found if kind != "gone") == after
    assert {kind for kind, _ in found} <= {"same", "gone", "new"}


def test_changes_can_be_read_without_colours() -> None:
    console = Console(width=60, color_system=None)
    with console.capture() as shown:
        console.print(changes("It is a dogs life.", "It is a dog's life!"))
    assert "It is a [-dogs-]{+dog's+} life[-.-]{+!+}" in shown.get()


def test_a_text_moves_no_cursor() -> None:
    console = Console(width=60, color_system=None)
    with console.capture() as shown:
        console.print(panel("a\x1b[2Jb\u202e", "your text"))
        console.print(changes("a\x1b[2J", "b\x1b[2J"))
    assert "\x1b" not in shown.get()
    assert "\u202e" not in shown.get()


@pytest.mark.parametrize("words", [500, 2_000])
def test_long_texts_are_compared_in_few_steps(words: int) -> None:
    """Steps are counted, not seconds: how often a word is looked up among the other's words."""
    before = [f"word{n * n % 307}" for n in range(words)]
    after = [f"new{n}" if n % 10 == 0 else one for n, one in enumerate(before)]
    steps = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal steps
        steps += event == "c_call"
        assert steps < 1000 * words

    sys.setprofile(count)
    try:
        found = list(differences(" ".join(before), " ".join(after)))
    finally:
        sys.setprofile(None)
    assert "".join(text for kind, text in found if kind != "new") == " ".join(before)
    assert "".join(text for kind, text in found if kind != "gone") == " ".join(after)
