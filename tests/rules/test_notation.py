"""Notation: tensors name their axes, and a loss is a keyword-only function with its formula."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.rules.source import PACKAGE, Function, functions, name_of, place, product, tree

SUFFIX = re.compile(r"[a-z][a-z0-9_]*_([A-Z]+)")
LEGEND = re.compile(r"\b([A-Z]) = ")


def names(path: Path) -> set[str]:
    """Variables and parameters of a file."""
    found = {node.id for node in ast.walk(tree(path)) if isinstance(node, ast.Name)}
    return found | {node.arg for node in ast.walk(tree(path)) if isinstance(node, ast.arg)}


def letters(path: Path) -> set[str]:
    """Axes that a file's names speak of: `logp_BT` has B and T."""
    matches = (SUFFIX.fullmatch(name) for name in names(path))
    return {letter for match in matches if match for letter in match[1]}


def losses() -> list[tuple[Path, Function]]:
    """Functions that return a Loss."""
    return [
        (path, node)
        for path in product()
        for node in functions(path)
        if node.returns is not None and ast.unparse(node.returns) == "Loss"
    ]


@pytest.mark.parametrize("path", [p for p in product() if letters(p)], ids=name_of)
def test_every_axis_letter_is_in_the_legend(path: Path) -> None:
    said = ast.get_docstring(tree(path)) or ""
    assert "Shape letters:" in said
    assert letters(path) - set(LEGEND.findall(said)) == set()


def test_there_are_losses() -> None:
    assert {path.stem for path, _ in losses()} >= {
        "language",
        "policy",
        "preference",
        "reward",
        "value",
    }


@pytest.mark.parametrize(("path", "node"), [pytest.param(p, n, id=n.name) for p, n in losses()])
def test_a_loss_takes_keywords_and_states_its_formula(path: Path, node: Function) -> None:
    assert path.parent == PACKAGE / "objectives"
    assert not node.args.args, f"{place(path, node)}: keyword-only"
    said = ast.get_docstring(node) or ""
    assert "L = " in said, f"{place(path, node)}: write the formula in ASCII"
    counts = [a.arg for a in node.args.kwonlyargs if a.arg.startswith("global_")]
    assert counts, f"{place(path, node)}: the caller gives the denominator"
