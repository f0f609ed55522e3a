"""What must not be written anywhere in the repository."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.rules.source import classes, code, functions, name_of, place, tracked, tree

CODE_SUFFIXES = {".py", ".toml", ".j2", ".jinja", ".html", ".css", ".js", ".sh", ".txt", ".yml"}
VAGUE = {"utils", "util", "common", "helpers", "helper", "misc"}
LATER = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
PERSONAL = re.compile(r"(?<![\w.~$}/)-])/(?:home|root|Users|work|tmp|opt)/\w")
"""A path that exists on one person's machine only."""
URL = re.compile(r"https?://([A-Za-z0-9.-]+)")
HOSTS = {
    "www.apache.org",
    "arxiv.org",
    "doi.org",
    "github.com",
    "www.w3.org",
    "toml.io",
    "127.0.0.1",
}
"""Where an address in the repository may point: papers, licences, standards, this machine."""
UNSAFE = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}


def texts() -> list[tuple[Path, str]]:
    """Every tracked file that is text, data left out."""
    kinds = {*CODE_SUFFIXES, ".md", ""}
    return [(p, p.read_text(encoding="utf-8")) for p in tracked() if p.suffix in kinds]


def hits(pattern: re.Pattern[str], path: Path, text: str) -> list[str]:
    """file:line of every match."""
    return [
        f"{name_of(path)}:{number}: {line.strip()[:80]}"
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_vague_names() -> None:
    files = [
        name_of(path)
        for path in tracked()
        if VAGUE & {part.removesuffix(".py") for part in Path(name_of(path)).parts}
    ]
    names = [
        f"{place(path, node)} {node.name}"
        for path in code("src")
        for node in (*functions(path), *classes(path))
        if VAGUE & set(re.split(r"_|(?<=[a-z])(?=[A-Z])", node.name.lower()))
    ]
    assert files + names == []


def test_code_is_ascii() -> None:
    odd = re.compile(r"[^\x00-\x7f]")
    found = [
        hit
        for path, text in texts()
        if path.suffix in CODE_SUFFIXES or not path.suffix
        for hit in hits(odd, path, text)
    ]
    assert found == []


def test_nothing_is_left_for_later() -> None:
    assert [hit for path, text in texts() for hit in hits(LATER, path, text)] == []


def test_no_path_of_one_machine() -> None:
    assert [hit for path, text in texts() for hit in hits(PERSONAL, path, text)] == []


def test_addresses_point_to_papers_licences_and_standards() -> None:
    strange = [
        f"{name_of(path)}: {host}"
        for path, text in texts()
        for host in URL.findall(text)
        if "." in host
        and host not in HOSTS
        and not host.endswith((".invalid", ".example", "example.org"))
    ]
    assert strange == []


def test_nothing_is_unpickled() -> None:
    found = []
    for path in code():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                names = {alias.name.partition(".")[0] for alias in node.names}
                found += [place(path, node)] * bool(names & UNSAFE)
            elif isinstance(node, ast.ImportFrom):
                root = (node.module or "").partition(".")[0]
                found += [place(path, node)] * (root in UNSAFE)
            elif isinstance(node, ast.Attribute):
                text = ast.unparse(node)
                found += [place(path, node)] * (text in ("torch.load", "torch.save"))
            elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                allowed = isinstance(node.value, ast.Constant) and node.value.value is False
                found += [place(path, node.value)] * (not allowed)
    assert found == []


def test_nothing_is_mocked() -> None:
    mocked = [
        place(path, node)
        for path in code("tests")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Import | ast.ImportFrom) and "mock" in ast.unparse(node)
    ]
    assert mocked == []


def test_remote_code_is_never_trusted_by_default() -> None:
    trusting = [
        place(path, node.value)
        for path in code("src")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.keyword)
        and node.arg == "trust_remote_code"
        and isinstance(node.value, ast.Constant)
        and node.value.value is True
    ]
    assert trusting == []
