"""From a file to data sets: nothing lost in silence, nothing half-written."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.collect import reading
from accord.collect.importing import ImportReport, RowReader, import_file, read_rows
from accord.collect.records import Rejected
from accord.core.errors import AccordError, ConfigError, DataError, WorkspaceError
from accord.core.types import (
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Prompt,
    RatedResponse,
    Split,
)
from accord.store.datasets import Dataset
from accord.store.manifest import DatasetKind
from tests.collect.samples import SAMPLES, VOTED, array, instances, is_part, items_of, lines


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def used(report: ImportReport) -> int:
    return sum(made.manifest.rows + made.manifest.split_across for made in report.datasets)


def kind_of(item: object) -> DatasetKind:
    assert isinstance(item, Comparison | Demonstration | Feedback | Prompt | RatedResponse)
    return DatasetKind.of(item)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".json", ".json.gz", ".parquet"])
def test_every_row_of_a_good_file_arrives(tmp_path: Path, name: str, ending: str) -> None:
    path = tmp_path / f"mine{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist([SAMPLES[name](i) for i in range(30)]), path)
    else:
        content = array(name, 30) if ".json" in path.suffixes else lines(name, 30)
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    report = import_file(path, tmp_path / "out", dev=0.2)
    rows = list(read_rows(path, source="mine"))
    votes = 2 if name in VOTED else 1
    assert (report.rejected, report.duplicates) == (0, len(rows) - len(rows) // votes)
    assert (
        report.rows
        == len(rows) + report.joined
        == sum(items_of(SAMPLES[name](i)) for i in range(30))
    )
    assert report.formats == {name: 30}
    folders = {made.folder.name for made in report.datasets}
    assert {path.name for path in (tmp_path / "out").iterdir()} == folders
    assert used(report) == len(rows)
    for made in report.datasets:
        assert made.is_new
        assert made.folder.name == f"mine-{made.manifest.kind}-{made.manifest.digest[:16]}"
        dataset = Dataset(made.folder)
        dataset.verify()
        alike = [row for row in rows if kind_of(row) is made.manifest.kind]
        assert list(dataset.rows()) == alike
        assert dataset.count() == len(alike) >= 10
        assert 0 < dataset.count(Split.DEV) < len(alike) / 2
        assert not (made.folder / "rejected.jsonl").exists()


def test_bad_rows_are_counted_and_listed(tmp_path: Path) -> None:
    content = (
        b'\xef\xbb\xbf{"prompt": "a", "chosen": "x", "rejected": "y"}\n'
        b"\n"
        b'{"prompt": "b", "chosen": "x", "rejected": ""}\n'
        b'{"prompt": "c", "chosen": "x"}\n'
        b'{"prompt": "d", "chosen": "x", "rejected": "y"\n'
        b'{"prompt": "\xff", "chosen": "x", "rejected": "y"}\n'
        b"[1]\n"
        b'{"prompt": "e", "prompt": "f", "chosen": "x", "rejected": "y"}\n'
        b'{"prompt": "g", "chosen": "x", "rejected": "y", "weight": NaN}\n'
        b'{"prompt": '
        + b"[" * 100_000
        + b"\n"
        + b'{"prompt": "h", "chosen": "x", "rejected": "y", "id": 3}'
    )
    report = import_file(write(tmp_path / "f.jsonl", content), tmp_path / "out")
    (made,) = report.datasets
    assert (report.rows, report.rejected, made.manifest.rows) == (10, 8, 2)
    assert report.ignored_columns == ("id",)
    listed = [
        json.loads(line) for line in (made.folder / "rejected.jsonl").read_text().splitlines()
    ]
    assert [entry["row"] for entry in listed] == [3, 4, 5, 6, 7, 8, 9, 10]
    assert listed[0] == {"row": 3, "column": "rejected", "why": "is empty"}
    reasons = [
        "is empty",
        "lacks rejected",
        "not valid JSON",
        "not UTF-8: byte 13",
        "JSON object",
        "'prompt' is given twice",
        "NaN is no number",
        "too deeply nested",
    ]
    for entry, reason in zip(listed, reasons, strict=True):
        assert reason in entry["why"]
    assert [str(r) for r in report.first_rejected[:1]] == ["row 3, rejected: is empty"]
    assert made.manifest.notes["rejected"] == 8
    assert made.manifest.notes["file"] == "f.jsonl"


def test_a_mixed_file_makes_one_data_set_a_kind(tmp_path: Path) -> None:
    names = ["prompt", "prompt-response", "conversations", "hh-rlhf"]
    content = b"".join(lines(name, 5) for name in names) + b"{}\n"
    report = import_file(write(tmp_path / "f.jsonl", content), tmp_path / "out", name="mix")
    rows = {made.manifest.kind.value: made.manifest.rows for made in report.datasets}
    assert rows == {"prompts": 5, "demonstrations": 10, "preferences": 5}
    for made in report.datasets:
        Dataset(made.folder).verify()
        assert (made.folder / "rejected.jsonl").read_text().count("\n") == 1


def test_the_same_rows_give_the_same_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", lines("prompt", 5))
    first = import_file(path, tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    again = import_file(path, tmp_path / "out")
    assert [made.folder for made in again.datasets] == [made.folder for made in first.datasets]
    assert not again.datasets[0].is_new
    assert len(list((tmp_path / "out").iterdir())) == 1
    other = import_file(path, tmp_path / "out", dev=0.5)
    assert other.datasets[0].folder != first.datasets[0].folder


def test_rows_left_out_beside_known_ones_are_listed_too(tmp_path: Path) -> None:
    """The same good row, with other bad ones: what is said to be listed is listed."""
    good = b'{"prompt": "p", "chosen": "a", "rejected": "b"}\n'
    folders = []
    for number in (0, 1, 2, 2, 0):
        path = write(tmp_path / "set.jsonl", good + b'{"prompt": "p"}\n' * number)
        made = import_file(path, tmp_path / "out", format="prompt-chosen-rejected")
        folders.append(made.datasets[0].folder)
        if number:
            listed = (folders[-1] / "rejected.jsonl").read_text().splitlines()
            assert [json.loads(line)["row"] for line in listed] == [2, 3][:number]
    assert len(set(folders)) == 3
    assert folders[2] == folders[3]
    assert folders[0] == folders[4]


def test_duplicates_are_counted_and_kept(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "chosen": "x", "rejected": "y"},
        {"prompt": "a", "chosen": "x", "rejected": "y"},
        {"prompt": "a", "chosen": "y", "rejected": "x"},
        {"prompt": "b", "chosen": "x", "rejected": "y"},
        {"prompt": "a"},
        {"prompt": "a"},
    ]
    content = "\n".join(map(json.dumps, rows)).encode()
    report = import_file(write(tmp_path / "f.jsonl", content), tmp_path / "out")
    assert report.duplicates == 3
    assert used(report) == 6


def test_splitting_by_response_reports_what_falls_between(tmp_path: Path) -> None:
    rows = [
        {"prompt": "Which?", "chosen": f"t{i}", "rejected": f"t{(3 * i + 1) % 40}"}
        for i in range(40)
    ]
    content = "\n".join(json.dumps(r) for r in rows if r["chosen"] != r["rejected"]).encode()
    path = write(tmp_path / "f.jsonl", content)
    report = import_file(path, tmp_path / "out", unit="response", dev=0.4)
    (made,) = report.datasets
    assert made.manifest.split_across > 0
    assert used(report) == report.rows


FILES: dict[str, tuple[str, bytes, str]] = {
    "empty": ("f.jsonl", b"", "the file has no row"),
    "blank": ("f.jsonl", b"\n \n", "the file has no row"),
    "empty gzip": ("f.jsonl.gz", gzip.compress(b""), "the file has no row"),
    "not gzip": ("f.jsonl.gz", b"{}", "damaged or cut off"),
    "cut gzip": ("f.jsonl.gz", gzip.compress(lines("prompt", 500))[:-9], "damaged or cut off"),
    "cut parquet": ("f.parquet", b"PAR1xxxx", "Parquet file is damaged"),
    "wrong columns": (
        "f.jsonl",
        b'{"question": "a", "answer": "b"}\n' * 3,
        r"fit no format(.|\n)*answer, question(.|\n)*which lacks",
    ),
    "missing column": (
        "f.jsonl",
        b'{"prompt": "a", "chosen": "b"}\n',
        r"\(chosen, prompt\)(.|\n)*prompt-chosen-rejected, which lacks rejected",
    ),
    "all bad": ("f.jsonl", b"{\n" * 5, r"none of the file's 5 rows(.|\n)*row 1: is not valid JSON"),
    "all empty": ("f.jsonl", b'{"prompt": "a", "response": ""}', "row 1, response: is empty"),
    "utf-16": ("f.jsonl", lines("prompt", 2).decode().encode("utf-16"), "not UTF-8"),
    "comma-separated": ("f.csv", b"a,b", "must show in its ending"),
    "empty json": ("f.json", b"", r"no valid JSON array(.|\n)*the file is empty"),
    "empty array": ("f.json", b" [ ] ", "the file has no row"),
    "lines called json": ("f.json", lines("prompt", 2), r"begins with '\{'(.|\n)*ends in .jsonl"),
    "cut array": ("f.json", b'[{"prompt": "a"}, {"pro', r"Unterminated string(.|\n)*row 2"),
}


@pytest.mark.parametrize("case", FILES)
def test_an_unusable_file_is_one_clear_error(tmp_path: Path, case: str) -> None:
    name, content, message = FILES[case]
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=message) as caught:
        import_file(path, tmp_path / "out")
    assert str(path) in str(caught.value) or case == "comma-separated"
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_parquet_file_without_rows_is_empty(tmp_path: Path) -> None:
    table = pa.table({"prompt": pa.array([], pa.string())})
    pq.write_table(table, tmp_path / "f.parquet")
    with pytest.raises(DataError, match="the file has no row"):
        import_file(tmp_path / "f.parquet", tmp_path / "out")


def test_null_columns_of_a_parquet_file_are_no_columns(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "response": "b"}, {"prompt": "c", "response": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "f.parquet")
    first, second = read_rows(tmp_path / "f.parquet")
    assert not isinstance(first, Rejected)
    assert isinstance(second, Prompt)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        import_file(tmp_path / "gone.jsonl", tmp_path / "out")
    with pytest.raises(DataError, match="not a file"):
        import_file(tmp_path, tmp_path / "out")


def test_a_named_format_says_what_is_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", lines("prompt", 3))
    with pytest.raises(DataError, match="lack response, which prompt-response needs"):
        import_file(path, tmp_path / "out", format="prompt-response")


@pytest.mark.parametrize("name", ["", "../up", "a b", ".hidden", "x" * 65])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "f.jsonl", lines("prompt", 3))
    with pytest.raises(ConfigError, match="name must be"):
        import_file(path, tmp_path / "out", name=name)


def test_an_unknown_unit_names_the_known_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", lines("prompt", 3))
    with pytest.raises(ConfigError, match="use prompt or response"):
        import_file(path, tmp_path / "out", unit="rater")


def test_a_destination_that_cannot_be_written_is_a_workspace_error(tmp_path: Path) -> None:
    path = write(tmp_path / "f.jsonl", lines("prompt", 3))
    with pytest.raises(WorkspaceError, match="in the way"):
        import_file(path, path / "inside")
    if os.geteuid() != 0:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o500)
        with pytest.raises(WorkspaceError, match="cannot be written"):
            import_file(path, locked)


def test_a_file_cut_after_usable_rows_leaves_nothing(tmp_path: Path) -> None:
    content = gzip.compress(lines("prompt-chosen-rejected", 20_000))
    path = write(tmp_path / "f.jsonl.gz", content[: len(content) * 9 // 10])
    with pytest.raises(DataError, match="cut off"):
        import_file(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 1 << 20)
    path = write(tmp_path / "f.jsonl", lines("prompt", 2) + b'"' + b"x" * (1 << 20))
    with pytest.raises(DataError, match="longer than 1 MiB"):
        list(read_rows(path))


# ---- damaged files -------------------------------------------------------------------------------


def mutated(data: st.DataObject, content: bytes) -> bytes:
    """`content` with one to three bytes changed, a piece cut out, doubled or put in."""
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, max(0, len(content) - 1)))
        end = min(len(content), start + data.draw(st.integers(0, 40)))
        pieces = [b"", content[start:end] * 2, b"\n", b'"', b"\\ud800", b"\x00", b"null"]
        put = data.draw(st.sampled_from(pieces) | st.binary(max_size=6))
        content = content[:start] + put + content[end:]
    return content


def items(reader: RowReader) -> Iterator[object]:
    """What reading gives: rows, rejections, and at most one error of ours at its end."""
    try:
        yield from reader
    except AccordError as error:
        yield error


@settings(max_examples=100)
@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_a_damaged_json_file_loses_no_row_in_silence(name: str, data: st.DataObject) -> None:
    content = mutated(data, lines(name, 6))
    with tempfile.TemporaryDirectory() as place:
        path = write(Path(place, "f.jsonl"), content)
        reader = RowReader(path)
        met = list(items(reader))
        if met and isinstance(met[-1], AccordError):
            assert isinstance(met[-1], DataError)
            return
        expected = 0
        for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"):
            expected += instances(line) if line.strip() else 0
        parts = sum(map(is_part, met))
        assert len(met) - parts + reader.joined == expected
        # One in three goes to the disk: making a data set last is slow.
        report = imported(path, Path(place, "out")) if data.draw(st.integers(0, 2)) == 0 else None
        if report is not None:
            assert report.rows - parts == expected
            assert used(report) + report.rejected + report.joined == report.rows


def imported(path: Path, out: Path) -> ImportReport | None:
    try:
        return import_file(path, out)
    except DataError:
        assert not out.exists() or list(out.iterdir()) == []
        return None


@settings(max_examples=100)
@pytest.mark.parametrize("ending", [".parquet", ".jsonl.gz"])
@given(data=st.data())
def test_a_damaged_binary_file_is_read_or_refused(ending: str, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, f"f{ending}")
        if ending == ".parquet":
            rows = [SAMPLES["prompt-chosen-rejected"](i) for i in range(20)]
            pq.write_table(pa.Table.from_pylist(rows), path, write_page_checksum=True)
        else:
            path.write_bytes(gzip.compress(lines("prompt-chosen-rejected", 20), mtime=0))
        path.write_bytes(mutated(data, path.read_bytes()))
        report = imported(path, Path(place, "out"))
        if report is not None:
            assert used(report) + report.rejected == report.rows == 20


# ---- real files ----------------------------------------------------------------------------------

DATA = os.environ.get("ACCORD_DATA")
real = pytest.mark.skipif(not DATA, reason="ACCORD_DATA, the folder of real data, is not set")


@real
@pytest.mark.parametrize(
    ("file", "kind", "rows", "rejected", "format_name"),
    [
        ("hh_harmless/train.jsonl.gz", "preferences", 1533, 6, "hh-rlhf"),
        ("hh_harmless/dev.jsonl.gz", "preferences", 343, 2, "hh-rlhf"),
        ("self_instruct/seed_tasks.jsonl", "demonstrations", 175, 0, "self-instruct"),
        (
            "self_instruct/user_oriented_instructions.jsonl",
            "demonstrations",
            252,
            0,
            "self-instruct",
        ),
    ],
)
def test_real_files_arrive(
    tmp_path: Path, file: str, kind: str, rows: int, rejected: int, format_name: str
) -> None:
    report = import_file(Path(str(DATA), file), tmp_path, name="real")
    (made,) = report.datasets
    assert (report.rows, report.rejected, made.manifest.kind) == (rows, rejected, kind)
    assert made.manifest.rows == rows - rejected
    assert report.formats == {format_name: rows}
    Dataset(made.folder).verify()
    for item in report.first_rejected:
        assert "is empty" in item.why or "differ before the last answer" in item.why


@real
def test_real_dialogues_are_cut_at_the_last_answer() -> None:
    path = Path(str(DATA), "hh_harmless/dev.jsonl.gz")
    rows = list(read_rows(path))
    for row, line in zip(rows, gzip.decompress(path.read_bytes()).splitlines(), strict=True):
        if isinstance(row, Rejected):
            continue
        assert isinstance(row, Comparison)
        chosen = json.loads(line)["chosen"]
        assert chosen.count("\n\nHuman:") + chosen.count("\n\nAssistant:") == 1 + len(
            row.prompt.messages
        )
        assert chosen.endswith(row.responses[0]) or chosen.rstrip().endswith(row.responses[0])
        assert isinstance(row.prompt, Conversation)


@real
def test_a_real_file_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"answer, question(.|\n)*which lacks"):
        import_file(Path(str(DATA), "gsm8k/train.jsonl.gz"), tmp_path)


@real
def test_real_votes_become_soft_labels(tmp_path: Path) -> None:
    report = import_file(Path(str(DATA), "pandalm/train.jsonl"), tmp_path, name="panda")
    (made,) = report.datasets
    assert (report.rows, report.rejected, made.manifest.rows) == (644, 41, 603)
    assert {item.why for item in report.first_rejected} == {"is empty"}
    assert report.ignored_columns == ("cmp_key", "idx", "motivation_app")
    rows = [row for row in Dataset(made.folder).rows() if isinstance(row, Comparison)]
    split = [row for row in rows if row.label not in (0.0, 0.5, 1.0)]
    # Worked out from the file with its 41 rows without an answer left out.
    assert (len(rows), len(split)) == (603, 68)
