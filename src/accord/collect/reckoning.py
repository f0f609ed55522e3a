"""Which judgements of a campaign become rows of a frozen set, and with which weight.

All of it follows from the log, the settings and the raters' weights.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from accord.collect.campaign_log import Asked, Excluded, Given, History, Why, unit_task
from accord.collect.sheet import RaterKind
from accord.collect.tasks import Purpose
from accord.core.errors import ConfigError
from accord.core.types import Comparison, Conversation, Message, Speaker, Split
from accord.store.judgements import Verdict
from accord.store.replay import Replay
from accord.store.splits import Splitter, unit_of

ASKED = (Purpose.WORK.value, Purpose.ADJUDICATION.value)
"""What judgements are asked for that are training data."""
_TASKS_AT_ONCE = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class FreezeSettings:
    """What is frozen, and how it is split."""

    name: str
    """What the set is called."""
    kinds: tuple[str, ...] = (RaterKind.HUMAN.value,)
    """Kinds of raters whose judgements count: human, synthetic, rule, model."""
    purposes: tuple[str, ...] = ASKED
    """What the tasks were asked for: gold, repeat and qualification tasks check raters."""
    without: tuple[str, ...] = ()
    """Raters (pseudonyms) who are left out."""
    unit: str = "prompt"
    """What never stands in two splits: prompt, or response where all share one prompt."""
    dev: float = 0.1
    """Share that is held out for figures during training and evaluation."""
    test: float = 0.0
    """Share that nothing in a pipeline reads."""

    def __post_init__(self) -> None:
        known: Mapping[str, type[StrEnum]] = {"kinds": RaterKind, "purposes": Purpose}
        for setting, words in known.items():
            for word in getattr(self, setting):
                if word not in set(words):
                    raise ConfigError(
                        f"{setting} has an unknown word", got=word, do=f"use {', '.join(words)}"
                    )
            if Purpose.LESSON in getattr(self, setting):
                raise ConfigError("lessons teach raters: what they say there is no training data")
            if not getattr(self, setting):
                raise ConfigError(f"{setting} names none, so nothing could be frozen")
        # In one order, each once: the same choice gives the same set, however it was typed.
        for setting in ("kinds", "purposes", "without"):
            object.__setattr__(self, setting, tuple(sorted(set(getattr(self, setting)))))
        Splitter(unit=unit_of(self.unit), dev=self.dev, test=self.test)

    @property
    def splitter(self) -> Splitter:
        """What decides a row's split."""
        return Splitter(unit=unit_of(self.unit), dev=self.dev, test=self.test)


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Which judgement a row of a frozen set is."""

    row: int
    """Number of the row over all splits, from 1."""
    split: str
    seq: int
    """Number of the event."""
    hash: str
    """Hash of the event."""
    task: str
    unit: str
    """The task whose judgements share one weight: that of a repeat or adjudication is the first."""
    rater: str
    kind: str
    """Of the rater."""
    verdict: str
    purpose: str
    guideline: str
    """Version that the rater followed; empty where it is not known."""
    late: bool
    """Whether the lease had run out."""


def settle(
    history: History, settings: FreezeSettings, weights: Mapping[str, float]
) -> tuple[list[list[Given]], list[Excluded]]:
    """Judgements that count, those that share a weight together, in the order of a frozen set; and
    the others so far: texts were not looked at.
    """
    units: dict[tuple[str, str], list[Given]] = defaultdict(list)
    excluded = list(history.gone)
    for given in history.given:
        why = _why_not(history, settings, weights, given)
        if why is not None:
            excluded.append(Excluded(seq=given.seq, why=why))
            continue
        first = unit_task(history, given.task)
        units[first.prompt, first.id].append(given)
    return [units[name] for name in sorted(units)], excluded


def check_weights(weights: Mapping[str, float]) -> None:
    """Raise ConfigError where a rater's weight is not in [0, 1]."""
    for rater, weight in weights.items():
        if not (math.isfinite(weight) and 0 <= weight <= 1):
            raise ConfigError("a rater's weight lies in [0, 1]", got=weight, where=rater)


def rows(
    replay: Replay,
    history: History,
    settings: FreezeSettings,
    weights: Mapping[str, float],
) -> Iterator[tuple[Comparison, Origin] | Excluded]:
    """Every judgement of the campaign once: as a row with its origin, or as left out.

    A judgement weighs its rater's weight (1 where `weights` has none) over the judgements of the
    task that are in the set, so that a task weighs at most 1 in all.
    """
    units, excluded = settle(history, settings, weights)
    yield from excluded
    number = 0
    for start in range(0, len(units), _TASKS_AT_ONCE):
        some = units[start : start + _TASKS_AT_ONCE]
        texts = replay.texts({name for unit in some for name in _names(unit[0].task)})
        for unit in some:
            for item in _unit(history, settings, weights, unit, texts):
                if isinstance(item, Excluded):
                    yield item
                    continue
                number += 1
                row, given, split = item
                yield row, _origin(history, given, number, split)


def _why_not(
    history: History, settings: FreezeSettings, weights: Mapping[str, float], given: Given
) -> Why | None:
    reasons = (
        (given.rater in settings.without, Why.NAMED),
        (history.kinds.get(given.rater) not in settings.kinds, Why.KIND),
        (given.rater in history.quarantined, Why.QUARANTINED),
        (weights.get(given.rater, 1.0) == 0, Why.UNTRUSTED),
        (given.task.purpose not in settings.purposes, Why.PURPOSE),
        (given.verdict is Verdict.SKIP, Why.SKIPPED),
        (given.tiers is None, Why.ALL_BAD),
        (given.responses != given.task.responses, Why.MISFIT),
    )
    return next((why for holds, why in reasons if holds), None)


def _unit(
    history: History,
    settings: FreezeSettings,
    weights: Mapping[str, float],
    unit: Sequence[Given],
    texts: Mapping[str, Any],
) -> Iterator[tuple[Comparison, Given, Split] | Excluded]:
    first = unit_task(history, unit[0].task)
    missing = [name for name in _names(first) if name not in texts]
    empty = not missing and any(not str(texts[name]).strip() for name in first.responses)
    if missing or empty:
        why = Why.TEXT_ERASED if missing else Why.EMPTY
        yield from (Excluded(seq=given.seq, why=why) for given in unit)
        return
    prompt = Conversation(
        tuple(Message(role=Speaker(m["role"]), content=m["content"]) for m in texts[first.prompt])
    )
    split: Split | None = None
    for number, given in enumerate(unit):
        row = Comparison(
            prompt=prompt,
            responses=tuple(texts[name] for name in first.responses),
            tiers=given.tiers or (),
            weight=weights.get(given.rater, 1.0) / len(unit),
            source=f"{history.kinds[given.rater]}:{history.name}",
            strength=given.strength,
            inclusion=first.inclusion,
            rater=given.rater,
            all_bad=given.verdict is Verdict.ALL_BAD,
        )
        if number == 0:  # one prompt, the same responses: the others fall where the first does
            split = settings.splitter.split(row)
        if split is None:
            yield Excluded(seq=given.seq, why=Why.ACROSS)
        else:
            yield row, given, split


def _origin(history: History, given: Given, number: int, split: Split) -> Origin:
    return Origin(
        row=number,
        split=split.value,
        seq=given.seq,
        hash=given.hash,
        task=given.task.id,
        unit=unit_task(history, given.task).id,
        rater=given.rater,
        kind=history.kinds[given.rater],
        verdict=given.verdict.value,
        purpose=given.task.purpose,
        guideline=given.guideline or "",
        late=given.late,
    )


def _names(task: Asked) -> tuple[str, ...]:
    return (task.prompt, *task.responses)
