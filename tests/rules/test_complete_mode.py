"""The complete mode of the test suite: what would be skipped fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.source import ROOT

BODY = """
import pytest

def test_passes():
    pass

def test_lacks_a_tool():
    pytest.skip("no such tool")

def test_lacks_data():
    pytest.skip("ACCORD_DATA is not set")

@pytest.mark.hardware
def test_lacks_a_processor():
    pytest.skip("no such processor")
"""
MODULE = "import pytest\npytest.importorskip('no_such_distribution')\n"


@pytest.mark.parametrize(
    ("complete", "data", "line"),
    [
        ("0", "", "1 passed, 4 skipped"),
        ("0", "somewhere", "1 passed, 4 skipped"),
        ("1", "", "1 failed, 1 passed, 2 skipped, 1 error"),
        ("1", "somewhere", "2 failed, 1 passed, 1 skipped, 1 error"),
    ],
)
def test_a_skip_fails_in_complete_mode(tmp_path: Path, complete: str, data: str, line: str) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_a.py").write_text(BODY)
    (tmp_path / "test_b.py").write_text(MODULE)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = hardware: rare\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--continue-on-collection-errors",
        ],
        cwd=tmp_path,
        env={
            **os.environ,
            "ACCORD_TEST_ALL": complete,
            "ACCORD_DATA": data,
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        check=False,
        text=True,
    )
    assert line in done.stdout
    assert done.returncode == int(complete)
