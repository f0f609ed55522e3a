"""Configs: frozen, keyword-only, slotted, flat, and every field explained below it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from docs.generate import settings_of
from tests.rules.source import classes, place, product

FIELDS = 25
FORM = {"frozen=True", "kw_only=True", "slots=True"}

CONFIGS = [
    pytest.param(path, node, id=node.name)
    for path in product()
    for node in classes(path)
    if node.name.endswith(("Config", "Settings"))
]


def dataclass_options(node: ast.ClassDef) -> set[str] | None:
    """Options of a class's `@dataclass(...)`; None where it has no such decorator."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        name = ast.unparse(call.func if call else decorator)
        if name in ("dataclass", "dataclasses.dataclass"):
            return {ast.unparse(word) for word in call.keywords} if call else set()
    return None


def test_there_are_configs() -> None:
    assert len(CONFIGS) >= 8


@pytest.mark.parametrize(("path", "node"), CONFIGS)
def test_config_is_frozen_flat_and_explained(path: Path, node: ast.ClassDef) -> None:
    where = place(path, node)
    assert dataclass_options(node) == FORM, f"{where}: write @dataclass({', '.join(sorted(FORM))})"
    assert node.bases == [], f"{where}: a config inherits nothing"
    assert ast.get_docstring(node), f"{where}: say what is configured"
    fields = list(settings_of(node))
    assert 0 < len(fields) <= FIELDS, f"{where}: {len(fields)} fields"
    bare = [field.name for field in fields if not field.meaning.strip()]
    assert bare == [], f"{where}: fields without meaning, unit and source"


def test_domain_values_are_frozen() -> None:
    loose = []
    for path in product():
        if "core" not in path.parts:
            continue
        for node in classes(path):
            options = dataclass_options(node)
            if options is not None and "frozen=True" not in options:
                loose.append(place(path, node))
    assert loose == []
