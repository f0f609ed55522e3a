"""The page on collecting preferences does what it says, typed as it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from accord.collect.sheet import Opinion, Rater, Sheet
from accord.core.types import Conversation
from tests.e2e.pages import block, type_all

PAGE = "collecting-preferences.md"
PEOPLE = ("Ada", "Bea", "Cyd")


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
    commands = block(PAGE, "sh").splitlines()
    assert len(commands) == 11  # making a workspace, and ten more
    keys = "7\\n1\\n" * 10  # the same key for all would be found out
    shown = type_all(
        commands,
        tmp_path,
        lambda rate: [f"printf '{keys}' | {rate} --name {who} > ../{who}" for who in PEOPLE],
    )
    assert "12 rows: 12 new work tasks" in shown
    assert "work: 36 answers of people, 0 to go" in shown
    assert "36 preferences as 'pilot'" in shown
    assert "each as it was written" in shown


def test_the_rater_of_ones_own() -> None:
    made: dict[str, object] = {}
    exec(block(PAGE, "python"), made)
    shortest = made["Shortest"]
    assert isinstance(shortest, type)
    rater: Rater = shortest()
    asked = Conversation.of("Which?")
    sheet = Sheet(task="t", prompt=asked, responses=("a long answer", "short", "brief"))
    assert rater.judge(sheet) == Opinion.ranked([1, 0, 0])
