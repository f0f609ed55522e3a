"""Out and in again: own rows come back to the same digest, TRL's say what the data set says."""

from __future__ import annotations

import gzip
import json
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accord.collect.exporting import ExportFormat, export_dataset, export_demonstrations
from accord.collect.importing import import_file
from accord.core.errors import ConfigError, DataError, WorkspaceError
from accord.core.types import (
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Message,
    Prompt,
    Speaker,
    Split,
)
from accord.store.database import Database
from accord.store.datasets import Dataset, Row, write_dataset
from tests.collect.judging import campaign, frozen, rater, say, task

ENDINGS = (".jsonl", ".jsonl.gz", ".parquet")
ODD = st.sampled_from(
    ["\u2028", "\x00", "\r\n", "\x85", "\ufeff", "\U0001f600", '"', "\\ud800", ","]
)
words = st.text(max_size=12) | ODD
said = words.filter(lambda text: bool(text.strip()))
turns = st.builds(
    lambda role, text: Message(role=role, content=text),
    st.sampled_from([Speaker.USER, Speaker.ASSISTANT]),
    said,
)
prompts = st.builds(
    lambda system, middle, user: Conversation(
        (*system, *middle, Message(role=Speaker.USER, content=user))
    ),
    st.lists(st.builds(lambda t: Message(role=Speaker.SYSTEM, content=t), words), max_size=1),
    st.lists(turns, max_size=2),
    said,
)
numbers = st.floats(0, 1e300)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    responses = draw(st.lists(said, min_size=2, max_size=4, unique=True))
    ranks = draw(st.lists(st.integers(0, 3), min_size=len(responses), max_size=len(responses)))
    order = sorted(set(ranks))
    return Comparison(
        prompt=draw(prompts),
        responses=tuple(responses),
        tiers=tuple(order.index(rank) for rank in ranks),
        weight=draw(numbers),
        margin=draw(numbers),
        label=draw(st.none() | st.floats(0, 1)) if len(responses) == 2 else None,
        source=draw(words),
        strength=draw(st.none() | st.integers(1, 4)),
        inclusion=draw(st.floats(0.001, 1)),
        rater=draw(words),
        all_bad=draw(st.booleans()),
        criterion=draw(st.just("") | words),
    )


ROWS: dict[str, st.SearchStrategy[Row]] = {
    "preferences": comparisons(),
    "demonstrations": st.builds(
        lambda prompt, text, source: Demonstration(
            conversation=prompt.answered(text), source=source
        ),
        prompts,
        said,
        words,
    ),
    "prompts": st.builds(lambda c, source: Prompt(conversation=c, source=source), prompts, words),
    "feedback": st.builds(
        lambda prompt, text, good, weight, source: Feedback(
            prompt=prompt, response=text, good=good, weight=weight, source=source
        ),
        prompts,
        said,
        st.booleans(),
        numbers,
        words,
    ),
}


@settings(max_examples=100)
@pytest.mark.parametrize("kind", ROWS)
@given(data=st.data())
def test_own_rows_come_back_to_the_same_digest(kind: str, data: st.DataObject) -> None:
    rows = data.draw(st.lists(ROWS[kind], min_size=1, max_size=5))
    ending = data.draw(st.sampled_from(ENDINGS))
    unit = data.draw(st.sampled_from(["prompt", "response"]))
    unit = unit if kind in ("preferences", "feedback") else "prompt"
    with tempfile.TemporaryDirectory() as place:
        first, file = Path(place, "first"), Path(place, f"rows{ending}")
        try:
            made = write_dataset(first, rows, kind=kind, source="s", unit=unit, dev=0.2, test=0.2)
        except DataError:
            return  # every comparison falls between two splits
        done = export_dataset(first, file)
        assert (done.rows, done.read, done.left_out) == (made.rows, made.rows, {})
        report = import_file(file, Path(place, "out"), unit=unit, dev=0.2, test=0.2)
        (again,) = report.datasets
        assert (report.rejected, report.ignored_columns) == (0, ())
        assert again.manifest.digest == made.digest
        assert list(Dataset(again.folder).rows()) == list(Dataset(first).rows())


def asked(number: int, **extra: object) -> Comparison:
    values: dict[str, object] = {"responses": ("good", "bad"), "tiers": (0, 1)}
    prompt = Conversation.of(f"question {number}", system="Be kind.")
    return Comparison(prompt=prompt, **(values | extra))  # type: ignore[arg-type]


def data_set(folder: Path, rows: list[Row], kind: str = "preferences") -> Path:
    write_dataset(folder, rows, kind=kind, source="s", dev=0.0)
    return folder


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_pairs_for_trl_by_hand(tmp_path: Path) -> None:
    rows: list[Row] = [
        asked(1, source="me"),
        asked(2, tiers=(0, 0)),
        asked(3, label=0.25, weight=2.0, margin=1.5, inclusion=0.5, rater="ann", strength=3),
        asked(4, responses=("a", "b", "c"), tiers=(1, 0, 1), weight=3.0),
        asked(5, weight=0.0),
        asked(6, label=0.5),
        asked(7, criterion="safety"),
    ]
    folder = data_set(tmp_path / "d", rows)
    done = export_dataset(folder, tmp_path / "p.jsonl", format="trl-paired")
    assert (done.read, done.rows) == (7, 4)
    assert done.left_out == {"tied": 3, "weightless": 1, "margin": 1, "of a criterion": 1}
    first, soft, *three = read(tmp_path / "p.jsonl")
    assert first == {
        "prompt": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "question 1"},
        ],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
        "label": 1.0,
        "weight": 1.0,
        "strength": None,
        "rater": "",
        "all_bad": False,
        "source": "me",
        "comparison": 1,
    }
    assert soft["chosen"] == [{"role": "assistant", "content": "bad"}]
    assert (soft["label"], soft["weight"], soft["comparison"]) == (0.75, 4.0, 3)
    assert (soft["rater"], soft["strength"]) == ("ann", 3)
    assert [row["rejected"] for row in three] == [
        [{"role": "assistant", "content": text}] for text in ("a", "c")
    ]
    assert [row["weight"] for row in three] == [1.0, 1.0]  # the tie had the third one's share

    margins = export_dataset(folder, tmp_path / "m.jsonl", format="trl-margin")
    assert margins.left_out == {"tied": 3, "weightless": 1, "of a criterion": 1}
    assert [row["margin"] for row in read(tmp_path / "m.jsonl")] == [0.0, 1.5, 0.0, 0.0]


def test_thumbs_for_trl_by_hand(tmp_path: Path) -> None:
    prompt = Conversation.of("Hi")
    rows: list[Row] = [
        Feedback(prompt=prompt, response="Blue", good=True, weight=0.5, source="me"),
        Feedback(prompt=prompt, response="Red", good=False),
        Feedback(prompt=prompt, response="Green", good=False, weight=0.0),
    ]
    folder = data_set(tmp_path / "d", rows, "feedback")
    done = export_dataset(folder, tmp_path / "f.jsonl", format="trl-unpaired")
    assert (done.rows, done.left_out) == (2, {"weightless": 1})
    up, down = read(tmp_path / "f.jsonl")
    assert up == {
        "prompt": [{"role": "user", "content": "Hi"}],
        "completion": [{"role": "assistant", "content": "Blue"}],
        "label": True,
        "weight": 0.5,
        "source": "me",
    }
    assert down["label"] is False


@settings(max_examples=50)
@given(rows=st.lists(comparisons(), min_size=1, max_size=5), ending=st.sampled_from(ENDINGS))
def test_pairs_for_trl_come_back_as_the_clear_pairs(rows: list[Comparison], ending: str) -> None:
    expected = {
        (row.prompt, row.responses[pair.first], row.responses[pair.second], pair.label, row.margin)
        if pair.label > 0.5
        else (
            row.prompt,
            row.responses[pair.second],
            row.responses[pair.first],
            1 - pair.label,
            row.margin,
        )
        for row in rows
        for pair in row.pairs()
        if pair.label != 0.5 and row.weight > 0 and not row.criterion
    }
    with tempfile.TemporaryDirectory() as place:
        folder, file = data_set(Path(place, "d"), list(rows)), Path(place, f"rows{ending}")
        if not expected:
            with pytest.raises(DataError, match="nothing to export"):
                export_dataset(folder, file, format="trl-margin")
            assert [path.name for path in Path(place).iterdir()] == ["d"]
            return
        done = export_dataset(folder, file, format="trl-margin")
        report = import_file(file, Path(place, "out"), dev=0.0)
        (made,) = report.datasets
        assert (report.rejected, made.manifest.rows) == (0, done.rows)
        back = [row for row in Dataset(made.folder).rows() if isinstance(row, Comparison)]
        assert {(row.prompt, *row.responses, row.label, row.margin) for row in back} == expected


def test_one_split_can_be_written(tmp_path: Path) -> None:
    rows = [asked(number) for number in range(60)]
    made = write_dataset(tmp_path / "d", rows, kind="preferences", source="s", dev=0.3)
    done = export_dataset(tmp_path / "d", tmp_path / "f.jsonl", split=Split.DEV)
    assert done.rows == done.read == made.counts["dev"]
    assert 0 < done.rows < 60


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    folder = data_set(tmp_path / "d", [asked(number) for number in range(30)])
    for ending in ENDINGS:
        one, two = tmp_path / f"one{ending}", tmp_path / f"two{ending}"
        export_dataset(folder, one)
        export_dataset(folder, two)
        assert one.read_bytes() == two.read_bytes()
    assert (
        gzip.decompress((tmp_path / "one.jsonl.gz").read_bytes())
        == (tmp_path / "one.jsonl").read_bytes()
    )
    assert pq.read_table(tmp_path / "one.parquet").num_rows == 30


def test_nothing_is_written_over(tmp_path: Path) -> None:
    folder = data_set(tmp_path / "d", [asked(1)])
    (tmp_path / "f.jsonl").write_text("mine")
    (tmp_path / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    for name in ("f.jsonl", "gone.jsonl"):
        with pytest.raises(WorkspaceError, match="of this name already"):
            export_dataset(folder, tmp_path / name)
    assert (tmp_path / "f.jsonl").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "f.jsonl", "gone.jsonl"]


@pytest.mark.parametrize(
    ("name", "format_name", "message"),
    [
        ("f.csv", "own", "must show in its ending"),
        ("f.jsonl", "csv", "use one of own, trl-paired"),
        ("f.jsonl", "trl-unpaired", "a comparison says no thumb: use trl-paired"),
        ("no/f.jsonl", "own", "there is no such folder"),
    ],
)
def test_what_cannot_be_written_is_said(
    tmp_path: Path, name: str, format_name: str, message: str
) -> None:
    folder = data_set(tmp_path / "d", [asked(1)])
    with pytest.raises(ConfigError, match=message):
        export_dataset(folder, tmp_path / name, format=format_name)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_format_for_another_kind_is_refused(tmp_path: Path) -> None:
    rows: list[Row] = [Prompt(conversation=Conversation.of("Hi"))]
    folder = data_set(tmp_path / "d", rows, "prompts")
    for shape in set(ExportFormat) - {ExportFormat.OWN}:
        with pytest.raises(ConfigError, match="use own"):
            export_dataset(folder, tmp_path / "f.jsonl", format=shape)


LOSSY: dict[str, Callable[[], Row]] = {
    "prompt": lambda: Prompt(conversation=Conversation.of(" ")),
    "demonstration": lambda: Demonstration(
        conversation=Conversation(
            (
                Message(role=Speaker.ASSISTANT, content="Blue"),
                Message(role=Speaker.USER, content="Why?"),
            )
        )
    ),
    "preference": lambda: asked(1, responses=("a", "a"), tiers=(0, 1)),
}


@pytest.mark.parametrize("case", LOSSY)
def test_a_row_that_would_not_come_back_is_refused(tmp_path: Path, case: str) -> None:
    row = LOSSY[case]()
    folder = data_set(tmp_path / "d", [row], f"{case}s")
    with pytest.raises(DataError, match=r"without loss(.|\n)*row 1"):
        export_dataset(folder, tmp_path / "f.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_demonstrations_alone_are_written_as_their_data_set_is(tmp_path: Path) -> None:
    rows = [
        Demonstration(conversation=Conversation.of(f"{i}?").answered("yes"), source="me")
        for i in range(5)
    ]
    export_demonstrations(rows, tmp_path / "rows.jsonl")
    (back,) = import_file(tmp_path / "rows.jsonl", tmp_path / "out", dev=0.0).datasets
    assert sorted(Dataset(back.folder).rows(), key=str) == sorted(rows, key=str)
    with pytest.raises(WorkspaceError, match="already"):
        export_demonstrations(rows, tmp_path / "rows.jsonl")


def test_a_damaged_data_set_leaves_no_file(tmp_path: Path) -> None:
    folder = data_set(tmp_path / "d", [asked(number) for number in range(2000)])
    shard = folder / "part-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-2000])
    with pytest.raises(DataError, match="not what its manifest says"):
        export_dataset(folder, tmp_path / "f.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path, ending: str) -> None:
    # A limit on the size of files makes the system itself say that there is no more room.
    texts = (os.urandom(100).hex() for _ in range(2000))
    rows: list[Row] = [asked(i, responses=(f"a {t}", "b")) for i, t in enumerate(texts)]
    folder = data_set(tmp_path / "d", rows)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        with pytest.raises(WorkspaceError, match="no room left"):
            export_dataset(folder, tmp_path / f"f{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_frozen_set_comes_back_to_its_digest(file_database: Database, tmp_path: Path) -> None:
    pilot = campaign(file_database)
    people = [rater(file_database) for _ in range(3)]
    for number in range(12):
        asked_of = task(file_database, pilot, f"question {number}", inclusion=0.5)
        for place, person in enumerate(people):
            say(file_database, pilot, asked_of, person, (0, 1) if place else (0, 0))
    made = frozen(file_database, pilot, tmp_path)
    manifest = made.manifest
    export_dataset(made.folder, tmp_path / "f.parquet")
    shares = {"unit": manifest.unit, "dev": manifest.dev, "test": manifest.test}
    (back,) = import_file(tmp_path / "f.parquet", tmp_path / "out", **shares).datasets
    assert (back.manifest.digest, back.manifest.rows) == (manifest.digest, 36)
    done = export_dataset(made.folder, tmp_path / "p.jsonl", format="trl-paired")
    assert (done.rows, done.left_out) == (24, {"tied": 12})
    assert {row["rater"] for row in read(tmp_path / "p.jsonl")} == set(people[1:])


def test_an_opening_goes_to_trl_inside_the_answers(tmp_path: Path) -> None:
    row = Comparison(
        prompt=Conversation.of("Hi", opening="It is"), responses=(" blue", " red"), tiers=(0, 1)
    )
    write_dataset(tmp_path / "set", [row], kind="preferences", source="t", dev=0)
    export_dataset(tmp_path / "set", tmp_path / "pairs.jsonl", format="trl-paired")
    made = json.loads((tmp_path / "pairs.jsonl").read_text())
    assert made["prompt"] == [{"role": "user", "content": "Hi"}]
    assert made["chosen"] == [{"role": "assistant", "content": "It is blue"}]
    assert made["rejected"] == [{"role": "assistant", "content": "It is red"}]
