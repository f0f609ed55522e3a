from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.evals.report import words


def test_characters_that_hide_or_reorder_are_shown_by_their_code() -> None:
    assert words.visible("a\u202eb\u200bc\x00\x1b") == "a[U+202E]b[U+200B]c[U+0000][U+001B]"
    assert words.visible("\ud800\ufffe\U000e0041") == "[U+D800][U+FFFE][U+E0041]"


def test_lines_tabs_and_joiners_stay() -> None:
    assert words.visible("a\r\nb\tc") == "a\nb\tc"
    family = "\N{MAN}\u200d\N{WOMAN}"
    assert words.visible(family) == family


@given(st.text(alphabet=st.characters(codec=None)))
def test_visible_text_always_fits_utf8_and_has_no_controls(text: str) -> None:
    shown = words.visible(text)
    shown.encode("utf-8")
    assert not [m for m in shown if unicodedata.category(m) == "Cc" and m not in "\n\t"]
    assert words.visible(shown) == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (1234.4, "1,234"),
        (56.71, "56.7"),
        (-1.234, "\u22121.23"),
        (0.118, "0.12"),
        (0.0123, "0.012"),
        (3e-4, "3e\u22124"),
        (4.53e-6, "4.5e\u22126"),
        (2.5e9, "2.5e9"),
        (float("nan"), "no number"),
    ],
)
def test_numbers_have_the_digits_that_matter(value: float, text: str) -> None:
    assert words.number(value) == text


def test_units_are_written_as_people_write_them() -> None:
    assert words.quantity(0.741, "share") == "74.1\xa0%"
    assert words.quantity(6.1, "nats") == "6.10\xa0nats"
    assert words.quantity(1.5, "score") == "1.50"
    assert words.change(-0.042, "share") == "\u22124.2\xa0points"
    assert words.change(0.84, "gold") == "+0.84"
    assert words.change(-0.0004, "share") == "0.0\u00a0points"  # a sign would say a way
    assert words.change(0.0, "gold") == words.change(-3.4e-4, "gold") == "0"
    assert words.change(-3.4e-4, "nats") == "0\u00a0nats"
    assert words.change(-0.0006, "nats") == "\u22126e\u22124\u00a0nats"
    assert words.interval(-0.1, 0.25, "gold", signed=True) == "\u22120.10 to +0.25"
    assert words.interval(0.7, 0.777, "share") == "70.0 to 77.7"
    assert words.interval(-0.0002, 0.0004, "share", signed=True) == "0.0 to 0.0"
    assert words.setting(8.0) == "8"
    assert words.setting(0.05) == "0.050"
    assert words.count(1, "pair") == "1 pair"
    assert words.count(1200, "pair") == "1,200 pairs"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.084, "0.08 s"),
        (4.24, "4.2 s"),
        (42.4, "42 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3599.7, "1 h 0 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds).replace("\xa0", " ") == text


def test_memory_and_moments() -> None:
    assert words.gib(0.05) == "51\xa0MiB"
    assert words.gib(1.234) == "1.23\xa0GiB"
    assert words.moment("2026-11-20T15:03:36+01:00") == "2026-11-20 14:03 UTC"
    assert words.moment("yesterday") == "yesterday"
    assert words.moment("2026-11-20T15:03:36") == "2026-11-20T15:03:36"
    assert words.cut("abcdef", 4) == ("abcd", 2)
    assert words.cut("abcd", 4) == ("abcd", 0)
