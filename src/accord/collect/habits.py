"""What the judgements of a campaign say of each rater: how reliable, which habits, copied of whom.

Every habit is a `Finding` with its interval, its n, and a q-value over everything that was asked of
everybody, so that asking nine questions of fifty raters accuses at most the stated share wrongly.
A finding is a reason to look; `trust` says what follows from which.

Compared with others are work tasks alone; copying and following count known answers too, which
more raters share. Nothing here reads a text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import permutations
from statistics import median

import numpy as np
from scipy.special import bdtr

from accord.collect.gold import is_right
from accord.collect.sheet import RaterKind
from accord.collect.tasks import Purpose
from accord.collect.votes import WORK, Vote, Votes
from accord.stats import intervals, rater_bias
from accord.stats.exact import Side, fisher
from accord.stats.guessing import Guessing, Pool, Told, Trials, excuse_of, guessing
from accord.stats.intervals import Interval
from accord.stats.rater_bias import Finding
from accord.stats.raters import reliability_intervals
from accord.stats.ratings import Floats, Ratings
from accord.store.judgements import Verdict

SHARED = (Purpose.WORK, Purpose.GOLD)
HABIT_WEIGHT = 10
"""Answers that an even habit is worth beside a rater's own."""


class Habit(StrEnum):
    """What is asked of every rater; the estimate that its finding holds."""

    GOLD = "gold"
    """Share of known answers that are right; p: fewer than the pool's raters who look."""
    CONSISTENCY = "consistency"
    """Share of repeats with the same answer; p: less than the others."""
    POSITION = "position"
    """How often what stood first beats what stood last."""
    LENGTH = "length"
    """How much more often than the others on the same tasks the longest beats the shortest."""
    CONSENSUS = "consensus"
    """Mean credit for saying what most others said; p: less than anybody's would be."""
    DRIFT = "drift"
    """Change of that credit from the first half of the time to the second."""
    FOLLOWING = "following"
    """How often the answer is the latest, or the first, that was there."""
    COPYING = "copying"
    """How often another rater's stray answers are shared; the p of the likest one, for all others
    that were compared."""
    SKIPPING = "skipping"
    """Share of tasks skipped or called all bad; p: more than the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """Whom a rater may have copied."""

    whom: str
    tasks: int
    """That both answered."""
    same: int
    """Of those, with the same answer."""
    later: Interval
    """Share of them that this rater answered after the other (Wilson)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RaterReport:
    """What is known of one rater."""

    rater: str
    kind: RaterKind
    state: str
    judgements: int
    skips: int
    all_bad: int
    late: int
    seconds: float | None
    """Median active time of a judgement; None where it was not measured."""
    reliability: Interval | None
    """P(says the true label) by one-coin Dawid-Skene on the canonical order; low for a taste of
    one's own. `clusters` are prompts. None where it was not asked for or cannot be told."""
    guesses: float
    """Probability that the rater guesses (`accord.stats.guessing`)."""
    trials: int
    """Known answers and repeats behind `guesses`."""
    findings: Mapping[Habit, Finding]
    copies: Copy | None
    """Whom the finding on copying is about; None where nobody shares enough."""

    @property
    def line(self) -> str:
        """It in one sentence."""
        gold, same = self.findings[Habit.GOLD], self.findings[Habit.CONSISTENCY]
        parts = [f"{self.judgements} judgements"]
        for found, words in ((gold, "known answers right"), (same, "repeats the same")):
            if found.n:
                parts.append(f"{round(found.interval.estimate * found.n)} of {found.n} {words}")
        parts.append(f"guesses with probability {self.guesses:.2f}" if self.trials else "untested")
        return ", ".join(parts)


def rater_report(
    votes: Votes,
    *,
    pool: Pool | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> tuple[RaterReport, ...]:
    """A report on everybody who judged, by name.

    `pool` is what is thought of raters beforehand. `resamples` are those of the reliability's
    interval, which takes most of the time: 0 leaves it out, else at least 100.
    """
    names = votes.raters
    looked = evidence(votes, pool=pool)
    asked = {
        Habit.GOLD: _gold(votes, looked.pool, level),
        Habit.CONSISTENCY: _consistency(votes, level),
        Habit.POSITION: _position(votes, level),
        Habit.LENGTH: _length(votes, level),
        **_beside(votes, level),
        Habit.SKIPPING: _skipping(votes, level),
    }
    copied = _copying(votes, level)
    asked[Habit.COPYING] = {name: found for name, (found, _) in copied.items()}
    keys = [(habit, name) for habit in Habit for name in names]
    found = rater_bias.together(
        replace(asked[habit].get(name) or _silent(level), rater=name) for habit, name in keys
    )
    by_key = dict(zip(keys, found, strict=True))
    reliable = _reliability(votes, level, resamples, seed)
    reports = []
    for name in names:
        own = [row for row in votes.rows if row.rater == name]
        verdicts = Counter(row.verdict for row in own)
        times = [row.seconds for row in own if row.seconds is not None]
        gold, same = (by_key[habit, name] for habit in (Habit.GOLD, Habit.CONSISTENCY))
        reports.append(
            RaterReport(
                rater=name,
                kind=own[0].kind,
                state=votes.states.get(name, "new"),
                judgements=len(own),
                skips=verdicts[Verdict.SKIP],
                all_bad=verdicts[Verdict.ALL_BAD],
                late=sum(row.late for row in own),
                seconds=median(times) if times else None,
                reliability=reliable.get(name),
                guesses=looked.chance[name],
                trials=gold.n + same.n,
                findings={habit: by_key[habit, name] for habit in Habit},
                copies=copied[name][1] if name in copied else None,
            )
        )
    return tuple(reports)


# ---- guessing ------------------------------------------------------------------------------------


def evidence(votes: Votes, *, pool: Pool | None = None) -> Guessing:
    """The probability that each rater guesses, by known answers, repeats and votes together."""
    # By time, so that sums of logarithms come out the same to the bit.
    votes = replace(votes, rows=tuple(sorted(votes.rows, key=lambda row: (row.seq, row.task))))
    work = [row for row in votes.of(*WORK).rows if row.answer is not None]
    by_task: dict[str, list[Vote]] = {}
    for row in work:
        by_task.setdefault(row.task, []).append(row)
    gold = [row for row in votes.of(Purpose.GOLD).rows if row.right is not None]
    again = votes.repeated()
    told = {}
    for name in votes.raters:
        mine = [row for row in gold if row.rater == name]
        pairs = [pair for pair in again if pair[1].rater == name]
        habit = [row for row in work if row.rater == name]
        told[name] = Told(
            gold=Trials(
                hits=tuple(bool(row.right) for row in mine),
                chances=tuple(_chance_right(row.gold or (), habit) for row in mine),
            ),
            repeats=Trials(
                hits=tuple(before.answer == after.answer for before, after in pairs),
                chances=tuple(_chance_same(len(p[0].responses), habit) for p in pairs),
            ),
            excuse=_excuse(habit, by_task),
        )
    return guessing(told, pool)


def _excuse(habit: Sequence[Vote], by_task: Mapping[str, Sequence[Vote]]) -> float:
    """What the votes that came later say for a rater: an answer that was there can be repeated."""
    later = [[one.answer for one in by_task[row.task] if one.seq > row.seq] for row in habit]
    return excuse_of([row.answer for row in habit], later)


def _chance_right(gold: tuple[int, ...], habit: Sequence[Vote]) -> float:
    """P(right) of an answer out of the rater's habit, an even habit mixed in."""
    orders = list(permutations(range(len(gold))))
    even = sum(is_right(order, gold) for order in orders) / len(orders)
    own = sum(is_right(row.tiers, gold) for row in habit if len(row.responses) == len(gold))
    return (own + HABIT_WEIGHT * even) / (len(habit) + HABIT_WEIGHT)


def _chance_same(responses: int, habit: Sequence[Vote]) -> float:
    counts = Counter(row.answer for row in habit)
    own = sum(n * n for n in counts.values()) / max(len(habit), 1)
    return (own + HABIT_WEIGHT / responses) / (len(habit) + HABIT_WEIGHT)


# ---- a rater alone -------------------------------------------------------------------------------

Findings = dict[str, Finding]


def _named(found: Sequence[Finding]) -> Findings:
    return {str(one.rater): one for one in found}


def _gold(votes: Votes, pool: Pool, level: float) -> Findings:
    found: Findings = {}
    for name in votes.raters:
        hits = [
            row.right
            for row in votes.of(Purpose.GOLD).rows
            if row.rater == name and row.right is not None
        ]
        if hits:
            p = float(bdtr(sum(hits), len(hits), pool.gold))
            interval = intervals.proportion(sum(hits), len(hits), level=level)
            found[name] = Finding(rater=name, interval=interval, p=p, q=math.nan, n=len(hits))
    return found


def _consistency(votes: Votes, level: float) -> Findings:
    pairs = votes.repeated()
    apart = [float(before.answer != after.answer) for before, after in pairs]
    raters = [after.rater for _, after in pairs]
    return _named(rater_bias.self_consistency(raters, np.zeros(len(pairs)), apart, level=level))


def _position(votes: Votes, level: float) -> Findings:
    rows = [
        row
        for row in votes.rows
        if row.purpose is not Purpose.REPEAT and row.best is not None and row.shown
    ]
    won = [_beats(row, row.shown[0], row.shown[-1]) for row in rows]
    return _named(rater_bias.position_bias([row.rater for row in rows], won, level=level))


def _skipping(votes: Votes, level: float) -> Findings:
    used = [row for row in votes.rows if row.purpose is not Purpose.REPEAT]
    shy = Counter(row.rater for row in used if row.best is None)
    total = Counter(row.rater for row in used)
    found: Findings = {}
    for name, n in total.items():
        others = [shy.total() - shy[name], total.total() - n - (shy.total() - shy[name])]
        p = fisher([[shy[name], n - shy[name]], others], Side.GREATER)
        interval = intervals.proportion(shy[name], n, level=level)
        p = p if sum(others) else math.nan
        found[name] = Finding(rater=name, interval=interval, p=p, q=math.nan, n=n)
    return found


# ---- a rater beside the others -------------------------------------------------------------------


def _length(votes: Votes, level: float) -> Findings:
    cells = []
    for row in votes.of(*WORK).rows:
        if row.best is None or row.lengths is None or len(set(row.lengths)) == 1:
            continue
        longest, shortest = row.lengths.index(max(row.lengths)), row.lengths.index(min(row.lengths))
        cells.append((row.task, row.rater, _beats(row, longest, shortest)))
    if not cells:
        return {}
    table = Ratings.of_rows(sorted(cells), scale=(0, 0.5, 1))
    return _named(rater_bias.trait_bias(table, np.ones(len(table.items)), level=level))


def _beside(votes: Votes, level: float) -> dict[Habit, Findings]:
    work = votes.of(*WORK)
    if not any(row.best is not None for row in work.rows):
        return {Habit.CONSENSUS: {}, Habit.DRIFT: {}, Habit.FOLLOWING: {}}
    table = work.choices().ratings
    credit, when = rater_bias.consensus_credit(table), _times(work, table)
    items, columns = np.nonzero(~np.isnan(credit))
    drifted = rater_bias.drift(
        [table.raters[column] for column in columns],
        credit[items, columns],
        when[items, columns],
        level=level,
    )
    shared = votes.of(*SHARED)
    wide = shared.choices().ratings
    return {
        Habit.CONSENSUS: _named(rater_bias.consensus_agreement(table, level=level)),
        Habit.DRIFT: _named(drifted),
        Habit.FOLLOWING: _named(rater_bias.following(wide, _times(shared, wide), level=level)),
    }


def _times(votes: Votes, table: Ratings) -> Floats:
    """[items, raters] place in the log of each vote."""
    known = {(row.task, row.rater): row.seq for row in votes.rows}
    return np.array(
        [
            [known.get((str(item), str(rater)), math.nan) for rater in table.raters]
            for item in table.items
        ],
        dtype=np.float64,
    )


def _copying(votes: Votes, level: float) -> dict[str, tuple[Finding, Copy | None]]:
    """The likest other of each rater, among those whom they did not clearly answer before."""
    shared = votes.of(*SHARED)
    if not any(row.best is not None for row in shared.rows):
        return {}
    table = shared.choices().ratings
    when = _times(shared, table)
    pairs: dict[str, list[tuple[Finding, Copy]]] = {}
    for found in rater_bias.copying(table, level=level):
        one, other = _two(found.rater)
        if not math.isnan(found.p):
            copy = _copy(table, when, one, other, level)
            if copy.later.high >= 0.5:
                pairs.setdefault(one, []).append((found, copy))
    best: dict[str, tuple[Finding, Copy | None]] = {}
    for name, some in pairs.items():
        found, copy = min(some, key=lambda pair: (pair[0].p, pair[1].whom))
        best[name] = replace(found, p=min(1.0, found.p * len(some))), copy
    return best


def _two(names: Hashable) -> tuple[str, str]:
    assert isinstance(names, tuple)
    return str(names[0]), str(names[1])


def _copy(table: Ratings, when: Floats, one: str, other: str, level: float) -> Copy:
    mine, theirs = table.raters.index(one), table.raters.index(other)
    both = ~np.isnan(table.values[:, [mine, theirs]]).any(axis=1)
    same = table.values[both, mine] == table.values[both, theirs]
    later = when[both, mine] > when[both, theirs]
    return Copy(
        whom=other,
        tasks=int(both.sum()),
        same=int(same.sum()),
        later=intervals.proportion(int(later.sum()), int(both.sum()), level=level),
    )


def _reliability(votes: Votes, level: float, resamples: int, seed: int) -> dict[str, Interval]:
    work = votes.of(*WORK)
    if not resamples or not any(row.best is not None for row in work.rows):
        return {}
    table = work.choices()
    found = reliability_intervals(
        table.ratings, clusters=table.prompts, level=level, resamples=resamples, seed=seed
    )
    return {str(name): interval for name, interval in found.items()}


def _beats(row: Vote, one: int, other: int) -> float:
    """1 where place `one` is better, 0 where `other` is, .5 for a tie."""
    assert row.tiers is not None
    return float(1 + np.sign(row.tiers[other] - row.tiers[one])) / 2


def _silent(level: float) -> Finding:
    nothing = Interval(estimate=math.nan, low=math.nan, high=math.nan, level=level, clusters=0)
    return Finding(rater=None, interval=nothing, p=math.nan, q=math.nan, n=0)
