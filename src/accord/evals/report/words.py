"""Numbers and strange text as words that a reader can trust.

Text here is plain: escaping for HTML is done by whoever writes HTML.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime

MINUS = "\N{MINUS SIGN}"
JOIN = "\N{NO-BREAK SPACE}"
"""Between a number and its unit, so that a line never ends there."""
TO = " to "
BARE = frozenset({"", "1", "score", "gold", "rating points"})
"""Units that are told once, where the figure is named, and not beside every number."""
_KEPT = {"\n", "\t", "\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NON-JOINER}"}
_HIDDEN = {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}


def visible(text: str) -> str:
    """`text` with characters that hide, reorder or cannot be shown replaced by `[U+202E]`.

    Line ends, tabs and the joiners that scripts and emoji need are kept. A model can write
    direction marks or control characters that would make a page show another order of words than
    was written.
    """
    lines = text.replace("\r\n", "\n")
    return "".join(
        f"[U+{ord(mark):04X}]"
        if mark not in _KEPT and unicodedata.category(mark) in _HIDDEN
        else mark
        for mark in lines
    )


def number(value: float) -> str:
    """The digits of `value` that matter: 1,234 / 56.7 / 1.23 / 0.012 / 4.5e-6."""
    size = abs(value)
    if not math.isfinite(size):
        return "no number"
    if size == 0:
        return "0"
    if size >= 1e7 or size < 1e-3:
        head, tail = f"{value:.1e}".split("e")
        text = f"{head.removesuffix('.0')}e{int(tail)}"
    else:
        digits = next((d for d, least in enumerate((100, 10, 0.1)) if size >= least), 3)
        text = f"{value:,.{digits}f}"
    return text.replace("-", MINUS)


def setting(value: float) -> str:
    """A number that somebody chose: 8, not 8.00."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e7 else number(value)


def share(value: float) -> str:
    """A share in [0, 1] as per cent with one digit."""
    return f"{100 * value:.1f}{JOIN}%".replace("-", MINUS)


def quantity(value: float, unit: str) -> str:
    """`value` with its unit; a share becomes per cent, and a unit of 1 is left out."""
    if unit == "share":
        return share(value)
    if unit == "s":
        return duration(value)
    if unit == "GiB":
        return gib(value)
    return number(value) if unit in BARE else f"{number(value)}{JOIN}{unit}"


def bare(value: float, unit: str) -> str:
    """`value` where the unit follows later in the sentence."""
    return quantity(value, unit) if unit in {"share", "s", "GiB"} else number(value)


def change(value: float, unit: str) -> str:
    """A difference with its sign; of shares in percentage points. What rounds to nothing at three
    places has no sign."""
    size = abs(value) if abs(value) >= 5e-4 else 0.0
    words = f"{100 * size:.1f}{JOIN}points" if unit == "share" else quantity(size, unit)
    if not any(digit in words for digit in "123456789"):
        return words
    return f"{MINUS if value < 0 else '+'}{words}"


def interval(low: float, high: float, unit: str, *, signed: bool = False) -> str:
    """Both ends of an interval, with the unit on neither: it stands beside the value."""
    factor, digits = (100.0, 1) if unit == "share" else (1.0, None)

    def end(value: float) -> str:
        size = abs(value * factor)
        said = number(size) if digits is None else f"{size:.{digits}f}"
        if not any(digit in said for digit in "123456789"):
            return said
        return (MINUS if value < 0 else "+" if signed else "") + said

    return f"{end(low)}{TO}{end(high)}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: 0.84 s, 4.2 s, 42 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 1:
        return f"{seconds:.2f}{JOIN}s"
    if seconds < 10:
        return f"{seconds:.1f}{JOIN}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{JOIN}s"
    if whole < 3600:
        return f"{whole // 60}{JOIN}min {whole % 60}{JOIN}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60}{JOIN}h {minutes % 60}{JOIN}min"


def gib(size: float) -> str:
    """Memory in GiB, or in MiB where it is small."""
    return f"{size:.2f}{JOIN}GiB" if size >= 0.1 else f"{1024 * size:.0f}{JOIN}MiB"


def moment(text: str) -> str:
    """A time in ISO 8601 as `2026-11-20 14:03 UTC`; any other text as it is."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return text
    if found.tzinfo is None:
        return text
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def count(size: int, noun: str) -> str:
    """`3 pairs`, `1 pair`, `1,200 pairs`."""
    return f"{size:,} {noun}" if size == 1 else f"{size:,} {noun}s"


def cut(text: str, most: int) -> tuple[str, int]:
    """The first `most` characters of `text`, and how many were left out."""
    return (text, 0) if len(text) <= most else (text[:most], len(text) - most)
