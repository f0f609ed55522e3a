"""What a report cannot show, found by looking at what it was given."""

from __future__ import annotations

from accord.evals.report.data import Measure, ReportData
from accord.evals.report.evidence import MOST_SAMPLES
from accord.evals.report.findings import find


def not_shown(data: ReportData) -> tuple[str, ...]:
    """The caller's sentences, then one for each part that is missing or cut."""
    found = [text for text in data.not_shown if text]
    if find(data, Measure.PROXY) is None:
        found.append("Whether the score rose on held-out prompts: it was not compared.")
    if find(data, Measure.GOLD) is None and data.blind is None:
        found.append(
            "Whether answers are truly better: neither a known truth nor people compared them."
        )
    if data.calibration is None:
        found.append(
            "Whether the reward model can be believed: it was not tested on held-out pairs."
        )
    if not data.samples:
        found.append("What the policies say: no answers were sampled side by side.")
    elif len(data.samples) > MOST_SAMPLES:
        found.append(
            f"{len(data.samples) - MOST_SAMPLES:,} of {len(data.samples):,} sampled prompts: "
            "the page holds the first ones."
        )
    bare = [figure for figure in data.figures if figure.low is None]
    if bare:
        names = ", ".join(dict.fromkeys(figure.name for figure in bare))
        found.append(f"How certain these figures are, for want of an interval: {names}.")
    return tuple(dict.fromkeys(found))
