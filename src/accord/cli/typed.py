"""Commands that are told to be copied: what a shell takes as it stands there."""

from __future__ import annotations

import shlex
from pathlib import Path


def typed(path: Path) -> str:
    """A path as it can be typed here: short where it lies below, quoted where a shell would break
    it, and never taken for an option."""
    whole, here = path.absolute(), Path.cwd()
    text = str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
