"""Whom do the raters stand for: their groups against a stated population.

Nothing is weighed by what is said here. It says how far the raters are from the population, which
groups cannot be seen among them, and what weighing them to it would cost.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from accord.collect.groups import cuts_of, people
from accord.collect.profiles import Profiles
from accord.collect.questions import NOT_TOLD, OTHERS, Population, Questions
from accord.collect.votes import Votes


@dataclass(frozen=True, kw_only=True, slots=True)
class Covered:
    """One group among the raters and in the population."""

    raters: int
    share: float
    """Of those who told, as far as they can be told apart."""
    population: float
    """Share stated for the population; for `OTHERS` of all answers that are not shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How the raters of a campaign stand for a population in one question."""

    question: str
    k: int
    groups: Mapping[str, Covered]
    """Empty where the question cannot be shown."""
    not_told: int | None
    """Raters who gave no answer, in no share; None where they are not shown apart."""
    unseen: Mapping[str, float]
    """Answers of the population that are not shown as a group: fewer than k raters gave them,
    perhaps nobody, or they were pooled so that nothing smaller can be told. With their share."""
    distance: float
    """Total variation distance: the share of raters who would have to be in another group. Groups
    that are put together hide differences: it is at least this. NaN where nothing is shown."""
    effective: float
    """Raters that would tell as much if all weighed the same, once groups are weighed to their
    share in the population: (sum w)^2 / sum w^2 (Kish 1965); answers that no rater gave cannot be
    weighed and are left out. NaN where nothing is shown or no shown group is in the population."""
    why: str = ""


def coverage(
    votes: Votes, profiles: Profiles, questions: Questions, population: Population
) -> tuple[Coverage, ...]:
    """How the people who ordered something stand for `population`, by each of its questions.

    Those in quarantine are among them (`groups`).
    """
    cuts = cuts_of(votes, people(votes), profiles, questions)
    found = []
    for question, shares in population.shares.items():
        sizes = {name: len(members) for name, members in cuts.shown[question].items()}
        if sizes:
            found.append(_of(question, cuts.k, sizes, shares))
            continue
        unseen = {answer: round(part, 3) for answer, part in shares.items() if part > 0}
        found.append(
            Coverage(
                question=question,
                k=cuts.k,
                groups={},
                not_told=None,
                unseen=unseen,
                distance=math.nan,
                effective=math.nan,
                why=cuts.why_not(),
            )
        )
    return tuple(found)


def _of(question: str, k: int, sizes: dict[str, int], shares: Mapping[str, float]) -> Coverage:
    silent = sizes.pop(NOT_TOLD, None)
    told = sum(sizes.values())
    stated = {name: shares.get(name, 0.0) for name in sizes if name != OTHERS}
    unseen = {name: part for name, part in shares.items() if part > 0 and name not in sizes}
    rest = math.fsum(unseen.values())
    if OTHERS in sizes:
        stated[OTHERS] = rest
    gaps = [abs(sizes[name] / told - stated[name]) for name in sizes]
    if OTHERS not in sizes:
        gaps.append(rest)
    spread = math.fsum(stated[name] ** 2 / sizes[name] for name in sizes)
    reached = math.fsum(stated.values())
    return Coverage(
        question=question,
        k=k,
        groups={
            name: Covered(
                raters=size, share=round(size / told, 3), population=round(stated[name], 3)
            )
            for name, size in sizes.items()
        },
        not_told=silent,
        unseen={name: round(part, 3) for name, part in unseen.items()},
        distance=round(math.fsum(gaps) / 2, 3),
        effective=round(reached**2 / spread, 1) if spread > 0 else math.nan,
    )
