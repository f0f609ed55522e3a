"""Files of simulated people: what they say, and where a mistake is."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from accord.collect.features import FEATURES
from accord.collect.persona import PersonSettings, Rule
from accord.collect.sheet import Sheet
from accord.core.errors import ConfigError
from accord.core.types import Conversation
from accord.pipeline.raters import TRUTHS, read_people, truth_called
from accord.rewards.gold import GrammarGold

EVERYTHING = """\
# Two people.
[[rater]]
name = "Ada"
truth = "grammar"
temperature = 0
bias = { first = 1, longer = 0.25 }
lapse = 0.05

[[rater]]
name = "Bob"
rules = [{ by = "length", threshold = 0.5 }, { by = "first" }]
fatigue = 0.1
grain = 0.1
consistency = 0.9
seed = 3
[rater.weights]
brevity = 0.3
grammar = 0.7
[rater.criteria]
helpfulness = "grammar"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "people.toml"
    path.write_text(text)
    return path


def test_a_file_says_who_they_are(tmp_path: Path) -> None:
    people = read_people(written(tmp_path, EVERYTHING))
    assert list(people) == ["Ada", "Bob"]
    assert people["Ada"].settings == PersonSettings(
        weights={"grammar": 1}, temperature=0, bias={"first": 1, "longer": 0.25}, lapse=0.05
    )
    assert people["Bob"].settings == PersonSettings(
        weights={"grammar": 0.7, "brevity": 0.3},
        rules=(Rule(by="length", threshold=0.5), Rule(by="first")),
        fatigue=0.1,
        grain=0.1,
        consistency=0.9,
        criteria={"helpfulness": "grammar"},
        seed=3,
    )


def test_the_same_file_twice_gives_the_same_definitions(tmp_path: Path) -> None:
    path = written(tmp_path, EVERYTHING)
    one, other = read_people(path), read_people(path)
    assert [p.definition for p in one.values()] == [p.definition for p in other.values()]


def test_truths_are_the_known_ones() -> None:
    asked = Conversation.of("Tell me about the fox and the lake.")
    said = "The gentle fox rests by the lake."
    assert truth_called("grammar").score(asked, said) == GrammarGold()([asked], [said])[0]
    with pytest.raises(ConfigError, match="did you mean 'vader'"):
        truth_called("vadre")


def test_the_truth_of_sentiment(tmp_path: Path) -> None:
    pytest.importorskip("vaderSentiment")
    path = written(tmp_path, '[[rater]]\nname = "Ada"\ntruth = "vader"\ntemperature = 0\n')
    rater = read_people(path)["Ada"]
    asked = Sheet(
        task="t",
        prompt=Conversation.of("How was it?"),
        responses=("A horrible day.", "A wonderful day!"),
        criteria=("vader",),
    )
    said = rater.judge(asked)
    assert said.tiers == (1, 0)
    assert said.ratings == {"vader": (2, 4)}


def test_every_truth_can_be_named(tmp_path: Path) -> None:
    pytest.importorskip("vaderSentiment")
    for name in TRUTHS:
        path = written(tmp_path, f'[[rater]]\nname = "Ada"\ntruth = "{name}"\n')
        assert [truth.name for truth in read_people(path)["Ada"].truths] == [name]


GOOD = '[[rater]]\nname = "Ada"\ntruth = "length"\n'
NOTHING = "something that says which answer is better"
BAD = {
    "no truth": ('[[rater]]\nseed = 3\nname = "Ada"\n', 3, NOTHING),
    "ratings alone": ('[[rater]]\nname = "Ada"\ncriteria = { safety = "grammar" }', 2, NOTHING),
    "nothing weighs": ('[[rater]]\nname = "Ada"\nweights = { length = 0 }', 2, NOTHING),
    "some lapses": (GOOD + '[[rater]]\nname = "Bob"\nlapse = 0.9', 5, NOTHING),
    "not TOML": ("[[rater", None, "not TOML"),
    "empty": ("", None, "no [[rater]]"),
    "no list": ('[rater]\nname = "Ada"', None, "[[rater]] for each"),
    "something else": (GOOD + "[judge]\nname = 3", None, "judge"),
    "no name": ("[[rater]]\nlapse = 1", None, "a name of its own"),
    "a number": ("[[rater]]\nname = 3", 2, "a name of its own"),
    "the same name": (GOOD + GOOD, 5, "a name of its own"),
    "the same rater": (GOOD + GOOD.replace("Ada", "Bob"), 5, "another seed"),
    "unknown key": (GOOD + "temprature = 1", 4, "did you mean 'temperature'"),
    "wrong type": (GOOD + 'temperature = "hot"', 4, "must be a number"),
    "out of bounds": (GOOD + "lapse = 2", 4, "lapse must lie in [0, 1]"),
    "unknown truth": ('[[rater]]\nname = "Ada"\ntruth = "vadre"', 3, "did you mean 'vader'"),
    "unknown bias": (GOOD + "bias = { fist = 1 }", 4, "did you mean 'first'"),
    "a feature rates": (GOOD + 'criteria = { safety = "length" }', 4, "truths: grammar, vader;"),
    "two truths": (GOOD + "weights = { length = 1 }", 3, "a rater has one of them"),
    "a second one": (GOOD + '\n[[rater]]\nname = "Bob"\n[rater.bias]\nfirst = "x"', 8, "a number"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, case: str) -> None:
    text, line, told = BAD[case]
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_people(path)
    assert told in str(caught.value)
    assert str(caught.value.where) == (str(path) if line is None else f"{path}:{line}")


def test_the_manual_names_every_setting_feature_and_truth(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "raters-that-are-no-people.md"
    text = page.read_text(encoding="utf-8")
    settings = [field.name for field in fields(PersonSettings)]
    named = set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE))
    assert named == {"truth", *settings, *FEATURES, *TRUTHS}
    (example,) = re.findall(r"^```toml\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert len(read_people(written(tmp_path, example))) == 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_people(tmp_path / "none.toml")
