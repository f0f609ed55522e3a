"""What the figures allow to say, in sentences: never more than an interval supports."""

from __future__ import annotations

from dataclasses import dataclass

from accord.evals.report import alarms, words
from accord.evals.report.data import Calibration, EvalFigure, KLSpent, Measure, ReportData
from accord.evals.report.findings import Sentence, Tone, find, tone
from accord.evals.report.parts import Truth


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """The result in one line and the sentences behind it."""

    title: str
    tone: Tone
    sentences: tuple[Sentence, ...]


def headline(data: ReportData) -> Headline:
    """The first thing a reader sees."""
    proxy, gold = find(data, Measure.PROXY), find(data, Measure.GOLD)
    sentences = [
        *_trained(data),
        *_moved(proxy, "The reward model's score", missing=_NO_PROXY, asked=data.asked),
        *_truth(data, gold),
        *_exploited(proxy, gold, data.truth),
        *alarms.sentences(data),
        *_spent(data.kl),
        *_believed(data.calibration),
        *(Sentence(text=text, tone=Tone.FLAT) for text in data.verdict if text),
    ]
    besides = alarms.unaccounted(data)
    return Headline(
        title="; ".join((_title(proxy, gold, data.truth), *(alarm.short for alarm in besides))),
        tone=_overall(proxy, gold, alarmed=bool(besides)),
        sentences=tuple(sentences),
    )


_NO_PROXY = "The score before and after was not compared on held-out prompts."
_NO_GOLD = (
    "Whether the answers are truly better is not known: neither a known truth nor fresh human "
    "judgement was compared before and after. A higher score alone is not proof."
)

_SCORE = {
    Tone.GOOD: "The score went up",
    Tone.BAD: "The score went down",
    Tone.FLAT: "The score did not clearly move",
}
_TRUTH = {
    Tone.GOOD: "went up",
    Tone.BAD: "went down",
    Tone.FLAT: "did not clearly move",
    Tone.UNKNOWN: "was not measured",
}


def _title(proxy: EvalFigure | None, gold: EvalFigure | None, named: Truth) -> str:
    score, truth = tone(proxy), tone(gold)
    if (score, truth) == (Tone.GOOD, Tone.GOOD):
        return f"Both the score and {named.said} went up"
    moved = f"{named.said} {_TRUTH[truth]}"
    if score in _SCORE:
        joint = "; " if truth in {Tone.UNKNOWN, Tone.FLAT} or score is truth else ", but "
        return f"{_SCORE[score]}{joint}{moved}"
    if truth is not Tone.UNKNOWN:
        return f"Held-out score not compared; {moved}"
    return "Nothing was compared before and after"


def _overall(proxy: EvalFigure | None, gold: EvalFigure | None, *, alarmed: bool) -> Tone:
    score, truth = tone(proxy), tone(gold)
    if Tone.BAD in {score, truth}:
        return Tone.BAD
    if truth is Tone.GOOD and not alarmed:
        return Tone.GOOD
    return Tone.FLAT if truth in {Tone.GOOD, Tone.FLAT} else Tone.UNKNOWN


def _trained(data: ReportData) -> list[Sentence]:
    run = data.run
    if run.after:
        start = f", which started from {run.before}" if run.before else ""
        text = f"This report is about the policy {run.after}{start}, on the model {run.model}."
        return [Sentence(text=text, tone=Tone.FLAT)]
    text = "No policy was trained against a reward or preferences in this run."
    return [Sentence(text=text, tone=Tone.UNKNOWN)]


def _moved(figure: EvalFigure | None, subject: str, *, missing: str, asked: str) -> list[Sentence]:
    if figure is None:
        return [Sentence(text=missing, tone=Tone.UNKNOWN)]
    size = words.change(figure.value, figure.unit)
    pair = f"from {figure.versus} to {figure.policy}"
    if figure.low is None or figure.high is None:
        text = f"{subject} changed by {size} {pair}, without an interval: it may be chance."
        return [Sentence(text=text, tone=Tone.UNKNOWN)]
    ends = words.interval(figure.low, figure.high, figure.unit, signed=True)
    over = f", over {words.count(figure.n, asked)}" if figure.n else ""
    if figure.low <= 0 <= figure.high:
        text = (
            f"{subject} did not clearly move {pair}: {size}, and the interval {ends} "
            f"includes zero{over}."
        )
        return [Sentence(text=text, tone=Tone.FLAT)]
    verb = "rose" if figure.value > 0 else "fell"
    text = f"{subject} {verb} by {size[1:]} {pair} (interval {ends}){over}."
    return [Sentence(text=text, tone=tone(figure))]


def _truth(data: ReportData, gold: EvalFigure | None) -> list[Sentence]:
    if gold is None and data.blind is not None:
        return []
    return _moved(gold, data.truth.subject, missing=_NO_GOLD, asked=data.asked)


def _exploited(proxy: EvalFigure | None, gold: EvalFigure | None, truth: Truth) -> list[Sentence]:
    if tone(proxy) is not Tone.GOOD or gold is None or tone(gold) in {Tone.GOOD, Tone.UNKNOWN}:
        return []
    text = (
        f"The score rose and {truth.said} did not follow: the policy may be exploiting mistakes of "
        "the reward model. Do not release it on the score."
    )
    return [Sentence(text=text, tone=Tone.BAD)]


def _spent(kl: KLSpent | None) -> list[Sentence]:
    if kl is None:
        return []
    moved = f"The policy moved {words.number(kl.nats)} nats a response from its reference"
    if kl.budget is None:
        return [Sentence(text=f"{moved}; no budget was set.", tone=Tone.FLAT)]
    end = " Training ended when the budget was used up." if kl.ended_by_budget else ""
    within = kl.nats <= kl.budget
    text = f"{moved}, {'within' if within else 'beyond'} its budget of {words.setting(kl.budget)}."
    return [Sentence(text=text + end, tone=Tone.GOOD if within else Tone.BAD)]


def _believed(model: Calibration | None) -> list[Sentence]:
    if model is None:
        return []
    ends = ""
    if model.interval is not None:
        ends = f" (interval {words.interval(*model.interval, 'share')})"
    text = (
        f"On {words.count(model.pairs, 'held-out pair')} the reward model picks the better answer "
        f"in {words.share(model.accuracy)} of cases{ends}"
    )
    if not model.baselines:
        return [Sentence(text=text + ".", tone=Tone.FLAT)]
    rival, best = max(model.baselines.items(), key=lambda item: item[1])
    text += f"; the best simple rule, {rival}, in {words.share(best)}"
    if model.bayes_bound is not None:
        text += f"; no model could exceed {words.share(model.bayes_bound)}"
    floor = model.accuracy if model.interval is None else model.interval[0]
    if model.accuracy <= best:
        return [Sentence(text=text + ". It is no better than that rule.", tone=Tone.BAD)]
    clear = model.interval is not None and floor > best
    return [Sentence(text=text + ".", tone=Tone.GOOD if clear else Tone.FLAT)]
