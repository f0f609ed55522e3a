"""Colours of the report can be read, in light, dark and on paper (WCAG 2.2)."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from accord.evals.report.evidence import COLOURS

STYLE = (resources.files("accord.evals.report") / "templates" / "style.css").read_text()
THEMES = [
    dict(re.findall(r"--([\w-]+): (#\w+)", block))
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
]
TEXT = ("text", "soft", "link", "good", "bad", "unknown", "plain")
MARKS = (*(f"s{number}" for number in range(COLOURS)), "limit", "axis")


def _light(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * d for d in colour[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_light(one), _light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_on_white_is_21() -> None:
    assert _contrast("#000", "#ffffff") == pytest.approx(21)


def test_all_themes_set_the_same_colours() -> None:
    assert len(THEMES) == 3
    assert THEMES[0].keys() == THEMES[1].keys() == THEMES[2].keys()


@pytest.mark.parametrize("theme", range(3))
def test_text_has_contrast(theme: int) -> None:
    colours = THEMES[theme]
    for name in TEXT:
        for ground in ("page", "panel"):
            assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
    for name in ("good", "bad", "unknown", "plain"):
        assert _contrast(colours[name], colours[f"{name}-wash"]) >= 4.5, name


@pytest.mark.parametrize("theme", range(3))
def test_lines_have_contrast(theme: int) -> None:
    for name in MARKS:
        assert _contrast(THEMES[theme][name], THEMES[theme]["panel"]) >= 3, name
