"""Labels of pairs: majority and Dawid-Skene by hand, ties, and a lead's word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accord.collect.consensus import consensus
from accord.collect.tasks import Purpose
from accord.collect.votes import Votes
from accord.stats.raters import Form, dawid_skene
from tests.collect.ballots import panel, skip, vote


def test_majorities_by_hand() -> None:
    """A A B; a tie of votes; one vote; nothing but all bad is no pair."""
    votes = panel({"a": "AABx", "b": "AB..", "c": "B...", "d": "...s"})
    found = {label.task: label for label in consensus(votes)}
    assert sorted(found) == ["t0", "t1", "t2"]
    assert (found["t0"].majority, found["t0"].votes) == (1, 3)
    assert found["t0"].shares == pytest.approx((1 / 3, 0, 2 / 3))
    assert (found["t1"].majority, found["t2"].majority) == (None, 0)
    assert found["t1"].decided is None


def test_dawid_skene_is_the_one_of_the_table() -> None:
    votes = panel({"a": "ABAB=A", "b": "ABABAA", "c": "BABABA"})
    table = votes.pairs().ratings
    found = consensus(votes)
    for form, name in ((Form.ONE_COIN, "one_coin"), (Form.FULL, "full")):
        posterior = dawid_skene(table, form=form).posterior
        for row, label in enumerate(found):
            assert getattr(label, name) == pytest.approx(tuple(posterior[row]))


def test_reliable_raters_outvote_the_others() -> None:
    """Two who always agree, two who guess: where those two side against one another's pair."""
    good, noise = "AB" * 10, "BBAAABABBABAABBABAAB"
    other = "ABBABBAAABBABAABBABB"
    found = consensus(panel({"a": good, "b": good, "c": noise, "d": other}))
    against = [one for one in found if one.majority is None]
    assert against
    for label in against:
        assert label.believed == float(good[int(label.task[1:])] == "A")


def test_three_responses_are_three_pairs() -> None:
    rows = (vote("a", "t", (0, 1, 2)), vote("b", "t", (0, 1, 1)), vote("c", "u", (2, 1, 0)))
    found = {(one.task, one.one, one.other): one for one in consensus(Votes(rows=rows))}
    assert len(found) == 6
    assert found["t", 0, 1].majority == 1
    assert found["t", 1, 2].majority is None
    assert found["u", 0, 2].majority == 0
    assert {one.prompt for one in found.values()} == {"t", "u"}


def test_a_lead_decides_beside_the_votes() -> None:
    votes = panel({"a": "A", "b": "B"})
    lead = vote("lead", "j", (1, 0), purpose=Purpose.ADJUDICATION, repeats="t0")
    (label,) = consensus(Votes(rows=(*votes.rows, lead)))
    assert (label.decided, label.votes, label.majority) == (0, 2, None)


def test_quarantined_raters_say_nothing() -> None:
    votes = replace(panel({"a": "A", "b": "B", "c": "B"}), states={"b": "quarantined"})
    (label,) = consensus(votes)
    assert (label.votes, label.majority) == (2, None)


def test_nothing_ordered_is_no_label() -> None:
    assert consensus(Votes(rows=())) == ()
    assert consensus(Votes(rows=(skip("a", "t"), vote("a", "u", None)))) == ()
