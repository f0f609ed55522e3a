"""What the stages import, for processes that are forked (`tests.forked`)."""

from __future__ import annotations

import importlib
from contextlib import suppress

for _name in ("accord.cli.session", "accord.models.backbone", "accord.models.tiny", "scipy.stats"):
    with suppress(ImportError):  # what is not installed is not needed by the tests that run
        importlib.import_module(_name)
