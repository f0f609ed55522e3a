"""What the page says about raters: whose word was learnt from, how far they agree, blind pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from accord.evals.report import words
from accord.evals.report.data import ReportData
from accord.evals.report.evidence import estimate
from accord.evals.report.findings import Sentence, Tone
from accord.evals.report.parts import Blind, DataSet, Estimate, Round

PEOPLE, IMPORTED = "by people", "imported"
"""Words of `DataSet.judged_by` for judgements of people, and of nobody knows whom."""


@dataclass(frozen=True, slots=True)
class SetRow:
    """One data set as words."""

    name: str
    kind: str
    rows: str
    held_out: str
    judged: str
    used: str


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One campaign as words."""

    campaign: str
    sets: str
    judgements: str
    prompts: str
    raters: str
    percent: str
    alpha: str
    ceiling: str


@dataclass(frozen=True, slots=True)
class RaterRow:
    """One simulated rater as words."""

    name: str
    campaign: str
    kind: str
    habits: str
    judgements: str


def counted(data: ReportData) -> tuple[str, ...]:
    """One sentence for each stage that read comparisons: how many, and whose word."""
    found: dict[str, Counter[str]] = {}
    held_out: Counter[str] = Counter()
    for one in data.data_sets:
        for stage in one.used_by:
            if one.judged_by:
                found.setdefault(stage, Counter()).update(one.judged_by)
                held_out[stage] += one.held_out
    told = []
    for stage, by in found.items():
        each = ", ".join(f"{rows:,} {who}" for who, rows in by.items())
        apart = f"; {held_out[stage]:,} of them are held out" if held_out[stage] else ""
        nobody = "" if PEOPLE in by or IMPORTED in by else " No person compared two of the answers."
        given = words.count(by.total(), "comparison")
        told.append(f"The stage {stage} was given {given}: {each}{apart}.{nobody}")
    return tuple(told)


def set_rows(data: ReportData) -> tuple[SetRow, ...]:
    """Every data set."""
    return tuple(_set(one) for one in data.data_sets)


def _set(one: DataSet) -> SetRow:
    judged = ", ".join(f"{rows:,} {who}" for who, rows in one.judged_by.items())
    return SetRow(
        one.name,
        one.kind,
        f"{one.rows:,}",
        f"{one.held_out:,}",
        judged or "no judgements",
        ", ".join(one.used_by) or "no stage",
    )


def round_rows(data: ReportData) -> tuple[RoundRow, ...]:
    """Every campaign."""
    return tuple(_round(one) for one in data.rounds)


def _round(one: Round) -> RoundRow:
    missing = one.why or "not known"
    ceiling = missing
    if one.ceiling is not None:
        found = one.ceiling
        ceiling = (
            f"{words.share(found.least)} to {words.share(found.most)}, at most "
            f"{words.share(found.highest)}"
        )
    ties = f", {words.count(one.ties, 'tie')}" if one.ties else ""
    return RoundRow(
        one.campaign,
        ", ".join(one.sets),
        f"{one.judgements:,}{ties}",
        f"{one.prompts:,}",
        f"{one.raters:,}",
        estimate(one.percent) if one.percent is not None else missing,
        _alpha(one.alpha) if one.alpha is not None else missing,
        ceiling,
    )


def _alpha(figure: Estimate) -> str:
    if figure.low is None or figure.high is None:
        return words.number(figure.value)
    return f"{words.number(figure.value)} ({words.interval(figure.low, figure.high, '1')})"


def rater_rows(data: ReportData) -> tuple[RaterRow, ...]:
    """Every rater that is no person."""
    return tuple(
        RaterRow(one.name, asked.campaign, one.kind, one.habits, f"{one.judgements:,}")
        for asked in data.rounds
        for one in asked.simulated
    )


def blind_sentence(blind: Blind | None) -> Sentence | None:
    """What people said of two policies; None before the first judgement."""
    if blind is None:
        return None
    given = words.count(blind.judgements, "blind judgement")
    who = words.count(blind.raters, "person") if blind.raters == 1 else f"{blind.raters:,} people"
    on = f"{given} by {who} on {words.count(blind.prompts, 'prompt')}"
    value, low, high = blind.share.value, blind.share.low, blind.share.high
    text = f"In {on}, {blind.policy} was put before {blind.versus} in {words.share(value)}"
    if blind.ties:
        text += f" ({words.count(blind.ties, 'tie')}, each half)"
    if low is None or high is None:
        return Sentence(text=f"{text}, without an interval: it may be chance.", tone=Tone.UNKNOWN)
    ends = f"interval {words.interval(low, high, 'share')} %"
    if low <= 0.5 <= high:
        return Sentence(text=f"{text}; {ends}: neither is shown to be preferred.", tone=Tone.FLAT)
    mood = Tone.GOOD if low > 0.5 else Tone.BAD
    return Sentence(text=f"{text}; {ends}.", tone=mood)
