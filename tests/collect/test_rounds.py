"""Rounds of calibration: everybody is asked the same; who did, how far they agree, what changed."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest
import sqlalchemy as sa

from accord.collect.answering import answer
from accord.collect.assigning import next_task
from accord.collect.campaign import Campaign
from accord.collect.quality import agreement
from accord.collect.rounds import ERASED, Pupil, Round, changes, rounds, taught
from accord.collect.sheet import Opinion
from accord.collect.tasks import Purpose
from accord.collect.trust import quarantine
from accord.collect.votes import load
from accord.store.database import Database
from accord.store.erasing import erase_parts
from accord.store.judgements import Verdict
from accord.store.registry import TEXT
from accord.store.tables import prompts, responses
from tests.collect.asking import ask, made, prefers, somebody


def put(database: Database, campaign: Campaign, name: str, *words: str) -> None:
    for one in words:
        ask(database, campaign, one, purpose=Purpose.CALIBRATION, calibration=name)


def say(
    database: Database, campaign: Campaign, rater: str, chosen: Sequence[int | Opinion | None]
) -> list[str]:
    """Answer the next tasks; None skips. Gives the last word of each prompt."""
    met = []
    for one in chosen:
        lease = next_task(database, campaign, rater)
        assert lease is not None
        said = one if isinstance(one, Opinion) else None
        if said is None:
            assert not isinstance(one, Opinion)
            said = Opinion.skipped("upsetting") if one is None else prefers(lease, one)
        answer(database, campaign, lease, said, key=uuid4().hex, ui="test")
        met.append(lease.sheet.prompt.messages[-1].content)
    return met


def found(database: Database, campaign: Campaign) -> tuple[Round, ...]:
    with database.read() as connection:
        return rounds(connection, campaign, load(connection, campaign), resamples=1000)


def test_everybody_is_asked_a_round_before_they_work(database: Database) -> None:
    campaign = made(database, tasks=2, overlap=1)
    put(database, campaign, "first", "one", "two", "three")
    raters = [somebody(database, campaign, name) for name in ("ada", "bob", "cyd")]
    for rater in raters:
        assert sorted(say(database, campaign, rater, [0, 0, 0])) == ["one", "three", "two"]
    assert say(database, campaign, raters[0], [0])[0].startswith("question")
    put(database, campaign, "second", "one", "four")
    assert sorted(say(database, campaign, raters[0], [0, 0])) == ["four", "one"]
    assert say(database, campaign, raters[0], [0])[0].startswith("question")
    first, second = found(database, campaign)
    assert (first.name, first.tasks, first.guideline) == ("first", 3, "v1")
    assert set(first.finished) == set(raters)
    assert (second.name, second.finished, second.begun) == ("second", (raters[0],), ())


def test_figures_and_differences_by_hand(database: Database) -> None:
    """Three raters, two tasks: all say A of the first; two say A and one B of the second. Percent:
    the mean of 1 and 1/3."""
    campaign = made(database, tasks=0)
    put(database, campaign, "first", "one", "two")
    ada, bob, cyd = (somebody(database, campaign, name) for name in ("ada", "bob", "cyd"))
    for rater, on_two in ((ada, 0), (bob, 0), (cyd, 1)):
        for _ in range(2):
            lease = next_task(database, campaign, rater)
            assert lease is not None
            chosen = on_two if lease.sheet.prompt.messages[-1].content == "two" else 0
            answer(database, campaign, lease, prefers(lease, chosen), key=uuid4().hex, ui="test")
    (first,) = found(database, campaign)
    percent = first.figures[0]
    assert percent.coefficient == "percent"
    assert percent.interval is not None
    assert percent.interval.estimate == pytest.approx(2 / 3)
    assert (percent.raters, percent.prompts, percent.judgements) == (3, 2, 6)
    (differing,) = first.differing
    assert differing.agreement == pytest.approx(1 / 3)
    assert (differing.prompt, sorted(differing.answers.values())) == ("two", [1, 2])
    most = next(iter(differing.answers))
    winner = differing.responses["AB".index(most[0])]
    assert winner == "two, answer 0"
    with database.read() as connection:
        whole = agreement(load(connection, campaign))
        assert whole.groups[0].figures[0].items == 0


def test_who_skipped_has_done_it_and_who_has_begun_is_apart(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    put(file_database, campaign, "first", "one", "two")
    ada, bob = (somebody(file_database, campaign, name) for name in ("ada", "bob"))
    say(file_database, campaign, ada, [None, Opinion(verdict=Verdict.ALL_BAD)])
    say(file_database, campaign, bob, [0])
    (first,) = found(file_database, campaign)
    assert (first.finished, first.begun) == ((ada,), (bob,))
    assert first.figures[0].interval is None


def test_all_bad_and_orders_are_told_apart(file_database: Database) -> None:
    campaign = made(file_database, tasks=0, k=3)
    put(file_database, campaign, "first", "one")
    for name, said in (
        ("ada", Opinion(verdict=Verdict.ALL_BAD)),
        ("bob", Opinion.ranked([0, 0, 0])),
        ("cyd", 1),
    ):
        say(file_database, campaign, somebody(file_database, campaign, name), [said])
    ((differing,),) = (one.differing for one in found(file_database, campaign))
    assert differing.agreement == 0
    letter = "ABC"[differing.responses.index("one, answer 1")]
    others = " = ".join(one for one in "ABC" if one != letter)
    assert set(differing.answers) == {"all bad", "A = B = C", f"{letter} > {others}"}


def test_nobody_in_quarantine_is_in_a_figure_and_erased_words_are_said_to_be(
    file_database: Database,
) -> None:
    campaign = made(file_database, tasks=0)
    put(file_database, campaign, "first", "one", "two")
    ada, bob, cyd = (somebody(file_database, campaign, name) for name in ("ada", "bob", "cyd"))
    for rater, chosen in ((ada, 0), (bob, 1), (cyd, 1)):
        say(file_database, campaign, rater, [chosen, chosen])
    with file_database.write() as connection:
        quarantine(connection, cyd, why="a test")
        seqs = connection.execute(responses.select()).all()
    erase_parts(file_database, [(seqs[0].seq, "text")], why="asked to", actor="system")
    (first,) = found(file_database, campaign)
    assert first.figures[0].raters == 2
    assert set(first.finished) == {ada, bob, cyd}
    gone = [one for one in first.differing if ERASED in one.responses]
    assert len(gone) == 1


def test_change_from_round_to_round(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    prompts = [f"p{n}" for n in range(6)]
    put(file_database, campaign, "first", *prompts)
    ada, bob = (somebody(file_database, campaign, name) for name in ("ada", "bob"))
    say(file_database, campaign, ada, [0] * 6)
    say(file_database, campaign, bob, [0, 1, 0, 1, 0, 1])
    put(file_database, campaign, "second", *(f"q{n}" for n in range(6)))
    say(file_database, campaign, ada, [0] * 6)
    say(file_database, campaign, bob, [0] * 5 + [1])
    percent = changes(found(file_database, campaign))[0]
    assert (percent.before, percent.after) == ("pilot: first", "pilot: second")
    assert percent.difference.estimate == pytest.approx(5 / 6 - 3 / 6)
    assert percent.difference.low < 0 < percent.difference.high


def test_lessons_and_trial_by_rater(database: Database) -> None:
    campaign = made(database, tasks=0, qualification_pass=0.5)
    for words in ("one", "two"):
        ask(database, campaign, words, purpose=Purpose.LESSON, gold=[0, 1])
    ask(database, campaign, "trial", purpose=Purpose.QUALIFICATION, gold=[0, 1])
    ada, bob = (somebody(database, campaign, name) for name in ("ada", "bob"))
    say(database, campaign, ada, [0, 1, 0])
    say(database, campaign, bob, [None, 0])
    with database.read() as connection:
        lessons, trial = taught(connection, campaign, load(connection, campaign, lessons=True))
    assert (lessons.purpose, lessons.tasks) == (Purpose.LESSON, 2)
    expected = (Pupil(rater=ada, answered=2, right=1), Pupil(rater=bob, answered=1, right=1))
    assert set(lessons.pupils) == set(expected)
    assert (trial.tasks, trial.pupils) == (1, (Pupil(rater=ada, answered=1, right=1),))


def test_what_was_erased_keeps_nobody_from_finishing(database: Database) -> None:
    campaign = made(database, tasks=0)
    put(database, campaign, "first", "one", "two")
    ada, bob = (somebody(database, campaign, name) for name in ("ada", "bob"))
    say(database, campaign, ada, [0, 0])
    with database.read() as connection:
        chosen = sa.select(prompts.c.seq).order_by(prompts.c.seq)
        events = connection.execute(chosen).scalars().all()
    erase_parts(database, [(events[0], TEXT)])
    say(database, campaign, bob, [0])
    assert next_task(database, campaign, bob) is None
    (first,) = found(database, campaign)
    assert (first.tasks, set(first.finished), first.begun) == (1, {ada, bob}, ())
    erase_parts(database, [(seq, TEXT) for seq in events])
    (first,) = found(database, campaign)
    assert (first.tasks, first.figures[0].prompts) == (0, 1)
