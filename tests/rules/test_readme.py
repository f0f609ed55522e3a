"""What the README shows, works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.source import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
PYTHON = [body for language, body in BLOCKS if language == "python"]
COMMANDS = sorted(
    {
        name
        for kind, body in BLOCKS
        if kind == "sh"
        for name in re.findall(r"^accord (\w+)", body, re.MULTILINE)
    }
)


def test_there_is_something_to_check() -> None:
    assert PYTHON
    assert {"init", "import", "run", "ppo"} <= set(COMMANDS)


def python(program: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program's text, warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *words],
        cwd=cwd,
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.mark.parametrize("body", PYTHON)
def test_python_runs(body: str, tmp_path: Path) -> None:
    done = python(body, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_command_exists(command: str, tmp_path: Path) -> None:
    program = "from accord.cli import main; raise SystemExit(main())"
    done = python(program, command, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert command in done.stdout


def test_the_quickstarts_time_is_the_same_everywhere_and_dated(tmp_path: Path) -> None:
    """One measurement, with its machine and its day."""
    program = "from accord.cli import main; raise SystemExit(main())"
    told = " ".join(python(program, "quickstart", "--help", cwd=tmp_path).stdout.split())
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for words in (
        "80 seconds on two cores with nothing else to do",
        "(a processor with AVX-512 and bfloat16, 2026-11-22)",
    ):
        assert words in told
        assert words in readme
