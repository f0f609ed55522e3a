"""What a check is, and what it can find. Loads no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from accord.core.errors import AccordError

if TYPE_CHECKING:  # a patient is made of much, and checks are listed by who has none
    from accord.pipeline.doctor.patient import Patient


class Outcome(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not applicable"
    """There is nothing here that could be wrong, or what the check needs is not there yet."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in words, and in figures where there are any."""

    outcome: Outcome
    told: str
    """What was looked at and what came out; of a check that is not applicable, why."""
    do: str = ""
    """The next action of the reader, where there is one."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """The figures behind the words, by name."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and how it is looked at."""

    name: str
    proves: str
    """What holds where it passes, one sentence."""
    run: Callable[[Patient], Finding]
    """Looks; an AccordError that it raises is what it found."""


@dataclass(frozen=True, slots=True)
class Result:
    """A check of one stage, with what it found and how long that took."""

    stage: str
    check: Check
    finding: Finding
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether the promise does not hold."""
        return self.finding.outcome is Outcome.FAILED


class NotThere(AccordError, LookupError):
    """Something that a check needs and that nobody made, imported or fetched yet."""


class PreflightError(AccordError, ValueError):
    """A check that failed before a stage: training would have gone wrong in silence."""


def passed(told: str, **figures: float) -> Finding:
    """The promise holds."""
    return Finding(Outcome.PASSED, told, figures=figures)


def failed(told: str, *, do: str, **figures: float) -> Finding:
    """The promise does not hold."""
    return Finding(Outcome.FAILED, told, do, figures)


def spared(why: str, *, do: str = "") -> Finding:
    """There is nothing to look at."""
    return Finding(Outcome.NOT_APPLICABLE, why, do)


def examine(check: Check, patient: Patient) -> Result:
    """Run one check. What it needs and is not there makes it not applicable; any other error of
    Accord's is what it found, and fails it."""
    begun = time.perf_counter()
    try:
        finding = check.run(patient)
    except NotThere as error:
        finding = spared(_words(error), do=error.do or "")
    except AccordError as error:
        finding = failed(_words(error), do=error.do or "see the message")
    return Result(patient.stage, check, finding, time.perf_counter() - begun)


def _words(error: AccordError) -> str:
    """What an error says, but for what to do, on one line."""
    parts = (error.what, error.got, error.where)
    return " ".join("; ".join(str(part) for part in parts if part is not None).split())
