"""Sizes: what grows past these limits is split, not excused."""

from __future__ import annotations

import ast

from tests.rules.source import PACKAGE, classes, code, functions, length, name_of, place, product

FILE_LINES, TEST_FILE_LINES = 400, 600
FUNCTION_LINES = 60
POSITIONAL = 7
PPO_LINES = 300


def test_no_file_is_too_long() -> None:
    found = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in code()}
    limit = {name: TEST_FILE_LINES if name.startswith("tests/") else FILE_LINES for name in found}
    assert found
    assert [f"{name}: {lines}" for name, lines in found.items() if lines > limit[name]] == []


def test_no_function_is_too_long() -> None:
    long = [
        f"{place(path, node)} {node.name}: {length(node)}"
        for path in code()
        for node in functions(path)
        if length(node) > FUNCTION_LINES
    ]
    assert long == []


def test_no_function_takes_many_positional_arguments() -> None:
    wide = []
    for path in product():
        for node in functions(path):
            names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
            count = len([name for name in names if name not in ("self", "cls")])
            if count > POSITIONAL:
                wide.append(f"{place(path, node)} {node.name}: {count}")
    assert wide == []


def test_ppo_fits_one_reading() -> None:
    lines = (PACKAGE / "algorithms" / "ppo.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= PPO_LINES


def test_every_loop_is_one_generator_without_a_base_class() -> None:
    loops = set()
    for path in product():
        if path.parent != PACKAGE / "algorithms":
            continue
        for node in functions(path):
            if node.name == "train" and any(isinstance(n, ast.Yield) for n in ast.walk(node)):
                loops.add(path.stem)
        for owner in classes(path):
            bases = {ast.unparse(base) for base in owner.bases}
            assert bases <= {"Protocol", "NamedTuple", "StrEnum"}, place(path, owner)
    assert loops >= {"imitation", "reward_model", "direct", "ppo"}
