"""The make targets on machines that lack something, and the mirror of tests and packages."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.rules.source import PACKAGE, ROOT, code

APART = {"rules", "e2e", "bench", "examples", "golden"}
"""Folders of tests that mirror no package."""
TOO_OLD = '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n[ "$1" = --version ]\n'
NO_VENV = '#!/bin/sh\n[ "$1" = -m ] && echo No module named venv >&2\n[ "$1" = -c ]\n'


def make(folder: Path, target: str, *, python: str | None = None) -> tuple[int, str]:
    """Run a target in a copy of the Makefile, every Python on the path replaced by a script."""
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("pyproject.toml", "constraints.txt"):
        (folder / name).touch()
    programs = folder / "programs"
    programs.mkdir()
    for name in ("python3", *(f"python3.{minor}" for minor in range(11, 15))):
        (programs / name).write_text(python or TOO_OLD)
        (programs / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "MAKEFLAGS": ""}
    done = subprocess.run(
        ["make", target],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(autouse=True)
def _has_make() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")


@pytest.mark.parametrize("target", ["test", "quickstart"])
def test_an_old_python_is_named_with_what_to_do(tmp_path: Path, target: str) -> None:
    status, said = make(tmp_path, target, python=TOO_OLD)
    assert status == 2
    assert "needs Python 3.11 or newer and found: Python 3.9.2" in said
    assert "make PYTHON=" in said


def test_a_python_without_venv_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    status, said = make(tmp_path, "test", python=NO_VENV)
    assert status == 2
    assert "python3-venv" in said
    assert not (tmp_path / ".venv").exists()


def test_help_explains_every_public_target(tmp_path: Path) -> None:
    status, said = make(tmp_path, "help")
    assert status == 0
    targets = {line.split()[0] for line in said.splitlines() if len(line.split()) > 2}
    assert targets >= {"quickstart", "test", "ci", "lint", "bench", "docs"}


def test_continuous_integration_is_make_ci() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & stat.S_IXUSR
    assert script.read_text().rstrip().endswith("exec make ci")


def test_tests_mirror_the_packages() -> None:
    packages = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in code("tests")}
    shared = {path.name for path in (ROOT / "tests").glob("*.py")}
    folders -= {name for name in shared if not name.startswith("test_")}
    assert folders - packages - APART == set()
