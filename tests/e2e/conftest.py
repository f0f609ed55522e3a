"""One small run from end to end, never disturbed, that tests compare with and copy from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.small import make, run


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace of all stages. Tests read and copy it and change nothing in it."""
    pytest.importorskip("torch")
    folder = make(tmp_path_factory.mktemp("e2e") / "untouched")
    run(folder, "run")
    return folder
