"""The report on every rater: each habit by hand, and that only the votes matter."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.collect.habits import Habit, RaterReport, evidence, rater_report
from accord.collect.tasks import Purpose
from accord.collect.votes import Vote, Votes, load
from accord.stats import rater_bias
from accord.store.database import Database
from tests.collect.ballots import Desk, panel, skip, vote


def report(votes: Votes, resamples: int = 0) -> dict[str, RaterReport]:
    return {one.rater: one for one in rater_report(votes, resamples=resamples)}


def gold(rater: str, number: int, right: bool) -> Vote:
    tiers = (0, 1) if right else (1, 0)
    return vote(rater, f"g{number}", tiers, purpose=Purpose.GOLD, gold=(0, 1), seq=1000 + number)


def test_counts_and_the_median_time() -> None:
    rows = (
        vote("a", "t0", seconds=10),
        vote("a", "t1", seconds=30, late=True),
        vote("a", "t2", None, seconds=90),
        skip("a", "t3"),
        vote("b", "t0"),
    )
    found = report(Votes(rows=rows, states={"a": "active"}))
    one = found["a"]
    assert (one.judgements, one.skips, one.all_bad, one.late) == (4, 1, 1, 1)
    assert (one.seconds, one.state) == (30, "active")
    assert (found["b"].seconds, found["b"].state) == (None, "new")
    skipping = one.findings[Habit.SKIPPING]
    assert (skipping.n, skipping.interval.estimate) == (4, 0.5)


def test_known_answers_by_hand() -> None:
    rows = [gold("a", n, right=n < 3) for n in range(4)] + [vote("b", "t0")]
    found = report(Votes(rows=tuple(rows)))
    one = found["a"].findings[Habit.GOLD]
    assert (one.n, one.interval.estimate) == (4, 0.75)
    assert one.interval.low < 0.75 < one.interval.high
    rate = evidence(Votes(rows=tuple(rows))).pool.gold
    assert one.p == pytest.approx(1 - rate**4)
    assert found["b"].findings[Habit.GOLD].n == 0
    assert math.isnan(found["b"].findings[Habit.GOLD].p)


def test_repeats_by_hand() -> None:
    rows = []
    for rater, answers in {"a": "AB", "b": "AA"}.items():
        for number, letter in enumerate(answers):
            rows.append(vote(rater, f"t{number}", seq=number))
            tiers = (0, 1) if letter == "A" else (1, 0)
            again = {"purpose": Purpose.REPEAT, "repeats": f"t{number}"}
            rows.append(vote(rater, f"x{rater}{number}", tiers, seq=90 + number, **again))
    found = report(Votes(rows=tuple(rows)))
    same = {name: one.findings[Habit.CONSISTENCY] for name, one in found.items()}
    assert (same["a"].n, same["a"].interval.estimate) == (2, 0.5)
    assert (same["b"].n, same["b"].interval.estimate) == (2, 1)
    assert same["a"].p == pytest.approx(0.5)
    assert found["a"].trials == 2


def test_position_counts_the_screen_and_no_repeat() -> None:
    """Canonical first wins each time; it stood first in three of four first showings."""
    rows = [vote("a", f"t{n}", shown=(0, 1) if n < 3 else (1, 0)) for n in range(4)]
    rows.append(vote("a", "x", (1, 0), purpose=Purpose.REPEAT, repeats="t0", shown=(1, 0)))
    rows.append(vote("a", "t9", (0, 0)))
    one = report(Votes(rows=tuple(rows)))["a"].findings[Habit.POSITION]
    assert (one.n, one.interval.estimate) == (4, 0.75)


def test_length_is_against_the_others_on_the_same_task() -> None:
    """a takes the longest of three, b and c the shortest, on each of two tasks."""
    longest = {"t": (5, 90, 40), "u": (70, 8, 60)}
    rows = []
    for task, lengths in longest.items():
        order = sorted(range(3), key=lambda place: -lengths[place])
        up = tuple(order.index(place) for place in range(3))
        down = tuple(2 - tier for tier in up)
        rows.append(vote("a", task, up, lengths=lengths))
        rows += [vote(name, task, down, lengths=lengths) for name in ("b", "c")]
    found = report(Votes(rows=tuple(rows)))
    one = found["a"].findings[Habit.LENGTH]
    assert (one.n, one.interval.estimate) == (2, 1)
    assert one.p == pytest.approx(2 / 9)
    unknown = report(Votes(rows=tuple(replace(row, lengths=None) for row in rows)))
    assert unknown["a"].findings[Habit.LENGTH].n == 0


def test_consensus_and_drift_are_of_work_alone() -> None:
    """b and c say A throughout; a does at first and then no more."""
    votes = panel({"a": "AAAABBBB", "b": "AAAAAAAA", "c": "AAAAAAAA"})
    extra = tuple(gold("a", n, right=False) for n in range(5))
    found = report(Votes(rows=(*votes.rows, *extra)))["a"]
    agrees, drift = found.findings[Habit.CONSENSUS], found.findings[Habit.DRIFT]
    assert (agrees.n, agrees.interval.estimate) == (8, 0.5)
    assert (drift.n, drift.interval.estimate) == (8, -1)


def errors_of(word: str) -> str:
    """The same word with every third letter turned around."""
    turned = {"A": "B", "B": "A"}
    return "".join(turned[c] if n % 3 == 0 else c for n, c in enumerate(word))


def test_a_copy_is_named_and_the_source_is_not() -> None:
    truth = "AB" * 30
    source = errors_of(truth)
    found = report(panel({"source": source, "x": truth, "y": truth, "copy": source}))
    one = found["copy"]
    assert one.copies is not None
    assert (one.copies.whom, one.copies.tasks, one.copies.same) == ("source", 60, 60)
    assert one.copies.later.estimate == 1
    assert one.findings[Habit.COPYING].q < 0.001
    assert found["source"].copies is None or found["source"].copies.whom != "copy"
    assert not found["source"].findings[Habit.COPYING].q <= 0.05


def test_the_likest_colleague_is_one_of_several() -> None:
    """p of the pair times the colleagues that were compared: all three who came before."""
    truth = "AB" * 5
    votes = panel({"source": errors_of(truth), "x": truth, "y": truth, "copy": errors_of(truth)})
    pairs = {one.rater: one.p for one in rater_bias.copying(votes.choices().ratings)}
    assert pairs["copy", "source"] < 0.2
    found = report(votes)["copy"].findings[Habit.COPYING]
    assert found.p == pytest.approx(min(1, pairs["copy", "source"] * 3))
    assert report(votes)["x"].findings[Habit.COPYING].p == 1


def test_q_allows_for_everything_that_was_asked() -> None:
    """One striking rater of ten: the smallest p, times all that was asked, is its q."""
    word = "AB" * 20
    votes = panel(dict.fromkeys("bcdefghij", word))
    first = Votes(
        rows=(
            *votes.rows,
            *(
                vote("a", f"t{n}", (n % 2, 1 - n % 2) if n > 5 else (1 - n % 2, n % 2))
                for n in range(40)
            ),
        )
    )
    found = report(first)
    p = [f.p for one in found.values() for f in one.findings.values() if not math.isnan(f.p)]
    q = {(name, habit): f.q for name, one in found.items() for habit, f in one.findings.items()}
    smallest = min(p)
    at = [key for key, one in q.items() if one == min(v for v in q.values() if not math.isnan(v))]
    assert at == [("a", Habit.CONSENSUS)]
    assert q["a", Habit.CONSENSUS] == pytest.approx(smallest * len(p))


def test_guessing_needs_more_than_disagreement() -> None:
    """A minority that is right on gold and the same again is no guesser, a coin is one."""
    rows = list(panel(dict.fromkeys("abcdefgh", "AB" * 20)).rows)
    rows += panel({"minority": "BA" * 20}).rows
    rng = Random(3)
    rows += panel({"coin": "".join(rng.choice("AB") for _ in range(40))}).rows
    for name in ("a", "b", "c", "d", "e", "f", "g", "h", "minority", "coin"):
        rows += [gold(name, n, right=name != "coin" or n % 2 == 0) for n in range(6)]
        for n in range(6):
            first = next(r for r in rows if r.rater == name and r.task == f"t{n}")
            tiers = first.tiers or (0, 1)
            if name == "coin" and n % 2:
                tiers = (tiers[1], tiers[0])
            again = {"purpose": Purpose.REPEAT, "repeats": f"t{n}"}
            rows.append(vote(name, f"x{name}{n}", tiers, seq=3000 + n, **again))
    found = report(Votes(rows=tuple(rows)))
    assert found["coin"].guesses > 0.9
    assert found["minority"].guesses < 0.1
    assert found["minority"].findings[Habit.CONSENSUS].q < 0.001


def test_answers_that_were_there_are_no_excuse() -> None:
    """The last of three has nobody after them; who came first is confirmed by the others."""
    found = evidence(panel(dict.fromkeys("abc", "AB" * 20)))
    assert found.chance["a"] < 0.01
    assert found.chance["c"] == pytest.approx(found.pool.guessers, abs=1e-6)


def test_reliability_is_of_the_canonical_order() -> None:
    word = "AB" * 15
    found = report(panel({"a": word, "b": word, "c": errors_of(word)}), resamples=100)
    assert found["a"].reliability is not None
    assert found["c"].reliability is not None
    assert found["a"].reliability.estimate > 0.95 > 0.75 > found["c"].reliability.estimate
    assert found["c"].reliability.clusters == 30
    assert "guesses" not in found["a"].line
    assert found["a"].line.startswith("30 judgements, untested")


def test_nobody_and_nothing() -> None:
    assert rater_report(Votes(rows=())) == ()
    (one,) = rater_report(Votes(rows=(skip("a", "t"),)))
    assert one.reliability is None
    assert one.findings[Habit.SKIPPING].n == 1


MAKE: dict[str, Callable[[Votes, Random], Votes]] = {
    "order": lambda votes, rng: replace(votes, rows=tuple(rng.sample(votes.rows, len(votes.rows)))),
    "places": lambda votes, rng: replace(
        votes, rows=tuple(replace(row, seq=row.seq * 7) for row in votes.rows)
    ),
}


@settings(max_examples=10)
@given(st.randoms(use_true_random=False), st.sampled_from(sorted(MAKE)))
def test_order_of_rows_does_not_matter(rng: Random, change: str) -> None:
    votes = panel({"a": "AABB=AB", "b": "AABABAB", "c": "BABB=AA"})
    golds = tuple(gold(name, n, right=n > 0) for name in "abc" for n in range(2))
    whole = replace(votes, rows=(*votes.rows, *golds))
    before, after = (rater_report(v, resamples=0) for v in (whole, MAKE[change](whole, rng)))
    assert repr(before) == repr(after)


def test_names_do_not_matter() -> None:
    votes = panel({"a": "AABB=AB", "b": "AABABAB", "c": "BABB=AA"})
    new = {"a": "z", "b": "y", "c": "x"}
    renamed = replace(votes, rows=tuple(replace(row, rater=new[row.rater]) for row in votes.rows))
    before, after = report(votes), report(renamed)
    for name, other in new.items():
        for habit in Habit:
            one, two = before[name].findings[habit], after[other].findings[habit]
            assert (one.n, repr(one.p), repr(one.q)) == (two.n, repr(two.p), repr(two.q)), habit
        assert before[name].guesses == pytest.approx(after[other].guesses)


def test_a_superseded_judgement_counts_nowhere(file_database: Database) -> None:
    with file_database.write() as connection:
        desk = Desk(connection)
        for number in range(4):
            task = desk.task(f"Number {number}?", purpose=Purpose.GOLD, gold=(0, 1))
            known = load_gold(connection, task)
            wrong = tuple(1 - tier for tier in known)
            seq = desk.say(0, task, wrong)
            desk.say(0, task, known, corrects=seq)
        (one,) = rater_report(load(connection, desk.campaign), resamples=0)
    found = one.findings[Habit.GOLD]
    assert (one.judgements, found.n, found.interval.estimate) == (4, 4, 1)


def load_gold(connection: object, task: str) -> tuple[int, ...]:
    import sqlalchemy as sa

    from accord.store.tables import tasks

    chosen = sa.select(tasks.c.gold).where(tasks.c.id == task)
    return tuple(connection.execute(chosen).scalar_one())  # type: ignore[attr-defined]
