"""What the page says about the judge: right on people's texts, and how many tricks fool it."""

from __future__ import annotations

from dataclasses import dataclass

from accord.evals.report import words
from accord.evals.report.charts.intervals import Mark, Row, forest
from accord.evals.report.evidence import Picture, estimate
from accord.evals.report.findings import Sentence, Tone
from accord.evals.report.parts import JudgeTrial, Trick

HALF = 0.5
"""Share above the median liked text from which the median of a trick lies above it, too."""


@dataclass(frozen=True, slots=True)
class TrickRow:
    """One trick as words."""

    name: str
    texts: str
    above: str
    shown: str
    beside: tuple[str, ...]
    tone: Tone


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure, its value, and what it means."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class JudgeView:
    """Everything about the judge."""

    lead: str
    sentence: Sentence
    facts: tuple[Fact, ...]
    others: tuple[str, ...]
    """Graders beside it."""
    tricks: tuple[TrickRow, ...]
    heap: str
    picture: Picture | None


def judge_view(trial: JudgeTrial | None) -> JudgeView | None:
    """The judge as the page shows it; None where there is none."""
    if trial is None:
        return None
    others = tuple(dict.fromkeys(name for trick in trial.tricks for name in trick.beside))
    return JudgeView(
        lead=_lead(trial),
        sentence=verdict(trial),
        facts=_facts(trial),
        others=others,
        tricks=tuple(_row(trick, others) for trick in trial.tricks),
        heap=_heap(trial),
        picture=_picture(trial),
    )


def verdict(trial: JudgeTrial) -> Sentence:
    """Whether the median text of each trick lies below the median text that people liked."""
    if not trial.tricks:
        text = "Whether tricks fool the judge is not known: it was tried on none."
        return Sentence(text=text, tone=Tone.UNKNOWN)
    fooled = [trick.name for trick in trial.tricks if trick.above.value >= HALF]
    if fooled:
        text = (
            f"The judge can be fooled: of {_all(fooled)} at least half are graded above the median "
            "text that people wrote and liked. A higher grade may be such a trick."
        )
        return Sentence(text=text, tone=Tone.BAD)
    worst = max(trial.tricks, key=lambda trick: trick.above.value)
    text = (
        f"No trick fools the judge by its median: of each of {len(trial.tricks)}, less than half "
        "are graded above the median text that people wrote and liked; most of "
        f"{worst.name}, {estimate(worst.above)}."
    )
    open_ends = [t.name for t in trial.tricks if t.above.high is None or t.above.high >= HALF]
    if open_ends:
        text += f" Of {_all(open_ends)} the interval does not leave out half."
    return Sentence(text=text, tone=Tone.FLAT if open_ends else Tone.GOOD)


def _all(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _lead(trial: JudgeTrial) -> str:
    made = "" if trial.trained_on is None else f" of {words.count(trial.trained_on, 'text')}"
    return (
        f"The judge is a grader made of people's ratings{made}, which no training sees. It was "
        "tried on "
        f"{words.count(trial.texts, 'text')} that people rated and it never saw, and on texts that "
        "nobody wrote. A trick works where its texts are graded above the median of the "
        f"{words.count(trial.liked, 'text')} that people liked."
    )


def _facts(trial: JudgeTrial) -> tuple[Fact, ...]:
    return (
        Fact(
            "Accuracy",
            estimate(trial.accuracy),
            f"Pairs of texts rated at least {words.setting(trial.gap)} apart that it puts in "
            "people's order.",
        ),
        Fact(
            "Correlation", words.number(trial.r), "Of its grades with the mean ratings; 1 is all."
        ),
        Fact(
            "People's texts that it doubts",
            estimate(trial.doubted),
            "It takes them for nobody's, and grades them lower: a mistake each time.",
        ),
        Fact(
            "Of those that people liked",
            estimate(trial.liked_doubted),
            "The same mistake, where it costs most.",
        ),
    )


def _row(trick: Trick, others: tuple[str, ...]) -> TrickRow:
    high, value = trick.above.high, trick.above.value
    mood = Tone.BAD if value >= HALF else Tone.FLAT if high is None or high >= HALF else Tone.GOOD
    return TrickRow(
        trick.name,
        f"{trick.texts:,}",
        estimate(trick.above),
        "shown others like it" if trick.shown else "never shown",
        tuple(
            words.share(trick.beside[name]) if name in trick.beside else "not measured"
            for name in others
        ),
        mood,
    )


def _heap(trial: JudgeTrial) -> str:
    if trial.heap is None:
        return ""
    told = [f"the judge puts it {_side(trial.heap.above)} the median liked text"]
    told += [f"{name} puts it {_side(above)} its own" for name, above in trial.heap.beside.items()]
    return f'"{trial.heap.text}": {"; ".join(told)}.'


def _side(above: bool) -> str:
    return "above" if above else "below"


def _picture(trial: JudgeTrial) -> Picture | None:
    if not trial.tricks:
        return None
    rows = [
        Row(
            f"{trick.name}{'' if trick.shown else ' (never shown)'}",
            trick.above.value,
            trick.above.low,
            trick.above.high,
            words.share(trick.above.value),
            "s0" if trick.shown else "s1",
        )
        for trick in trial.tricks
    ]
    title = "Tricks above the median liked text"
    label = f"{title}: " + "; ".join(f"{row.label} {row.said}" for row in rows)
    drawn = forest(
        rows,
        label=label,
        axis="share of the trick's texts",
        unit="share",
        marks=(Mark("half", HALF),),
    )
    return Picture(title, drawn, "Left of the dashed line the trick's median text is graded lower.")
