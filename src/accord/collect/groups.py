"""Raters by what they told of themselves: do groups agree, who decides, whom do they stand for?

Nothing here is of fewer than k raters, and nothing smaller follows by subtraction (`cuts`). Every
figure is measured on the people whose orders count: on work tasks, not in quarantine, whether a
lead or the rules put them there. Sizes of groups count those in quarantine too: `accord raters`
names who was put there, and a size that fell at that moment would say what group they are of. What
is shown is rounded to two digits, which makes it a little harder to find out who is in a group by
trying. Results name groups and never raters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from accord.collect.cuts import Cuts, Groups, Names, cut_all
from accord.collect.profiles import Profiles
from accord.collect.quality import OF_RATINGS, OF_VERDICTS, ORDER, SAME, figure
from accord.collect.questions import Questions
from accord.collect.sheet import RaterKind
from accord.collect.tasks import RANDOM
from accord.collect.trust import believed
from accord.collect.votes import WORK, Table, Votes
from accord.stats.agreement import Coefficient
from accord.stats.agreement_between import Between
from accord.stats.agreement_intervals import interval_between
from accord.stats.intervals import Interval

FEW = "fewer than {k} raters of a group judged what others judged too"
BETWEEN_ORDERS = (Between.PERCENT, Between.KAPPA)
BETWEEN_RATINGS = (Between.PERCENT, Between.KAPPA_ORDINAL)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupFigure:
    """One figure of agreement, inside a group or between two."""

    coefficient: str
    interval: Interval | None
    """None where `why` says that the data cannot tell."""
    prompts: int
    """What the interval draws by. How many raters of a group gave something to a figure is not
    said, only that k did: those who gave nothing could be few."""
    why: str = ""


class Resampling(NamedTuple):
    """How intervals are drawn."""

    level: float
    resamples: int
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """Agreement on one thing, inside each group and between every two."""

    about: str
    """`order`, or the criterion."""
    tasks: str
    """`random`, or `picked` for those that a selection chose."""
    within: Mapping[str, tuple[GroupFigure, ...]]
    """By group; empty where `why` says so."""
    between: Mapping[tuple[str, str], tuple[GroupFigure, ...]]
    """By two groups, in the order of the groups."""
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AgreementBy:
    """What `accord agreement --by QUESTION` shows."""

    question: str
    k: int
    groups: Mapping[str, int]
    """Raters of each group, those in quarantine included; empty where the question cannot be
    shown."""
    topics: tuple[Topic, ...]
    why: str = ""


def people(votes: Votes) -> Votes:
    """The work of people who ordered something and are not in quarantine, by a lead or the rules:
    whom figures are of."""
    return _ordering(believed(votes).trusted())


def cuts_of(votes: Votes, used: Votes, profiles: Profiles, questions: Questions) -> Cuts:
    """Which groups of a campaign's raters may be shown. `used` is `people(votes)`: the rule is held
    among them, while groups have those in quarantine as well."""
    return cut_all(profiles, _ordering(votes).raters, questions, counted=used.raters)


def agreement_by(
    votes: Votes,
    profiles: Profiles,
    questions: Questions,
    question: str,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> AgreementBy:
    """Agreement inside the groups of a question and between them, as `quality.agreement` does it.

    A topic is shown where, of every group, k raters judged what another of the group judged, and
    what somebody of each other group judged; else not for any group, because the missing one
    would follow. Raises ConfigError for a question that is not declared.
    """
    asked = questions.called(question).name
    used = people(votes)
    cuts = cuts_of(votes, used, profiles, questions)
    groups = cuts.shown[asked]
    how, topics = Resampling(level, resamples, seed), list[Topic]()
    for stream in ("random", "picked"):
        here = _of_stream(used, stream)
        tables = {ORDER: here.pairs()} | {name: here.rated(name) for name in votes.criteria}
        for about, table in tables.items():
            if groups and table.ratings.items:
                shown = cuts.among(_sharing(table)).shown[asked]
                topics.append(_topic(table, shown, cuts.k, about, stream, how))
    return AgreementBy(
        question=asked,
        k=cuts.k,
        groups={group: len(members) for group, members in groups.items()},
        topics=tuple(topics),
        why="" if groups else cuts.why_not(),
    )


def rounded(interval: Interval | None) -> Interval | None:
    """The interval in two digits."""
    if interval is None:
        return None
    ends = {name: round(getattr(interval, name), 2) for name in ("estimate", "low", "high")}
    return replace(interval, **ends)


# ---- the parts -----------------------------------------------------------------------------------


def _ordering(votes: Votes) -> Votes:
    work = votes.of(*WORK).only(lambda row: row.kind is RaterKind.HUMAN)
    ordered = {row.rater for row in work.rows if row.best is not None}
    return work.only(lambda row: row.rater in ordered)


def _of_stream(votes: Votes, stream: str) -> Votes:
    return votes.only(lambda row: (row.selected_by == RANDOM) == (stream == "random"))


def _sharing(table: Table) -> list[str]:
    """Raters who judged something that another one judged."""
    judged = ~np.isnan(table.ratings.values)
    there = judged[judged.sum(axis=1) > 1].any(axis=0)
    return [str(name) for name, kept in zip(table.ratings.raters, there, strict=True) if kept]


def _topic(table: Table, groups: Groups, k: int, about: str, stream: str, how: Resampling) -> Topic:
    empty = Topic(about=about, tasks=stream, within={}, between={}, why=FEW.format(k=k))
    if not groups or not _enough(table, groups, k):
        return empty
    inside, across = (
        (OF_VERDICTS, BETWEEN_ORDERS) if about == ORDER else (OF_RATINGS, BETWEEN_RATINGS)
    )
    within = {
        name: tuple(_within(table, members, coefficient, how) for coefficient in inside)
        for name, members in groups.items()
    }
    between = {
        (one, other): tuple(
            _between(table, groups[one], groups[other], coefficient, how) for coefficient in across
        )
        for one, other in combinations(groups, 2)
    }
    return replace(empty, within=within, between=between, why="")


def _enough(table: Table, groups: Groups, k: int) -> bool:
    """Whether k raters of every group share an item with another of theirs and of each group."""
    judged, raters = ~np.isnan(table.ratings.values), table.ratings.raters
    columns = {name: [rater in members for rater in raters] for name, members in groups.items()}
    for one, mine in columns.items():
        for other, theirs in columns.items():
            shared = judged[:, theirs].sum(axis=1) > (1 if one == other else 0)
            if judged[:, mine][shared].any(axis=0).sum() < k:
                return False
    return True


def _of(table: Table, raters: Names) -> Table:
    kept = [name for name in table.ratings.raters if name in raters]
    return Table(ratings=table.ratings.only(*kept), prompts=table.prompts)


def _within(table: Table, raters: Names, coefficient: Coefficient, how: Resampling) -> GroupFigure:
    found = figure(
        ORDER,
        coefficient,
        _of(table, raters),
        level=how.level,
        resamples=how.resamples,
        seed=how.seed,
    )
    return GroupFigure(
        coefficient=found.coefficient,
        interval=rounded(found.interval),
        prompts=found.prompts,
        why=found.why,
    )


def _between(
    table: Table, one: Names, other: Names, coefficient: Between, how: Resampling
) -> GroupFigure:
    rows = np.ones(len(table.prompts), dtype=bool)
    for side in (one, other):
        rows &= (~np.isnan(_of(table, side).ratings.values)).any(axis=1)
    prompts = {prompt for prompt, both in zip(table.prompts, rows, strict=True) if both}
    interval, why = None, "needs two prompts"
    if len(prompts) > 1:
        found = interval_between(
            table.ratings,
            one,
            other,
            coefficient,
            clusters=table.prompts,
            level=how.level,
            resamples=how.resamples,
            seed=how.seed,
        )
        told = not math.isnan(found.estimate)
        interval, why = (found, "") if told else (None, SAME)
    return GroupFigure(
        coefficient=coefficient.value, interval=rounded(interval), prompts=len(prompts), why=why
    )
