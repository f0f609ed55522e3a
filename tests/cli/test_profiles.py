"""Profiles on the command line: told with consent, shown by groups of five and more, taken back."""

from __future__ import annotations

import json
import random
import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from accord.cli.main import main
from accord.collect.people import person
from accord.collect.profiles import tell_profile
from accord.collect.questions import read_questions
from accord.store.database import open_database
from tests.collect.asked import TOML
from tests.collect.ballots import Desk

PEOPLE = 16
PAGE = Path(__file__).parents[2] / "docs" / "collecting-preferences.md"
CENSUS = 'source = "census 2021"\n[shares.field]\nlaw = 0.25\nart = 0.5\ntrade = 0.25\n'


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A workspace with sixteen people P0 ... in a campaign `one`: the first six say the opposite of
    the others."""
    folder = tmp_path_factory.mktemp("profiles") / "ws"
    assert main(["init", str(folder)]) == 0
    (folder / "profiles.toml").write_text(TOML)
    (folder / "census.toml").write_text(CENSUS)
    with open_database(folder / "accord.db") as database, database.write() as connection:
        desk = Desk(connection, raters=0)
        desk.raters = [person(connection, f"P{number}") for number in range(PEOPLE)]
        rng = random.Random(0)
        for number in range(12):
            task = desk.task(f"Number {number}?")
            for rater in rng.sample(range(PEOPLE), PEOPLE):
                order = (0, 1) if (rater < 6) == bool(number % 3) else (1, 0)
                shown = rng.choice([(0, 1), (1, 0)])
                desk.say(rater, task, order, shown=shown, ratings={"safety": (4, 2)})
    return folder, desk.raters


@pytest.fixture
def raters(
    judged: tuple[Path, list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> list[str]:
    """Names of the sixteen, with a copy of their workspace entered."""
    monkeypatch.delenv("ACCORD_DATABASE_URL", raising=False)
    shutil.copytree(judged[0], tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    capsys.readouterr()
    return judged[1]


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def tell(raters: list[str], *fields: str | None, region: str | None = None) -> None:
    """Answers of everybody in turn; None told nothing."""
    questions = read_questions(Path("profiles.toml"))
    with open_database(Path("accord.db")) as database:
        for rater, field in zip(raters, fields, strict=True):
            said = {"field": field, "region": region}
            kept = {name: value for name, value in said.items() if value is not None}
            if kept:
                tell_profile(database, rater, kept, questions, consent=True)


def test_a_profile_is_told_and_taken_back(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["campaign", "profile"]) == 0
    text = told(capsys)
    assert "consent: I tell this freely" in text
    assert "fewer than 5 raters" in text
    assert "field: What do you work in?\n  law, art, trade" in text
    asked = ["campaign", "profile", "--rater", "P0", "--tell", "field", "law", "region", "north"]
    assert main(asked) == 2
    assert "agreed to it" in capsys.readouterr().err
    assert main([*asked, "--consent"]) == 0
    text = told(capsys)
    assert text == f"{raters[0]}: profile kept, with what was agreed to; --forget erases it\n"
    assert main(["campaign", "profile", "--rater", raters[1], *asked[4:], "--consent"]) == 0
    assert main(["campaign", "profile", "--rater", "P0", "--forget"]) == 0
    assert "profile erased" in told(capsys)
    assert main(["campaign", "profile", "--rater", "P0", "--forget"]) == 0
    assert "there was no profile" in told(capsys)
    assert main(["verify"]) == 0
    assert "1 parts of what was said were erased" in told(capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["campaign", "profile", "--consent"], "whose profile"),
        (["campaign", "profile", "--rater", "P0"], "told or forgotten"),
        (["campaign", "profile", "--rater", "Eve", "--forget"], "no person of this name"),
        (["campaign", "profile", "--questions", "none.toml"], "cannot be read"),
        (["agreement", "--by", "fields"], "did you mean 'field'?"),
        (["agreement", "--by", "field", "--questions", "none.toml"], "cannot be read"),
        (["raters", "--without-group", "field"], "QUESTION=ANSWER"),
        (["raters", "--without-group", "field=law"], "fewer than 5"),
        (["raters", "--without-group", "field=law", "--kinds", "human"], "people alone"),
        (["raters", "--without-group", "field=law", "--show", "x"], "one thing at a time"),
        (["raters", "--population", "profiles.toml"], "no such key"),
    ],
)
def test_one_error_says_what_to_do(
    raters: list[str], capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error


def test_the_page_is_as_it_says(raters: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Its files and commands, typed as they are written, in another campaign with other people."""
    section = PAGE.read_text().partition("## Who are the raters?")[2].partition("\n## ")[0]
    files = re.findall(r"^```toml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    (commands,) = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    for name, text in zip(("profiles.toml", "census.toml"), files, strict=True):
        Path(name).write_text(text)
    tell(raters, *["law"] * 6, *["medicine"] * 5, *[None] * 5)
    lines = commands.replace("pilot", "one").replace('"Ada"', "P0").splitlines()
    assert [main(shlex.split(line, comments=True)[1:]) for line in lines] == [0] * 6
    text = told(capsys)
    for said in ("law, medicine, trade", "profile kept", "profile erased", "raters by field"):
        assert said in text
    # She took back what she told: law's five others stay.
    assert "without the 5 raters of field=law, 11 are left" in text


def test_an_answer_with_a_typing_error_is_not_repeated(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["campaign", "profile", "--rater", "P0", "--tell", "field", "lwa", "--consent"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "did you mean 'law'?" in error
    assert "lwa" not in error


def test_agreement_by_a_question(raters: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    tell(raters, *["law"] * 6, *["art"] * 8, "trade", None)
    assert main(["agreement", "--by", "field", "--resamples", "1000"]) == 0
    text = told(capsys)
    # Two others would follow: the smallest group joins them.
    assert "one: raters by field: art 8, others or not told 8" in text
    assert "within art" in text
    assert "art and others or not told  percent" in text
    assert "about: safety" in text
    assert "law" not in text.replace("others or not told", "")
    tell(raters, *["law"] * 6, *["art"] * 10)
    assert main(["agreement", "one", "--by", "field", "--resamples", "1000", "--json"]) == 0
    found = json.loads(told(capsys))
    assert found["by"]["groups"] == {"law": 6, "art": 10}
    order = found["by"]["topics"][0]
    assert order["within"]["law"][0]["interval"]["estimate"] == 1
    assert order["between"][0]["groups"] == ["law", "art"]
    assert order["between"][0]["figures"][0]["interval"]["estimate"] == 0


def test_winners_without_a_group(raters: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    tell(raters, *["law"] * 6, *["art"] * 10)
    assert main(["raters", "--without-group", "field=art"]) == 0
    text = told(capsys)
    assert "one: without the 10 raters of field=art, 6 are left" in text
    assert "12 pairs (12 prompts)" in text
    assert "flipped: the other response wins: 1.00 [0.76, 1.00]" in text
    assert main(["raters", "--without-group", "field=law", "--json"]) == 0
    found = json.loads(told(capsys))["without"]
    assert (found["raters"], found["others"], found["flipped"]["estimate"]) == (6, 10, 0)


def test_raters_against_a_population(raters: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    tell(raters, *["law"] * 6, *["art"] * 10)
    assert main(["raters", "--population", "census.toml"]) == 0
    text = told(capsys)
    assert "one: raters against census 2021, those in quarantine among them" in text
    assert "law    6       38%    25%" in text
    assert "distance 0.25" in text
    assert "trade (25%)" in text
    assert "nothing is weighed by this" in text
    assert main(["raters", "--population", "census.toml", "--json"]) == 0
    (found,) = json.loads(told(capsys))["coverage"]
    assert found["distance"] == 0.25


def test_all_three_count_and_divide_alike_whoever_the_rules_put_into_quarantine(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """P0 copies what stands first from now on: gone from the figures, and no size says of which
    group."""
    tell(raters, *["law"] * 6, *["art"] * 10)
    by = ["agreement", "--by", "field", "--resamples", "1000", "--json"]

    def sizes() -> list[object]:
        assert main(["raters", "--json"]) == 0
        trust = json.loads(told(capsys))["trust"]
        found: list[object] = [one["rater"] for one in trust if one["quarantined"]]
        assert main(by) == 0
        found.append(json.loads(told(capsys))["by"]["groups"])
        assert main(["raters", "--population", "census.toml", "--json"]) == 0
        (covered,) = json.loads(told(capsys))["coverage"]
        found.append({name: one["raters"] for name, one in covered["groups"].items()})
        for name in ("law", "art"):
            assert main(["raters", "--without-group", f"field={name}", "--json"]) == 0
            without = json.loads(told(capsys))["without"]
            found.append((without["raters"], without["others"]))
        return found

    everybody = {"law": 6, "art": 10}
    assert sizes() == [everybody, everybody, (6, 10), (10, 6)]
    with open_database(Path("accord.db")) as database, database.write() as connection:
        desk = Desk(connection, raters=0, name="one")
        desk.raters, desk._keys = raters, count(1000)
        rng = random.Random(1)
        for number in range(30):
            task, better = desk.task(f"One more, {number}?"), rng.choice([(0, 1), (1, 0)])
            for rater in rng.sample(range(PEOPLE), PEOPLE):
                shown = rng.choice([(0, 1), (1, 0)])
                said = better if rng.random() < 0.8 else better[::-1]
                desk.say(rater, task, shown if rater == 0 else said, shown=shown)
    assert sizes() == [raters[0], everybody, everybody, (6, 10), (10, 6)]


def test_answers_that_the_file_no_longer_has_are_said(
    raters: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tell(raters, *["law"] * 6, *["art"] * 10)
    Path("profiles.toml").write_text(TOML.replace('"law"', '"lawyers"'))
    assert main(["agreement", "--by", "field", "--resamples", "1000"]) == 0
    text = told(capsys)
    assert "raters by field: art 10, not told 6" in text
    assert "count as not told" in text


def numbers(value: Any, name: str = "") -> Iterator[int]:
    """Every count of raters in a printed JSON."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from numbers(item, name if name == "groups" else key)
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif name in ("raters", "others", "groups", "not_told") and isinstance(value, int):
        yield value


@pytest.mark.parametrize("seed", range(8))
def test_nothing_printed_is_of_fewer_than_five(
    raters: list[str], capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    """Random profiles: no count below five, and none that another leaves below five of sixteen; no
    pseudonym and no name; a group that is not shown is refused wherever it is asked for."""
    rng = random.Random(seed)
    tell(raters, *(rng.choices(["law", "art", "trade", None], [5, 5, 1, 1])[0] for _ in raters))
    by = ["agreement", "--by", "field", "--resamples", "1000"]
    assert main([*by, "--json"]) == 0
    text = told(capsys)
    groups = json.loads(text)["by"]["groups"]
    counts = [*numbers(json.loads(text))]
    assert sum(counts) in (0, PEOPLE)
    for words in (
        ["raters", "--population", "census.toml"],
        *(["raters", "--without-group", f"field={name}"] for name in ("law", "art", "trade")),
    ):
        refused = "=" in words[-1] and words[-1].partition("=")[2] not in groups
        assert main(words) == main([*words, "--json"]) == (2 if refused else 0)
        said = told(capsys)
        assert bool(said) != refused
        text += said
        counts += [] if refused else numbers(json.loads(said[said.index("\n{") :]))
    assert main(by) == 0
    text += told(capsys)
    assert all(5 <= number <= PEOPLE - 5 for number in counts)
    assert bool(counts) == bool(groups)
    for name in (*(rater[:8] for rater in raters), "P1"):
        assert name not in text
