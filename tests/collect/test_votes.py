"""Judgements that count, from a real database, and as tables for the statistics."""

from __future__ import annotations

import numpy as np
import pytest

from accord.collect.tasks import Purpose
from accord.collect.votes import Votes, load, top
from accord.store.database import Database
from accord.store.erasing import erase, erase_rater
from accord.store.judgements import Verdict, withdraw
from accord.store.registry import set_rater_state
from tests.collect.ballots import Desk, panel, skip, vote


def test_only_what_counts_is_loaded(database: Database) -> None:
    """A correction takes the first one's place; what was withdrawn, or asked elsewhere, is gone."""
    with database.write() as connection:
        desk = Desk(connection)
        other = Desk(connection, name="other")
        task = desk.task("Why?")
        first = desk.say(0, task, (0, 1), strength=2)
        desk.say(0, task, (1, 0), strength=3, corrects=first)
        gone = desk.say(1, task)
        withdraw(connection, gone, rater=desk.raters[1], key="gone")
        desk.say(2, task, None)
        other.say(0, other.task("Elsewhere?"))
        votes = load(connection, desk.campaign)
    assert [row.tiers for row in votes.rows] == [(1, 0), None]
    assert [row.verdict for row in votes.rows] == [Verdict.RANKING, Verdict.SKIP]
    assert votes.rows[0].strength == 3
    assert votes.criteria == ("safety",)


def test_a_row_has_everything_that_was_said(database: Database) -> None:
    with database.write() as connection:
        desk = Desk(connection)
        gold = desk.task("Two and two?", purpose=Purpose.GOLD, gold=(0, 1))
        desk.say(0, gold, (1, 0), ratings={"safety": (5, None)}, shown=(1, 0), seconds=7.5)
        task = desk.task("Three and three?", selected_by="uncertainty", inclusion=0.25)
        desk.say(0, task, late=True)
        set_rater_state(connection, desk.raters[0], "quarantined")
        votes = load(connection, desk.campaign, lengths=True)
    one, other = votes.rows
    assert (one.purpose, one.ratings, one.shown) == (Purpose.GOLD, {"safety": (5, None)}, (1, 0))
    assert (one.seconds, one.late, one.inclusion) == (7.5, False, 1.0)
    assert sorted(one.lengths or ()) == [len("Answer 0."), len("Answer 1. Yes.")]
    assert one.gold is not None
    assert one.right == (one.gold == (1, 0))
    assert (other.selected_by, other.inclusion, other.late) == ("uncertainty", 0.25, True)
    assert (other.gold, other.right, other.repeats) == (None, None, None)
    assert votes.trusted().rows == ()


def test_a_decision_outlives_who_it_is_about(file_database: Database) -> None:
    """Erased, a rater in quarantine stays there, and one whom a lead released stays trusted."""
    with file_database.write() as connection:
        desk = Desk(connection)
        task = desk.task("Why?")
        for rater in range(3):
            desk.say(rater, task)
        held, freed, plain = desk.raters
        for state in ("active", "quarantined"):
            set_rater_state(connection, held, state)
            set_rater_state(connection, freed, "quarantined" if state == "active" else "active")
    for rater in desk.raters:
        erase_rater(file_database, rater)
    with file_database.read() as connection:
        votes = load(connection, desk.campaign)
    assert votes.states == {held: "quarantined", freed: "active", plain: "erased"}
    assert {row.rater for row in votes.trusted().rows} == {freed, plain}


def test_an_erased_text_has_no_length(file_database: Database) -> None:
    with file_database.write() as connection:
        desk = Desk(connection)
        task = desk.task("Why?")
        desk.say(0, task)
        seq = connection.exec_driver_sql("SELECT min(seq) FROM responses").scalar_one()
    erase(file_database, seq, "text")
    with file_database.read() as connection:
        (row,) = load(connection, desk.campaign, lengths=True).rows
    assert row.lengths is None


def test_repeats_are_found_with_the_first_answer(database: Database) -> None:
    with database.write() as connection:
        desk = Desk(connection)
        task = desk.task("Why?")
        for rater in (0, 1):
            desk.say(rater, task, (0, 1))
        desk.say(1, desk.again(task, 1), (1, 0))
        votes = load(connection, desk.campaign)
    ((before, after),) = votes.repeated()
    assert (before.task, before.tiers, after.tiers) == (task, (0, 1), (1, 0))
    assert before.rater == after.rater == desk.raters[1]


def test_a_decision_between_raters_is_no_repeat() -> None:
    lead = {"purpose": Purpose.ADJUDICATION, "repeats": "t"}
    assert Votes(rows=(vote("a", "t"), vote("a", "j", (1, 0), **lead))).repeated() == ()


def test_a_skip_is_no_answer_to_a_repeat() -> None:
    again = {"purpose": Purpose.REPEAT, "repeats": "t"}
    rows = (vote("a", "t"), skip("a", "u", **again), vote("b", "t"), vote("b", "v", None, **again))
    ((before, after),) = Votes(rows=rows).repeated()
    assert (before.answer, after.answer) == (1, 0)


@pytest.mark.parametrize(
    ("tiers", "places"), [((0, 1), 1), ((1, 0), 2), ((0, 0), 3), ((2, 0, 1, 0), 10)]
)
def test_top_is_bits_of_the_first_tier(tiers: tuple[int, ...], places: int) -> None:
    assert top(tiers) == places


def test_choices_of_pairs_are_votes() -> None:
    """Rows t0, t1, t2; a skip and all bad are no votes."""
    table = panel({"a": "AB=", "b": "Bxs"}).choices()
    assert table.ratings.items == ("t0", "t1", "t2")
    assert table.prompts == ("t0", "t1", "t2")
    expected = [[1, 0], [0, np.nan], [0.5, np.nan]]
    np.testing.assert_array_equal(table.ratings.values, expected)


def test_every_pair_of_places_is_an_item_of_its_prompt() -> None:
    rows = (vote("a", "t", (0, 1, 1)), vote("b", "t", (2, 1, 0)))
    table = Votes(rows=rows).pairs()
    assert table.ratings.items == (("t", 0, 1), ("t", 0, 2), ("t", 1, 2))
    assert table.prompts == ("t", "t", "t")
    np.testing.assert_array_equal(table.ratings.values, [[1, 0], [1, 0], [0.5, 0]])
    strict = Votes(rows=rows).pairs(ties=False)
    np.testing.assert_array_equal(strict.ratings.values, [[1, 0], [1, 0], [np.nan, 0]])
    assert Votes(rows=rows).choices().ratings.values.tolist() == [[1, 4]]


def test_ratings_of_a_criterion_are_items_of_response() -> None:
    rows = (
        vote("a", "t", ratings={"safety": (1, 5), "tone": (3, 3)}),
        vote("b", "t", ratings={"safety": (2.5, None)}),
        vote("c", "t"),
    )
    table = Votes(rows=rows).rated("safety")
    assert table.ratings.items == (("t", 0), ("t", 1))
    assert table.ratings.scale == (1, 2, 2.5, 3, 4, 5)
    np.testing.assert_array_equal(table.ratings.values, [[1, 2.5], [5, np.nan]])


def test_rankings_are_grouped_by_task() -> None:
    rows = (vote("a", "t", (0, 1, 2)), vote("b", "t", (0, 0, 1)), vote("a", "u", (0, 1, 2)))
    rankings, prompts = Votes(rows=rows).rankings()
    assert prompts == ("t", "u")
    assert [ranks.tolist() for ranks in rankings] == [[[0, 1, 2], [0, 0, 1]], [[0, 1, 2]]]
