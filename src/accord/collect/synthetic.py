"""Simulated raters: Bradley-Terry people with a known truth, lapses, habits and ties.

They exist so that what is learned, and what is caught, can be held against what was planted. What
they say is nobody's opinion: their kind is "synthetic" wherever it is stored, and their comparisons
say so in `source`.

`SimulatedPerson` judges sheets like a person does; `SyntheticRater` ranks by gold scores that its
caller has at hand.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from random import Random
from typing import Any

from accord.collect.features import FEATURES, Values
from accord.collect.persona import PersonSettings, Rule, Truth
from accord.collect.sheet import LEAST_RATING, MOST_RATING, Opinion, RaterKind, Sheet
from accord.core.errors import ConfigError, DataError
from accord.core.hashing import digest, plain
from accord.core.types import Comparison, Conversation

NOBODY = "a simulated person: what it says is nobody's opinion"
"""Stands in every definition, so that it goes wherever the judgements go."""
FORM = 1
"""Of the draws below: the same definition under the same form says the same for ever."""
STRENGTH_STEPS = (0.5, 1.0, 2.0)
"""Gaps of utility from which a lead is slight, clear, strong."""
CLEAR = 3
"""Strength of a lead that a rule decided."""
WORDS_PER_SECOND = 4.0
"""Of careful reading."""
START_SECONDS, GLANCE_SECONDS = 4.0, 2.5
"""To settle on an answer; to give one without looking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticRater:
    """One rater who ranks answers by gold with noise (Plackett 1975, Luce 1959, with a lapse rate).

    The rater sees gold rounded to the nearest multiple of `grain` and cannot tell apart what rounds
    to the same value: those answers share a tier. The values that differ get a utility each,

        u = seen / temperature + Gumbel(0, 1),

    and the tiers follow u, so that every pair obeys Bradley-Terry. In a share `lapse` of the
    comparisons the rater does not look, and the order of the tiers is drawn evenly.

    The draw depends on `seed`, the prompt and the set of answers alone: neither the order of
    comparisons nor the order of answers within one changes what the rater thinks.
    """

    temperature: float = 0.5
    """Gold difference that a factor e in the odds stands for; 0 is a rater without noise."""
    lapse: float = 0.0
    """Share of comparisons judged without looking, in [0, 1]."""
    grain: float = 0.0
    """Smallest step of gold that the rater sees; 0 ties only what is exactly equal."""
    seed: int = 0
    """Which rater of many alike."""

    def __post_init__(self) -> None:
        for name in ("temperature", "grain"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"a rater's {name} must be finite and at least 0", got=value)
        if not 0 <= self.lapse <= 1:
            raise ConfigError("a rater's lapse must lie in [0, 1]", got=self.lapse)

    @property
    def source(self) -> str:
        """What the comparisons carry as their source: "synthetic:" and every setting."""
        return (
            f"synthetic:temperature={self.temperature:g},lapse={self.lapse:g},"
            f"grain={self.grain:g},seed={self.seed}"
        )

    def probability(self, first: float, second: float) -> float:
        """P(first is ranked above second) given their gold scores, a tie counted as one half.

        This is the exact probability that `judge` draws from, whatever other answers are beside
        them: max(p, 1 - p) over the pairs that are no ties gives the Bayes bound on accuracy.
        """
        a, b = self._seen(first), self._seen(second)
        if a == b:
            return 0.5
        if self.temperature == 0:
            looked = float(a > b)
        else:
            looked = _sigmoid((a - b) / self.temperature)
        return (1 - self.lapse) * looked + self.lapse / 2

    def judge(
        self, prompt: Conversation, responses: Sequence[str], gold: Sequence[float]
    ) -> Comparison:
        """Rank K >= 2 `responses` to `prompt`, with `gold[k]` the true score of response k.

        Raises DataError where the lengths differ or a score is not finite.
        """
        if len(responses) != len(gold):
            raise DataError(
                "a rater needs one gold score a response",
                got=f"{len(responses)} responses, {len(gold)} scores",
            )
        if not all(math.isfinite(score) for score in gold):
            raise DataError("a gold score must be finite", got=list(gold))
        rng = Random(digest(["synthetic", self.seed, prompt.digest, sorted(responses)]))
        values = sorted({self._seen(score) for score in gold})
        lapsed = rng.random() < self.lapse
        utility = {value: self._utility(value, lapsed, rng) for value in values}
        best_first = sorted(values, key=lambda value: -utility[value])
        tier = {value: place for place, value in enumerate(best_first)}
        return Comparison(
            prompt=prompt,
            responses=tuple(responses),
            tiers=tuple(tier[self._seen(score)] for score in gold),
            source=self.source,
        )

    def _seen(self, gold: float) -> float:
        return _rounded(gold, self.grain)

    def _utility(self, value: float, lapsed: bool, rng: Random) -> float:
        gumbel = _gumbel(rng)
        if lapsed:
            return gumbel
        return value if self.temperature == 0 else value / self.temperature + gumbel


@dataclass(frozen=True, kw_only=True, slots=True)
class SimulatedPerson:
    """A `Rater` made of settings: one that looks, weighs, errs and tires like somebody.

    The utility of response k is what it is worth, sum of weight times truth, and what it gains by
    bias; it is seen in steps of `grain`. Where no rule decides, the seen values are ranked by

        seen / temperature + Gumbel(0, 1),

    so that every two of them obey Bradley-Terry (Plackett 1975, Luce 1959). With rules, a response
    stands above another that wins less often by rules against the rest of the sheet; of two, that
    is the one that the first rule prefers. In a lapse the order is drawn evenly and has no ties.

    Noise depends on the definition and the words alone, wherever they stand on the screen; lapses,
    and the share of noise that `consistency` leaves to chance, depend on the task and its number
    too. People who differ in anything, if only in their seed, err independently of one another.
    """

    settings: PersonSettings
    truths: tuple[Truth, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "truths", tuple(sorted(self.truths, key=lambda t: t.name)))
        names = [truth.name for truth in self.truths]
        if len(set(names)) < len(names):
            raise ConfigError("two truths of a simulated person have one name", got=names)
        s = self.settings
        for name in (*s.weights, *s.bias, *(rule.by for rule in s.rules)):
            if name not in FEATURES and name not in names:
                known = ", ".join((*names, *FEATURES))
                raise ConfigError(
                    "a simulated person has no such truth or feature", got=name, do=f"use {known}"
                )
        for name in s.criteria.values():
            if name not in names:
                raise ConfigError(
                    "a criterion needs a truth to be rated by",
                    got=name,
                    do=f"use {', '.join(names) or 'a truth: there is none'}",
                )

    @classmethod
    def of(cls, definition: Mapping[str, Any], truths: Sequence[Truth] = ()) -> SimulatedPerson:
        """The person that a `definition` describes; `truths` has at least those that it names.

        Raises ConfigError for another kind of definition and for a truth that is missing.
        """
        said = {name: value for name, value in definition.items() if name not in _HEAD}
        if definition.get("simulates") != "person" or definition.get("form") != FORM:
            raise ConfigError(
                "this definition describes no simulated person of this version",
                got=f"{definition.get('simulates')}, form {definition.get('form')}",
            )
        by_name = {truth.name: truth for truth in truths}
        if missing := sorted(definition["truths"].keys() - by_name.keys()):
            raise ConfigError(
                "a simulated person needs truths that were not given", got=", ".join(missing)
            )
        said["rules"] = tuple(Rule(**rule) for rule in said["rules"])
        return cls(
            settings=PersonSettings(**said),
            truths=tuple(replace(by_name[n], **how) for n, how in definition["truths"].items()),
        )

    def check_prefers(self, where: str | None = None) -> None:
        """Raise ConfigError where nothing says which response is better: all would be a tie."""
        if not self.settings.prefers:
            raise ConfigError(
                "a simulated person needs something that says which answer is better",
                got="no truth, weights, rules or bias that count",
                where=where,
                do='give a truth ("vader") or a feature ("length"); lapse = 1 never looks',
            )

    @property
    def kind(self) -> RaterKind:
        """Synthetic."""
        return RaterKind.SYNTHETIC

    @property
    def definition(self) -> Mapping[str, Any]:
        """Settings, and the names and scales of the truths; `of` makes the person again."""
        truths = {t.name: {"centre": t.centre, "spread": t.spread} for t in self.truths}
        own = {f.name: plain(getattr(self.settings, f.name)) for f in fields(self.settings)}
        return {"simulates": "person", "form": FORM, "who": NOBODY, "truths": truths} | own

    def lapse_at(self, number: int) -> float:
        """Chance of a lapse after `number` judgements."""
        return min(1.0, self.settings.lapse + self.settings.fatigue * number / 100)

    def probability(self, sheet: Sheet) -> float:
        """P(the first of two on the screen is ranked above the second), a tie counted as one half.

        Exact, over all seeds. Raises DataError for a sheet of more than two.
        """
        if len(sheet.responses) != 2:
            raise DataError("a probability is of two responses", got=len(sheet.responses))
        wins = self._wins(sheet)
        seen = self._seen(sheet)
        if wins[0] != wins[1]:
            looked = float(wins[0] > wins[1])
        elif seen[0] == seen[1]:
            looked = 0.5
        elif self.settings.temperature == 0:
            looked = float(seen[0] > seen[1])
        else:
            looked = _sigmoid((seen[0] - seen[1]) / self.settings.temperature)
        lapse = self.lapse_at(sheet.number)
        return (1 - lapse) * looked + lapse / 2

    def judge(self, sheet: Sheet) -> Opinion:
        """What this person says. The same sheet gives the same opinion.

        Raises DataError where a truth gives something that is no finite number.
        """
        words = [digest(self.definition), sheet.prompt.digest]
        showing = Random(digest([*words, sheet.responses, sheet.task, sheet.number]))
        if showing.random() < self.lapse_at(sheet.number):
            return self._unlooked(sheet, showing)
        as_ever = Random(digest([*words, sorted(sheet.responses)]))
        noise = as_ever if showing.random() < self.settings.consistency else showing
        wins, perceived = self._wins(sheet), self._perceived(sheet, noise)
        stands = list(zip(wins, perceived, strict=True))
        order = sorted(set(stands), reverse=True)
        return Opinion.ranked(
            [order.index(stand) for stand in stands],
            strength=_strength(order),
            ratings=self._ratings(sheet, noise),
            seconds=_reading(sheet, showing),
        )

    def _unlooked(self, sheet: Sheet, showing: Random) -> Opinion:
        tiers = list(range(len(sheet.responses)))
        showing.shuffle(tiers)
        given = {
            criterion: tuple(float(showing.randint(LEAST_RATING, MOST_RATING)) for _ in tiers)
            for criterion in self._rated(sheet)
        }
        strength = showing.randint(1, 4)
        seconds = round(GLANCE_SECONDS * showing.lognormvariate(0, 0.4), 1)
        return Opinion.ranked(tiers, strength=strength, ratings=given, seconds=seconds)

    def _values(self, name: str, sheet: Sheet) -> Values:
        if name in FEATURES:
            return FEATURES[name](sheet)
        truth = next(truth for truth in self.truths if truth.name == name)
        found = tuple(float(truth.score(sheet.prompt, text)) for text in sheet.responses)
        if not all(math.isfinite(value) for value in found):
            raise DataError(
                "a truth must give finite numbers", got=list(found), where=f"{name}: {sheet.task}"
            )
        return found

    def _seen(self, sheet: Sheet) -> list[float]:
        """Utility of each response as this person sees it, before noise."""
        counted = (*self.settings.weights.items(), *self.settings.bias.items())
        table = [[weight * value for value in self._values(n, sheet)] for n, weight in counted]
        # An exact sum: the order in which a file or a database gives the weights changes nothing.
        total = [math.fsum(row[place] for row in table) for place in range(len(sheet.responses))]
        return [_rounded(utility, self.settings.grain) for utility in total]

    def _perceived(self, sheet: Sheet, noise: Random) -> list[float]:
        """Utility with noise: one draw for each value seen, so that what looks equal stays so."""
        seen = self._seen(sheet)
        drawn: dict[float, float] = {}
        # By text, so that the place on the screen does not change who gets which draw.
        for _, value in sorted(zip(sheet.responses, seen, strict=True)):
            gumbel = _gumbel(noise)
            drawn.setdefault(value, value + self.settings.temperature * gumbel)
        return [drawn[value] for value in seen]

    def _wins(self, sheet: Sheet) -> list[int]:
        """How many responses of the sheet each one beats by rules, less those that beat it."""
        table = [(self._values(rule.by, sheet), rule.threshold) for rule in self.settings.rules]

        def preferred(i: int, j: int) -> int:
            for values, threshold in table:
                if abs(values[i] - values[j]) > threshold:
                    return 1 if values[i] > values[j] else -1
            return 0

        places = range(len(sheet.responses))
        return [sum(preferred(i, j) for j in places) for i in places]

    def _rated(self, sheet: Sheet) -> dict[str, Truth]:
        """The truth behind each criterion that this person can rate."""
        by_name = {truth.name: truth for truth in self.truths}
        asked = {c: by_name.get(self.settings.criteria.get(c, c)) for c in sheet.criteria}
        return {criterion: truth for criterion, truth in asked.items() if truth is not None}

    def _ratings(self, sheet: Sheet, noise: Random) -> dict[str, tuple[float, ...]]:
        """Each rated truth on its scale of 1 to 5, seen with logistic noise of the temperature."""
        given = {}
        for criterion, truth in self._rated(sheet).items():
            values = dict(zip(sheet.responses, self._values(truth.name, sheet), strict=True))
            felt = {
                text: values[text] + self.settings.temperature * (_gumbel(noise) - _gumbel(noise))
                for text in sorted(values)
            }
            given[criterion] = tuple(
                _clipped(3 + (felt[text] - truth.centre) / truth.spread) for text in sheet.responses
            )
        return given


_HEAD = ("simulates", "form", "who", "truths")


def _strength(order: Sequence[tuple[int, float]]) -> int | None:
    """How far the first tier is ahead of the second; None where there is one tier."""
    if len(order) < 2:
        return None
    (wins, best), (fewer, next_best) = order[:2]
    if wins != fewer:
        return CLEAR
    return 1 + sum(best - next_best >= step for step in STRENGTH_STEPS)


def _reading(sheet: Sheet, showing: Random) -> float:
    """Seconds to read everything and decide, one decimal."""
    texts = [*(message.content for message in sheet.prompt.messages), *sheet.responses]
    words = sum(len(text.split()) for text in texts)
    return round((START_SECONDS + words / WORDS_PER_SECOND) * showing.lognormvariate(0, 0.25), 1)


def _clipped(rating: float) -> float:
    return float(min(MOST_RATING, max(LEAST_RATING, round(rating))))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _gumbel(rng: Random) -> float:
    return -math.log(max(rng.expovariate(1.0), 5e-324))


def _rounded(value: float, grain: float) -> float:
    return round(value / grain) * grain if grain else value
