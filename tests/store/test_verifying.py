"""Verification: a sound log passes, and of a damaged one the first bad event is named."""

from __future__ import annotations

import copy
import json
import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.core.errors import DataError, StoreError
from accord.core.hashing import canonical_json
from accord.store.checkpoints import Checkpoint, all_checkpoints
from accord.store.database import Database, open_database
from accord.store.erasing import erase, erase_rater
from accord.store.event import Event, leaf_of, new_salt, salted_digest
from accord.store.exporting import export_log
from accord.store.keys import PublicKey, SigningKey
from accord.store.merkle import root_of
from accord.store.verifying import Verdict, verify, verify_database

Records = list[dict[str, Any]]


class Sample:
    """An exported log, and what a reader got from elsewhere."""

    def __init__(self, folder: Path, lines: list[str], key: PublicKey) -> None:
        self.folder, self.lines, self.key = folder, tuple(lines), key
        self.signed: tuple[int, ...] = ()
        self.events = 0
        self.checkpoints: tuple[Checkpoint, ...] = ()

    def check(self, lines: Sequence[str], *, trusted: bool = True, **more: Any) -> Verdict:
        path = self.folder / "changed.jsonl"
        path.write_bytes("".join(lines).encode("latin-1"))
        return verify(path, public_keys=[self.key] if trusted else None, **more)

    def records(self) -> Records:
        return [json.loads(line) for line in self.lines]

    def check_records(self, records: Records, **more: Any) -> Verdict:
        return self.check([canonical_json(record) + "\n" for record in records], **more)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, history: ModuleType) -> Sample:
    folder = tmp_path_factory.mktemp("log")
    key = history.key_in(folder)
    with open_database(folder / "accord.db") as database:
        history.fill(database, key)
        export_log(database, folder / "log.jsonl")
        with database.read() as connection:
            checkpoints = tuple(all_checkpoints(connection))
    lines = (folder / "log.jsonl").read_text().splitlines(keepends=True)
    made = Sample(folder, lines, key.public)
    made.signed, made.events, made.checkpoints = history.SIGNED_AT, history.EVENTS, checkpoints
    return made


def rehash(record: dict[str, Any]) -> None:
    record["hash"] = Event.of(record["event"]).hash


def chain_again(records: Records, first: int) -> None:
    """Number, link and hash every event from `first` on, as someone who rewrites history would."""
    inside = [record for record in records if record["kind"] == "event"]
    for index in range(first - 1, len(inside)):
        inside[index]["event"]["seq"] = index + 1
        if inside[index]["row"] is not None:
            inside[index]["row"]["seq"] = index + 1
        if index:
            inside[index]["event"]["prev"] = inside[index - 1]["hash"]
        rehash(inside[index])
    records[0]["events"] = records[-1]["events"] = len(inside)
    records[-1]["head"] = inside[-1]["hash"]


def test_a_sound_log_passes(sample: Sample) -> None:
    for trusted in (True, False):
        verdict = sample.check(sample.lines, trusted=trusted)
        assert verdict.faults == ()
        assert verdict.ok
        assert verdict.first_bad is None
        assert (verdict.events, verdict.signed) == (sample.events, sample.signed[-1])
        assert verdict.keys == (sample.key.id,)
        assert verdict.trusted is trusted
        assert verdict.withheld == ((2, "identity"), (3, "identity"))
    assert "Ada" not in "".join(sample.lines)


def test_a_live_log_passes_and_holds_the_same(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    key = history.key_in(tmp_path)
    history.fill(database, key)
    live = verify_database(database, public_keys=[key.public])
    assert live.faults == ()
    assert (live.signed, live.withheld) == (30, ())
    done = export_log(database, tmp_path / "log.jsonl", key=key)
    assert (done.events, done.checkpoints) == (34, 4)
    verdict = verify(tmp_path / "log.jsonl", public_keys=[key.public])
    assert verdict.faults == ()
    assert verdict.signed == 34


positions = st.integers(1, 34)


@given(positions, st.data())
@settings(max_examples=300)
def test_any_flipped_bit_is_found_at_its_event(
    sample: Sample, seq: int, data: st.DataObject
) -> None:
    lines = list(sample.lines)
    raw = bytearray(lines[seq].encode())
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    lines[seq] = raw.decode("latin-1")
    assert sample.check(lines).first_bad == seq
    assert sample.check(lines, trusted=False).first_bad == seq


@pytest.mark.slow
@pytest.mark.parametrize("seq", [2, 5, 12, 17, 34])
def test_no_byte_of_an_event_can_be_changed(sample: Sample, seq: int) -> None:
    draws = random.Random(seq)
    whole = sample.lines[seq].encode()
    for place in range(len(whole)):
        raw = bytearray(whole)
        raw[place] ^= 1 << draws.randrange(8)
        lines = [*sample.lines[:seq], raw.decode("latin-1"), *sample.lines[seq + 1 :]]
        assert sample.check(lines).first_bad == seq, raw[max(0, place - 20) : place + 20]


def test_another_spelling_of_the_same_bytes_is_a_change(sample: Sample) -> None:
    for change in (str.upper, lambda text: f"{text[:2]} {text[2:]}"):
        records = sample.records()
        salt = records[5]["parts"]["text"]["salt"]
        records[5]["parts"]["text"]["salt"] = change(salt)
        assert sample.check_records(records).first_bad == 5
        for field in ("signature", "public_key"):
            records = sample.records()
            signed = next(record for record in records if record["kind"] == "checkpoint")
            signed[field] = change(signed[field])
            assert not sample.check_records(records).ok


@given(positions)
def test_a_dropped_event_is_named(sample: Sample, seq: int) -> None:
    assert sample.check([*sample.lines[:seq], *sample.lines[seq + 1 :]]).first_bad == seq


@given(positions)
def test_an_event_dropped_with_all_counts_mended_is_named(sample: Sample, seq: int) -> None:
    records = sample.records()
    del records[seq]
    if seq == sample.events:
        # Cut at the end and beyond the last checkpoint: nothing in the file can tell.
        records[0]["events"] = records[-1]["events"] = seq - 1
        records[-1]["head"] = records[seq - 1]["hash"]
        verdict = sample.check_records(records)
        assert verdict.ok
        assert verdict.signed < verdict.events
        return
    records[0]["events"] = records[-1]["events"] = sample.events - 1
    assert sample.check_records(records).first_bad == seq


@given(positions, positions)
def test_swapped_events_are_named(sample: Sample, one: int, other: int) -> None:
    lines = list(sample.lines)
    lines[one], lines[other] = lines[other], lines[one]
    assert sample.check(lines).first_bad == (None if one == other else min(one, other))


@given(positions, positions)
def test_an_event_told_twice_is_named(sample: Sample, seq: int, place: int) -> None:
    """Event `seq` stands a second time before the event at `place`."""
    lines = [*sample.lines[:place], sample.lines[seq], *sample.lines[place:]]
    # Right behind the first one both have the same number, which is what they are called.
    assert sample.check(lines).first_bad == (seq if place == seq + 1 else place)


@given(positions, positions)
def test_an_event_put_in_is_named(sample: Sample, seq: int, source: int) -> None:
    """A copy of another event stands before event `seq`, fitted into the chain there."""
    records = sample.records()
    extra = copy.deepcopy(records[source])
    extra["event"]["seq"] = seq
    extra["event"]["prev"] = records[seq]["event"]["prev"]
    extra["event"]["actor"] = "intruder"
    rehash(extra)
    records.insert(seq, extra)
    assert sample.check_records(records).first_bad == seq


@given(positions)
def test_an_event_hashed_again_is_named(sample: Sample, seq: int) -> None:
    records = sample.records()
    records[seq]["event"]["actor"] = "somebody"
    if records[seq]["row"] is not None:
        records[seq]["row"]["rater"] = "somebody"
    rehash(records[seq])
    assert sample.check_records(records).first_bad == seq
    assert sample.check_records(records, trusted=False).first_bad == seq


@given(positions)
def test_an_event_chained_to_another_past_is_named(sample: Sample, seq: int) -> None:
    records = sample.records()
    records[seq]["event"]["prev"] = "0" * 64
    rehash(records[seq])
    assert sample.check_records(records).first_bad == seq


@given(st.integers(1, 30), st.sampled_from(["change", "drop", "put in"]))
def test_a_rewritten_history_is_named_where_it_begins(sample: Sample, seq: int, how: str) -> None:
    """Everything after the change is numbered, linked and hashed again; only signatures are not."""
    records = sample.records()
    if how == "drop":
        del records[seq]
    elif how == "put in":
        records.insert(seq, copy.deepcopy(records[seq]))
        records[seq]["event"]["key"] = "another"
    else:
        records[seq]["event"]["subject"] = "somebody else"
        if records[seq]["row"] is not None:
            records[seq]["row"]["judgement"] = "somebody else"
    chain_again(records, seq)
    assert sample.check_records(records).first_bad == seq


@given(st.integers(1, 30))
def test_without_its_list_of_hashes_a_checkpoint_still_shows_that_history_was_rewritten(
    sample: Sample, seq: int
) -> None:
    records = sample.records()
    records[seq]["event"]["subject"] = "somebody else"
    chain_again(records, seq)
    for record in records:
        if record["kind"] == "checkpoint":
            record["leaves"] = []
    found = sample.check_records(records).first_bad
    # The first event after the last checkpoint that still holds: the start of a range.
    assert (
        found == 1 + max((size for size in sample.signed if size < seq), default=0) or found == seq
    )


@given(positions)
def test_a_cut_tail_is_named(sample: Sample, kept: int) -> None:
    kept -= 1
    assert sample.check(sample.lines[: kept + 1]).first_bad == kept + 1
    records = sample.records()
    rest = [record for record in records if record["kind"] != "event"]
    cut = [rest[0], *records[1 : kept + 1], *rest[1:]]
    assert sample.check_records(cut).first_bad == kept + 1
    cut[0]["events"] = cut[-1]["events"] = kept
    cut[-1]["head"] = cut[kept].get("hash", "")
    verdict = sample.check_records(cut)
    assert verdict.first_bad == (kept + 1 if kept < sample.signed[-1] else None)


def test_a_log_cut_back_to_an_older_checkpoint_is_found_by_one_that_was_kept(
    sample: Sample,
) -> None:
    records = sample.records()
    first, second, third = (r for r in records if r["kind"] == "checkpoint")
    cut = [records[0], *records[1:20], first, second, records[-1]]
    cut[0]["events"] = cut[-1]["events"] = 19
    cut[-1]["head"] = cut[19]["hash"]
    cut[17]["row"]["superseded_by"] = None
    assert sample.check_records(cut).ok
    verdict = sample.check_records(cut, expected=[sample.checkpoints[-1]])
    assert verdict.first_bad == 20
    assert third["checkpoint"]["size"] == 30


def test_another_key_is_not_believed(sample: Sample, tmp_path: Path) -> None:
    forger = SigningKey.load_or_make(tmp_path / "forger.pem")
    records = sample.records()
    records[5]["event"]["subject"] = "somebody else"
    chain_again(records, 5)
    events = [r["hash"] for r in records if r["kind"] == "event"]
    for record in records:
        if record["kind"] == "checkpoint":
            said = record["checkpoint"]
            said["root"] = root_of(map(leaf_of, events[: said["size"]])).hex()
            said["head"] = events[said["size"] - 1]
            said["key"] = forger.public.id
            signed = Checkpoint(**said, signature="")
            record["signature"] = forger.sign(signed.signed_bytes()).hex()
            record["public_key"] = forger.public.raw.hex()
    start = 0
    for record in records:
        if record["kind"] == "checkpoint":
            record["leaves"] = events[start : record["checkpoint"]["size"]]
            start = record["checkpoint"]["size"]
    assert sample.check_records(records, trusted=False).ok
    verdict = sample.check_records(records)
    assert not verdict.ok
    assert verdict.signed == 0
    assert "not trusted" in str(verdict.faults[0])
    assert sample.check_records(records, expected=[sample.checkpoints[0]]).first_bad == 1


@given(st.data())
def test_a_flipped_bit_outside_of_events_is_found(sample: Sample, data: st.DataObject) -> None:
    lines = list(sample.lines)
    line = data.draw(st.integers(sample.events + 1, len(lines) - 1))
    raw = bytearray(lines[line].encode())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    lines[line] = raw.decode("latin-1")
    assert not sample.check(lines).ok


@pytest.mark.parametrize("field", ["signature", "public_key", "leaves", "checkpoint"])
def test_a_changed_checkpoint_is_no_events_fault(sample: Sample, field: str) -> None:
    records = sample.records()
    signed = next(record for record in records if record["kind"] == "checkpoint")
    changed: dict[str, Any] = {
        "signature": "00" * 64,
        "public_key": "00" * 32,
        "leaves": [*signed["leaves"][:-1], "0" * 64],
        "checkpoint": signed["checkpoint"] | {"time": "2020-01-01T00:00:00.000000Z"},
    }
    signed[field] = changed[field]
    verdict = sample.check_records(records)
    assert not verdict.ok
    assert verdict.first_bad is None
    assert "checkpoint over 8 events" in str(verdict.faults[0])


def renamed_row(record: dict[str, Any]) -> None:
    record["roW"] = record.pop("row")


def more_beside_words(record: dict[str, Any]) -> None:
    record["parts"]["rationale"]["more"] = 1


def numbered_like_another(record: dict[str, Any]) -> None:
    record["event"]["seq"] = 3


def numbered_zero(record: dict[str, Any]) -> None:
    record["event"]["seq"] = 0
    rehash(record)


def changed_row(record: dict[str, Any]) -> None:
    record["row"]["strength"] = 2 if record["row"]["strength"] != 2 else 3


def changed_words(record: dict[str, Any]) -> None:
    part = record["parts"]["rationale"]
    part["body"] = part["body"].replace("reason", "season")


def dropped_words(record: dict[str, Any]) -> None:
    del record["parts"]["rationale"]


def added_words(record: dict[str, Any]) -> None:
    record["parts"]["more"] = {"salt": "00" * 32, "body": "1"}


def dropped_row(record: dict[str, Any]) -> None:
    record["row"] = None


def freed_row(record: dict[str, Any]) -> None:
    record["row"]["superseded_by"] = 33


@pytest.mark.parametrize(
    "change",
    [
        renamed_row,
        more_beside_words,
        numbered_like_another,
        numbered_zero,
        changed_row,
        changed_words,
        dropped_words,
        added_words,
        dropped_row,
        freed_row,
    ],
)
def test_what_lies_beside_the_event_is_checked_too(
    sample: Sample, change: Callable[[dict[str, Any]], None]
) -> None:
    records = sample.records()
    change(records[12])
    assert sample.check_records(records).first_bad == 12


def test_a_correction_that_was_hidden_is_found(sample: Sample) -> None:
    records = sample.records()
    assert records[15]["row"]["superseded_by"] == 17
    for number in (None, 18, 99):
        records[15]["row"]["superseded_by"] = number
        assert sample.check_records(records).first_bad == 15


def test_words_that_claim_to_be_erased_are_found(sample: Sample) -> None:
    records = sample.records()
    said = records[12]["event"]["payload"]["rationale"]
    salt = new_salt()
    records[12]["parts"]["rationale"] = {"salt": salt, "body": '"Other words."'}
    assert salted_digest(salt, '"Other words."') != said
    assert sample.check_records(records).first_bad == 12


@pytest.mark.parametrize("text", ["", "{}\n", "[1]\n", "no json\n", '{"kind":"accord log"}\n'])
def test_another_file_is_one_data_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text(text)
    with pytest.raises(DataError):
        verify(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be read"):
        verify(tmp_path / "none")


def test_an_event_of_a_newer_form_is_not_passed_over(sample: Sample) -> None:
    records = sample.records()
    records[34]["event"]["version"] = 2
    rehash(records[34])
    records[-1]["head"] = records[34]["hash"]
    assert sample.check_records(records).first_bad == 34


def test_checkpoints_from_elsewhere_need_keys(sample: Sample) -> None:
    with pytest.raises(ValueError, match="public_keys"):
        sample.check(sample.lines, trusted=False, expected=sample.checkpoints)


def test_a_newer_form_is_refused(sample: Sample) -> None:
    records = sample.records()
    records[0]["format"] = 2
    with pytest.raises(DataError, match="form"):
        sample.check_records(records)


PUT_IN = (
    "INSERT INTO judgements (seq, judgement, rater, verdict, tiers, time)"
    " SELECT {seq}, 'forged', rater, verdict, tiers, time FROM judgements WHERE seq = 12"
)
TAMPERINGS = {
    "a row of a judgement": ("UPDATE judgements SET strength = 4 WHERE seq = 12", 12),
    "a row that is gone": ("DELETE FROM judgements WHERE seq = 12", 12),
    "an event": ("UPDATE events SET actor = 'me' WHERE seq = 20", 20),
    "what was said": ("UPDATE payloads SET body = '1' WHERE seq = 14 AND name = 'rationale'", 14),
    "who it was": ("UPDATE identities SET body = '1' WHERE seq = 3", 3),
    "a hash": ("UPDATE events SET hash = substr(hash, 2) || 'g' WHERE seq = 21", 21),
    "the head": ("UPDATE log SET head = id", 34),
    "an event that is gone": ("DELETE FROM events WHERE seq = 20", 20),
    "a row put in behind the log": (PUT_IN.format(seq=99), 99),
    "a row put in before the log": (PUT_IN.format(seq=-1), -1),
}


def tamper(database: Database, statement: str) -> None:
    """Change rows with neither triggers nor foreign keys in the way."""
    if not database.is_sqlite:
        with database.write() as connection:
            connection.execute(sa.text("SET session_replication_role = replica"))
            connection.execute(sa.text(statement))
        return
    with closing(sqlite3.connect(str(database.engine.url.database))) as bare, bare:
        chosen = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for (name,) in bare.execute(chosen).fetchall():
            bare.execute(f"DROP TRIGGER {name}")
        bare.execute(statement)


@pytest.mark.parametrize("which", TAMPERINGS)
def test_tampering_behind_the_guards_of_a_live_database_is_named(
    database: Database, history: ModuleType, tmp_path: Path, which: str
) -> None:
    statement, seq = TAMPERINGS[which]
    key = history.key_in(tmp_path)
    history.fill(database, key)
    tamper(database, statement)
    verdict = verify_database(database, public_keys=[key.public])
    assert verdict.first_bad == seq, verdict.faults


def test_what_was_erased_is_listed_and_the_rest_still_holds(
    database: Database, history: ModuleType, tmp_path: Path
) -> None:
    key = history.key_in(tmp_path)
    raters = history.fill(database, key)
    erase(database, 8, "rationale")
    erase_rater(database, raters[0])
    erase(database, 12, "verdict")
    export_log(database, tmp_path / "log.jsonl", key=key)
    for verdict in (
        verify_database(database, public_keys=[key.public]),
        verify(tmp_path / "log.jsonl", public_keys=[key.public]),
    ):
        assert verdict.faults == ()
        assert {(8, "rationale"), (2, "identity"), (12, "verdict")} <= set(verdict.erased)
        assert (3, "identity") not in verdict.erased
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert "rationale" not in records[8]["parts"]
    assert records[12]["row"]["verdict"] == "erased"
