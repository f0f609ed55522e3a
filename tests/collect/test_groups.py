"""Agreement by groups of raters: by hand, and nothing that rests on fewer than k of them."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.collect.groups import FEW, GroupFigure, agreement_by, people
from accord.collect.questions import NOT_TOLD, OTHERS
from accord.collect.sheet import RaterKind
from accord.collect.tasks import Purpose
from accord.collect.votes import Votes
from accord.core.errors import ConfigError
from tests.collect.asked import answers, questions, votes_by
from tests.collect.ballots import panel, skip, vote

ASKED = questions()
FEWEST = 1000


def by_name(figures: tuple[GroupFigure, ...]) -> dict[str, float | None]:
    return {
        one.coefficient: None if one.interval is None else one.interval.estimate for one in figures
    }


def test_two_groups_that_disagree_by_hand() -> None:
    """Law says A of all tasks, art says B of every second one: each agrees with itself, and they
    with each other half the time."""
    told = answers("field", law=5, art=5)
    votes = votes_by({name: "A" if "law" in name else "AB" for name in told}, 20, overlap=10)
    found = agreement_by(votes, told, ASKED, "field", resamples=FEWEST)
    assert found.groups == {"law": 5, "art": 5}
    (topic,) = found.topics
    assert (topic.about, topic.tasks, topic.why) == ("order", "random", "")
    law, art = by_name(topic.within["law"]), by_name(topic.within["art"])
    assert law == {"percent": 1, "alpha-nominal": None, "ac1": 1}
    assert art == {"percent": 1, "alpha-nominal": 1, "ac1": 1}
    both = by_name(topic.between["law", "art"])
    # Chance: law says A always, art half of the time.
    assert both == {"percent": 0.5, "kappa": 0}
    assert {one.prompts for one in topic.between["law", "art"]} == {20}
    interval = topic.between["law", "art"][0].interval
    assert interval is not None
    assert interval.low < 0.5 < interval.high


def test_criteria_are_compared_too_where_enough_rated() -> None:
    told = answers("field", law=5, art=5)
    plain = votes_by(dict.fromkeys(told, "AB"), 12, overlap=10)

    def rated(names: set[str]) -> Votes:
        rows = tuple(
            replace(row, ratings={"safety": (5, 1)}) if row.rater in names else row
            for row in plain.rows
        )
        return replace(plain, rows=rows, criteria=("safety",))

    found = agreement_by(rated(set(told)), told, ASKED, "field", resamples=FEWEST)
    order, safety = found.topics
    assert (order.about, safety.about) == ("order", "safety")
    assert by_name(safety.within["art"])["alpha-ordinal"] == 1
    assert by_name(safety.between["law", "art"]) == {"percent": 1, "kappa-ordinal": 1}
    # Four of law rated it: what is shown of art would be what law did not say.
    found = agreement_by(rated(set(told) - {"law0"}), told, ASKED, "field", resamples=FEWEST)
    assert found.topics[0].within
    assert (dict(found.topics[1].within), found.topics[1].why) == ({}, FEW.format(k=5))


def test_a_group_that_shares_no_task_is_in_no_figure() -> None:
    """Ten of law and ten of art, of whom law's never meet each other: within law is unknown."""
    told = answers("field", law=10, art=10)
    rows = [vote(f"law{n}", f"t{n}") for n in range(10)]
    rows += [vote(f"art{n}", f"t{task}") for task in range(10) for n in range(10)]
    votes = Votes(rows=tuple(rows), states=dict.fromkeys(told, "active"))
    found = agreement_by(votes, told, ASKED, "field", resamples=FEWEST)
    assert found.groups == {"law": 10, "art": 10}
    assert [topic.why for topic in found.topics] == [FEW.format(k=5)]


def test_picked_tasks_are_apart() -> None:
    told = answers("field", law=5, art=5)
    votes = votes_by(dict.fromkeys(told, "AAB"), 12, overlap=10)
    rows = [
        replace(row, selected_by="uncertainty") if row.task in ("t0", "t1", "t2") else row
        for row in votes.rows
    ]
    found = agreement_by(replace(votes, rows=tuple(rows)), told, ASKED, "field", resamples=FEWEST)
    assert [(topic.tasks, topic.within["law"][0].prompts) for topic in found.topics] == [
        ("random", 9),
        ("picked", 3),
    ]


def test_people_who_ordered_something_count() -> None:
    votes = panel({"a": "A", "b": "x", "c": "s", "bad": "A"})
    more = (
        vote("m", "t0", kind=RaterKind.MODEL),
        vote("g", "t0", purpose=Purpose.GOLD, gold=(0, 1)),
        skip("a", "t1"),
    )
    states = {"bad": "quarantined"}
    found = people(Votes(rows=(*votes.rows, *more), states=states))
    assert found.raters == ("a",)
    assert len(found.rows) == 2


def test_a_question_that_cannot_be_shown_says_why_and_an_unknown_one_is_refused() -> None:
    told = answers("field", law=9, art=4)
    found = agreement_by(votes_by(dict.fromkeys(told, "A"), 5), told, ASKED, "field")
    assert (dict(found.groups), found.topics) == ({}, ())
    assert "fewer than 5" in found.why
    with pytest.raises(ConfigError, match="no such question"):
        agreement_by(votes_by({}, 0), {}, ASKED, "age")


@settings(max_examples=40)
@given(
    sizes=st.tuples(*(st.integers(0, 12) for _ in range(4))),
    tasks=st.integers(1, 12),
    overlap=st.integers(2, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_figure_rests_on_k_raters_of_each_side(
    sizes: tuple[int, int, int, int], tasks: int, overlap: int, seed: int
) -> None:
    """Counted again from the votes: who shares a task with whom."""
    law, art, trade, silent = sizes
    pool = answers("field", law=law, art=art, trade=trade, none=silent)
    told = {name: said for name, said in pool.items() if said["field"] != "none"}
    rng = random.Random(seed)
    tastes = {name: "".join(rng.choices("AB", k=tasks)) for name in pool}
    if not tastes:
        return
    votes = votes_by(tastes, tasks, seed=seed, overlap=overlap)
    found = agreement_by(votes, told, ASKED, "field", resamples=FEWEST)
    present = set(votes.raters)
    assert not found.groups or sum(found.groups.values()) == len(present)
    assert min(found.groups.values(), default=5) >= 5
    groups = {
        name: {r for r in present if told.get(r, {"field": NOT_TOLD})["field"] == name}
        for name in found.groups
        if name != OTHERS
    }
    groups |= {OTHERS: present.difference(*groups.values())} if OTHERS in found.groups else {}
    who = {
        task: {r.rater for r in votes.rows if r.task == task} for task in map(str, tasks_of(votes))
    }
    for topic in found.topics:
        for one, mine in groups.items():
            for other, theirs in groups.items():
                meeting = {
                    rater
                    for rater in mine
                    if any(rater in here and (here & theirs) - {rater} for here in who.values())
                }
                assert topic.why or len(meeting) >= 5, (one, other)
        for figure in (*sum(topic.within.values(), ()), *sum(topic.between.values(), ())):
            if figure.interval is not None:
                ends = np.array([figure.interval.estimate, figure.interval.low])
                assert np.array_equal(np.round(ends, 2), ends, equal_nan=True)


def tasks_of(votes: Votes) -> set[str]:
    return {row.task for row in votes.rows}


def with_one_who_guesses(state: str) -> tuple[Votes, dict[str, dict[str, str]]]:
    """Seven of law and seven of art, of whom art6 takes what stands first, whatever it is."""
    told = answers("field", law=7, art=7)
    tastes = {name: "AAB" if "law" in name else "ABB" for name in told}
    votes = votes_by(tastes, 40, overlap=14)
    rng = random.Random(1)
    rows = []
    for row in votes.rows:
        first = rng.randrange(2)
        tiers = (first, 1 - first) if row.rater == "art6" else row.tiers
        rows.append(replace(row, tiers=tiers, shown=(first, 1 - first)))
    states = dict.fromkeys(told, "new") | {"art6": state}
    return replace(votes, rows=tuple(rows), states=states), told


def test_whom_the_rules_put_into_quarantine_is_in_no_figure_as_whom_a_lead_put_there() -> None:
    votes, told = with_one_who_guesses("new")
    assert "art6" in votes.raters
    assert "art6" not in people(votes).raters
    assert len(people(votes).raters) == 13
    by_rules = agreement_by(votes, told, ASKED, "field", resamples=FEWEST)
    votes, _ = with_one_who_guesses("quarantined")
    assert agreement_by(votes, told, ASKED, "field", resamples=FEWEST) == by_rules
    (topic,) = by_rules.topics
    assert by_name(topic.within["art"])["percent"] == 1
    votes, _ = with_one_who_guesses("active")
    (topic,) = agreement_by(votes, told, ASKED, "field", resamples=FEWEST).topics
    within = by_name(topic.within["art"])["percent"]
    assert within is not None
    assert within < 0.95


def test_quarantine_moves_no_size() -> None:
    """`accord raters` names who was put there: a size that fell would say what they told."""
    for state in ("new", "quarantined", "active"):
        votes, told = with_one_who_guesses(state)
        found = agreement_by(votes, told, ASKED, "field", resamples=FEWEST)
        assert found.groups == {"law": 7, "art": 7}


def test_a_group_of_whom_too_few_are_left_is_put_together_with_others() -> None:
    told = answers("field", law=7, art=5, trade=5)
    votes = votes_by(dict.fromkeys(told, "AB"), 12, overlap=17)
    states = dict(votes.states) | {"art0": "quarantined"}
    found = agreement_by(replace(votes, states=states), told, ASKED, "field", resamples=FEWEST)
    assert found.groups == {"law": 7, OTHERS: 10}
    states |= {name: "quarantined" for name in told if name.startswith("trade")}
    found = agreement_by(replace(votes, states=states), told, ASKED, "field", resamples=FEWEST)
    assert (dict(found.groups), found.topics) == ({}, ())
