"""Writes the pages of the manual that are made from the code; `--check` only compares.

Run by `make docs` and `make docs-check`. Loads no torch.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from accord.core.metrics import METRICS, Metric

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = ("src/accord/algorithms/settings", "src/accord/pipeline")
"""Folders whose configs a user may set in `accord.toml`."""

MADE = "<!-- Made by `make docs` from {source}: edit that instead. -->"

METRICS_HEAD = """\
# Metrics

Every figure that a row of `metrics.jsonl` may hold. A row has the figures of one step; a name that
is not in this table is refused when it is written, and so is a number that is not finite. *Better*
says which way a figure improves; *neither* marks one that only describes.
"""

SETTINGS_HEAD = """\
# Settings

Everything that `accord.toml` and the flags of a stage may set, with its default. A recipe gives the
starting values, the file overrides the recipe, a flag overrides the file; a key that is not here is
an error.
"""

OBJECTIVES_HEAD = """\
# Objectives

What Accord minimises, estimates or steers by: pure functions in `src/accord/objectives/`. Each is
computed by hand on small numbers, has a property that must hold for any input, has its gradient
held against a closed form or finite differences (estimates that no gradient may flow through: held
to let none through), and is held against an independent implementation: TRL's, where it has one,
else an oracle in float64 written from the paper. The tests lie in `tests/objectives/`.
"""

KINDS = {
    "by_hand": "by hand",
    "property": "property",
    "gradient": "gradient",
    "parity": "parity",
}
"""How a test's name says what kind it is, and the same in words."""
SHARED = ("__init__", "loss", "pairs")
"""Modules without an objective of their own."""


def cell(text: str) -> str:
    """`text` as one cell of a Markdown table: one line, bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, tuple("---" for _ in head), *(tuple(map(cell, row)) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def metrics_page(metrics: tuple[Metric, ...] = METRICS) -> str:
    """The text of `docs/metrics.md`."""
    rows = ((f"`{m.name}`", m.unit, m.better.value, m.meaning) for m in metrics)
    parts = [MADE.format(source="`src/accord/core/metrics.py`"), METRICS_HEAD]
    return "\n".join([*parts, table(("name", "unit", "better", "meaning"), iter(rows)), ""])


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One field of a config as its source states it."""

    name: str
    kind: str
    default: str
    meaning: str


def _default(value: ast.expr | None) -> str:
    if value is None:
        return "must be given"
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
        factory = next(k.value for k in value.keywords if k.arg == "default_factory")
        return (
            ast.unparse(factory.body)
            if isinstance(factory, ast.Lambda)
            else ast.unparse(factory) + "()"
        )
    return ast.unparse(value)


def settings_of(config: ast.ClassDef) -> Iterator[Setting]:
    """The fields of a config class with the docstring below each."""
    for statement, after in zip(config.body, [*config.body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        meaning = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            meaning = str(after.value.value)
        yield Setting(
            name=statement.target.id,
            kind=ast.unparse(statement.annotation),
            default=_default(statement.value),
            meaning=meaning,
        )


def configs_in(folder: Path) -> Iterator[ast.ClassDef]:
    """Classes named `...Config` or `...Settings`, by file and line."""
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith(("Config", "Settings")):
                yield node


def settings_page(root: Path = ROOT) -> str:
    """The text of `docs/settings.md`."""
    parts = [MADE.format(source="the config classes"), SETTINGS_HEAD]
    for folder in SETTINGS:
        for config in configs_in(root / folder):
            rows = (
                (f"`{s.name}`", f"`{s.kind}`", f"`{s.default}`", s.meaning)
                for s in settings_of(config)
            )
            parts += [f"## {config.name}", "", ast.get_docstring(config) or "", ""]
            parts += [table(("key", "type", "default", "meaning"), rows), ""]
    return "\n".join(parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """A public function of `accord.objectives`."""

    name: str
    """As tests call it: with its module in front where two modules have the same one."""
    where: str
    """Module and function."""
    what: str
    """First sentence of its docstring."""


def objectives(root: Path) -> list[Objective]:
    """Every objective, advantage and divergence, by module."""
    found = [
        (path.stem, node)
        for path in sorted((root / "src/accord/objectives").glob("*.py"))
        if path.stem not in SHARED
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        # Whatever only counts, in numbers and not in tensors, has no gradient to be wrong.
        if node.returns is not None and ast.unparse(node.returns) != "float"
    ]
    times = Counter(node.name for _, node in found)
    return [
        Objective(
            name=node.name if times[node.name] == 1 else f"{module}_{node.name}",
            where=f"{module}.{node.name}",
            what=re.split(
                r"(?<!al\.)(?<!eq\.)(?<=\.)\s", ast.get_docstring(node) or "", maxsplit=1
            )[0],
        )
        for module, node in found
    ]


def tests(root: Path, names: list[str]) -> Mapping[tuple[str, str], list[str]]:
    """Test functions by objective and kind: `test_NAME_KIND`, and what more its name says."""
    known = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    named = re.compile(rf"test_({known})_({'|'.join(KINDS)})(_|$)")
    found: dict[tuple[str, str], list[str]] = {}
    for path, function in _functions(root / "tests/objectives"):
        if match := named.match(function):
            found.setdefault((match[1], match[2]), []).append(f"{path.stem}::{function}")
    return found


def _functions(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                yield path, node.name


def objectives_page(root: Path = ROOT) -> str:
    """The text of `docs/objectives.md`."""
    known = objectives(root)
    shown = tests(root, [one.name for one in known])

    def told(name: str, kind: str) -> str:
        found = [f"`{test.partition('::')[2]}`" for test in shown.get((name, kind), [])]
        return ", ".join(found[:1]) + (f" and {len(found) - 1} more" if len(found) > 1 else "")

    rows = (
        (f"`{one.where}`", one.what, *(told(one.name, kind) for kind in KINDS)) for one in known
    )
    head = ("function", "what it is", *KINDS.values())
    parts = [MADE.format(source="the tests' names"), OBJECTIVES_HEAD, table(head, rows), ""]
    return "\n".join(parts)


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Every made page: where it lies and what it should say."""
    return {
        root / "docs/metrics.md": metrics_page(),
        root / "docs/settings.md": settings_page(root),
        root / "docs/objectives.md": objectives_page(root),
    }


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write the pages, or with `--check` name those that differ and return 1."""
    check = "--check" in arguments
    stale = {
        path: text
        for path, text in pages(root).items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in stale.items():
        if not check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.name}: {'differs from the code, run `make docs`' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
