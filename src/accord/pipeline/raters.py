"""Simulated raters from a file: who they are, and the truths that they may be given by name.

    [[rater]]
    name = "Ada"
    truth = "vader"                 # or weights = { vader = 1.0, brevity = 0.2 }
    temperature = 0.4
    bias = { first = 0.3 }

    [[rater]]
    name = "Bob"
    rules = [{ by = "length", threshold = 0.5 }]

Everything else that a rater may be given is a field of `accord.collect.persona.PersonSettings`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any

from accord.collect.features import FEATURES
from accord.collect.persona import PersonSettings, Truth
from accord.collect.synthetic import SimulatedPerson
from accord.core.errors import ConfigError
from accord.core.protocols import RewardFn
from accord.core.types import Conversation
from accord.pipeline.settings import Source, structure
from accord.rewards.gold import GrammarGold


def _grammar() -> Truth:
    return Truth(name="grammar", score=_one_by_one(GrammarGold()))


def _vader() -> Truth:
    from accord.rewards.vader import VaderScore

    # Compound scores lie in [-1, 1]: the ends are rated 5 and 1.
    return Truth(name="vader", score=_one_by_one(VaderScore()), spread=0.5)


TRUTHS: Mapping[str, Callable[[], Truth]] = MappingProxyType({"grammar": _grammar, "vader": _vader})
"""What makes each truth that a file may name."""


def truth_called(name: str) -> Truth:
    """The truth of this name. Raises ConfigError where there is none or its package is missing."""
    if name not in TRUTHS:
        near = get_close_matches(name, (*TRUTHS, *FEATURES), n=1)
        known = f"truths: {', '.join(TRUTHS)}; features: {', '.join(FEATURES)}"
        raise ConfigError(
            "there is no such truth",
            got=name,
            do=f"did you mean {near[0]!r}?" if near and near[0] != name else known,
        )
    return TRUTHS[name]()


def read_people(path: Path) -> dict[str, SimulatedPerson]:
    """The simulated people of a file, by name.

    Raises ConfigError, naming the line, for a file that cannot be read or is not as described above
    for two people who would be one, and for one to whom all answers are the same.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("raters cannot be read", got=str(error), where=path) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("raters are not TOML", got=str(error), where=path) from None
    listed = values.pop("rater", None)
    if values or not isinstance(listed, list) or not listed:
        raise ConfigError(
            "a file of raters has a [[rater]] for each of them and nothing else",
            got=", ".join(values) or "no [[rater]]",
            where=path,
        )
    people: dict[str, SimulatedPerson] = {}
    truths: dict[str, Truth] = {}
    for number, said in enumerate(listed):
        source = _block(path, text, number)
        name = said.pop("name", None)
        if not isinstance(name, str) or not name.strip() or name in people:
            raise ConfigError(
                "every rater needs a name of its own", got=repr(name), where=source.place(("name",))
            )
        person = _person(said, source, truths)
        person.check_prefers(source.place(("name",)))
        twin = next((other for other, known in people.items() if known == person), None)
        if twin is not None:
            raise ConfigError(
                "two raters would be one: nothing but the name differs",
                got=f"{twin} and {name}",
                where=source.place(("name",)),
                do="give one of them another seed",
            )
        people[name] = person
    return people


def _person(said: dict[str, Any], source: Source, truths: dict[str, Truth]) -> SimulatedPerson:
    """One rater; truths that were not met before are made and kept in `truths`."""
    truth = said.pop("truth", None)
    if truth is not None:
        if not isinstance(truth, str) or "weights" in said:
            raise ConfigError(
                "truth names one truth, and weights several: a rater has one of them",
                got=repr(truth),
                where=source.place(("truth",)),
            )
        said["weights"] = {truth: 1.0}
    settings = structure(said, PersonSettings, source)
    places: dict[str, tuple[str, ...]] = {}
    places |= {rule.by: ("rules",) for rule in settings.rules}
    places |= {name: ("bias", name) for name in settings.bias}
    places |= {name: ("weights", name) for name in settings.weights if name != truth}
    places |= {} if truth is None else {truth: ("truth",)}
    places = {name: where for name, where in places.items() if name not in FEATURES}
    # A criterion is rated by a truth: a feature has no scale from bad to good.
    places |= {name: ("criteria", criterion) for criterion, name in settings.criteria.items()}
    own = []
    for name in sorted(places):
        try:
            own.append(truths.get(name) or truth_called(name))
        except ConfigError as error:
            where = source.place(places[name])
            raise ConfigError(error.what, got=error.got, where=where, do=error.do) from None
    truths |= {made.name: made for made in own}
    return SimulatedPerson(settings=settings, truths=tuple(own))


def _one_by_one(score: RewardFn) -> Callable[[Conversation, str], float]:
    def truth(prompt: Conversation, response: str) -> float:
        return score([prompt], [response])[0]

    return truth


def _block(path: Path, text: str, number: int) -> Source:
    """The text of one [[rater]] on the lines where it stands, its tables as if at the top."""
    lines, found = text.splitlines(), -1
    for at, line in enumerate(lines):
        found += bool(re.match(r"\s*\[\[\s*rater\s*\]\]", line))
        if found != number or line.lstrip().startswith("[["):
            lines[at] = ""
        else:
            lines[at] = re.sub(r"^(\s*\[\s*)rater\s*\.\s*", r"\1", line)
    return Source(path, "\n".join(lines))
