"""An installation without torch: what a person who only imports data or reads reports has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.source import PACKAGE, ROOT

pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program without this checkout on its path."""
    hidden = {"PYTHONPATH", "VIRTUAL_ENV", "ACCORD_DATA"}
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        check=False,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment that `pip install .` filled."""
    folder = tmp_path_factory.mktemp("install")
    assert run(sys.executable, "-m", "venv", "env", cwd=folder).returncode == 0
    programs = folder / "env" / "bin"
    pins = ROOT / "constraints.txt"
    done = run(programs / "python", "-m", "pip", "install", "-q", "-c", pins, ROOT, cwd=folder)
    assert done.returncode == 0, done.stderr
    return programs


def test_there_is_no_torch(installed: Path, tmp_path: Path) -> None:
    program = "import importlib.util as u; print([n for n in NAMES if u.find_spec(n)])"
    names = "NAMES = ('torch', 'transformers', 'peft')\n"
    assert run(installed / "python", "-c", names + program, cwd=tmp_path).stdout == "[]\n"


def test_every_file_of_the_package_came_along(installed: Path, tmp_path: Path) -> None:
    program = "import accord, pathlib; print(pathlib.Path(accord.__file__).parent)"
    folder = Path(run(installed / "python", "-c", program, cwd=tmp_path).stdout.strip())
    assert folder != PACKAGE

    def files(root: Path) -> set[Path]:
        found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
        return {path for path in found if "__pycache__" not in path.parts}

    assert files(PACKAGE) - files(folder) == set()


def test_help_names_the_commands(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "accord", "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    named = [name for name in ("init", "import", "run", "report", "ppo") if name in done.stdout]
    assert named == ["init", "import", "run", "report", "ppo"]


def test_a_workspace_is_made_and_filled(installed: Path, tmp_path: Path) -> None:
    accord = installed / "accord"
    rows = [
        {"prompt": f"Name a colour, take {n}.", "chosen": "Blue.", "rejected": f"No {n}."}
        for n in range(30)
    ]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run(accord, "init", "assistant", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    workspace = tmp_path / "assistant"
    done = run(accord, "import", tmp_path / "mine.jsonl", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert list((workspace / "artifacts").rglob("*.parquet"))


def test_training_asks_for_the_extra(installed: Path, tmp_path: Path) -> None:
    accord = installed / "accord"
    assert run(accord, "init", "assistant", cwd=tmp_path).returncode == 0
    done = run(accord, "sft", cwd=tmp_path / "assistant")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
