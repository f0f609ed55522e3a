"""The public surface: explained, and failing in one family of errors."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.rules.source import Function, classes, functions, place, product, tree

BUILTINS = {
    "TypeError",
    "ValueError",
    "AttributeError",
    "KeyError",
    "IndexError",
    "SystemExit",
    "KeyboardInterrupt",
}
"""For a programmer's mistake in a call (a user's mistake is an AccordError) and for the way out."""
LAST_RESORT = "src/accord/cli/"
"""The one place that may catch everything: it turns a defect into exit code 1."""


def family() -> set[str]:
    """AccordError and every class of the package below it."""
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for path in product()
        for node in classes(path)
    }
    found = {"AccordError"}
    while grown := {name for name, above in bases.items() if above & found} - found:
        found |= grown
    return found


def explained(node: Function | ast.ClassDef) -> bool:
    """Whether a definition has a docstring or is a protocol's bare member or an overload."""
    if ast.get_docstring(node):
        return True
    body = node.body[0]
    bare = isinstance(body, ast.Expr) and ast.unparse(body) == "..."
    return len(node.body) == 1 and bare


def public_definitions(path: Path) -> list[Function | ast.ClassDef]:
    """Functions and classes at the top of a file and methods of such classes, by public name."""
    top = [n for n in tree(path).body if isinstance(n, Function | ast.ClassDef)]
    inner = [
        method
        for node in top
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for method in node.body
        if isinstance(method, Function)
    ]
    return [node for node in (*top, *inner) if not node.name.startswith("_")]


def test_every_module_says_what_it_is() -> None:
    silent = [str(path) for path in product() if not ast.get_docstring(tree(path))]
    assert silent == []


def test_everything_public_is_explained() -> None:
    silent = [
        f"{place(path, node)} {node.name}"
        for path in product()
        for node in public_definitions(path)
        if not explained(node)
    ]
    assert silent == []


def raised_name(node: ast.Raise, path: Path) -> str | None:
    """Class that a statement raises, through a factory of the same file.

    None where it raises a value that was made elsewhere: an error caught or looked up.
    """
    target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
    if target is None:
        return None
    name = ast.unparse(target).rpartition(".")[2]
    makers = {f.name: f for f in functions(path)}
    if isinstance(node.exc, ast.Call) and name in makers:
        returns = makers[name].returns
        return ast.unparse(returns) if returns else name
    return None if not isinstance(node.exc, ast.Call) and name[0].islower() else name


def test_every_error_is_of_the_family_or_a_programmers() -> None:
    allowed = family() | BUILTINS
    strange = [
        f"{place(path, node)} {raised_name(node, path)}"
        for path in product()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Raise) and (raised_name(node, path) or "ValueError") not in allowed
    ]
    assert strange == []


def reraises(handler: ast.ExceptHandler) -> bool:
    """Whether a handler always ends by raising."""
    return isinstance(handler.body[-1], ast.Raise)


def test_nothing_catches_everything() -> None:
    greedy = []
    for path in product():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ExceptHandler) or reraises(node):
                continue
            caught = ast.unparse(node.type) if node.type else "BaseException"
            if {"Exception", "BaseException"} & set(caught.strip("()").split(", ")):
                where = place(path, node.body[0])
                greedy += [where] * (not where.startswith(LAST_RESORT))
    assert greedy == []


def test_print_belongs_to_the_command_line() -> None:
    loud = [
        place(path, node)
        for path in product()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "print"
        and not any(word.arg == "file" for word in node.keywords)
        and "cli" not in path.parts
    ]
    assert loud == []
