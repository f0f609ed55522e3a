"""Importing: no effect, no torch where none is needed, nothing undeclared."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.rules.source import PACKAGE, ROOT, in_fresh_python, module, product, tree

LIGHT = (
    "core",
    "text",
    "stats",
    "store",
    "telemetry",
    "collect",
    "algorithms.settings",
    "evals.report",
    "pipeline",
    "recipes",
    "cli",
)
"""What works in an installation without torch."""
BODIES = "pipeline.stages."
"""Modules that the runner loads when a stage starts: they may need anything."""

EFFECTS = """
import importlib, logging, os, random, signal, threading, warnings
import numpy, torch

def state():
    return {
        "environment": dict(os.environ),
        "log handlers": [repr(h) for h in logging.getLogger().handlers],
        "log level": logging.getLogger().level,
        "threads": threading.active_count(),
        "torch threads": [torch.get_num_threads(), torch.get_num_interop_threads()],
        "torch dtype": str(torch.get_default_dtype()),
        "torch determinism": torch.are_deterministic_algorithms_enabled(),
        "torch seed": torch.random.initial_seed(),
        "numpy draws": repr(numpy.random.get_state()),
        "python draws": repr(random.getstate()),
        "warnings": repr(warnings.filters),
        "signals": [repr(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM)],
        "folder": os.getcwd(),
        "hooks": [repr(sys.excepthook), repr(sys.displayhook)],
    }

for name in OUTSIDE:
    importlib.import_module(name)
before = state()
for name in INSIDE:
    importlib.import_module(name)
    after = state()
    changed = [key for key in before if before[key] != after[key]]
    if changed:
        found[name] = changed
    before = after
"""

LIGHTNESS = """
import importlib
for name in INSIDE:
    importlib.import_module(name)
found["loaded"] = sorted(set(sys.modules) & ABSENT)
"""


def outside_imports(path: Path, *, lazy: bool) -> set[str]:
    """Modules of other distributions that a file imports; with `lazy` inside functions too."""
    nodes = ast.walk(tree(path)) if lazy else iter(tree(path).body)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    own = {"accord", *sys.stdlib_module_names}
    return {name for name in names if name.partition(".")[0] not in own}


def declared(*extras: str) -> set[str]:
    """Distributions of the base, or of the named extras alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if not extras:
        lines = project["dependencies"]
    else:
        lines = [line for extra in extras for line in project["optional-dependencies"][extra]]
    names = {re.split(r"[<>=~!\[ ]", line)[0] for line in lines}
    return {name.replace("-", "_") for name in names} - {"accord"}


def is_light(path: Path) -> bool:
    name = module(path).removeprefix("accord").removeprefix(".")
    light = any(name == part or name.startswith(f"{part}.") for part in LIGHT)
    return light and not name.startswith(BODIES)


def test_no_module_has_an_effect_when_imported() -> None:
    inside = [module(path) for path in product()]
    outside = sorted(set().union(*(outside_imports(path, lazy=True) for path in product())))
    program = f"INSIDE, OUTSIDE = {inside!r}, {outside!r}\n{EFFECTS}"
    assert in_fresh_python(program) == {}


def test_light_packages_import_where_only_the_base_is_installed() -> None:
    inside = [module(path) for path in product() if is_light(path)]
    assert len(inside) > len(LIGHT)
    extra = declared("train", "quickstart", "postgres", "dev", "peers") | {"sklearn", "accelerate"}
    extra -= {"huggingface_hub"}  # tokenizers brings it
    answer = in_fresh_python(f"INSIDE = {inside!r}\n{LIGHTNESS}", without=tuple(extra))
    assert answer == {"loaded": []}


def test_the_absence_of_a_package_can_be_seen() -> None:
    program = "try:\n    import rich\nexcept ModuleNotFoundError as error:\n"
    program += "    found['absent'] = error.name"
    assert in_fresh_python(program, without=("rich",)) == {"absent": "rich"}


@pytest.mark.parametrize("base", [True, False], ids=["light", "all"])
def test_every_import_is_declared(base: bool) -> None:
    known = declared() if base else declared() | declared("train", "quickstart")
    strange = {}
    for path in product():
        if base and not is_light(path):
            continue
        roots = {name.partition(".")[0] for name in outside_imports(path, lazy=not base)}
        if roots - known:
            strange[module(path)] = sorted(roots - known)
    assert strange == {}


def test_every_declared_distribution_is_used() -> None:
    used = set().union(
        *(
            {name.partition(".")[0] for name in outside_imports(path, lazy=True)}
            for path in product()
        )
    )
    assert (declared() | declared("train", "quickstart")) - used == set()


def test_constraints_pin_every_direct_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0].replace("-", "_") for line in lines if "==" in line}
    assert declared() | declared("train", "quickstart", "postgres", "dev", "peers") == pins


def test_the_package_is_typed_and_whole() -> None:
    assert (PACKAGE / "py.typed").is_file()
    folders = {path.parent for path in product()}
    assert [str(f) for f in folders if not (f / "__init__.py").is_file()] == []
