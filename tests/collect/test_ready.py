"""Tasks from comparisons that are there already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from accord.collect.formats import Explained
from accord.collect.gold import is_right
from accord.collect.importing import import_file, read_rows
from accord.collect.lessons import explanation_of
from accord.collect.ready import add_tasks
from accord.collect.records import Rejected
from accord.collect.tasks import Purpose, responses_of
from accord.core.errors import DataError
from accord.core.types import Comparison, Conversation, Demonstration
from accord.store.database import Database
from accord.store.registry import response_text
from accord.store.tables import tasks
from tests.collect.asking import made


def compared(number: int, **more: Any) -> Comparison:
    values: dict[str, Any] = {"responses": (f"Yes {number}.", "No."), "tiers": (0, 1)} | more
    return Comparison(prompt=Conversation.of(f"Is it {number}?"), source="book", **values)


def rows_of(database: Database) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(sa.select(tasks).order_by(tasks.c.seq)).all())


def test_rows_become_tasks_once(database: Database) -> None:
    campaign = made(database, tasks=0)
    rows = [compared(i) for i in range(7)]
    first = add_tasks(database, campaign, rows)
    assert (first.rows, first.tasks, first.known, first.rejected) == (7, 7, 0, [])
    again = add_tasks(database, campaign, [*rows, compared(9)])
    assert (again.rows, again.tasks, again.known) == (8, 1, 7)
    found = rows_of(database)
    assert len(found) == 8
    assert {(row.purpose, row.inclusion, row.gold) for row in found} == {("work", 1.0, None)}
    with database.read() as connection:
        texts = {response_text(connection, one) for one in responses_of(connection, found[3].id)}
    assert texts == {"Yes 3.", "No."}


@pytest.mark.parametrize("purpose", [Purpose.GOLD, Purpose.QUALIFICATION])
def test_known_tiers_become_the_known_answer(file_database: Database, purpose: Purpose) -> None:
    campaign = made(file_database, tasks=0)
    rows = [compared(1), compared(2, tiers=(1, 0)), compared(3, tiers=(0, 0))]
    rows += [compared(4, label=0.7), compared(5, criterion="safety")]
    done = add_tasks(file_database, campaign, rows, purpose=purpose)
    assert (done.tasks, [str(one) for one in done.rejected]) == (
        2,
        [
            "row 3: ties all responses, which few raters would say",
            "row 4: has a soft label, which is no known order",
            "row 5: is about safety alone, and tasks ask for the whole answer",
        ],
    )
    with file_database.read() as connection:
        for row in rows_of(file_database):
            texts = [response_text(connection, one) for one in responses_of(connection, row.id)]
            best = texts[row.gold.index(0)]
            assert best == ("Yes 1." if "Yes 1." in texts else "No.")
    # Asked for again with the answer turned round: nobody may believe that it was taken over.
    again = add_tasks(file_database, campaign, [rows[0], compared(2)], purpose=purpose)
    assert (again.tasks, again.known, [str(one) for one in again.rejected]) == (
        0,
        1,
        ["row 2: has another known answer than the task that is there"],
    )
    # Work on the same comparison is another task.
    assert add_tasks(file_database, campaign, rows[:1]).tasks == 1


def test_rows_that_do_not_fit_are_listed(file_database: Database, tmp_path: Path) -> None:
    campaign = made(file_database, tasks=0)
    rows = [
        compared(1, responses=("a", "b", "c"), tiers=(0, 1, 2)),
        compared(2, responses=("a", "a")),
        Demonstration(conversation=Conversation.of("Hi?").answered("Hello.")),
        Rejected(40, "is empty", "chosen"),
    ]
    done = add_tasks(file_database, campaign, rows)
    assert (done.rows, done.tasks) == (4, 0)
    assert [str(one) for one in done.rejected] == [
        "row 1: has 3 responses; the campaign's tasks show 2",
        "row 2: has two responses with the same text",
        "row 3: is a demonstration and compares nothing",
        "row 40, chosen: is empty",
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "Why?", "chosen": "So.", "rejected": "No."}\n{"prompt": 3}\n')
    done = add_tasks(file_database, campaign, read_rows(path))
    assert (done.rows, done.tasks, len(done.rejected)) == (2, 1, 1)


def test_responses_without_an_order_are_asked_about_once(
    file_database: Database, tmp_path: Path
) -> None:
    campaign = made(file_database, tasks=0)
    path = tmp_path / "ready.jsonl"
    asked = '{"prompt": "Is it %d?", "responses": ["Yes %d.", "%s"]}'
    rows = [asked % (1, 1, "No."), "", asked % (2, 2, "No."), asked % (3, 3, "Yes 3.")]
    path.write_text("\n".join(rows) + "\n")
    done = add_tasks(file_database, campaign, read_rows(path))
    assert (done.rows, done.tasks) == (3, 2)
    assert [str(one) for one in done.rejected] == ["row 4: has two responses with the same text"]
    # The same responses with an order are the same question.
    assert add_tasks(file_database, campaign, [compared(1)]).known == 1
    known = add_tasks(file_database, campaign, read_rows(path), purpose=Purpose.GOLD)
    assert known.tasks == 0
    assert str(known.rejected[0]) == "row 1: has no tiers, the known answer"


def test_responses_without_an_order_are_no_data_set(tmp_path: Path) -> None:
    path = tmp_path / "ready.jsonl"
    path.write_text('{"prompt": "Is it?", "responses": ["Yes.", "No."]}\n')
    with pytest.raises(DataError, match=r"nobody compared these responses; .*campaign tasks"):
        import_file(path, tmp_path / "sets")


def lesson(number: int, why: str, **more: Any) -> Explained:
    return Explained(row=number, comparison=compared(number, **more), explanation=why)


def test_lessons_keep_the_order_of_their_file_and_their_explanation(database: Database) -> None:
    campaign = made(database, tasks=0)
    rows = [lesson(1, "one"), compared(2), lesson(3, "three")]
    done = add_tasks(database, campaign, rows, purpose=Purpose.LESSON)
    assert (done.tasks, done.rejected) == (3, [])
    more = add_tasks(database, campaign, [lesson(4, "four")], purpose=Purpose.LESSON)
    assert more.tasks == 1
    found = rows_of(database)
    ordered = sorted(found, key=lambda row: -row.priority)
    assert [row.id for row in ordered] == [row.id for row in found]
    with database.read() as connection:
        whys = [explanation_of(connection, row.id) for row in found]
    assert whys == ["one", None, "three", "four"]


def test_a_lesson_that_is_there_is_known_or_differs(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    add_tasks(file_database, campaign, [lesson(1, "one")], purpose=Purpose.LESSON)
    again = [lesson(1, "one"), lesson(1, "other"), lesson(1, "one", tiers=(1, 0))]
    done = add_tasks(file_database, campaign, again, purpose=Purpose.LESSON)
    assert (done.tasks, done.known) == (0, 1)
    assert [one.why for one in done.rejected] == [
        "has another explanation than the lesson that is there",
        "has another known answer than the task that is there",
    ]


@pytest.mark.parametrize("purpose", [Purpose.WORK, Purpose.GOLD, Purpose.QUALIFICATION])
def test_nothing_but_a_lesson_explains(file_database: Database, purpose: Purpose) -> None:
    campaign = made(file_database, tasks=0)
    (refused,) = add_tasks(file_database, campaign, [lesson(7, "why")], purpose=purpose).rejected
    assert str(refused) == "row 7: has an explanation, which nothing but a lesson shows"


def test_each_round_of_calibration_has_its_own_tasks(database: Database) -> None:
    campaign = made(database, tasks=0)
    rows = [compared(1), compared(2)]
    made_of = [
        add_tasks(database, campaign, rows, purpose=Purpose.CALIBRATION, calibration=name)
        for name in ("first", "second", "first")
    ]
    assert [(one.tasks, one.known) for one in made_of] == [(2, 0), (2, 0), (0, 2)]
    assert [row.round for row in rows_of(database)] == ["first"] * 2 + ["second"] * 2
    work = add_tasks(database, campaign, rows)
    assert work.tasks == 2


def test_a_lesson_may_teach_a_tie(file_database: Database) -> None:
    campaign = made(file_database, tasks=0)
    done = add_tasks(
        file_database, campaign, [lesson(1, "both", tiers=(0, 0))], purpose=Purpose.LESSON
    )
    assert (done.tasks, done.rejected) == (1, [])
    assert rows_of(file_database)[0].gold == [0, 0]
    assert is_right((0, 0), (0, 0))
    assert not is_right((0, 1), (0, 0))
