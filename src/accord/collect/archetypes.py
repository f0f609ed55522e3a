"""Raters that quality control must catch, and one that it must not: simulated, with known habits.

What they say is nobody's opinion. Each is made of a definition again by `simulated`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import sqlalchemy as sa

from accord.collect.persona import PersonSettings, Rule, Truth
from accord.collect.sheet import Opinion, Rater, RaterKind, Sheet
from accord.collect.synthetic import FORM, NOBODY, SimulatedPerson
from accord.core.errors import ConfigError
from accord.core.hashing import digest
from accord.store.database import Database
from accord.store.judgements import Verdict
from accord.store.registry import response_text
from accord.store.tables import judgements

Lookup = Callable[[Sheet], Opinion | None]
"""What somebody else said of a sheet, in the order of this screen; None where they said nothing."""


def random_rater(*, seed: int = 0) -> SimulatedPerson:
    """Never looks: every order is as likely, and no two responses are tied."""
    return SimulatedPerson(settings=PersonSettings(lapse=1, seed=seed))


def always_first(*, seed: int = 0) -> SimulatedPerson:
    """Ranks in the order of the screen."""
    settings = PersonSettings(rules=(Rule(by="first"),), temperature=0, seed=seed)
    return SimulatedPerson(settings=settings)


def longest(*, seed: int = 0) -> SimulatedPerson:
    """Ranks by the number of characters, the most first; equal ones are tied."""
    settings = PersonSettings(rules=(Rule(by="length"),), temperature=0, seed=seed)
    return SimulatedPerson(settings=settings)


def honest_minority(
    taste: Mapping[str, float],
    truths: Sequence[Truth] = (),
    *,
    temperature: float = 0.25,
    seed: int = 0,
) -> SimulatedPerson:
    """Someone who wants other things than most, means it, and says the same when asked again."""
    settings = PersonSettings(weights=taste, temperature=temperature, seed=seed)
    return SimulatedPerson(settings=settings, truths=tuple(truths))


@dataclass(frozen=True, kw_only=True, slots=True)
class Inverter:
    """Turns another rater's ranking round on a share of the prompts, whenever they are asked."""

    rater: Rater
    share: float = 0.1
    """Of sheets that are turned round, in [0, 1]."""
    seed: int = 0

    def __post_init__(self) -> None:
        _check_share(self.share)

    @property
    def kind(self) -> RaterKind:
        """Synthetic."""
        return RaterKind.SYNTHETIC

    @property
    def definition(self) -> Mapping[str, Any]:
        """What `simulated` makes it from."""
        about = {"rater": self.rater.definition, "share": float(self.share), "seed": self.seed}
        return _head("inverter") | about

    def judge(self, sheet: Sheet) -> Opinion:
        """The other's opinion, or its opposite."""
        said = self.rater.judge(sheet)
        if said.tiers is None or not _drawn(["inverter", self.seed], sheet, self.share):
            return said
        last = max(said.tiers)
        return replace(said, tiers=tuple(last - tier for tier in said.tiers))


@dataclass(frozen=True, kw_only=True, slots=True)
class Copycat:
    """Repeats what somebody else said, as far as it knows; otherwise it judges for itself."""

    of: str
    """Who is copied: a rater's id, for the record."""
    said: Lookup
    """What they said: `answers_of` reads it from the database."""
    otherwise: Rater
    """Judges where they said nothing yet."""

    @property
    def kind(self) -> RaterKind:
        """Synthetic."""
        return RaterKind.SYNTHETIC

    @property
    def definition(self) -> Mapping[str, Any]:
        """What `simulated` makes it from, given the lookup."""
        return _head("copycat") | {"of": self.of, "otherwise": self.otherwise.definition}

    def judge(self, sheet: Sheet) -> Opinion:
        """The other's opinion, at one's own pace."""
        own = self.otherwise.judge(sheet)
        copied = self.said(sheet)
        return own if copied is None else replace(copied, seconds=own.seconds, opened=own.opened)


@dataclass(frozen=True, kw_only=True, slots=True)
class Colluder:
    """Judges honestly but for a share of the prompts, where all who know the secret say the same.

    What they say there follows from the secret and the words alone: it has nothing to do with
    quality, length or place, so that one of them alone looks like an honest rater with more noise.
    """

    rater: Rater
    """Judges the rest."""
    secret: str
    share: float = 0.2
    """Of sheets that the secret decides, in [0, 1]; the same ones for all who know it."""

    def __post_init__(self) -> None:
        _check_share(self.share)

    @property
    def kind(self) -> RaterKind:
        """Synthetic."""
        return RaterKind.SYNTHETIC

    @property
    def definition(self) -> Mapping[str, Any]:
        """What `simulated` makes it from."""
        about = {"rater": self.rater.definition, "secret": self.secret, "share": float(self.share)}
        return _head("colluder") | about

    def judge(self, sheet: Sheet) -> Opinion:
        """The honest opinion, or what was agreed on."""
        own = self.rater.judge(sheet)
        if not _drawn(["colluder", self.secret], sheet, self.share):
            return own
        keys = [digest([self.secret, sheet.prompt.digest, text]) for text in sheet.responses]
        order = sorted(set(keys))
        tiers = [order.index(key) for key in keys]
        return Opinion.ranked(tiers, strength=own.strength or 2, seconds=own.seconds)


def colluders(
    first: Rater, second: Rater, *, secret: str, share: float = 0.2
) -> tuple[Colluder, Colluder]:
    """Two who agreed on a secret: apart from that, `first` and `second` judge as they are."""
    return (
        Colluder(rater=first, secret=secret, share=share),
        Colluder(rater=second, secret=secret, share=share),
    )


def answers_of(database: Database, rater: str) -> Lookup:
    """A lookup of what a rater's current judgements of the same task say, for a `Copycat`."""

    def said(sheet: Sheet) -> Opinion | None:
        with database.read() as connection:
            row = connection.execute(
                sa.select(judgements)
                .where(
                    judgements.c.rater == rater,
                    judgements.c.task == sheet.task,
                    judgements.c.superseded_by.is_(None),
                    judgements.c.verdict.in_((Verdict.RANKING, Verdict.TIE, Verdict.ALL_BAD)),
                )
                .order_by(judgements.c.seq)
                .limit(1)
            ).one_or_none()
            if row is None:
                return None
            texts = [response_text(connection, response) for response in row.responses]
        # The store counts by canonical place, this rater by the place on its own screen.
        places = [texts.index(text) for text in sheet.responses]
        ratings = {name: [given[place] for place in places] for name, given in row.ratings.items()}
        return Opinion(
            verdict=Verdict(row.verdict),
            tiers=None if row.tiers is None else tuple(row.tiers[place] for place in places),
            strength=row.strength,
            ratings={name: tuple(given) for name, given in ratings.items()},
        )

    return said


def simulated(
    definition: Mapping[str, Any],
    truths: Sequence[Truth] = (),
    *,
    said: Callable[[str], Lookup] | None = None,
) -> Rater:
    """The simulated rater that a stored definition describes.

    `truths` has at least those that it names; `said` gives a copycat's lookup of a rater's id.
    Raises ConfigError for a definition of something else, and where one of these is missing.
    """
    what = definition.get("simulates")
    if what == "person":
        return SimulatedPerson.of(definition, truths)
    if what not in ("inverter", "copycat", "colluder") or definition.get("form") != FORM:
        raise ConfigError(
            "this definition describes no simulated rater of this version",
            got=f"{what}, form {definition.get('form')}",
        )
    if what == "copycat":
        if said is None:
            raise ConfigError("a copycat needs to know what others said", got=definition["of"])
        other = simulated(definition["otherwise"], truths, said=said)
        return Copycat(of=definition["of"], said=said(definition["of"]), otherwise=other)
    inner = simulated(definition["rater"], truths, said=said)
    share = definition["share"]
    if what == "inverter":
        return Inverter(rater=inner, share=share, seed=definition["seed"])
    return Colluder(rater=inner, secret=definition["secret"], share=share)


def _head(what: str) -> dict[str, Any]:
    return {"simulates": what, "form": FORM, "who": NOBODY}


def _drawn(who: list[Any], sheet: Sheet, share: float) -> bool:
    """Whether a sheet is in the share: by its words, so that its repeat is too."""
    words = digest([*who, sheet.prompt.digest, sorted(sheet.responses)])
    return Random(words).random() < share


def _check_share(share: float) -> None:
    if not 0 <= share <= 1:
        raise ConfigError("a share lies in [0, 1]", got=share)
