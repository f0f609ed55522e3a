"""Lessons: first of all, in their order, and what is right is told once an answer was given."""

from __future__ import annotations

from uuid import uuid4

import pytest

from accord.collect.answering import Answered, answer, correct
from accord.collect.assigning import Lease, count_judged, next_task
from accord.collect.campaign import Campaign, join
from accord.collect.erasure import explanations, mentions, reason_in
from accord.collect.lessons import Feedback, explanation_of
from accord.collect.pacing import due
from accord.collect.sheet import Opinion
from accord.collect.tasks import Purpose
from accord.collect.votes import load
from accord.core.errors import ConfigError, ConflictError, DataError
from accord.store.database import Database
from accord.store.erasing import erase_parts
from accord.store.registry import register_rater
from tests.collect.asking import ask, made, prefers, somebody
from tests.collect.judging import FreezeSettings


def lesson(
    database: Database, campaign: Campaign, words: str, *, why: str | None = None, place: int = 0
) -> str:
    """A lesson whose answer 0 is the right one; `place` is its place among the lessons."""
    gold = [0] + [1] * (campaign.settings.responses - 1)
    return ask(
        database,
        campaign,
        words,
        purpose=Purpose.LESSON,
        gold=gold,
        explanation=why,
        priority=-place,
    )


def taken(database: Database, campaign: Campaign, rater: str) -> Lease:
    found = next_task(database, campaign, rater)
    assert found is not None
    return found


def say(database: Database, campaign: Campaign, lease: Lease, opinion: Opinion) -> Answered:
    return answer(database, campaign, lease, opinion, key=uuid4().hex, ui="test")


def test_lessons_come_first_in_their_order_and_tell_what_is_right(database: Database) -> None:
    campaign = made(database, tasks=3, k=3)
    ask(database, campaign, "trial", purpose=Purpose.QUALIFICATION, gold=[0, 1, 2])
    for place, words in enumerate(("one", "two", "three")):
        lesson(database, campaign, words, why=f"because of {words}", place=place)
    ada = somebody(database, campaign, "ada")
    for words, chosen in (("one", 0), ("two", 1), ("three", None)):
        lease = taken(database, campaign, ada)
        assert lease.lesson
        assert lease.sheet.prompt.messages[-1].content == words
        said = Opinion.skipped("upsetting") if chosen is None else prefers(lease, chosen)
        done = say(database, campaign, lease, said)
        right = [0 if text.endswith("answer 0") else 1 for text in lease.sheet.responses]
        assert done.feedback == Feedback(
            right=None if chosen is None else chosen == 0,
            tiers=tuple(right),
            explanation=f"because of {words}",
        )
    trial = taken(database, campaign, ada)
    assert not trial.lesson
    assert trial.sheet.prompt.messages[-1].content == "trial"
    assert say(database, campaign, trial, prefers(trial, 0)).feedback is None


def test_an_answer_sent_twice_is_told_the_same(database: Database) -> None:
    campaign = made(database, tasks=1)
    lesson(database, campaign, "one", why="so it is")
    lease = taken(database, campaign, somebody(database, campaign, "ada"))
    said = prefers(lease, 1)
    first, second = (
        answer(database, campaign, lease, said, key="the same", ui="test") for _ in range(2)
    )
    assert (first.new, second.new) == (True, False)
    assert first.feedback == second.feedback is not None
    assert not first.feedback.right


def test_what_is_known_cannot_be_said_again(database: Database) -> None:
    campaign = made(database, tasks=1)
    lesson(database, campaign, "one")
    lease = taken(database, campaign, somebody(database, campaign, "ada"))
    done = say(database, campaign, lease, prefers(lease, 1))
    with pytest.raises(ConflictError, match="first answer to a lesson stands"):
        correct(database, campaign, done.seq, prefers(lease, 0), key="again", ui="test")


def test_a_lesson_is_given_once_and_counts_nowhere(database: Database) -> None:
    campaign = made(database, tasks=1)
    lesson(database, campaign, "one")
    ada = somebody(database, campaign, "ada")
    first = taken(database, campaign, ada)
    say(database, campaign, first, prefers(first, 0))
    work = taken(database, campaign, ada)
    assert not work.lesson
    seq = say(database, campaign, work, prefers(work, 0)).seq
    assert next_task(database, campaign, ada) is None
    with database.read() as connection:
        assert [vote.seq for vote in load(connection, campaign).rows] == [seq]
        learnt = load(connection, campaign, lessons=True).of(Purpose.LESSON)
        assert [vote.right for vote in learnt.rows] == [True]
    with pytest.raises(ConfigError, match="no training data"):
        FreezeSettings(name="x", purposes=("work", "lesson"))


def test_a_lesson_that_comes_later_is_given_to_everybody(database: Database) -> None:
    campaign = made(database, tasks=3)
    ada = somebody(database, campaign, "ada")
    before = taken(database, campaign, ada)
    say(database, campaign, before, prefers(before, 0))
    lesson(database, campaign, "new")
    assert taken(database, campaign, ada).lesson
    assert taken(database, campaign, somebody(database, campaign, "bob")).lesson


@pytest.mark.parametrize("purpose", [Purpose.LESSON, Purpose.CALIBRATION])
def test_programs_neither_learn_nor_calibrate(file_database: Database, purpose: Purpose) -> None:
    campaign = made(file_database, tasks=1)
    if purpose is Purpose.LESSON:
        lesson(file_database, campaign, "one")
    else:
        ask(file_database, campaign, "one", purpose=purpose, calibration="first")
    with file_database.write() as connection:
        rule = register_rater(connection, kind="rule", key="rule")
        join(connection, campaign, rule)
    assert taken(file_database, campaign, rule).sheet.prompt.messages[-1].content == "question 0"


def test_lessons_and_trials_take_no_check_away(file_database: Database) -> None:
    """Known answers are planned among a rater's first tasks: the first is due while they learn."""
    campaign = made(file_database, tasks=40, gold_share=0.2, overlap=1)
    for number in range(30):
        ask(file_database, campaign, f"known {number}", purpose=Purpose.GOLD, gold=[0, 1])
    for number in range(8):
        lesson(file_database, campaign, f"lesson {number}")
    for number in range(4):
        ask(
            file_database,
            campaign,
            f"trial {number}",
            purpose=Purpose.QUALIFICATION,
            gold=[0, 1],
        )
    ada = somebody(file_database, campaign, "ada")
    planned = [due(campaign.settings, ada, number) for number in range(30)]
    assert Purpose.GOLD in planned[:12]
    met = []
    for _ in range(8 + 4 + 30):
        lease = taken(file_database, campaign, ada)
        say(file_database, campaign, lease, prefers(lease, 0))
        met.append(lease.sheet.prompt.messages[-1].content.split()[0])
    assert met[:12] == ["lesson"] * 8 + ["trial"] * 4
    names = {"known": Purpose.GOLD, "question": Purpose.WORK}
    assert [names[word] for word in met[12:]] == planned
    with file_database.read() as connection:
        assert count_judged(connection, campaign, ada) == 42


def test_explanations_are_found_and_erased(file_database: Database) -> None:
    campaign = made(file_database, tasks=1)
    name = lesson(file_database, campaign, "one", why="Ada Lovelace wrote so")
    with file_database.read() as connection:
        (found,) = mentions(connection, "lovelace")
        assert found.what == "reason"
        (part,) = explanations(connection, [name])
        assert reason_in(connection, int(found.name)) == part
    erase_parts(file_database, [part], why="asked to", actor="system")
    lease = taken(file_database, campaign, somebody(file_database, campaign, "ada"))
    done = say(file_database, campaign, lease, prefers(lease, 0))
    assert done.feedback is not None
    assert (done.feedback.right, done.feedback.explanation) == (True, None)
    with file_database.read() as connection:
        assert explanations(connection, [name]) == []
        assert explanation_of(connection, name) is None


@pytest.mark.parametrize(
    ("purpose", "more", "match"),
    [
        (Purpose.LESSON, {}, "have a known answer"),
        (Purpose.CALIBRATION, {}, "names its round"),
        (Purpose.CALIBRATION, {"calibration": "a", "gold": [0, 1]}, "have a known answer"),
        (Purpose.WORK, {"calibration": "a"}, "names its round"),
        (Purpose.WORK, {"explanation": "a"}, "only a lesson"),
        (Purpose.CALIBRATION, {"calibration": "a\nb"}, "printable"),
        (Purpose.CALIBRATION, {"calibration": "a" * 65}, "printable"),
    ],
)
def test_a_task_has_what_its_purpose_needs(
    file_database: Database, purpose: Purpose, more: dict[str, object], match: str
) -> None:
    campaign = made(file_database, tasks=0)
    with pytest.raises(DataError, match=match):
        ask(file_database, campaign, "one", purpose=purpose, **more)
