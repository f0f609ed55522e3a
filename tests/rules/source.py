"""The code under the rules: files, syntax trees, and one clean interpreter to import them in."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "accord"
CODE_FOLDERS = ("src", "tests", "docs", "bench", "examples")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    """A file's name from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the repository that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return tuple(ROOT / name for name in sorted(listed.split("\0")) if (ROOT / name).is_file())


def code(*folders: str) -> list[Path]:
    """Python files below the named folders (all of them by default)."""
    wanted = folders or CODE_FOLDERS
    return [p for p in tracked() if p.suffix == ".py" and name_of(p).split("/")[0] in wanted]


def product() -> list[Path]:
    """Python files of the package."""
    return [path for path in code("src") if path.is_relative_to(PACKAGE)]


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module(path: Path) -> str:
    """The dotted name that imports a file of the package."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file, methods and inner ones too."""
    for node in ast.walk(tree(path)):
        if isinstance(node, Function):
            yield node


def classes(path: Path) -> Iterator[ast.ClassDef]:
    """Every class of a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            yield node


def length(node: ast.stmt) -> int:
    """Lines of a statement; a function's docstring and decorators are not counted."""
    end = node.end_lineno or node.lineno
    lines = end - node.lineno + 1
    if isinstance(node, Function) and ast.get_docstring(node) is not None:
        said = node.body[0]
        lines -= (said.end_lineno or said.lineno) - said.lineno + 1
    return lines


def place(path: Path, node: ast.stmt | ast.expr) -> str:
    """file:line."""
    return f"{name_of(path)}:{node.lineno}"


def in_fresh_python(program: str, *, without: tuple[str, ...] = ()) -> dict[str, object]:
    """Run `program` in a new interpreter; what it puts into `found` comes back.

    Importing a package named in `without` raises ImportError there, as if it were not installed.
    """
    script = "\n".join(
        [
            "import json, sys",
            f"ABSENT = frozenset({sorted(without)!r})",
            "class Absent:",
            "    def find_spec(self, name, path=None, target=None):",
            "        if name.partition('.')[0] in ABSENT:",
            "            raise ModuleNotFoundError(f'{name} is not installed here', name=name)",
            "sys.meta_path.insert(0, Absent())",
            "found = {}",
            program,
            "print(json.dumps(found))",
        ]
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return answer
