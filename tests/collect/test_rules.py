"""Rules: what a function's scores come to, and what is said where one cannot be used."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from accord.collect.rules import NO_OPINION, load_rule, rule_of
from accord.collect.sheet import Opinion, RaterKind, Sheet
from accord.core.errors import ConfigError, DataError
from accord.core.types import Conversation
from accord.store.judgements import Verdict

SOURCE = """\
from __future__ import annotations

import math
from dataclasses import dataclass

BEST = 3

@dataclass
class Seen:
    words: int

def shorter(prompt, responses):
    return [-Seen(len(text.split())).words for text in responses]

def asked(prompt, responses):
    return [float(prompt.messages[-1].content in text) for text in responses]

def silent(prompt, responses):
    return None

def raising(prompt, responses):
    return [1 / 0 for _ in responses]

def few(prompt, responses):
    return responses[1:] and [1.0]

def nan(prompt, responses):
    return [math.nan for _ in responses]

def endless(prompt, responses):
    return [math.inf for _ in responses]

def words(prompt, responses):
    return list(responses)

def text(prompt, responses):
    return "12"

def number(prompt, responses):
    return 1.0
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.py"
    path.write_text(SOURCE)
    return path


def sheet(*responses: str) -> Sheet:
    return Sheet(task="task-7", prompt=Conversation.of("Why?"), responses=responses)


def judged(file: Path, function: str, *responses: str) -> Opinion:
    return load_rule(f"{file}:{function}").judge(sheet(*responses))


def test_scores_become_tiers_and_equal_ones_a_tie(file: Path) -> None:
    assert judged(file, "shorter", "a b c", "a", "b", "a b").tiers == (2, 0, 0, 1)
    said = judged(file, "shorter", "a", "b")
    assert (said.verdict, said.tiers) == (Verdict.TIE, (0, 0))
    assert judged(file, "asked", "Because.", "Why? Because.").tiers == (1, 0)


def test_none_is_a_skip_with_its_reason(file: Path) -> None:
    said = judged(file, "silent", "a", "b")
    assert (said.verdict, said.reason, said.tiers) == (Verdict.SKIP, NO_OPINION, None)


def test_the_definition_is_the_name_and_the_source(file: Path) -> None:
    rule = load_rule(f"{file}:shorter")
    digest = hashlib.sha256(SOURCE.encode()).hexdigest()
    assert rule.kind is RaterKind.RULE
    assert rule.definition == {"rule": f"{file}:shorter", "sha256": digest}
    again = rule_of(json.loads(json.dumps(dict(rule.definition))))
    assert again == rule
    assert again.judge(sheet("a b", "a")) == rule.judge(sheet("a b", "a"))


def test_a_changed_file_is_another_rule(file: Path) -> None:
    before = load_rule(f"{file}:shorter")
    # The same size, within the same second: nothing that was compiled before may be taken for it.
    file.write_text(SOURCE.replace("[-Seen", "[+Seen"))
    after = load_rule(f"{file}:shorter")
    assert before.judge(sheet("a b", "a")).tiers == (1, 0)
    assert after.judge(sheet("a b", "a")).tiers == (0, 1)
    assert before.sha256 != after.sha256
    with pytest.raises(ConfigError, match="is not what it was"):
        rule_of(before.definition)
    assert [path.name for path in file.parent.iterdir()] == ["rules.py"]


def test_a_function_of_an_installed_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "accord_tests_own_rules.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    rule = load_rule("accord_tests_own_rules:shorter")
    assert rule.judge(sheet("a b", "a")).tiers == (1, 0)
    assert rule.sha256 == hashlib.sha256(SOURCE.encode()).hexdigest()


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("raising", "ZeroDivisionError: division by zero"),
        ("few", "1 scores for 2 responses"),
        ("nan", "finite"),
        ("endless", "finite"),
        ("words", "list of numbers"),
        ("text", "list of numbers"),
        ("number", "list of numbers"),
    ],
)
def test_scores_that_cannot_be_used_name_rule_and_task(
    file: Path, function: str, told: str
) -> None:
    with pytest.raises(DataError) as caught:
        judged(file, function, "a", "b")
    assert told in str(caught.value)
    assert f"{file}:{function}" in str(caught.value.where)
    assert "task-7" in str(caught.value.where)


def test_an_error_names_the_line_that_raised_it(file: Path) -> None:
    line = 1 + SOURCE.splitlines().index("    return [1 / 0 for _ in responses]")
    with pytest.raises(DataError, match=f"{file}:{line}"):
        judged(file, "raising", "a", "b")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("{file}", "FILE.py:FUNCTION"),
        ("{file}:", "FILE.py:FUNCTION"),
        (":shorter", "FILE.py:FUNCTION"),
        ("{file}:a b", "FILE.py:FUNCTION"),
        ("{file}x/none.py:shorter", "no such file"),
        ("{folder}/a.py:shorter", "cannot be read"),
        ("{file}:shortr", "did you mean 'shorter'"),
        ("{file}:BEST", "must be a Python function"),
        ("{file}:Seen", "must be a Python function"),
        ("no_such_module_here:shorter", "no such module"),
        ("math:sqrt", "must be a Python function"),
    ],
)
def test_a_name_that_leads_nowhere_says_why(file: Path, name: str, told: str) -> None:
    (file.parent / "a.py").mkdir()
    with pytest.raises(ConfigError, match=told):
        load_rule(name.format(file=file, folder=file.parent))


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def shorter(:", "SyntaxError"),
        ("import accord_tests_no_such_thing", "ModuleNotFoundError"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_a_file_that_cannot_be_run_says_why(tmp_path: Path, source: str, told: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)
    for _ in range(2):
        with pytest.raises(ConfigError, match=told):
            load_rule(f"{path}:shorter")


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(ConfigError, match="describes no rule"):
        rule_of({"simulates": "person"})
