"""How a figure is read: what can be said of it, and how good the news is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from accord.core.metrics import Better
from accord.evals.report.data import EvalFigure, Measure, ReportData


class Tone(StrEnum):
    """How a sentence is marked on the page; the words alone carry the meaning as well."""

    GOOD = "good"
    BAD = "bad"
    FLAT = "flat"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentence:
    """One thing that can be said, and how good the news is."""

    text: str
    tone: Tone


def find(data: ReportData, measure: Measure) -> EvalFigure | None:
    """The difference that answers the question "did `measure` move?", if it was measured.

    The comparison of `run.after` with `run.before` comes first. Another policy's difference, or
    one from another start, never stands in for it.
    """
    wanted = (data.run.after, data.run.before)
    return next(
        (
            figure
            for figure in data.figures
            if figure.measure is measure
            and figure.versus
            and (figure.policy, figure.versus) == wanted
        ),
        None,
    )


def level(data: ReportData, like: EvalFigure, policy: str) -> EvalFigure | None:
    """The level of `policy` on the figure that `like` is a difference of."""
    return next(
        (
            figure
            for figure in data.figures
            if (figure.name, figure.policy, figure.versus) == (like.name, policy, "")
        ),
        None,
    )


def tone(figure: EvalFigure | None) -> Tone:
    """Good or bad only where the whole interval lies on one side of zero."""
    if figure is None or figure.low is None or figure.high is None:
        return Tone.UNKNOWN
    if figure.low <= 0 <= figure.high:
        return Tone.FLAT
    if figure.better is Better.NEITHER:
        return Tone.FLAT
    rose = figure.low > 0
    return Tone.GOOD if rose == (figure.better is Better.UP) else Tone.BAD
