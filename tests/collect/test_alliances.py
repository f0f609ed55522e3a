"""Raters who answer alike: which answers are compared, what follows, and planted pairs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.collect.alliances import pairs_alike
from accord.collect.habits import rater_report
from accord.collect.tasks import Purpose
from accord.collect.trust import decide
from accord.collect.votes import Votes
from bench.panel import Archetype, Design, hh_harmless, pandalm, simulate
from tests.collect.ballots import panel, skip, vote

DATA = os.environ.get("ACCORD_DATA")
real = pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")

TRUTH = "AB" * 20
SECRET = "".join("AB"["ABBABAAB"[n % 8] == "A"] for n in range(40))
"""Right on half of the tasks."""


def conspiracy() -> Votes:
    """x and y follow a secret; four others are right, but for a slip each now and then."""
    table = {"x": SECRET, "y": SECRET}
    for place, name in enumerate("abcd"):
        turned = {"A": "B", "B": "A"}
        table[name] = "".join(turned[c] if n % 9 == place else c for n, c in enumerate(TRUTH))
    return panel(table)


def test_known_answers_count_and_repeats_do_not() -> None:
    rows = [vote(name, "g", purpose=Purpose.GOLD, gold=(0, 1)) for name in "ab"]
    rows += [vote(name, "x", purpose=Purpose.REPEAT, repeats="g") for name in "ab"]
    rows += [vote("a", "t"), vote("b", "t", (1, 0)), vote("c", "t"), skip("a", "s"), skip("b", "s")]
    found = {(one.one, one.other): one for one in pairs_alike(Votes(rows=tuple(rows)))}
    assert (found["a", "b"].shared, found["a", "b"].open) == (2, 1)
    assert (found["a", "c"].shared, found["a", "c"].same) == (1, 1)
    assert pairs_alike(Votes(rows=())) == ()
    assert pairs_alike(Votes(rows=(skip("a", "t"), skip("b", "t")))) == ()


def test_a_pair_is_a_reason_to_look_and_changes_no_weight() -> None:
    votes = conspiracy()
    pairs, reports = pairs_alike(votes), rater_report(votes, resamples=0)
    first = pairs[0]
    assert (first.one, first.other, first.shared, first.same) == ("x", "y", 40, first.open)
    assert [one.q <= 0.05 for one in pairs].count(True) == 1
    before = {one.rater: one for one in decide(reports)}
    after = {one.rater: one for one in decide(reports, pairs=pairs)}
    words = (
        f"says what y says on {first.same} of {first.open} tasks that others are split on,"
        f" {first.expected:.1f} expected: agreed, one person twice, or one taste"
    )
    assert after["x"].look
    assert after["x"].why == (*before["x"].why, words)
    assert after["y"].why[-1] == words.replace("what y", "what x")
    for name, one in after.items():
        assert (one.weight, one.quarantined) == (before[name].weight, before[name].quarantined)
        assert name in "xy" or one == before[name]


@settings(max_examples=5)
@given(st.randoms(use_true_random=False))
def test_order_and_screen_do_not_matter(rng: object) -> None:
    votes = conspiracy()
    rows = [replace(row, shown=row.shown[::-1], seq=1) for row in votes.rows]
    rng.shuffle(rows)  # type: ignore[attr-defined]
    assert repr(pairs_alike(replace(votes, rows=tuple(rows)))) == repr(pairs_alike(votes))


@real
@pytest.mark.slow
def test_planted_pairs_on_real_texts() -> None:
    """60 judgements, five a task. Two who agree on everything are noticed; honest pairs next to
    never; nobody comes into quarantine for it, a minority with one taste least of all."""
    folder = Path(DATA or "")
    design = Design(overlap=5, gold=0.05, repeats=0.05)
    seen: dict[Archetype, list[bool]] = {}
    wrong = 0
    for world in (pandalm(folder), hh_harmless(folder)):
        for kind in (Archetype.COLLUDER_ALL, Archetype.MINORITY, Archetype.HONEST):
            for seed in range(10):
                votes = simulate(world, [Archetype.HONEST] * 10 + [kind] * 2, design, seed)
                called = [one for one in pairs_alike(votes) if one.q <= 0.05]
                mine = [{one.one, one.other} == {"r10", "r11"} for one in called]
                seen.setdefault(kind, []).append(any(mine))
                wrong += mine.count(False)
    assert sum(seen[Archetype.COLLUDER_ALL]) >= 16
    assert sum(seen[Archetype.MINORITY]) <= 9
    assert sum(seen[Archetype.HONEST]) <= 2
    assert wrong <= 7
