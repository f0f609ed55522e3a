"""What a report is made of: plain values, checked when made. Nothing here knows HTML.

A part that a run does not have is None or empty; the report then says so in its place. Every number
must be finite, apart from those in metric rows: a gap there is drawn as a gap and counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from accord.core.errors import DataError
from accord.core.metrics import Better
from accord.evals.report.checks import finite, in_unit, ordered
from accord.evals.report.parts import Arm, Blind, DataSet, Estimate, JudgeTrial, Round, Truth


class Measure(StrEnum):
    """What kind of evidence a figure is. The headline is written from these."""

    PROXY = "proxy"
    """The reward model's own score: what training pushed up."""
    GOLD = "gold"
    """Truth that the reward model never saw: a known rule, or fresh judgements."""
    GOLD_AT_LENGTH = "gold at like length"
    """A change of that truth between answers of like length."""
    KL = "kl"
    """Distance from the reference, in nats a response."""
    OTHER = "other"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """What was run, on what, and when."""

    title: str
    """Name of the run or its workspace."""
    model: str
    """Base model, as the settings name it."""
    before: str = ""
    """Name of the policy that the changes start from; the reference of RL."""
    after: str = ""
    """Name of the policy that the report is about; empty where none was trained."""
    started: str = ""
    """UTC, ISO 8601."""
    ended: str = ""
    """UTC, ISO 8601."""
    seed: int = 0
    version: str = ""
    """Version of Accord and, in a checkout, the hash of its source."""
    machine: Mapping[str, str] = field(default_factory=dict)
    """Device, dtype, threads, torch and the like: the machine part of the lineage keys."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageReport:
    """One finished stage: its curve, its cost and its place in the lineage."""

    name: str
    seconds: float
    peak_memory_gib: float
    steps: int
    rows: tuple[Mapping[str, float], ...] = ()
    """Metric rows in step order, with the names of `accord.core.metrics`."""
    row_steps: tuple[int, ...] = ()
    """Step of each row; empty where row i is step i + 1."""
    config: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, object] = field(default_factory=dict)
    """What the stage noted about itself: plain JSON values."""
    key: str = ""
    digest: str = ""
    inputs: tuple[str, ...] = ()
    """Names of stages and sources."""
    kind: str = ""
    """What the stage makes, in a word: policy, reward model, comparisons."""

    def __post_init__(self) -> None:
        finite(f"seconds of {self.name}", self.seconds)
        finite(f"peak memory of {self.name}", self.peak_memory_gib)
        if self.row_steps and len(self.row_steps) != len(self.rows):
            raise DataError(
                f"{self.name} needs one step a row",
                got=f"{len(self.row_steps)} steps, {len(self.rows)} rows",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Something the run started from: a base model or a data set."""

    name: str
    kind: str
    digest: str
    note: str = ""
    """Rows, licence, where it came from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one policy said. Text is the model's own words and is never trusted."""

    policy: str
    text: str
    score: float | None = None
    """Reward-model score."""
    gold: float | None = None
    """Known truth, where it exists."""
    stopped: bool = True
    """Whether the answer ended by the stop token rather than by the length limit."""

    def __post_init__(self) -> None:
        finite("an answer's score", self.score)
        finite("an answer's gold", self.gold)


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplePair:
    """One prompt and what each policy said to it, in the order of training."""

    prompt: str
    answers: tuple[Answer, ...]
    why: str = ""
    """How the prompt was chosen; those of one kind stand under it as their heading."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bin:
    """Held-out pairs whose predicted probability fell in one range."""

    predicted: float
    """Mean predicted probability that the first response is the better one."""
    observed: float
    """Share of the pairs in which it was."""
    count: int
    low: float | None = None
    high: float | None = None
    """Ends of the interval of `observed`."""

    def __post_init__(self) -> None:
        in_unit("a calibration bin", self.predicted, self.observed, self.low, self.high)
        ordered("a calibration bin", self.low, self.high)
        if self.count < 1:
            raise DataError("a calibration bin must hold a pair", got=self.count)


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Accuracy on a part of the held-out pairs."""

    name: str
    pairs: int
    accuracy: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        in_unit(f"accuracy of {self.name}", self.accuracy, self.low, self.high)
        ordered(f"accuracy of {self.name}", self.low, self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """How far the reward model can be believed, on held-out comparisons. Ties are left out."""

    bins: tuple[Bin, ...]
    ece: float
    """Expected calibration error, bins of equal mass; 0 to 1."""
    brier: float
    """Mean squared error of the probability; .25 is a coin."""
    accuracy: float
    interval: tuple[float, float] | None
    pairs: int
    baselines: Mapping[str, float] = field(default_factory=dict)
    """Accuracy of simple rules on the same pairs."""
    by_length_gap: tuple[Slice, ...] = ()
    by_source: tuple[Slice, ...] = ()
    by_criterion: tuple[Slice, ...] = ()
    """Of each criterion's own head, where the model has heads of criteria."""
    bayes_bound: float | None = None
    """Best accuracy that any model could reach against these raters, where it is known."""
    temperature: float | None = None
    """What scores were divided by to calibrate them."""
    over_probe: tuple[float, float, float] | None = None
    """Accuracy less that of a linear probe of the frozen model, same pairs, with its limits."""
    human_ceiling: Estimate | None = None
    """How often one person's rating orders a pair as the mean of the others' does."""

    def __post_init__(self) -> None:
        in_unit("reward-model calibration", self.ece, self.brier, self.accuracy, self.bayes_bound)
        in_unit("accuracy of a baseline", *self.baselines.values())
        finite("temperature", self.temperature)
        if (human := self.human_ceiling) is not None:
            in_unit("the human ceiling", human.value, human.low, human.high)
        if self.over_probe is not None:
            finite("lead over the linear probe", *self.over_probe)
        if self.interval is not None:
            in_unit("interval of the accuracy", *self.interval)
            ordered("accuracy of the reward model", *self.interval)


@dataclass(frozen=True, kw_only=True, slots=True)
class EvalFigure:
    """One held-out figure of one policy, or of its paired difference to another (`versus`)."""

    name: str
    policy: str
    value: float
    low: float | None
    high: float | None
    unit: str
    meaning: str
    versus: str = ""
    """Policy that was subtracted, prompt by prompt; empty where `value` is a level."""
    measure: Measure = Measure.OTHER
    better: Better = Better.NEITHER
    n: int | None = None
    """Prompts behind the figure."""
    detectable: float | None = None
    """Of a difference: the least true one that is found 4 times in 5."""

    def __post_init__(self) -> None:
        what = f"{self.name} of {self.policy}"
        finite(what, self.value, self.low, self.high, self.detectable)
        ordered(f"{self.name} of {self.policy}", self.low, self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class KLSpent:
    """Distance of the final policy from its reference."""

    nats: float
    """Mean sequence KL, nats a response."""
    budget: float | None = None
    """Most it was allowed; None where no limit was set."""
    ended_by_budget: bool = False
    """Whether training ended early because the budget was used up."""

    def __post_init__(self) -> None:
        finite("KL spent", self.nats, self.budget)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportData:
    """Everything a report shows."""

    run: RunFacts
    stages: tuple[StageReport, ...] = ()
    sources: tuple[Source, ...] = ()
    prompts_seen: bool = False
    """Whether the evaluated prompts were all trained on, for want of others."""
    samples: tuple[SamplePair, ...] = ()
    samples_rule: str = ""
    """How the prompts were chosen, as a sentence."""
    calibration: Calibration | None = None
    figures: tuple[EvalFigure, ...] = ()
    interval_rule: str = ""
    """What the intervals are, as a sentence: level, method, unit of resampling."""
    kl: KLSpent | None = None
    verdict: tuple[str, ...] = ()
    """Sentences of the caller's, put after those written from the figures."""
    not_shown: tuple[str, ...] = ()
    """What this run gives no evidence about, one sentence each."""
    truth: Truth = field(default_factory=Truth)
    """What stands for the truth."""
    arms: tuple[Arm, ...] = ()
    """What was compared, in the order of the table."""
    judge: JudgeTrial | None = None
    """Where the truth is a judge made of ratings: how far it can be believed."""
    data_sets: tuple[DataSet, ...] = ()
    """What the stages learnt from."""
    rounds: tuple[Round, ...] = ()
    """Campaigns behind those sets."""
    blind: Blind | None = None
    """What people said of the final policy and its start."""
    invitation: str = ""
    """The command by which a reader may judge blind pairs; empty where none are there."""

    @property
    def asked(self) -> str:
        """What an evaluated prompt is called."""
        return "training prompt" if self.prompts_seen else "held-out prompt"
