"""Which groups of raters may be shown: none with fewer than k, whatever is subtracted from what.

Hiding small groups is not enough. Where all raters and all groups but one are shown, the one left
over follows by subtraction; and where two questions are both shown, a group of one may be a group
of the other and two people more. The rule here is about everything that sums and differences can
give: write a shown group as a vector with a 1 for each of its raters; then **every combination of
such vectors, over all questions, is 0 or has at least k raters that are not 0**.

Groups of one question add up to all raters. So a combination is h + f, h of the questions before
and f of this one. Let B be a union of some (not all) groups of this question, and an *atom*
everybody who is in the same group of every question before. h is constant on atoms; where f takes
one of its values exactly on B, h + f can be 0 only where membership in B agrees with a union A of
atoms. So it has at least |A - B| + |B - A| raters, which is never less than

    sum over atoms a of min(|a in B|, |a not in B|)

and that must be at least k for every B. For the first question it says that every group, and what
lies outside of it, has k raters. For figures of pairs of raters (agreement) it holds for the
partners of each rater, and so for the pairs.

Raters who are counted in sizes and give nothing to figures (those in quarantine) change none of
this: the rule is held among the others, and holds with them all the more, for every |A - B| only
grows.

To get there groups are pooled into "others or not told", the smallest first (complementary
suppression), question by question in the order of the file. A question that keeps one group alone
is not shown.

It is a rule for one campaign at one time. It does not help against a reader who has the judgements
themselves and tries out who might be in a group, nor against comparing figures before and after
somebody joined.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from accord.collect.profiles import Profiles
from accord.collect.questions import NOT_TOLD, OTHERS, Question, Questions
from accord.core.errors import ConfigError

Names = frozenset[str]
Groups = Mapping[str, Names]
"""Name of a group (an answer, `NOT_TOLD` or `OTHERS`) to its raters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cuts:
    """Raters by their answers to all questions: groups that may be shown."""

    k: int
    shown: Mapping[str, Groups]
    """Name of every question to its groups, which have all raters; none where it is not shown."""

    def why_not(self) -> str:
        """Why a question or group is not shown; says nothing of how many there are."""
        return (
            f"not shown: figures of fewer than {self.k} raters, or of nobody, could be told from"
            " it, by itself or by subtraction"
        )

    def group(self, question: str, name: str) -> Names:
        """Raters of a shown group. Raises ConfigError for one that may not be shown."""
        groups = self.shown[question]
        if name not in groups:
            known = f"shown are: {', '.join(groups)}" if groups else None
            raise ConfigError(self.why_not(), got=question, do=known)
        return groups[name]

    def among(self, raters: Collection[str]) -> Cuts:
        """The same groups, of these raters alone: a figure to which others gave nothing.

        Questions for which the rule does not hold among them are not shown.
        """
        kept: dict[str, Groups] = {}
        atoms = [frozenset(raters)]
        for question, groups in self.shown.items():
            here = {name: members & frozenset(raters) for name, members in groups.items()}
            holds = bool(here) and _least(list(here.values()), atoms) >= self.k
            kept[question] = here if holds else {}
            atoms = _finer(atoms, kept[question])
        return Cuts(k=self.k, shown=kept)


def cut_all(
    profiles: Profiles,
    raters: Collection[str],
    questions: Questions,
    *,
    counted: Collection[str] | None = None,
) -> Cuts:
    """Divide `raters` by every question in turn, pooling what would show fewer than k of them.

    `counted` are those of them whom figures are of, all by default: the rule is held among these.
    """
    everybody = frozenset(raters)
    used = everybody if counted is None else everybody & frozenset(counted)
    atoms, shown = [used], dict[str, Groups]()
    for question in questions.asked:
        divided = _divided(profiles, everybody, question)
        groups = _pooled(divided, used, atoms, questions.k)
        shown[question.name] = groups
        atoms = _finer(atoms, groups)
    return Cuts(k=questions.k, shown=shown)


def _divided(profiles: Profiles, raters: Names, question: Question) -> dict[str, Names]:
    """Groups by answer in the order declared, then who did not tell; none of them empty."""
    found: dict[str, set[str]] = {value: set() for value in (*question.values, NOT_TOLD)}
    for rater in raters:
        found[profiles.get(rater, {}).get(question.name, NOT_TOLD)].add(rater)
    return {name: frozenset(members) for name, members in found.items() if members}


def _pooled(groups: dict[str, Names], used: Names, atoms: Sequence[Names], k: int) -> Groups:
    """The same raters with small groups put together until the rule holds; none where it cannot.

    `atoms` divide `used`, whom the rule is about.
    """
    groups = dict(groups)
    while len(groups) > 1:
        small = [name for name, members in groups.items() if len(members & used) < k]
        if not small and _least(list(groups.values()), atoms) >= k:
            return groups
        # A pool that is too small itself takes the smallest group too.
        rest = [name for name in small if name != OTHERS] or [n for n in groups if n != OTHERS]
        gone = min(rest, key=lambda name: (len(groups[name]), name))
        pool = groups.pop(OTHERS, frozenset()) | groups.pop(gone)
        groups[OTHERS] = pool
    return {}


def _least(groups: Sequence[Names], atoms: Sequence[Names]) -> int:
    """Least sum over atoms of min(inside, outside) over all unions of some groups, not all."""
    counts = np.array([[len(atom & group) for atom in atoms] for group in groups])
    if len(groups) < 2:
        return 0
    # A union and its complement give the same: the last group is always outside.
    chosen = np.arange(1, 1 << (len(groups) - 1))
    member = (chosen[:, None] >> np.arange(len(groups))) & 1
    inside = member @ counts
    return int(np.minimum(inside, counts.sum(axis=0) - inside).sum(axis=1).min())


def _finer(atoms: Sequence[Names], groups: Groups) -> list[Names]:
    if not groups:
        return list(atoms)
    return [atom & group for atom in atoms for group in groups.values() if atom & group]
