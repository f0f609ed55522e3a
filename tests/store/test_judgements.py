"""Judgements: kinds of verdict stay apart, a correction supersedes, a submission counts once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from accord.core.errors import ConflictError, DataError
from accord.store.database import Database
from accord.store.event import Event
from accord.store.judgements import Judgement, Verdict, current, derive, history, submit, withdraw
from accord.store.log import event_at, parts_of
from accord.store.registry import register_rater

RESPONSES = ("a", "b", "c")


@pytest.fixture
def rater(database: Database) -> str:
    with database.write() as connection:
        return register_rater(connection, kind="human", key="ada")


def ranking(rater: str, **changes: object) -> Judgement:
    values: dict[str, object] = {
        "rater": rater,
        "responses": RESPONSES,
        "verdict": Verdict.RANKING,
        "tiers": (0, 1, 0),
        "strength": 3,
        "ratings": {"safety": (5, None, 1.5)},
        "flags": ((1, "unsafe"), (None, "unclear")),
        "rationale": "B is wrong about \u00fc.",
        "shown": (2, 0, 1),
        "order_seed": 7,
        "ui": "1",
        "policies": ("p", "p", "q"),
        "opened": datetime(2026, 1, 2, tzinfo=UTC),
        "seconds": 12.25,
    }
    return Judgement(**values | changes)  # type: ignore[arg-type]


def test_everything_said_is_in_the_row_and_in_the_log(database: Database, rater: str) -> None:
    with database.write() as connection:
        done = submit(connection, ranking(rater), key="k")
    with database.read() as connection:
        (row,) = current(connection)
        event = event_at(connection, done.event.seq)
        parts = parts_of(connection, done.event.seq)
    assert (row.seq, row.rater, row.verdict) == (done.event.seq, rater, "ranking")
    assert (row.tiers, row.strength, row.shown) == ([0, 1, 0], 3, [2, 0, 1])
    assert row.ratings == {"safety": [5, None, 1.5]}
    assert row.flags == [[1, "unsafe"], [None, "unclear"]]
    assert (row.order_seed, row.ui, row.seconds, row.late) == (7, "1", 12.25, False)
    assert row.opened == "2026-01-02T00:00:00.000000Z"
    assert row.responses == list(RESPONSES)
    assert event.policies == ("p", "p", "q")
    assert parts["rationale"] == "B is wrong about \u00fc."
    assert derive(event, parts).items() <= dict(row._mapping).items()


@pytest.mark.parametrize(
    ("verdict", "more"),
    [
        (Verdict.TIE, {"tiers": (0, 0, 0)}),
        (Verdict.ALL_BAD, {"tiers": None}),
        (Verdict.ALL_BAD, {"tiers": (0, 0, 0)}),
        (Verdict.ALL_BAD, {"tiers": (1, 0, 1)}),
        (Verdict.SKIP, {"tiers": None, "reason": "unclear"}),
    ],
)
def test_kinds_of_verdict_stay_apart(
    database: Database, rater: str, verdict: Verdict, more: dict[str, object]
) -> None:
    said = ranking(rater, verdict=verdict, strength=None, **more)
    with database.write() as connection:
        submit(connection, said, key="k")
        (row,) = current(connection)
    assert row.verdict == verdict.value
    assert row.tiers == (None if said.tiers is None else list(said.tiers))


@pytest.mark.parametrize(
    "changes",
    [
        {"tiers": None},
        {"tiers": (0, 1)},
        {"tiers": (0, 2, 0)},
        {"tiers": (1, 1, 2)},
        {"tiers": (0, 0, 0)},
        {"verdict": Verdict.TIE},
        {"verdict": Verdict.TIE, "tiers": (0, 0, 0), "strength": 1},
        {"verdict": Verdict.SKIP, "tiers": None, "strength": None},
        {"verdict": Verdict.SKIP, "strength": None, "reason": "unclear"},
        {"verdict": Verdict.SKIP, "tiers": None, "strength": None, "reason": "x" * 201},
        {"verdict": Verdict.SKIP, "tiers": None, "strength": None, "reason": "a\0b"},
        {"verdict": Verdict.SKIP, "tiers": None, "strength": None, "reason": ""},
        {"reason": "unclear"},
        {"strength": 0},
        {"strength": 5},
        {"ratings": {"safety": (1, 2)}},
        {"shown": (0, 1)},
        {"shown": (0, 1, 1)},
        {"flags": ((3, "unsafe"),)},
        {"seconds": -1.0},
        {"seconds": float("nan")},
        {"responses": ()},
    ],
)
def test_what_cannot_be_meant_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(DataError):
        ranking("somebody", **changes)


def test_one_response_alone_can_be_judged() -> None:
    ranking("r", responses=("a",), tiers=(0,), ratings={}, flags=(), shown=(0,), policies=("p",))


def test_a_correction_supersedes_and_keeps_what_was_said(database: Database, rater: str) -> None:
    with database.write() as connection:
        first = submit(connection, ranking(rater), key="1").event
        second = submit(connection, ranking(rater, tiers=(2, 1, 0)), key="2", corrects=first.seq)
        third = withdraw(connection, second.event.seq, rater=rater, key="3").event
        versions = history(connection, first.subject)
        assert current(connection) == []
    assert [row.verdict for row in versions] == ["ranking", "ranking", "withdrawn"]
    assert [row.superseded_by for row in versions] == [second.event.seq, third.seq, None]
    assert [row.tiers for row in versions] == [[0, 1, 0], [2, 1, 0], None]
    assert {row.judgement for row in versions} == {first.subject}


def test_a_correction_needs_a_judgement_of_the_same_rater_that_stands(
    database: Database, rater: str
) -> None:
    with database.write() as connection:
        other = register_rater(connection, kind="human")
        first = submit(connection, ranking(rater), key="1").event
        submit(connection, ranking(rater, strength=1), key="2", corrects=first.seq)
    for who, seq, error, words in (
        (rater, first.seq, ConflictError, "corrected before"),
        (other, first.seq, DataError, "by the rater who gave it"),
        (rater, 1, DataError, "no judgement"),
        (rater, 99, DataError, "no such event"),
    ):
        with pytest.raises(error, match=words), database.write() as connection:
            submit(connection, ranking(who, strength=2), key="3", corrects=seq)
    with database.read() as connection:
        assert [row.strength for row in current(connection)] == [1]


def test_a_submission_twice_is_kept_once(database: Database, rater: str) -> None:
    seqs = []
    for _ in range(2):
        with database.write() as connection:
            seqs.append(submit(connection, ranking(rater), key="k").event.seq)
            seqs.append(
                submit(connection, ranking(rater, strength=1), key="k2", corrects=seqs[0]).event.seq
            )
    assert seqs[:2] == seqs[2:]
    with database.read() as connection:
        assert len(current(connection)) == 1
    with pytest.raises(ConflictError, match="this key"), database.write() as connection:
        submit(connection, ranking(rater, strength=2), key="k")


def test_an_unknown_rater_says_nothing(database: Database) -> None:
    with pytest.raises(DataError, match="registered"), database.write() as connection:
        submit(connection, ranking("nobody"), key="k")


def test_an_unknown_task_is_one_data_error(database: Database, rater: str) -> None:
    with pytest.raises(DataError, match="rule of the database"), database.write() as connection:
        submit(connection, ranking(rater, task="no such task"), key="k")
    with database.read() as connection:
        assert current(connection) == []


def test_the_row_follows_from_event_and_parts_alone() -> None:
    event = Event(
        seq=3,
        version=1,
        time="t",
        actor="r",
        type="judgement.given",
        subject="j",
        key=None,
        supersedes=None,
        guideline=None,
        ui=None,
        order_seed=4,
        policies=(),
        payload={},
        prev="",
    )
    assert derive(event, {"verdict": None})["verdict"] == "erased"
    row = derive(event, ranking("r").parts())
    assert (row["judgement"], row["order_seed"], row["strength"]) == ("j", 4, 3)
