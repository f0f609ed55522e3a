"""Freezing: every judgement is a row or has a reason, and the same state gives the same set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.collect.campaign import CampaignSettings, open_campaign
from accord.collect.campaign_log import Why
from accord.collect.freezing import EXCLUDED, FreezeSettings
from accord.collect.frozen import excluded, origins, verify_frozen
from accord.collect.tasks import Purpose
from accord.core.errors import ConfigError, DataError
from accord.store.checkpoints import all_checkpoints
from accord.store.database import Database, open_database
from accord.store.datasets import Dataset
from accord.store.erasing import erase, erase_rater
from accord.store.judgements import Verdict, withdraw
from accord.store.log import size
from accord.store.registry import set_rater_state
from accord.store.tables import responses
from tests.collect.judging import (
    GOLD,
    again,
    campaign,
    frozen,
    rater,
    rows,
    say,
    task,
    task_of,
)

SKIP: dict[str, Any] = {"tiers": None, "verdict": Verdict.SKIP, "reason": "unclear"}
BAD: dict[str, Any] = {"tiers": None, "verdict": Verdict.ALL_BAD}


def test_a_misspelt_rater_is_not_left_in(database: Database, tmp_path: Path) -> None:
    pilot = campaign(database)
    ada, bea = rater(database), rater(database)
    about = task(database, pilot, "first")
    for by in (ada, bea):
        say(database, pilot, about, by)
    with pytest.raises(ConfigError, match="not known"):
        frozen(database, pilot, tmp_path, without=(ada, bea[:-1]))
    assert [row.rater for row in rows(frozen(database, pilot, tmp_path, without=(ada,)))] == [bea]


def test_a_judgement_is_a_row_with_all_it_says(database: Database, tmp_path: Path) -> None:
    pilot = campaign(database)
    ada, bea, cyd = (rater(database) for _ in range(3))
    first = task(database, pilot, "first", inclusion=0.25, selected_by="uncertainty")
    other = task(database, pilot, "other")
    seqs = [
        say(database, pilot, first, ada, (0, 1), strength=3),
        say(database, pilot, first, bea, (0, 0)),
        say(database, pilot, first, cyd, (1, 0), verdict=Verdict.ALL_BAD, late=True),
        say(database, pilot, other, ada, (1, 0)),
    ]
    made = frozen(database, pilot, tmp_path, weights={bea: 0.3})
    found = rows(made)
    by_seq = {o.seq: (row, o) for row, o in zip(found, origins(made.folder), strict=True)}
    assert sorted(by_seq) == seqs
    row, origin = by_seq[seqs[0]]
    assert (row.tiers, row.strength, row.rater, row.all_bad) == ((0, 1), 3, ada, False)
    assert (row.weight, row.inclusion) == (pytest.approx(1 / 3), 0.25)
    assert row.training_weight == pytest.approx(4 / 3)
    assert row.source == "human:pilot"
    assert row.prompt.messages[0].content == "first"
    assert sorted(row.responses) == ["first 0", "first 1"]
    assert (origin.task, origin.kind, origin.late) == (first, "human", False)
    tie, _ = by_seq[seqs[1]]
    assert (tie.tiers, tie.weight) == ((0, 0), pytest.approx(0.1))
    bad, late = by_seq[seqs[2]]
    assert (bad.tiers, bad.all_bad, late.late) == ((1, 0), True, True)
    alone, _ = by_seq[seqs[3]]
    assert (alone.weight, alone.inclusion) == (1, 1)
    # Judgements of a task stand together, the tasks of a prompt do.
    assert [o.unit for o in origins(made.folder)] in (
        [first, first, first, other],
        [other, first, first, first],
    )
    notes = made.manifest.notes
    assert notes["counts"]["given"] == 4  # type: ignore[index]
    assert notes["selection"] == {"random": 0.5, "tasks": {"random": 1, "uncertainty": 1}}
    total = 4 / 3 + 0.4 + 4 / 3 + 1
    assert notes["raters"] == pytest.approx(  # type: ignore[comparison-overlap]
        {
            "count": 3,
            "largest": ada,
            "largest_share": (4 / 3 + 1) / total,
            "effective_rows": total**2 / (2 * (4 / 3) ** 2 + 0.16 + 1),
        }
    )
    assert made.counts["guidelines"] == {"of pilot": 4}


def test_what_does_not_count_is_listed_with_its_reason(database: Database, tmp_path: Path) -> None:
    pilot, elsewhere = campaign(database), campaign(database, "elsewhere")
    ada, bea, spammer = (rater(database) for _ in range(3))
    robot = rater(database, "synthetic")
    one = task(database, pilot, "one")
    gold = task(database, pilot, "gold", **GOLD)
    repeat = again(database, pilot, one, "one", purpose=Purpose.REPEAT, for_rater=ada)
    lost = task(database, pilot, "lost")
    want: dict[int, Why] = {}

    def count(
        why: Why, about: str, by: str, tiers: tuple[int, ...] | None = (0, 1), **m: Any
    ) -> int:
        seq = say(database, pilot, about, by, tiers, **m)
        want[seq] = why
        return seq

    kept = say(database, pilot, one, bea)
    older = count(Why.CORRECTED, one, ada)
    middle = count(Why.WITHDRAWN, one, ada, (1, 0), corrects=older)
    with database.write() as connection:
        withdraw(connection, middle, rater=ada, key=uuid4().hex)
    count(Why.SKIPPED, one, bea, **SKIP)
    count(Why.ALL_BAD, one, bea, **BAD)
    count(Why.KIND, one, robot)
    count(Why.PURPOSE, gold, bea)
    count(Why.PURPOSE, repeat, ada)
    count(Why.QUARANTINED, one, spammer)
    with database.write() as connection:
        set_rater_state(connection, spammer, "quarantined")
    erase(database, count(Why.ERASED, one, ada), "verdict")
    count(Why.TEXT_ERASED, lost, bea)
    with database.read() as connection:
        gone = connection.execute(responses.select()).all()[-1]
    erase(database, gone.seq, "text")
    say(database, elsewhere, task(database, elsewhere, "two"), ada)
    say(database, pilot, one, ada, task=None)

    made = frozen(database, pilot, tmp_path)
    assert {item.seq: item.why for item in excluded(made.folder)} == want
    assert [o.seq for o in origins(made.folder)] == [kept]
    assert made.counts["given"] == 1 + len(want)
    assert made.excluded[Why.PURPOSE] == 2
    assert sum(made.excluded.values()) == len(want)
    lines = (made.folder / EXCLUDED).read_text().splitlines()
    assert [json.loads(line)["seq"] for line in lines] == sorted(want)
    assert verify_frozen(made.folder, database).ok

    wider = frozen(
        database, pilot, tmp_path, kinds=("human", "synthetic"), purposes=("work", "gold", "repeat")
    )
    assert wider.excluded.keys() == made.excluded.keys() - {Why.PURPOSE, Why.KIND}
    # The repeat shares the weight of the task that it repeats.
    assert sorted(row.weight for row in rows(wider)) == [pytest.approx(1 / 3)] * 3 + [1]
    assert verify_frozen(wider.folder, database).ok


def test_a_quarantine_outlives_the_rater(file_database: Database, tmp_path: Path) -> None:
    """Who asks to be forgotten takes back their name, not the verdict on them."""
    pilot = campaign(file_database)
    one = task(file_database, pilot, "one")
    ada, spammer = rater(file_database), rater(file_database)
    for by in (ada, spammer):
        say(file_database, pilot, one, by)
    with file_database.write() as connection:
        set_rater_state(connection, spammer, "quarantined")
    for by in (ada, spammer):
        erase_rater(file_database, by)
    made = frozen(file_database, pilot, tmp_path)
    assert [row.rater for row in rows(made)] == [ada]
    assert made.excluded == {Why.QUARANTINED: 1}


def test_erased_verdicts_are_counted_as_far_as_their_campaign_is_known(
    file_database: Database, tmp_path: Path
) -> None:
    pilot = campaign(file_database)
    one, ada, bea = task(file_database, pilot, "one"), rater(file_database), rater(file_database)
    say(file_database, pilot, one, ada)
    say(file_database, pilot, one, bea)
    before = frozen(file_database, pilot, tmp_path)
    erase_rater(file_database, bea, verdicts=True)
    made = frozen(file_database, pilot, tmp_path)
    assert (made.counts["given"], made.counts["rows"]) == (2, 1)
    assert made.excluded == {Why.ERASED: 1}
    assert made.manifest.digest != before.manifest.digest
    with file_database.write() as connection:
        open_campaign(connection, CampaignSettings(name="second", guideline="of pilot"))
    assert frozen(file_database, pilot, tmp_path).excluded == {Why.PERHAPS_ERASED: 1}


def test_the_same_state_gives_the_same_set(database: Database, tmp_path: Path) -> None:
    pilot = campaign(database)
    ada = rater(database)
    tasks = [task(database, pilot, f"q {n}") for n in range(5)]
    seqs = [say(database, pilot, one, ada) for one in tasks]
    made = frozen(database, pilot, tmp_path, dev=0.3)
    assert made.is_new
    signed = made.manifest.notes["log"]["checkpoint"]["size"]  # type: ignore[index]
    # Others go on, under the same and other prompts.
    side = campaign(database, "side")
    for words in ("q 0", "z"):
        say(database, side, task(database, side, words), ada)
    same = frozen(database, pilot, tmp_path, dev=0.3)
    assert (same.folder, same.is_new) == (made.folder, False)
    with database.read() as connection:
        assert [c.size for c in all_checkpoints(connection)] == [signed, size(connection)]
    # A skip changes what is said of the set, not its rows.
    say(database, pilot, tasks[0], ada, **SKIP)
    told = frozen(database, pilot, tmp_path, dev=0.3)
    assert told.manifest.digest == made.manifest.digest
    assert told.folder != made.folder
    # A correction changes the rows.
    say(database, pilot, tasks[0], ada, (1, 0), corrects=seqs[0])
    fresh = frozen(database, pilot, tmp_path, dev=0.3)
    assert fresh.manifest.digest != made.manifest.digest
    assert [r for r in rows(fresh) if r not in rows(made)] == [
        r for r in rows(fresh) if r.prompt.messages[0].content == "q 0"
    ]
    for one in (made, told, fresh):
        Dataset(one.folder).verify()
        assert verify_frozen(one.folder, database).ok


def test_one_prompt_for_all_is_split_by_response(file_database: Database, tmp_path: Path) -> None:
    pilot, ada = campaign(file_database), rater(file_database)
    for n in range(12):
        say(file_database, pilot, task_of(file_database, pilot, "rate", (f"a{n}", f"b{n}")), ada)
    made = frozen(file_database, pilot, tmp_path, unit="response", dev=0.5)
    across = made.excluded[Why.ACROSS]
    assert 0 < across < 12
    assert made.manifest.rows == 12 - across
    assert made.manifest.split_across == across
    Dataset(made.folder).verify()
    assert verify_frozen(made.folder, file_database).ok


def test_nothing_that_counts_leaves_nothing(file_database: Database, tmp_path: Path) -> None:
    pilot, ada = campaign(file_database), rater(file_database)
    with pytest.raises(DataError, match="nobody has judged yet"):
        frozen(file_database, pilot, tmp_path)
    say(file_database, pilot, task(file_database, pilot, "one"), ada, **SKIP)
    with pytest.raises(DataError, match="1 skipped"):
        frozen(file_database, pilot, tmp_path)
    assert list((tmp_path / "artifacts").iterdir()) == []
    with file_database.read() as connection:
        assert all_checkpoints(connection) == []


@pytest.mark.parametrize(
    "how", [{"kinds": ("person",)}, {"purposes": ()}, {"unit": "task"}, {"dev": 1.0}]
)
def test_settings_that_cannot_be_used(how: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        FreezeSettings(name="set", **how)


@pytest.mark.parametrize("weight", [-0.1, 1.5, float("nan")])
def test_a_rater_weighs_at_most_one(file_database: Database, tmp_path: Path, weight: float) -> None:
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        frozen(file_database, campaign(file_database), tmp_path, weights={"r": weight})
    with pytest.raises(ConfigError, match="name"):
        frozen(file_database, campaign(file_database), tmp_path, name="a/b")


# ---- any judgements at all -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for many campaigns: each example freezes its own."""
    with open_database(tmp_path_factory.mktemp("many") / "accord.db") as opened:
        yield opened


said = st.tuples(
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["rank", "tie", "bad", "worse", "skip"]),
    st.sampled_from(["", "", "", "correct", "withdraw", "erase"]),
)
HOW: dict[str, dict[str, Any]] = {
    "rank": {},
    "tie": {"tiers": (0, 0)},
    "bad": BAD,
    "worse": {"verdict": Verdict.ALL_BAD},
    "skip": SKIP,
}


@settings(max_examples=25)
@given(judged=st.lists(said, min_size=1, max_size=14), held=st.sampled_from([0, 1]))
def test_counts_add_up(
    shared: Database, tmp_path_factory: pytest.TempPathFactory, judged: list[Any], held: int
) -> None:
    folder = tmp_path_factory.mktemp("frozen")
    pilot = campaign(shared, uuid4().hex)
    tasks = [task(shared, pilot, f"{pilot.id} {n}", inclusion=0.5) for n in range(2)]
    tasks.append(task(shared, pilot, f"{pilot.id} gold", **GOLD))
    tasks.append(again(shared, pilot, tasks[0], f"{pilot.id} 0", purpose=Purpose.ADJUDICATION))
    people = [rater(shared), rater(shared), rater(shared), rater(shared, "synthetic")]
    events: set[int] = set()
    for where, who, what, then in judged:
        seq = say(shared, pilot, tasks[where], people[who], **HOW[what])
        events.add(seq)
        if then == "correct":
            events.add(say(shared, pilot, tasks[where], people[who], (1, 0), corrects=seq))
        elif then == "withdraw":
            with shared.write() as connection:
                withdraw(connection, seq, rater=people[who], key=uuid4().hex)
        elif then == "erase":
            erase(shared, seq, "verdict")
    if held:
        with shared.write() as connection:
            set_rater_state(connection, people[0], "quarantined")
    try:
        made = frozen(shared, pilot, folder, dev=0.3)
    except DataError:
        assert list((folder / "artifacts").iterdir()) == []
        return
    placed = [o.seq for o in origins(made.folder)]
    left = [item.seq for item in excluded(made.folder)]
    assert sorted([*placed, *left]) == sorted(events)
    assert made.counts["given"] == len(events)
    assert (made.counts["rows"], sum(made.excluded.values())) == (len(placed), len(left))
    weight: dict[str, float] = {}
    for row, origin in zip(rows(made), origins(made.folder), strict=True):
        assert row.inclusion == 0.5
        weight[origin.unit] = weight.get(origin.unit, 0) + row.weight
    assert weight == {unit: pytest.approx(1) for unit in weight}
    assert verify_frozen(made.folder, shared).ok
    assert not frozen(shared, pilot, folder, dev=0.3).is_new
