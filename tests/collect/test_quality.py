"""Agreement of a campaign: figures by hand, what is left out, and the ceiling."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.quality import (
    Figure,
    agreement,
    count,
    highest_accuracy,
    percent_agreement,
    review_agreement,
)
from accord.collect.sheet import RaterKind
from accord.collect.tasks import Purpose
from accord.collect.votes import Votes
from accord.store.judgements import Verdict
from tests.collect.ballots import panel, skip, vote

FEW = 1000


def figures(votes: Votes, group: int = 0) -> dict[tuple[str, str], Figure]:
    found = agreement(votes, resamples=FEW).groups[group].figures
    return {(one.about, one.coefficient): one for one in found}


def estimate(one: Figure) -> float:
    assert one.interval is not None
    return one.interval.estimate


def test_order_by_hand() -> None:
    """Four pairs, two raters: three agree. Alpha: D = 2 of 8 values apart, 4 A and 4 B by nature
    A 5, B 3: E = 2 * 5 * 3 / (8 * 7), alpha = 1 - (2 / 8) / E. AC1: chance is
    (1 / (3 - 1)) * sum p(1 - p) over A, tie, B."""
    found = figures(panel({"a": "AABB", "b": "AABA"}))
    assert estimate(found["order", "percent"]) == pytest.approx(0.75)
    expected = 2 * 5 * 3 / (8 * 7)
    assert estimate(found["order", "alpha-nominal"]) == pytest.approx(1 - 0.25 / expected)
    chance = (5 / 8 * 3 / 8 + 3 / 8 * 5 / 8) / 2
    ac1 = (0.75 - chance) / (1 - chance)
    assert estimate(found["order", "ac1"]) == pytest.approx(ac1)
    one = found["order", "percent"]
    assert (one.judgements, one.items, one.prompts, one.raters) == (8, 4, 4, 2)


def test_criteria_are_ordinal_and_of_responses() -> None:
    rows = [
        vote(rater, task, ratings={"safety": (first, second)})
        for rater, values in {"a": (1, 5, 3, 4), "b": (1, 5, 3, 4)}.items()
        for task, first, second in (("t", *values[:2]), ("u", *values[2:]))
    ]
    found = figures(Votes(rows=tuple(rows), criteria=("safety",)))
    assert estimate(found["safety", "alpha-ordinal"]) == pytest.approx(1)
    assert estimate(found["safety", "ac2-ordinal"]) == pytest.approx(1)
    assert found["safety", "percent"].items == 4
    assert found["safety", "percent"].prompts == 2


def test_several_responses_have_tau() -> None:
    """Tau of (0 1 2) and (0 2 1) is 1/3, of two equal rankings 1."""
    rows = (
        vote("a", "t", (0, 1, 2)),
        vote("b", "t", (0, 2, 1)),
        vote("a", "u", (0, 1, 2)),
        vote("b", "u", (0, 1, 2)),
    )
    found = figures(Votes(rows=rows))
    one = found["order", "kendall-tau-b"]
    assert estimate(one) == pytest.approx(2 / 3)
    assert (one.judgements, one.items, one.prompts, one.raters) == (4, 2, 2, 2)
    assert ("order", "kendall-tau-b") not in figures(panel({"a": "AB", "b": "AB"}))


def test_what_cannot_be_told_says_why() -> None:
    alone = figures(panel({"a": "AB"}))["order", "percent"]
    assert (alone.interval, alone.why) == (None, "no two raters judged the same")
    once = figures(panel({"a": "A", "b": "A"}))["order", "percent"]
    assert (once.interval, once.why, once.judgements) == (None, "needs two prompts", 2)
    same = figures(panel({"a": "AA", "b": "AA"}))
    assert same["order", "alpha-nominal"].interval is None
    assert "chance" in same["order", "alpha-nominal"].why
    assert estimate(same["order", "percent"]) == 1


def test_random_and_picked_tasks_and_kinds_of_raters_are_apart() -> None:
    people = panel({"a": "AABB", "b": "AABB"})
    model = panel({"m": "BBBB"}, kind=RaterKind.MODEL)
    picked = panel({"a": "ABBB", "b": "AAAB"}, selected_by="uncertainty")
    moved = tuple(replace(row, task=f"p{row.task}", prompt=f"p{row.task}") for row in picked.rows)
    found = agreement(Votes(rows=(*people.rows, *model.rows, *moved)), resamples=FEW)
    assert [(g.raters, g.tasks) for g in found.groups] == [
        ("all", "random"),
        ("human", "random"),
        ("model", "random"),
        ("all", "picked"),
        ("human", "picked"),
        ("model", "picked"),
    ]
    percent = [g.figures[0].interval for g in found.groups]
    assert [p and round(p.estimate, 3) for p in percent] == [0.667, 1, None, 0.5, 0.5, None]


def test_only_work_of_trusted_raters_counts() -> None:
    work = panel({"a": "AB", "b": "AB", "bad": "BA"})
    gold = panel({"a": "A", "b": "B"}, purpose=Purpose.GOLD, gold=(0, 1))
    gold = gold.only(lambda row: True)
    rows = (*work.rows, *(replace(row, task="g", prompt="g") for row in gold.rows))
    votes = Votes(rows=rows, states={"a": "new", "b": "active", "bad": "quarantined"})
    found = agreement(votes, resamples=FEW)
    first = found.groups[0].figures[0]
    assert estimate(first) == 1
    assert (first.judgements, found.counts.quarantined) == (4, 2)


def test_counts_keep_kinds_apart() -> None:
    votes = panel({"a": "A=xs", "b": "Bx"})
    late = Votes(rows=(*votes.rows, vote("c", "t9", late=True), skip("c", "t8")))
    found = count(late)
    assert (found.judgements, found.ordered, found.ties) == (8, 4, 1)
    assert (found.all_bad, found.skips, found.late, found.raters) == (2, 2, 1, 3)
    assert (found.prompts, found.quarantined) == (6, 0)


@pytest.mark.parametrize(("agreeing", "most"), [(0.5, 0.5), (0.4, 0.5), (1, 1), (0.68, 0.8)])
def test_the_ceiling_by_hand(agreeing: float, most: float) -> None:
    """Where p = .8 on every pair, two raters agree on .64 + .04."""
    assert highest_accuracy(agreeing) == pytest.approx(most)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_ceiling_holds_whatever_the_pairs(shares: list[float]) -> None:
    agreeing = sum(p * p + (1 - p) ** 2 for p in shares) / len(shares)
    best = sum(max(p, 1 - p) for p in shares) / len(shares)
    assert agreeing - 1e-9 <= best <= highest_accuracy(agreeing) + 1e-9


def test_ties_are_left_out_of_the_ceiling() -> None:
    """Pairs without ties: t0 agrees, t1 does not, t2 has one vote left."""
    (group,) = agreement(panel({"a": "AA=", "b": "ABA"}), resamples=FEW).groups
    assert group.ceiling is not None
    assert (group.ceiling.pairs, group.ceiling.prompts) == (2, 2)
    assert group.ceiling.agreement.estimate == pytest.approx(0.5)
    assert (group.ceiling.least, group.ceiling.most) == (0.5, 0.5)


def test_percent_agreement_of_few() -> None:
    assert percent_agreement(panel({"a": "AB", "b": "AA", "c": "A."})) == pytest.approx(0.5)
    assert math.isnan(percent_agreement(panel({"a": "AB"})))


@given(st.randoms(use_true_random=False))
def test_order_and_names_do_not_matter(rng: Random) -> None:
    votes = panel({"a": "AABB=AB", "b": "AABABAB", "c": "BABB=AA"})
    rows = [replace(row, rater={"a": "z", "b": "y", "c": "x"}[row.rater]) for row in votes.rows]
    rng.shuffle(rows)
    before, after = (
        agreement(votes, resamples=FEW),
        agreement(Votes(rows=tuple(rows)), resamples=FEW),
    )
    assert before == after


def test_reviewers_by_hand() -> None:
    """Three texts, two reviewers: both accept one, both reject one, and one is split: 2/3. Alpha:
    D = 2 of 6 values apart, E = 2 * 3 * 3 / (6 * 5). A skip, and a text with one review, tell
    nothing."""
    said = {"a": "++-", "b": "+--"}
    rows = [
        vote(
            rater,
            f"task {n}",
            (0,) if sign == "+" else None,
            verdict=Verdict.RANKING if sign == "+" else Verdict.ALL_BAD,
            responses=(f"text {n}",),
        )
        for rater, signs in said.items()
        for n, sign in enumerate(signs)
    ]
    rows.append(skip("c", "task 0"))
    alone = {"verdict": Verdict.RANKING, "responses": ("text 9",)}
    rows.append(vote("c", "task 9", (0,), **alone))
    percent, alpha, _ = review_agreement(Votes(rows=tuple(rows)), resamples=FEW)
    assert estimate(percent) == pytest.approx(2 / 3)
    assert (percent.judgements, percent.items, percent.prompts, percent.raters) == (6, 3, 3, 2)
    assert estimate(alpha) == pytest.approx(1 - (2 / 6) / (2 * 3 * 3 / (6 * 5)))


def test_ac1_of_two_answers_stands_beside_that_of_three() -> None:
    """Eight pairs, nobody ties: 6 agree. AC1's chance halves with a third answer that nobody gives:
    A 8, B 8 of 16, sum p(1 - p) = .5, over 1 and over 2."""
    found = figures(panel({"a": "AAAABBBB", "b": "AAABBBBA"}))
    assert estimate(found["order", "ac1"]) == pytest.approx((0.75 - 0.25) / 0.75)
    assert estimate(found["order", "ac1, ties left out"]) == pytest.approx((0.75 - 0.5) / 0.5)
