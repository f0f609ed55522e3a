"""Whom to believe: what follows from a rater's habits, by stated rules, and the events that say so.

Nobody is put into quarantine for disagreeing. A taste that few share is right on what nobody doubts
and the same again when asked again; what counts is guessing (known answers, repeats), a habit of
the screen, or somebody else's answers. Everything else is a reason to look: two who answer alike
may have agreed to, or share a taste.

The rules decide for raters nobody decided about. Once a lead has put a rater into quarantine, or
let one out again, that stands, and the rules only say what they see.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from accord.collect.habits import Habit, RaterReport, rater_report
from accord.collect.votes import QUARANTINED, Votes
from accord.core.errors import ConfigError
from accord.stats.collusion import Alike
from accord.stats.rater_bias import Finding, benjamini_hochberg
from accord.store.registry import SYSTEM, set_rater_state

ACTIVE = "active"
"""State of a rater whom a lead let in or out of quarantine."""
ACCUSING = (Habit.GOLD, Habit.CONSISTENCY, Habit.POSITION, Habit.FOLLOWING, Habit.COPYING)
"""Habits that can lead to quarantine by themselves; their q is over these alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustSettings:
    """Thresholds of the rules, chosen on simulated raters (`bench/raters.py`), seeds apart from
    those of the published table."""

    false_discovery: float = 0.05
    """Share of habits called that may be chance: the largest q that counts."""
    guesses: float = 0.5
    """Quarantine from this probability of guessing on: likelier than not."""
    least_trials: int = 8
    """Known answers and repeats before that probability counts."""
    least_right: float = 0.75
    """Failed known answers: the upper limit of the share that is right is below it."""
    least_same: float = 0.6
    """Failed repeats: the upper limit of the share with the same answer is below it."""
    least_place: float = 0.6
    """A habit of the screen: the lower limit of how often the favoured place wins is above it."""
    least_later: float = 0.5
    """A copy: the lower limit of the share of common tasks answered after the other is above it.
    Otherwise nobody can say who copied whom."""
    most_share: float = 0.02
    """Largest share of a training set's weight that one rater may have."""
    spread: float = 2.0
    """With few raters the cap above is impossible: it is then so many times an even share."""

    def __post_init__(self) -> None:
        shares = ("false_discovery", "guesses", "least_right", "least_same", "least_place")
        for name in (*shares, "least_later", "most_share"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"{name} lies between 0 and 1", got=getattr(self, name))
        if self.least_trials < 1 or self.spread < 1:
            raise ConfigError(
                "trust needs least_trials >= 1 and spread >= 1",
                got=f"{self.least_trials}, {self.spread}",
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Trust:
    """What is decided about one rater."""

    rater: str
    weight: float
    """Of each of their judgements, before caps, in [0, 1]: the probability that they look; 0 in
    quarantine."""
    quarantined: bool
    """By the rules, or by a lead."""
    by_lead: bool
    """Whether a lead decided, for or against."""
    look: bool
    """Whether something stands out that is no reason for quarantine."""
    why: tuple[str, ...]
    """Every reason, in words."""


def decide(
    reports: Sequence[RaterReport],
    settings: TrustSettings | None = None,
    *,
    pairs: Sequence[Alike] = (),
) -> tuple[Trust, ...]:
    """What follows for every rater of `habits.rater_report`, in its order.

    `pairs` are those of `alliances.pairs_alike`: reasons to look, which change no weight.
    """
    rules = settings or TrustSettings()
    keys = [(one.rater, habit) for one in reports for habit in ACCUSING]
    adjusted = benjamini_hochberg([one.findings[h].p for one in reports for h in ACCUSING])
    q = dict(zip(keys, adjusted.tolist(), strict=True))
    found = []
    for report in reports:
        accused, told = _accusations(report, {h: q[report.rater, h] for h in ACCUSING}, rules)
        noticed = [*_notices(report, rules, told), *_company(report.rater, pairs, rules)]
        by_lead = report.state in (QUARANTINED, ACTIVE)
        quarantined = report.state == QUARANTINED or (bool(accused) and not by_lead)
        why = [*accused, *noticed]
        if by_lead:
            done = "put into quarantine" if quarantined else "trusted"
            why.insert(0, f"{done} by a lead")
        found.append(
            Trust(
                rater=report.rater,
                weight=0.0 if quarantined else 1.0 if by_lead else 1 - _guesses(report, rules),
                quarantined=quarantined,
                by_lead=by_lead,
                look=not quarantined and bool(accused or noticed),
                why=tuple(why),
            )
        )
    return tuple(found)


def believed(votes: Votes, settings: TrustSettings | None = None) -> Votes:
    """The same votes, those whom the rules put into quarantine being in it: `trusted()` leaves them
    out. Each kind of rater is held against its own."""
    states = dict(votes.states)
    for kind in {row.kind for row in votes.rows}:
        others = {row.rater for row in votes.rows if row.kind is not kind}
        for trust in decide(rater_report(votes.without(*others), resamples=0), settings):
            if trust.quarantined:
                states[trust.rater] = QUARANTINED
    return replace(votes, states=states)


def quarantine(connection: Connection, rater: str, *, why: str, actor: str = SYSTEM) -> None:
    """Keep a rater's judgements and use them for nothing. Inside `Database.write`.

    The reason is kept with the event. Raises DataError for an unknown rater, ConfigError without a
    reason.
    """
    _set(connection, rater, QUARANTINED, why, actor)


def release(connection: Connection, rater: str, *, why: str, actor: str = SYSTEM) -> None:
    """Trust a rater, whatever the rules say. Inside `Database.write`. Raises as `quarantine`."""
    _set(connection, rater, ACTIVE, why, actor)


def _set(connection: Connection, rater: str, state: str, why: str, actor: str) -> None:
    if not why.strip():
        raise ConfigError("a decision about a person needs a reason", do='give one: --why "..."')
    set_rater_state(connection, rater, state, actor=actor, why={"words": why.strip()})


# ---- the rules -----------------------------------------------------------------------------------


def _guesses(report: RaterReport, rules: TrustSettings) -> float:
    return report.guesses if report.trials >= rules.least_trials else 0.0


def _accusations(
    report: RaterReport, q: Mapping[Habit, float], rules: TrustSettings
) -> tuple[list[str], set[Habit]]:
    """What leads to quarantine, in words, and the habits that were told by it."""
    found, copy = report.findings, report.copies
    right, same = found[Habit.GOLD].interval, found[Habit.CONSISTENCY].interval
    place = found[Habit.POSITION].interval
    strong = {
        Habit.GOLD: right.high < rules.least_right,
        Habit.CONSISTENCY: same.high < rules.least_same,
        Habit.POSITION: place.low > rules.least_place or place.high < 1 - rules.least_place,
        Habit.FOLLOWING: True,
        Habit.COPYING: copy is not None and copy.later.low > rules.least_later,
    }
    called = [h for h in ACCUSING if strong[h] and q[h] <= rules.false_discovery]
    if _guesses(report, rules) < rules.guesses:
        return [_words(habit, report, accused=True) for habit in called], set(called)
    trials = {Habit.GOLD, Habit.CONSISTENCY}
    guess = (
        f"guesses with probability {report.guesses:.2f}: {_counted(found[Habit.GOLD])} known"
        f" answers right, {_counted(found[Habit.CONSISTENCY])} repeats the same"
    )
    others = [_words(habit, report, accused=True) for habit in called if habit not in trials]
    return [guess, *others], trials | set(called)


def _notices(report: RaterReport, rules: TrustSettings, told: Collection[Habit]) -> list[str]:
    """What else stands out, in words."""
    return [
        _words(habit, report, accused=False)
        for habit, found in report.findings.items()
        if habit not in told and found.q <= rules.false_discovery
    ]


def _company(rater: str, pairs: Sequence[Alike], rules: TrustSettings) -> list[str]:
    """Whom a rater answers like, in words."""
    return [
        f"says what {pair.other if pair.one == rater else pair.one} says on {pair.same} of"
        f" {pair.open} tasks that others are split on, {pair.expected:.1f} expected: agreed, one"
        " person twice, or one taste"
        for pair in pairs
        if rater in (pair.one, pair.other) and pair.q <= rules.false_discovery
    ]


def _words(habit: Habit, report: RaterReport, *, accused: bool) -> str:
    found = report.findings[habit]
    words: Mapping[Habit, str] = {
        Habit.GOLD: f"few known answers right: {_counted(found)}",
        Habit.CONSISTENCY: f"few repeats the same: {_counted(found)}",
        Habit.POSITION: _position(found),
        Habit.LENGTH: _length(found),
        Habit.CONSENSUS: f"another taste, or less care: agrees on {_counted(found)}",
        Habit.DRIFT: f"changed: agreement {found.interval.estimate:+.0%} in the second half",
        Habit.FOLLOWING: f"repeats the answer that is there: {_counted(found)}",
        Habit.COPYING: _alike(report, accused=accused),
        Habit.SKIPPING: f"skips or rejects much: {_counted(found)}",
    }
    return words[habit]


def _alike(report: RaterReport, *, accused: bool) -> str:
    copy = report.copies
    if copy is None:
        return "answers like somebody else"
    alike = f"{copy.whom}: {copy.same} of {copy.tasks} the same"
    return f"copies {alike}" if accused else f"answers like {alike}; who was first is not clear"


def _position(found: Finding) -> str:
    share = found.interval.estimate
    place, share = ("first", share) if share >= 0.5 else ("last", 1 - share)
    return f"takes what stands {place}: {share:.0%} of {found.n}"


def _length(found: Finding) -> str:
    more = found.interval.estimate
    side = "longer" if more > 0 else "shorter"
    return f"takes the {side} one {abs(more):.0%} more often than others, of {found.n}"


def _counted(found: Finding) -> str:
    return f"{round(found.interval.estimate * found.n)} of {found.n}" if found.n else "no"
