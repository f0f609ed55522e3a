"""What a rater sees and says: the one seam between raters of every kind and the store.

A rater sees K responses without names, in the order of the screen, and answers in that order. The
canonical order is known to `assigning` and `answering` alone, so that no rater can mix the two up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from accord.core.errors import DataError
from accord.core.types import Conversation
from accord.store.judgements import Verdict

CRITERIA = ("helpfulness", "accuracy", "safety", "coherence")
"""What is rated beside the order unless the guidelines name other criteria."""
LEAST_RATING, MOST_RATING = 1, 5
"""Scale of a criterion: 1 the worst."""


class RaterKind(StrEnum):
    """Who judges; stored with the rater and never mixed up in a figure."""

    HUMAN = "human"
    SYNTHETIC = "synthetic"
    """A simulated person."""
    RULE = "rule"
    """A program."""
    MODEL = "model"
    """A language model that judges under a principle."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One task as a rater sees it."""

    task: str
    """Random id: says nothing about what is asked or why."""
    prompt: Conversation
    responses: tuple[str, ...]
    """Texts in the order of the screen."""
    criteria: tuple[str, ...] = CRITERIA
    number: int = 0
    """How many judgements this rater gave in the campaign before."""

    def __post_init__(self) -> None:
        if len(self.responses) < 2:
            raise DataError("a sheet shows at least two responses", got=len(self.responses))


@dataclass(frozen=True, kw_only=True, slots=True)
class Opinion:
    """What a rater says of a sheet; whatever has one value a response is in the screen's order."""

    verdict: Verdict
    tiers: tuple[int, ...] | None = None
    """Rank of each response, 0 the best, equal ranks a tie."""
    strength: int | None = None
    """How far the first is ahead: 1 negligible, 2 slight, 3 clear, 4 strong."""
    ratings: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    """Criterion to a rating of each response, 1 (worst) to 5; None where one was left out."""
    flags: tuple[tuple[int | None, str], ...] = ()
    """Place on the screen (None: the whole task) and reason of each flag."""
    reason: str | None = None
    """Why the task was skipped."""
    rationale: str | None = None
    """The rater's own words."""
    seconds: float | None = None
    """Active time."""
    opened: datetime | None = None
    """When the sheet was shown."""

    @classmethod
    def ranked(cls, tiers: Sequence[int], **more: Any) -> Opinion:
        """A ranking, or a tie where all tiers are equal."""
        kind = Verdict.TIE if len(set(tiers)) == 1 else Verdict.RANKING
        return cls(verdict=kind, tiers=tuple(tiers), **more)

    @classmethod
    def skipped(cls, reason: str, **more: Any) -> Opinion:
        """No answer, with a reason."""
        return cls(verdict=Verdict.SKIP, reason=reason, **more)


class Rater(Protocol):
    """Whoever judges without being asked by a screen: a simulated person, a rule, a model."""

    @property
    def kind(self) -> RaterKind:
        """What is stored as the rater's kind."""
        ...

    @property
    def definition(self) -> Mapping[str, Any]:
        """Everything that makes this rater say what it says, as JSON values: stored, and enough to
        make it again."""
        ...

    def judge(self, sheet: Sheet) -> Opinion:
        """What it says. The same sheet gives the same opinion."""
        ...
