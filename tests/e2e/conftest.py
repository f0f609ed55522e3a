"""One small run from end to end, never disturbed, that tests compare with and copy from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.small import accord
from tests.e2e.small import make


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished workspace of all stages. Tests read and copy it and change nothing in it.

    Its process began by itself: what it draws when it begins is its own.
    """
    pytest.importorskip("torch")
    folder = make(tmp_path_factory.mktemp("e2e") / "untouched")
    done = accord("run", "--quiet", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder
