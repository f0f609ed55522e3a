"""Values of a report that stand for one finding each: an arm, a judge's trial, what raters said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from accord.core.errors import DataError
from accord.evals.report.checks import counted, finite, in_unit, ordered


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A figure with its interval, where there is one."""

    value: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        finite("an estimate", self.value, self.low, self.high)
        ordered("an estimate", self.low, self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """What stands for the truth: how it is named on the page, and what it is."""

    name: str = "Known truth (gold)"
    """As a title."""
    said: str = "the truth"
    """Inside a sentence."""
    subject: str = "The known truth (gold)"
    """At the beginning of one."""
    short: str = "gold"
    """As a word beside a number, and as the name of its figures."""
    unit: str = "gold"
    meaning: str = "Mean known truth of an answer; the reward model never saw it."


class ArmKind(StrEnum):
    """What an arm cost."""

    START = "start"
    """The policy that training starts from."""
    PROMPTED = "prompted"
    """Asked in other words; no training."""
    PICKED = "picked"
    """The best of several answers; no training."""
    TRAINED = "trained"


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """One thing that was compared."""

    policy: str
    """Name of its figures."""
    label: str
    """What people call it."""
    meaning: str
    """What was done, in a few words."""
    kind: ArmKind

    @property
    def trained(self) -> bool:
        """Whether it cost training beyond the start's."""
        return self.kind is ArmKind.TRAINED

    @property
    def said(self) -> str:
        """The label inside a sentence."""
        if self.kind in (ArmKind.PROMPTED, ArmKind.PICKED):
            return f"{self.label[:1].lower()}{self.label[1:]}"
        return self.label


@dataclass(frozen=True, kw_only=True, slots=True)
class Trick:
    """Texts that nobody wrote, and how many of them a judge was fooled by."""

    name: str
    texts: int
    above: Estimate
    """Share graded above the median text that people wrote and liked."""
    shown: bool
    """Whether the judge was shown others of the same making."""
    beside: Mapping[str, float] = field(default_factory=dict)
    """The same share for other graders, each by its own median."""

    def __post_init__(self) -> None:
        in_unit(f"{self.name} above", self.above.value, self.above.low, self.above.high)
        in_unit(f"{self.name} by another grader", *self.beside.values())
        if self.texts < 1:
            raise DataError("a trick needs a text", got=self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Heap:
    """One heap of praising words, and whether each grader puts it above its median liked text."""

    text: str
    above: bool
    beside: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeTrial:
    """How far a judge made of ratings can be believed, on texts and tricks apart from its own."""

    texts: int
    """Rated texts that it was tried on."""
    liked: int
    accuracy: Estimate
    """Of pairs whose ratings lie at least `gap` apart."""
    gap: float
    r: float
    """Correlation of its grades with the mean ratings."""
    doubted: Estimate
    """Share of people's texts that it takes for nobody's."""
    liked_doubted: Estimate
    tricks: tuple[Trick, ...] = ()
    heap: Heap | None = None
    trained_on: int | None = None
    """Rated texts that it was made of."""

    def __post_init__(self) -> None:
        finite("a judge's correlation and gap", self.r, self.gap)
        for one in (self.accuracy, self.doubted, self.liked_doubted):
            in_unit("a judge's shares", one.value, one.low, one.high)
        counted("a judge's texts", self.texts, self.liked)


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """A rater that is no person."""

    name: str
    kind: str
    """synthetic, rule or model."""
    habits: str
    """How it fails, in words."""
    judgements: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Ceiling:
    """How often any model can say what one rater says of a pair that the rater did not tie."""

    least: float
    most: float
    highest: float
    pairs: int

    def __post_init__(self) -> None:
        in_unit("a ceiling", self.least, self.most, self.highest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """A campaign that a training set was frozen from."""

    campaign: str
    sets: tuple[str, ...]
    """Data sets that were frozen from it."""
    judgements: int
    prompts: int
    raters: int
    ties: int
    percent: Estimate | None = None
    """How often two raters say the same of a pair of answers."""
    alpha: Estimate | None = None
    """Krippendorff's nominal alpha: the same, corrected for chance."""
    why: str = ""
    """Why there is no agreement."""
    ceiling: Ceiling | None = None
    simulated: tuple[Simulated, ...] = ()

    def __post_init__(self) -> None:
        counted("a round", self.judgements, self.prompts, self.raters, self.ties)


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSet:
    """Rows that a stage learnt from, and whose word they are."""

    name: str
    kind: str
    rows: int
    held_out: int
    digest: str
    judged_by: Mapping[str, int] = field(default_factory=dict)
    """Of comparisons: rows by who judged, in words."""
    used_by: tuple[str, ...] = ()
    """Stages."""

    def __post_init__(self) -> None:
        counted(f"rows of {self.name}", self.rows, self.held_out, *self.judged_by.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Blind:
    """What people made of two policies that they could not tell apart."""

    policy: str
    versus: str
    share: Estimate
    """How often `policy` was put first; a tie is half."""
    judgements: int
    prompts: int
    ties: int
    raters: int

    def __post_init__(self) -> None:
        in_unit("a blind share", self.share.value, self.share.low, self.share.high)
        counted("blind judgements", self.judgements, self.prompts, self.ties, self.raters)
