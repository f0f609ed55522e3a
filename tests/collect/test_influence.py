"""Caps by water-filling, and what changes without a rater."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect.consensus import consensus
from accord.collect.influence import cap_for, capped, influence, rater_weights, without
from accord.collect.tasks import Purpose
from accord.collect.trust import Trust, TrustSettings
from accord.collect.votes import Votes, load
from accord.core.errors import DataError
from accord.store.database import Database
from accord.store.judgements import Verdict
from tests.collect.ballots import panel
from tests.collect.judging import again, campaign, frozen, rater, rows, say, task


def trust(rater: str, weight: float) -> Trust:
    return Trust(
        rater=rater, weight=weight, quarantined=weight == 0, by_lead=False, look=False, why=()
    )


def test_capped_by_hand() -> None:
    """Level = .4 * (level + 4): 8/3; then 8/3 of 20/3 is .4."""
    assert capped({"a": 10, "b": 2, "c": 2}, 0.4) == {"a": pytest.approx(8 / 3), "b": 2, "c": 2}
    assert capped({"a": 3, "b": 1}, 0.5) == {"a": pytest.approx(1), "b": 1}
    two = capped({"a": 9, "b": 8, "c": 1, "d": 1}, 0.4)
    assert two == {"a": pytest.approx(4), "b": pytest.approx(4), "c": 1, "d": 1}


def test_what_is_below_the_cap_is_left_alone() -> None:
    assert capped({"a": 3, "b": 3, "c": 0}, 0.5) == {"a": 3, "b": 3, "c": 0}
    assert capped({"a": 5}, 1.0) == {"a": 5}
    assert capped({}, 0.1) == {}
    assert capped({"a": 0.0}, 0.1) == {"a": 0}


@given(
    st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=40),
    st.floats(1, 4),
    st.permutations(range(40)),
)
def test_water_filling(values: list[float], spread: float, order: list[int]) -> None:
    """Nobody exceeds the cap, nobody gains, whoever loses is at the cap, and order is nothing."""
    weights = {f"r{n}": value for n, value in enumerate(values)}
    cap = min(1.0, spread / len(values))
    held = capped(weights, cap)
    total = math.fsum(held.values())
    for name, weight in weights.items():
        assert held[name] <= cap * total * (1 + 1e-9)
        assert held[name] <= weight
        if held[name] < weight * (1 - 1e-9):
            assert held[name] == pytest.approx(cap * total, rel=1e-6)
    names = sorted(weights, key=lambda name: order[int(name[1:])])
    assert capped({name: weights[name] for name in names}, cap) == pytest.approx(held)


@pytest.mark.parametrize(
    ("weights", "cap"),
    [({"a": 1, "b": 1}, 0.4), ({"a": -1.0, "b": 1}, 0.5), ({"a": math.nan}, 1), ({"a": 1}, 0)],
)
def test_impossible_caps_are_refused(weights: dict[str, float], cap: float) -> None:
    with pytest.raises(DataError):
        capped(weights, cap)


def test_few_raters_get_a_cap_that_is_possible() -> None:
    assert cap_for(200) == (0.02, "no rater weighs more than 2.0%")
    cap, why = cap_for(10)
    assert cap == pytest.approx(0.2)
    assert why.startswith("no rater weighs more than 20.0%, 2 times an even share")
    assert cap_for(1)[0] == cap_for(0)[0] == 1
    assert cap_for(10, TrustSettings(spread=1.5))[0] == pytest.approx(0.15)


def test_influence_is_trust_and_cap_together() -> None:
    """Whoever counts shares a task: a, b, c, d share t0, a, b, c share t1, a and d share t3.

    Parts: a 1/4 + 1/3 + 1 + 1/2 + 1 + 1 = 49/12, b and c 7/12, d 3/4; times trust 49/12 + 3.5/12 +
    7/12 + 9/12 = 68.5/12. Four count, so the cap is 2 / 4, and the level what the others weigh:
    19.5/12.
    """
    votes = panel({"a": "AAAAAA", "b": "AA", "c": "AA", "d": "Axs=", "e": "AA"})
    trusts = [trust(name, w) for name, w in zip("abcde", (1, 0.5, 1, 1, 0), strict=True)]
    found = influence(votes, trusts)
    assert found.cap == 0.5
    shares = {one.rater: one for one in found.shares}
    assert [one.judgements for one in found.shares] == [6, 2, 2, 2, 2]
    assert shares["a"].before == pytest.approx(49 / 68.5)
    assert shares["a"].after == pytest.approx(0.5)
    assert shares["a"].weight == pytest.approx(19.5 / 49)
    assert [shares[name].weight for name in "bcde"] == pytest.approx([0.5, 1, 1, 0])
    assert math.fsum(one.after for one in found.shares) == pytest.approx(1)


def test_who_judges_alone_weighs_more() -> None:
    """a and b share ten tasks, c has ten alone: half of a set's weight, and not a third."""
    votes = panel({"a": "A" * 10, "b": "A" * 10, "c": "." * 10 + "A" * 10})
    shares = influence(votes, []).shares
    assert [one.after for one in shares] == pytest.approx([0.25, 0.25, 0.5])
    held = influence(votes, [], TrustSettings(spread=1.2)).shares
    assert [one.after for one in held] == pytest.approx([0.3, 0.3, 0.4])
    assert [one.weight for one in held] == pytest.approx([1, 1, 2 / 3])


def test_what_was_picked_seldom_weighs_more() -> None:
    votes = panel({"a": "AA", "b": "..AA"})
    rare = votes.only(lambda row: row.rater == "b").rows
    rows = (*votes.of(Purpose.WORK).without("b").rows, *(replace(r, inclusion=0.25) for r in rare))
    assert [one.after for one in influence(Votes(rows=rows), []).shares] == pytest.approx(
        [0.2, 0.8]
    )


def test_the_shares_are_those_of_the_frozen_set(database: Database, tmp_path: Path) -> None:
    """A lead who does nothing but adjudicate counts, and so does "all bad" with an order."""
    pilot = campaign(database)
    ada, bea, lead, shy = (rater(database) for _ in range(4))
    for number in range(4):
        about = task(database, pilot, f"both {number}", inclusion=0.5)
        say(database, pilot, about, ada, (0, 1))
        say(database, pilot, about, bea, (1, 0))
    say(database, pilot, task(database, pilot, "alone"), ada, (0, 1))
    bad = task(database, pilot, "bad")
    say(database, pilot, bad, shy, (0, 1), verdict=Verdict.ALL_BAD)
    split = again(database, pilot, about, "both 3", purpose=Purpose.ADJUDICATION, inclusion=0.5)
    say(database, pilot, split, lead, (0, 1))
    with database.read() as connection:
        votes = load(connection, pilot)
    found = influence(votes, [], TrustSettings(spread=1.5))
    weights = {one.rater: one.weight for one in found.shares}
    made = frozen(database, pilot, tmp_path, weights=weights)
    assert not made.excluded
    total = math.fsum(row.training_weight for row in rows(made))
    for share in found.shares:
        own = math.fsum(row.training_weight for row in rows(made) if row.rater == share.rater)
        assert own / total == pytest.approx(share.after)
        assert share.after <= found.cap + 1e-9
    assert rater_weights(votes)[lead] > 0


def test_weights_of_a_whole_campaign() -> None:
    """Whoever takes what stands first weighs nothing; ten others are below the cap of a fifth."""
    word = "ABBA" * 6
    votes = panel(dict.fromkeys("abcdefghij", word))
    turned = tuple(
        replace(row, shown=(0, 1) if (place + row.seq) % 2 else (1, 0))
        for place, row in enumerate(votes.rows)
    )
    first = panel({"first": "AB" * 12})
    bad = tuple(
        replace(row, seq=900 + n, shown=(0, 1) if row.best == 1 else (1, 0))
        for n, row in enumerate(first.rows)
    )
    found = rater_weights(Votes(rows=(*turned, *bad)))
    assert found.pop("first") == 0
    assert set(found) == set("abcdefghij")
    assert min(found.values()) > 0.9


def test_only_what_trains_has_influence() -> None:
    work, gold = panel({"a": "AB"}), panel({"b": "AB"}, purpose=Purpose.GOLD, gold=(0, 1))
    votes = Votes(rows=(*work.rows, *gold.rows))
    found = influence(votes, [])
    assert [(one.rater, one.judgements, one.after, one.weight) for one in found.shares] == [
        ("a", 2, 1, 1),
        ("b", 0, 0, 1),
    ]
    asked = influence(votes, [], purposes=(Purpose.GOLD,))
    assert [(one.rater, one.judgements, one.after) for one in asked.shares] == [
        ("a", 0, 0),
        ("b", 2, 1),
    ]
    assert influence(Votes(rows=()), []).shares == ()


def pair(task: str) -> tuple[str, int, int]:
    return task, 0, 1


def test_without_a_rater_by_hand() -> None:
    """t0: 3 to 1 for A stays; t1: 2 to 1 opens; t2: a tie of votes settles; t3: lost."""
    votes = panel({"gone": "AAAA", "b": "AAB.", "c": "AB..", "d": "B..."})
    found = without(votes, "gone")
    assert (found.judgements, found.pairs) == (4, 4)
    assert (found.opened, found.settled) == ((pair("t1"),), (pair("t2"),))
    assert found.lost == (pair("t3"),)


def test_a_majority_never_becomes_the_opposite_one() -> None:
    before = {one.task: one.majority for one in consensus(RANDOM_PANEL)}
    for name in RANDOM_PANEL.raters:
        for one in consensus(RANDOM_PANEL.without(name)):
            assert one.majority is None or before[one.task] in (None, one.majority)


RANDOM_PANEL = panel(
    {"a": "AB=ABBAB=A", "b": "BBAAB=ABBA", "c": "=ABBAABABA", "d": "ABBA=BAA.B", "e": "BA.BABBAAB"}
)


def test_belief_can_turn_and_is_named() -> None:
    """t16 is judged by a, who is always with the others, and d, who errs: a is believed. t0 is
    judged by all. Without a, d's word is what is left of t16."""
    word = "AB" * 8
    votes = panel({"a": word + "A", "b": word, "c": word, "d": errs(word) + "B"})
    found = without(votes, "a")
    assert found.flipped == (pair("t16"),)
    assert found.settled == (pair("t16"),)
    assert without(votes, "b").flipped == ()


def errs(word: str) -> str:
    return "".join("BA"["AB".index(c)] if n % 4 == 0 else c for n, c in enumerate(word))


def test_a_rater_in_quarantine_changes_nothing() -> None:
    votes = replace(panel({"a": "AB", "b": "BA"}), states={"b": "quarantined"})
    found = without(votes, "b")
    assert (found.judgements, found.lost, found.flipped) == (0, (), ())


def test_agreement_before_and_after() -> None:
    found = without(panel({"a": "AB", "b": "AB", "c": "BA"}), "c")
    assert found.agreement_before == pytest.approx(1 / 3)
    assert found.agreement_after == 1
    alone = without(panel({"a": "AB"}), "a")
    assert (alone.lost, alone.pairs) == ((pair("t0"), pair("t1")), 2)
    assert math.isnan(alone.agreement_after)


def test_an_unknown_rater_is_named() -> None:
    with pytest.raises(DataError, match="judged nothing"):
        without(panel({"a": "A"}), "nobody")
