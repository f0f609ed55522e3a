"""A frozen set of demonstrations is held against the log: what was changed, in either, is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from accord.collect.comparing import EXCLUDED, excluded
from accord.collect.freezing import ORIGINS, Frozen
from accord.collect.frozen import verify_frozen
from accord.collect.origins import digest_of
from accord.collect.sealing import SEAL, seal
from accord.collect.text_frozen import text_origins
from accord.core.errors import DataError
from accord.core.hashing import canonical_json
from accord.store.checkpoints import sign_checkpoint
from accord.store.database import Database, open_database
from accord.store.datasets import Dataset, write_dataset
from accord.store.erasing import erase
from accord.store.exporting import export_log
from accord.store.judgements import VERDICT
from accord.store.keys import SigningKey
from accord.store.manifest import MANIFEST, DatasetKind, DatasetManifest
from accord.store.registry import TEXT
from accord.store.writing import RowsDigest
from tests.collect.asking import somebody
from tests.collect.judging import key_in
from tests.collect.texting import ACCEPT, REJECT, asked, frozen_texts, reviewed, rows, wrote


def filled(database: Database, folder: Path) -> Frozen:
    """Five demonstrations, two of them edits, and a rejected one."""
    campaign = asked(database, write=4, edit=2)
    ada, bea = (somebody(database, campaign, name) for name in ("ada", "bea"))
    for number in range(6):
        wrote(database, campaign, ada, f"text {number}")
        reviewed(database, campaign, bea, REJECT if number == 3 else ACCEPT)
    return frozen_texts(database, campaign, folder, dev=0.3)


@pytest.fixture
def made(file_database: Database, tmp_path: Path) -> Frozen:
    return filled(file_database, tmp_path)


@pytest.fixture
def export(made: Frozen, file_database: Database, tmp_path: Path) -> Path:
    """The log as a file, signed once more later."""
    with file_database.write() as connection:
        sign_checkpoint(connection, key_in(tmp_path))
    return export_log(file_database, tmp_path / "log.jsonl").path


def change(file: Path, how: Callable[[list[dict[str, Any]]], None]) -> list[dict[str, Any]]:
    table = pq.read_table(file)
    records: list[dict[str, Any]] = table.to_pylist()
    how(records)
    pq.write_table(pa.Table.from_pylist(records, schema=table.schema), file)
    return records


def change_manifest(folder: Path, how: Callable[[dict[str, Any]], None]) -> None:
    body = json.loads((folder / MANIFEST).read_text())
    how(body)
    (folder / MANIFEST).write_text(json.dumps(body))


def change_rows(folder: Path, how: Callable[[list[dict[str, Any]]], None]) -> None:
    """Other rows, with the manifest's digest made to fit."""
    (path,) = folder.glob("part-*.parquet")
    running = RowsDigest(DatasetKind.DEMONSTRATIONS)
    for record in change(path, how):
        running.add(record)
    change_manifest(folder, lambda body: body.update(digest=running.value))


def test_a_set_follows_from_the_live_log_and_from_an_export(
    database: Database, tmp_path: Path
) -> None:
    made = filled(database, tmp_path)
    path = export_log(database, tmp_path / "log.jsonl", key=key_in(tmp_path)).path
    for source in (database, path):
        for keys in (None, [key_in(tmp_path).public]):
            found = verify_frozen(made.folder, source, public_keys=keys)
            assert (found.faults, found.rows, found.erased_since) == ((), 5, 0)
            assert found.noun == "text"
    stranger = SigningKey.load_or_make(tmp_path / "other.pem").public
    assert not verify_frozen(made.folder, path, public_keys=[stranger]).ok


@pytest.mark.parametrize("name", ["answer", "question", "source"])
def test_a_changed_row_is_named(made: Frozen, export: Path, name: str) -> None:
    seq = [origin.seq for origin in text_origins(made.folder)][2]

    def forge(records: list[dict[str, Any]]) -> None:
        if name == "source":
            records[2]["source"] = "human:other"
        else:
            records[2]["messages"][-1 if name == "answer" else 0]["content"] = "forged"

    change_rows(made.folder, forge)
    first = verify_frozen(made.folder, export).faults[0]
    assert (first.row, first.seq) == (3, seq)


@pytest.mark.parametrize(
    "field",
    ["hash", "rater", "kind", "split", "late", "made", "edits", "reviews", "text", "task", "root"],
)
def test_a_changed_origin_is_named(made: Frozen, export: Path, field: str) -> None:
    def forge(records: list[dict[str, Any]]) -> None:
        records[2][field] = (not records[2][field]) if field == "late" else "f" * 64

    change(made.folder / ORIGINS, forge)
    assert verify_frozen(made.folder, export).faults[0].row == 3


def test_a_row_without_text_is_named(made: Frozen, export: Path) -> None:
    def forge(records: list[dict[str, Any]]) -> None:
        records[4]["seq"] = 10_000

    change(made.folder / ORIGINS, forge)
    first = verify_frozen(made.folder, export).faults[0]
    assert (first.row, first.seq, first.what) == (5, 10_000, "the log has no such text")


def test_a_dropped_row_is_named(made: Frozen, export: Path) -> None:
    dropped, split = [(origin.seq, origin.split) for origin in text_origins(made.folder)][1]

    def drop(records: list[dict[str, Any]]) -> None:
        del records[1]

    def count(body: dict[str, Any]) -> None:
        body["rows"] -= 1
        body["counts"][split] -= 1

    change(made.folder / ORIGINS, drop)
    change_rows(made.folder, drop)
    change_manifest(made.folder, count)
    first = verify_frozen(made.folder, export).faults[0]
    assert first.row == 2
    assert f"the log has event {dropped} in its place" in str(first)


def test_a_rejected_text_that_is_put_in_is_named(made: Frozen, export: Path) -> None:
    """Its row, its origin and the list of the others are made to fit; the log does not."""
    (item,) = excluded(made.folder)
    (made.folder / EXCLUDED).write_text("")
    change(made.folder / ORIGINS, lambda records: records.append({**records[-1], "seq": item.seq}))
    found = verify_frozen(made.folder, export).faults
    assert found
    assert {fault.row for fault in found} & {6}


def test_an_exclusion_that_was_changed_is_named(made: Frozen, export: Path) -> None:
    (item,) = excluded(made.folder)
    for text in (canonical_json({"seq": item.seq, "why": "erased"}) + "\n", ""):
        (made.folder / EXCLUDED).write_text(text)
        first = verify_frozen(made.folder, export).faults[0]
        assert (first.row, first.seq) == (None, item.seq)


@pytest.mark.parametrize("name", ["counts", "excluded", "raters", "reviews", "digests"])
def test_figures_of_the_manifest_that_were_changed_are_named(
    made: Frozen, export: Path, name: str
) -> None:
    change_manifest(made.folder, lambda body: body["notes"].update({name: {}}))
    found = [str(fault) for fault in verify_frozen(made.folder, export).faults]
    assert f"the manifest's {name} do not follow from the log" in found
    assert "the manifest is not the one that was sealed" in found


def test_a_seal_is_missed(made: Frozen, export: Path) -> None:
    (made.folder / SEAL).unlink()
    assert [str(f) for f in verify_frozen(made.folder, export).faults] == ["the set has no seal"]


def test_what_was_not_frozen_is_refused(made: Frozen, export: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "plain", rows(made), kind="demonstrations", source="s")
    with pytest.raises(DataError, match="not frozen from texts"):
        verify_frozen(tmp_path / "plain", export)


@pytest.mark.parametrize("kind", ["response.added", "judgement.given"])
@pytest.mark.parametrize("how", ["flip", "drop", "swap", "truncate"])
def test_a_changed_log_is_named_by_its_first_bad_event(
    made: Frozen, export: Path, tmp_path: Path, kind: str, how: str
) -> None:
    lines = export.read_text().splitlines(keepends=True)
    # The last of its kind that a row hangs on.
    place = max(n for n, line in enumerate(lines) if f'"type":"{kind}"' in line)
    seq = json.loads(lines[place])["event"]["seq"]
    if how == "flip":
        record = json.loads(lines[place])
        part = record["parts"][TEXT if kind == "response.added" else "verdict"]
        part["body"] = part["body"].replace("e", "o", 1)
        lines[place] = canonical_json(record) + "\n"
    elif how == "drop":
        del lines[place]
    elif how == "swap":
        lines[place - 1 : place + 1] = reversed(lines[place - 1 : place + 1])
    else:
        del lines[place:]
    (tmp_path / "bad.jsonl").write_text("".join(lines))
    first = verify_frozen(made.folder, tmp_path / "bad.jsonl").faults[0]
    assert first.row is None
    assert first.seq in (seq - 1, seq)
    assert (first.seq == seq) or how == "swap"


def test_the_log_of_another_database_is_told_apart(made: Frozen, tmp_path: Path) -> None:
    with open_database(tmp_path / "other.db") as other:
        filled(other, tmp_path)
        (fault,) = verify_frozen(made.folder, other).faults
    assert "another log" in str(fault)


def test_a_working_table_has_no_say(file_database: Database, tmp_path: Path) -> None:
    before = filled(file_database, tmp_path)
    with file_database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE tasks SET kind = 'compare', repeats = NULL"))
        connection.execute(sa.text("UPDATE raters SET kind = 'model', state = 'quarantined'"))
        connection.execute(sa.text("UPDATE responses SET rater = NULL"))
    assert verify_frozen(before.folder, file_database).ok


def test_what_was_erased_since_does_not_let_the_rest_be_changed(
    made: Frozen, file_database: Database
) -> None:
    first, second, *_ = text_origins(made.folder)
    erase(file_database, int(first.reviews), "verdict")
    found = verify_frozen(made.folder, file_database)
    assert (found.faults, found.rows, found.erased_since) == ((), 4, 1)

    def forge(records: list[dict[str, Any]]) -> None:
        records[1]["messages"][-1]["content"] = "forged"

    change_rows(made.folder, forge)
    faults = verify_frozen(made.folder, file_database).faults
    assert (faults[0].row, faults[0].seq) == (2, second.seq)
    assert Dataset(made.folder).manifest.rows == 5


@pytest.mark.parametrize("field", ["edits", "text", "reviews"])
def test_an_erasure_hides_no_other_row(made: Frozen, file_database: Database, field: str) -> None:
    """The origin of a forged row points at what was erased, and the forger seals the set anew."""
    first, other = list(text_origins(made.folder))[:2]
    review = int(first.reviews)
    part = (review, VERDICT) if field == "reviews" else (first.seq, TEXT)
    erase(file_database, *part)
    points_at = {"edits": first.text, "text": first.text, "reviews": str(review)}

    def forge_row(records: list[dict[str, Any]]) -> None:
        records[1]["messages"][-1]["content"] = "forged"

    def forge_origin(records: list[dict[str, Any]]) -> None:
        records[1][field] = points_at[field]

    change_rows(made.folder, forge_row)
    change(made.folder / ORIGINS, forge_origin)
    told = digest_of(text_origins(made.folder))
    change_manifest(made.folder, lambda body: body["notes"]["digests"].update(origins=told))
    key = SigningKey.load_or_make(made.folder.parent / "forger.pem")
    seal(made.folder, DatasetManifest.load(made.folder), key)
    found = verify_frozen(made.folder, file_database).faults
    assert (found[0].row, found[0].seq) == (2, other.seq)


def test_an_erased_review_leaves_its_text_comparable(
    tmp_path: Path, file_database: Database
) -> None:
    campaign = asked(file_database, write=1, reviews=3)
    ada, *others = (somebody(file_database, campaign, name) for name in "abcd")
    wrote(file_database, campaign, ada, "text")
    for other in others:
        reviewed(file_database, campaign, other, ACCEPT)
    made = frozen_texts(file_database, campaign, tmp_path)
    (origin,) = text_origins(made.folder)
    erase(file_database, int(origin.reviews.split(",")[0]), VERDICT)
    found = verify_frozen(made.folder, file_database)
    assert (found.ok, found.rows, found.erased_since) == (True, 0, 1)


def test_an_erased_review_lets_no_words_be_changed(made: Frozen, file_database: Database) -> None:
    """The log no longer says why the first row is one; it still says what was written."""
    first = next(text_origins(made.folder))
    erase(file_database, int(first.reviews), VERDICT)
    assert verify_frozen(made.folder, file_database).ok

    def forge(records: list[dict[str, Any]]) -> None:
        records[0]["messages"][-1]["content"] = "forged"

    change_rows(made.folder, forge)
    key = SigningKey.load_or_make(made.folder.parent / "forger.pem")
    seal(made.folder, DatasetManifest.load(made.folder), key)
    found = verify_frozen(made.folder, file_database).faults
    assert (found[0].row, found[0].seq) == (1, first.seq)
