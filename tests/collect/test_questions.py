"""Files of questions and of populations: read as written, or refused with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.collect.questions import read_population, read_questions
from accord.core.errors import ConfigError
from tests.collect.asked import TOML


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_questions_are_read_in_their_order(tmp_path: Path) -> None:
    found = read_questions(write(tmp_path / "p.toml", f"k = 7\n{TOML}"))
    assert found.k == 7
    assert found.consent.startswith("I tell this freely")
    assert [question.name for question in found.asked] == ["field", "region"]
    assert found.called("region").values == ("north", "south")
    assert read_questions(write(tmp_path / "p.toml", TOML)).k == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("consent =", "agree ="), "no such key"),
        (('consent = "I', 'consent = "" #'), "words that people agree to"),
        (("[question.field]", "k = 4\n[question.field]"), "at least 5"),
        (("[question.field]", "k = true\n[question.field]"), "at least 5"),
        (("question.field", "question.Field"), "a question's name"),
        (('text = "What do you work in?"', ""), "a text"),
        (("text =", "texts ="), "no such key"),
        (('["north", "south"]', '["north"]'), "2 to 12 answers"),
        (('["north", "south"]', str([f"a{n}" for n in range(13)])), "2 to 12 answers"),
        (('"north"', '"not told"'), "without blanks around it"),
        (('"north"', '" north"'), "without blanks around it"),
        (('"north"', '"South"'), "nothing but capitals"),
        (("[question", "[questions"), "no such key"),
        (('"law"', '"law'), "not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    text = TOML.replace(*change)
    assert text != TOML
    with pytest.raises(ConfigError, match=message):
        read_questions(write(tmp_path / "p.toml", text))


def test_a_missing_or_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_questions(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="no question"):
        read_questions(write(tmp_path / "p.toml", 'consent = "yes"'))


def test_an_answer_is_found_and_never_repeated(tmp_path: Path) -> None:
    field = read_questions(write(tmp_path / "p.toml", TOML)).called("field")
    assert field.checked("law") == "law"
    for said, do in (("Law", "'law'"), ("secret-trade-of-mine", "law, art, trade")):
        with pytest.raises(ConfigError) as caught:
            field.checked(said)
        assert do in str(caught.value)
        assert said not in str(caught.value)


def test_a_population_is_read(tmp_path: Path) -> None:
    known = read_questions(write(tmp_path / "p.toml", TOML))
    text = 'source = "census"\n[shares.region]\nnorth = 0.251\nsouth = 0.751\n'
    found = read_population(write(tmp_path / "c.toml", text), known)
    assert found.source == "census"
    assert sum(found.shares["region"].values()) == pytest.approx(1)
    for before, after, message in (
        ("0.251", "0.5", "add up to 1"),
        ("0.251", "-1", "from 0 to 1"),
        ("north", "nrth", "no such answer"),
        ("shares.region", "shares.regoin", "no such question"),
        ("source", "from", "no such key"),
        ('"census"', '""', "where it is from"),
        ("[shares.region]\nnorth = 0.251\nsouth = 0.751", "", "no shares"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_population(write(tmp_path / "c.toml", text.replace(before, after)), known)
