"""What can be seen of a response without understanding it: its place, its length, its style.

Simulated people want or fall for these, by name. Some compare the responses of a sheet, others are
of one text alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

from accord.collect.sheet import Sheet

Values = tuple[float, ...]
"""One number a response, in the order of the screen."""
_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s", re.MULTILINE)


def first(sheet: Sheet) -> Values:
    """Share of the others that stand after it: 1 at the first place, 0 at the last."""
    k = len(sheet.responses)
    return tuple((k - 1 - place) / (k - 1) for place in range(k))


def longer(sheet: Sheet) -> Values:
    """Share of the others that have fewer characters, equal ones by half; of two, 1 and 0."""
    sizes = [len(text) for text in sheet.responses]
    return tuple(
        (sum(size > other for other in sizes) + (sizes.count(size) - 1) / 2) / (len(sizes) - 1)
        for size in sizes
    )


def length(sheet: Sheet) -> Values:
    """Doublings of length: log2(1 + characters)."""
    return tuple(math.log2(1 + len(text)) for text in sheet.responses)


def brevity(sheet: Sheet) -> Values:
    """Length with the sign turned: a response half as long has one more."""
    return tuple(-doublings for doublings in length(sheet))


def exclamations(sheet: Sheet) -> Values:
    """How many exclamation marks it has."""
    return tuple(float(text.count("!")) for text in sheet.responses)


def list_items(sheet: Sheet) -> Values:
    """How many of its lines are items of a list: `-`, `*`, `+`, `1.` or `1)` before the words."""
    return tuple(float(len(_ITEM.findall(text))) for text in sheet.responses)


FEATURES: Mapping[str, Callable[[Sheet], Values]] = MappingProxyType(
    {
        "first": first,
        "longer": longer,
        "length": length,
        "brevity": brevity,
        "exclamations": exclamations,
        "list_items": list_items,
    }
)
"""Every feature by the name that settings use."""
