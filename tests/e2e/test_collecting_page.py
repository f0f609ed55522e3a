"""The page on collecting preferences does what it says, typed as it is written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from accord.collect.sheet import Opinion, Rater, Sheet
from accord.core.types import Conversation
from tests.cli.small import environment

PAGE = (Path(__file__).parents[2] / "docs" / "collecting-preferences.md").read_text()
PEOPLE = ("Ada", "Bea", "Cyd")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.slow
def test_the_ten_commands(tmp_path: Path) -> None:
    """In one shell, as a reader would; where people judge, three do."""
    rows = [
        {"prompt": f"What is {n} and {n}?", "responses": [f"It is {2 * n}.", f"It is {n}."]}
        for n in range(2, 14)
    ]
    known = [{"prompt": "Say one.", "responses": ["One.", "No."], "tiers": [0, 1]}]
    for name, lines in (("ready", rows), ("known", known)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (tmp_path / f"{name}.jsonl").write_text(text)
    commands = block("sh").splitlines()
    assert len(commands) == 11  # making a workspace, and ten more
    typed = [f'accord() {{ "{sys.executable}" -m accord.cli "$@"; }}', "set -e"]
    for command in commands:
        if command.startswith("accord rate "):
            plain = command.split("#")[0].strip()
            keys = "7\\n1\\n" * 10  # the same key for all would be found out
            typed += [f"printf '{keys}' | {plain} --name {who} > ../{who}" for who in PEOPLE]
        else:
            typed.append(command)
    place = {k: v for k, v in environment().items() if k != "ACCORD_DATABASE_URL"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(typed)],
        cwd=tmp_path,
        env={**place, "COLUMNS": "100", "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "12 rows: 12 new work tasks" in done.stdout
    assert "work: 36 answers of people, 0 to go" in done.stdout
    assert "36 preferences as 'pilot'" in done.stdout
    assert "each as it was written" in done.stdout


def test_the_rater_of_ones_own() -> None:
    made: dict[str, object] = {}
    exec(block("python"), made)
    shortest = made["Shortest"]
    assert isinstance(shortest, type)
    rater: Rater = shortest()
    asked = Conversation.of("Which?")
    sheet = Sheet(task="t", prompt=asked, responses=("a long answer", "short", "brief"))
    assert rater.judge(sheet) == Opinion.ranked([1, 0, 0])
