"""What is read on the terminal where people write: a task, a text, what was changed in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from accord.cli.sheets import filled, opening, printable
from accord.collect.tasks import TaskKind
from accord.collect.text_leases import TextLease

ASKS: Mapping[TaskKind, str] = {
    TaskKind.WRITE: "write an answer",
    TaskKind.EDIT: "make this answer better",
    TaskKind.REVIEW: "is this answer worth imitating?",
}
MANY = 8000
"""Words, signs and spaces of two texts above which frequent ones are matched beside others
alone."""
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


def text_task(
    console: Console, lease: TextLease, keys: Sequence[str], *, heading: str
) -> RenderableType:
    """A task and its keys. Nothing of it says who or what wrote a text."""
    parts = opening(lease.prompt, heading=f"{heading}: {ASKS[lease.kind]}")
    if lease.text is not None:
        title = "to make better" if lease.kind is TaskKind.EDIT else "to review"
        parts.append(panel(lease.text, title))
    parts.append(Text("\n".join(filled(keys, console.width)), style="dim"))
    return Group(*parts)


def panel(text: str, title: str) -> RenderableType:
    """A text in a frame, safe to print."""
    return Panel(Text(printable(text)), title=Text(title, style="bold"), title_align="left")


def changes(before: str, after: str) -> RenderableType:
    """The words of both, what went as [-so-] and what came as {+so+}, which needs no colours."""
    shown = Text()
    for kind, words in differences(before, after):
        text = printable(words)
        if kind == "same":
            shown.append(text)
        elif kind == "gone":
            shown.append(f"[-{text}-]", style="red")
        else:
            shown.append(f"{{+{text}+}}", style="green")
    return Panel(shown, title=Text("what changed", style="bold"), title_align="left")


def differences(before: str, after: str) -> Iterator[tuple[str, str]]:
    """Stretches that are the same, gone or new, word by word; what is not new makes `before`, and
    what is not gone `after`."""
    one, other = _WORDS.findall(before), _WORDS.findall(after)
    # Spaces, which match everywhere, are matched beside words alone; in long texts frequent words,
    # too: else a text of 2,000 words takes 20 s, and the time grows with the cube of its length.
    many = len(one) + len(other) > MANY
    matcher = SequenceMatcher(str.isspace, one, other, autojunk=many)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            yield "same", "".join(one[a:b])
            continue
        if a < b:
            yield "gone", "".join(one[a:b])
        if c < d:
            yield "new", "".join(other[c:d])
