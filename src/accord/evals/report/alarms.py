"""Ways in which training goes wrong while its score goes up, each looked for on held-out prompts.

A policy may grow short or long because the reward model likes that, say the same to everybody, say
what nobody would write, repeat itself, or stop ending its answers. Each check has a limit, which is
a convention and no law; what is beyond it is said beside the result, not in a footnote. Where a
figure has an interval, an alarm takes an interval that leaves out 0, and silence one that lies
within the limit; all between is not clear.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from accord.evals.report import words
from accord.evals.report.data import EvalFigure, Measure, ReportData
from accord.evals.report.findings import Sentence, Tone, find, tone

LENGTH = 0.25
"""Share of the start's length by which answers may grow longer or shorter."""
VARIETY = 0.8
"""Share of the start's distinct pairs of words that is to be left."""
LIKELIHOOD = 0.5
"""Nats a token by which the base model may find answers less likely, or more."""
REPEATED = 0.05
"""By how much the share of repeated runs of three words may rise."""
STOPPED = 0.1
"""By how much the share of answers that end by themselves may fall."""

HOLD = "Raise the price of KL, or train shorter."
"""What to do about a policy that went where it should not."""


class State(StrEnum):
    """What a check came to."""

    RAISED = "raised"
    UNCLEAR = "unclear"
    QUIET = "quiet"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """One check of what training changed besides the score."""

    name: str
    """What was looked at."""
    state: State
    short: str
    """What an alarm says, as a clause for a title."""
    said: str
    """What was found: a sentence where it is raised, else the figure."""
    do: str
    accounted: bool = False
    """Whether the truth is shown to gain in spite of it."""

    @property
    def advice(self) -> str:
        """What was found, and what to do unless the gain accounts for it."""
        return self.said if self.accounted else f"{self.said} {self.do}"


def alarms(data: ReportData) -> tuple[Alarm, ...]:
    """Every check that the figures of the trained policy allow."""
    found = (check(data) for check in _CHECKS.values())
    return tuple(alarm for alarm in found if alarm is not None)


def unaccounted(data: ReportData) -> tuple[Alarm, ...]:
    """Alarms that are raised and that no gain at like length answers."""
    return tuple(a for a in alarms(data) if a.state is State.RAISED and not a.accounted)


def sentences(data: ReportData) -> tuple[Sentence, ...]:
    """The alarms that are raised; then a line each of what is not clear, what is as it should be
    and what could not be looked at."""
    found = alarms(data)
    if not found:
        return ()
    said = [
        Sentence(text=alarm.advice, tone=Tone.FLAT if alarm.accounted else Tone.BAD)
        for alarm in found
        if alarm.state is State.RAISED
    ]
    unclear, quiet = (
        [f"{alarm.name} ({alarm.said})" for alarm in found if alarm.state is state]
        for state in (State.UNCLEAR, State.QUIET)
    )
    if unclear:
        text = f"Whether these changed too far is not clear: {'; '.join(unclear)}."
        said.append(Sentence(text=text, tone=Tone.FLAT))
    if quiet:
        text = f"Also looked at, and within its limits: {'; '.join(quiet)}."
        said.append(Sentence(text=text, tone=Tone.FLAT if said else Tone.GOOD))
    missing = [name for name in _CHECKS if name not in {alarm.name for alarm in found}]
    if missing:
        text = f"Not measured, so not looked at: {', '.join(missing)}."
        said.append(Sentence(text=text, tone=Tone.UNKNOWN))
    return tuple(said)


def of_others(data: ReportData) -> tuple[Sentence, ...]:
    """Alarms that are raised about other trained policies than the one that the page is about."""
    found = []
    for arm in data.arms:
        if arm.trained and arm.policy != data.run.after:
            seen = replace(data, run=replace(data.run, after=arm.policy))
            for alarm in alarms(seen):
                if alarm.state is State.RAISED:
                    mood = Tone.FLAT if alarm.accounted else Tone.BAD
                    found.append(Sentence(text=f"{arm.label}: {alarm.advice}", tone=mood))
    return tuple(found)


# ---- the checks ----------------------------------------------------------------------------------


def _length(data: ReportData) -> Alarm | None:
    old, new = _levels(data, "length")
    if old is None or new is None or not old.value:
        return None
    share = new.value / old.value - 1
    way = "longer" if share > 0 else "shorter"
    size = f"{abs(share):.0%} {way}" if round(100 * share) else "the same"
    state = _state(_change(data, "length"), LENGTH * old.value, two_sided=True)
    found = Alarm(
        name="length",
        state=state,
        short=f"answers became {way}",
        said=size,
        do="Compare texts of one length, or price length.",
    )
    if state is not State.RAISED:
        return found
    tokens = f"{words.number(old.value)} to {words.number(new.value)} tokens"
    text = f"Answers became {size} than {_start(data)}'s ({tokens})"
    like = find(data, Measure.GOLD_AT_LENGTH)
    if like is None or like.low is None or like.high is None:
        known = find(data, Measure.GOLD) is not None
        why = f"too few of {_start(data)}'s are of such a length" if known else "no truth is known"
        text += f": what {way} answers alone are worth cannot be told, for {why}."
        return replace(found, said=text)
    ends = words.interval(like.low, like.high, like.unit, signed=True)
    text += (
        f"; against {_start(data)}'s answers of like length the change of {data.truth.said} is "
        f"{words.change(like.value, like.unit)} (interval {ends})."
    )
    return replace(found, said=text, accounted=tone(like) is Tone.GOOD)


def _variety(data: ReportData) -> Alarm | None:
    old, new = _levels(data, "distinct")
    if old is None or new is None or not old.value:
        return None
    share = f"{new.value / old.value:.0%} of {_start(data)}'s"
    quiet = new.value >= VARIETY * old.value
    return Alarm(
        name="variety",
        state=State.QUIET if quiet else State.RAISED,
        short="answers became alike",
        said=share
        if quiet
        else f"Answers became alike: their distinct pairs of words are {share}. The policy may be "
        "collapsing on a few phrases.",
        do=HOLD,
    )


def _likelihood(data: ReportData) -> Alarm | None:
    moved = _change(data, "start_logp")
    plainer = moved is not None and moved.value > 0
    found = _moved(
        data,
        "start_logp",
        name="likelihood",
        limit=LIKELIHOOD if plainer else -LIKELIHOOD,
        short="answers became plainer" if plainer else "answers drift from what people write",
        said="The base model finds the answers more likely than {start}'s: {size}. They say what "
        "is expected."
        if plainer
        else "The base model finds the answers less likely than {start}'s: {size}. The text drifts "
        "from what people write.",
        do=f"Read the samples. {HOLD}",
    )
    if found is None or not plainer or found.state is not State.RAISED:
        return found
    # Whoever is paid for good answers gives up odd ones: plain and truly better is no mistake.
    return replace(found, accounted=tone(find(data, Measure.GOLD)) is Tone.GOOD)


def _repeated(data: ReportData) -> Alarm | None:
    return _moved(
        data,
        "repeated",
        name="repetition",
        limit=REPEATED,
        short="answers repeat themselves",
        said="Answers repeat themselves more than {start}'s: {size} of their runs of three words.",
        do=HOLD,
    )


def _stopped(data: ReportData) -> Alarm | None:
    return _moved(
        data,
        "stopped",
        name="ending",
        limit=-STOPPED,
        short="fewer answers end",
        said="Fewer answers end by themselves than {start}'s: {size}; the limit cuts them.",
        do="Allow more tokens, or pay less for answers that were cut.",
    )


_CHECKS: Mapping[str, Callable[[ReportData], Alarm | None]] = {
    "length": _length,
    "variety": _variety,
    "likelihood": _likelihood,
    "repetition": _repeated,
    "ending": _stopped,
}


def _moved(
    data: ReportData, figure: str, *, name: str, limit: float, short: str, said: str, do: str
) -> Alarm | None:
    """A check of one paired change, which may go no further than `limit`, either way of 0."""
    moved = _change(data, figure)
    if moved is None:
        return None
    size = words.change(moved.value, "share")
    if moved.unit != "share":
        size = f"{words.change(moved.value, '')} {moved.unit} a token"
    state = _state(moved, limit)
    text = said.format(start=_start(data), size=size) if state is State.RAISED else size
    return Alarm(name=name, state=state, short=short, said=text, do=do)


def _state(moved: EvalFigure | None, limit: float, *, two_sided: bool = False) -> State:
    """Of a change that may be as large as `limit` to the side of its sign, or to both sides."""
    if moved is None or moved.low is None or moved.high is None:
        return State.UNCLEAR
    side = -1 if limit < 0 else 1
    ends = sorted((side * moved.low, side * moved.high))
    value = side * moved.value
    if two_sided and value < 0:
        value, ends = -value, [-ends[1], -ends[0]]
    if value > abs(limit) and ends[0] > 0:
        return State.RAISED
    within = ends[1] <= abs(limit) and (not two_sided or ends[0] >= -abs(limit))
    return State.QUIET if within else State.UNCLEAR


def _start(data: ReportData) -> str:
    label = {arm.policy: arm.label for arm in data.arms}
    return label.get(data.run.before, data.run.before)


def _levels(data: ReportData, name: str) -> tuple[EvalFigure | None, EvalFigure | None]:
    """Of the start and of the trained policy."""
    found = {f.policy: f for f in data.figures if f.name == name and not f.versus}
    return found.get(data.run.before), found.get(data.run.after)


def _change(data: ReportData, name: str) -> EvalFigure | None:
    pair = (data.run.after, data.run.before)
    return next((f for f in data.figures if f.name == name and (f.policy, f.versus) == pair), None)
