"""Data sets on disk: what is written is read, once, in order, whole or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import ConfigError, DataError, WorkspaceError
from accord.core.types import (
    Comparison,
    Conversation,
    Demonstration,
    Feedback,
    Message,
    Prompt,
    RatedResponse,
    Speaker,
    Split,
)
from accord.store.columns import JUDGED, schema_of
from accord.store.datasets import Dataset, DatasetKind, DatasetManifest, Row, write_dataset
from accord.store.manifest import SCHEMA

words = st.text(max_size=30)
said = words.filter(lambda text: bool(text.strip()))
users = st.builds(lambda text: Message(role=Speaker.USER, content=text), words)
others = st.builds(
    lambda role, text: Message(role=role, content=text),
    st.sampled_from([Speaker.USER, Speaker.ASSISTANT]),
    said,
)
systems = st.lists(
    st.builds(lambda text: Message(role=Speaker.SYSTEM, content=text), words), max_size=1
)
prompts = st.builds(
    lambda system, middle, user: Conversation((*system, *middle, user)),
    systems,
    st.lists(others, max_size=3),
    users,
)
demonstrations = st.builds(
    lambda prompt, text, source: Demonstration(conversation=prompt.answered(text), source=source),
    prompts,
    said,
    words,
)
numbers = st.floats(min_value=0, max_value=1e9)


feedback = st.builds(
    lambda prompt, text, good, weight, source: Feedback(
        prompt=prompt, response=text, good=good, weight=weight, source=source
    ),
    prompts,
    said,
    st.booleans(),
    numbers,
    words,
)


@st.composite
def comparisons(draw: st.DrawFn) -> Comparison:
    responses = draw(st.lists(said, min_size=2, max_size=4))
    ranks = draw(st.lists(st.integers(0, 3), min_size=len(responses), max_size=len(responses)))
    order = sorted(set(ranks))
    soft = st.none() | st.floats(0, 1) if len(responses) == 2 else st.none()
    return Comparison(
        prompt=draw(prompts),
        responses=tuple(responses),
        tiers=tuple(order.index(rank) for rank in ranks),
        weight=draw(numbers),
        margin=draw(numbers),
        label=draw(soft),
        source=draw(words),
        strength=draw(st.none() | st.integers(1, 4)),
        inclusion=draw(st.floats(min_value=1e-6, max_value=1)),
        rater=draw(words),
        all_bad=draw(st.booleans()),
        criterion=draw(words),
    )


def preference(number: int, prompt: str | None = None) -> Comparison:
    return Comparison(
        prompt=Conversation.of(prompt or f"question {number}"),
        responses=(f"good {number}", f"bad {number}"),
        tiers=(0, 1),
    )


@given(
    st.one_of(
        st.tuples(st.just("preferences"), st.lists(comparisons(), min_size=1, max_size=6)),
        st.tuples(st.just("demonstrations"), st.lists(demonstrations, min_size=1, max_size=6)),
        st.tuples(st.just("feedback"), st.lists(feedback, min_size=1, max_size=6)),
        st.tuples(
            st.just("prompts"),
            st.lists(st.builds(lambda c: Prompt(conversation=c), prompts), min_size=1, max_size=6),
        ),
    )
)
def test_any_unicode_comes_back_as_it_was(case: tuple[str, list[Row]]) -> None:
    kind, rows = case
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "data")
        manifest = write_dataset(folder, rows, kind=kind, source="here", dev=0.3, test=0.3)
        dataset = Dataset(folder)
        assert list(dataset.rows()) == rows
        assert dataset.manifest == manifest
        dataset.verify()
        by_split = {split: list(dataset.rows(split)) for split in Split}
        assert sum(map(len, by_split.values())) == len(rows)
        assert {s.value: len(found) for s, found in by_split.items()} == manifest.counts


@pytest.mark.parametrize("shard_rows", [7, 512, 513, 5000])
def test_digest_does_not_depend_on_shards(tmp_path: Path, shard_rows: int) -> None:
    rows = [preference(i) for i in range(1200)]
    plain = write_dataset(tmp_path / "plain", rows[:600], kind="preferences", source="s")
    cut = write_dataset(
        tmp_path / "cut", rows[:600], kind="preferences", source="s", shard_rows=shard_rows
    )
    assert cut.digest == plain.digest
    assert len(cut.shards) == -(-600 // shard_rows)
    Dataset(tmp_path / "cut").verify()
    assert list(Dataset(tmp_path / "cut").rows()) == rows[:600]


def test_digest_depends_on_order_content_and_split(tmp_path: Path) -> None:
    rows = [preference(i) for i in range(50)]

    def made(name: str, rows: list[Comparison], dev: float = 0.1) -> str:
        return write_dataset(tmp_path / name, rows, kind="preferences", source=name, dev=dev).digest

    first = made("a", rows)
    assert made("b", rows) == first
    assert made("c", rows[::-1]) != first
    assert made("d", rows[:-1]) != first
    assert made("e", rows, dev=0.5) != first


@pytest.mark.parametrize("layout", [1, 2])
def test_sets_of_an_older_layout_are_read_as_they_were(tmp_path: Path, layout: int) -> None:
    """Without the columns of how a row was judged, or of what for; the digest is that of the same
    rows today."""
    rows = [preference(i) for i in range(20)]
    manifest = write_dataset(tmp_path / "old", rows, kind="preferences", source="s")
    (name,) = manifest.shards
    table = pq.read_table(tmp_path / "old" / name)
    old = schema_of(DatasetKind.PREFERENCES, layout)
    table = table.drop_columns([name for name in JUDGED if name not in old.names])
    pq.write_table(table.cast(old), tmp_path / "old" / name, write_page_checksum=True)
    path = tmp_path / "old" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": layout}))
    Dataset(tmp_path / "old").verify()
    assert list(Dataset(tmp_path / "old").rows()) == rows
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": layout + 1}))
    with pytest.raises(DataError, match="not what its manifest says"):
        Dataset(tmp_path / "old").verify()


def test_the_digest_of_rows_without_more_is_that_of_the_first_layout(tmp_path: Path) -> None:
    rows = [
        Comparison(
            prompt=Conversation.of(f"question {n}"),
            responses=(f"good {n}", f"bad {n}"),
            tiers=(0, 1),
            weight=2,
            margin=0.5,
            label=0.75,
        )
        for n in range(3)
    ]
    manifest = write_dataset(tmp_path / "d", rows, kind="preferences", source="s")
    # Computed before there were columns of how a row was judged.
    assert manifest.digest == "2ff4ba7a49988ee84c7a58cd585d68da89675a38ed94fad91d6581f7d603e886"


@pytest.mark.parametrize(
    "said", [{"strength": 2}, {"inclusion": 0.5}, {"rater": "r"}, {"all_bad": True}]
)
def test_how_a_row_was_judged_is_in_the_digest(tmp_path: Path, said: dict[str, object]) -> None:
    first = write_dataset(tmp_path / "a", [preference(0)], kind="preferences", source="s")
    row = replace(preference(0), **said)  # type: ignore[arg-type]
    second = write_dataset(tmp_path / "b", [row], kind="preferences", source="s")
    assert first.digest != second.digest
    assert list(Dataset(tmp_path / "b").rows()) == [row]


def test_whole_numbers_and_floats_have_one_digest(tmp_path: Path) -> None:
    row = Comparison(
        prompt=Conversation.of("q"), responses=("a", "b"), tiers=(0, 1), weight=2, margin=1
    )
    write_dataset(tmp_path / "d", [row], kind="preferences", source="s")
    Dataset(tmp_path / "d").verify()


def test_no_prompt_stands_in_two_splits(tmp_path: Path) -> None:
    rows = [preference(i, prompt=f"prompt {i % 400}") for i in range(2000)]
    manifest = write_dataset(
        tmp_path / "d", rows, kind="preferences", source="s", dev=0.2, test=0.1
    )
    dataset = Dataset(tmp_path / "d")
    seen = {
        split: {row.prompt.digest for row in dataset.rows(split) if isinstance(row, Comparison)}
        for split in Split
    }
    assert len(set.union(*seen.values())) == 400
    assert sum(map(len, seen.values())) == 400
    assert 50 <= len(seen[Split.DEV]) <= 110
    assert 20 <= len(seen[Split.TEST]) <= 65
    assert manifest.rows == 2000


def test_a_demonstration_shares_the_split_of_its_prompt_in_every_kind(tmp_path: Path) -> None:
    openings = [Conversation.of(f"question {i}", system="Be kind.") for i in range(200)]
    longer = [
        Conversation((*c.answered("yes").messages, Message(role=Speaker.USER, content="more")))
        for c in openings
    ]
    made: dict[str, list[Row]] = {
        "prompts": [Prompt(conversation=c) for c in openings],
        "demonstrations": [Demonstration(conversation=c.answered("so")) for c in longer],
        "preferences": [Comparison(prompt=c, responses=("a", "b"), tiers=(0, 1)) for c in longer],
        "feedback": [Feedback(prompt=c, response="a", good=False) for c in longer],
    }
    devs = []
    for kind, rows in made.items():
        write_dataset(tmp_path / kind, rows, kind=kind, source="s", dev=0.3)
        dev = list(Dataset(tmp_path / kind).rows(Split.DEV))
        devs.append([rows.index(row) for row in dev])
    assert devs[0] == devs[1] == devs[2] == devs[3]
    assert 30 <= len(devs[0]) <= 90


def test_no_response_stands_in_two_splits_by_response(tmp_path: Path) -> None:
    rows = [
        Comparison(
            prompt=Conversation.of("Which is kinder?"),
            responses=(f"text {i % 60}", f"text {(i * 7 + 1) % 60}"),
            tiers=(0, 1),
        )
        for i in range(300)
        if i % 60 != (i * 7 + 1) % 60
    ]
    manifest = write_dataset(
        tmp_path / "d", rows, kind="preferences", source="s", unit="response", dev=0.3
    )
    dataset = Dataset(tmp_path / "d")
    dataset.verify()
    train, dev = (
        {
            text
            for row in dataset.rows(split)
            if isinstance(row, Comparison)
            for text in row.responses
        }
        for split in (Split.TRAIN, Split.DEV)
    )
    assert train
    assert dev
    assert not train & dev
    assert manifest.split_across > 0
    assert manifest.rows + manifest.split_across == len(rows)


def test_whatever_has_a_response_splits_by_it_alike(tmp_path: Path) -> None:
    asked = Conversation.of("Which is kinder?")
    thumbs = [Feedback(prompt=asked, response=f"text {i}", good=i % 2 == 0) for i in range(100)]
    pairs = [
        Comparison(prompt=asked, responses=(f"text {i}", f"text {i}"), tiers=(0, 0))
        for i in range(100)
    ]
    told = [Demonstration(conversation=asked.answered(f"text {i}")) for i in range(100)]
    rated = [
        RatedResponse(prompt=asked, response=f"text {i}", ratings=(i, 0.5)) for i in range(100)
    ]
    devs = []
    kinds = {"feedback": thumbs, "preferences": pairs, "demonstrations": told, "ratings": rated}
    for kind, rows in kinds.items():
        folder = tmp_path / kind
        manifest = write_dataset(folder, rows, kind=kind, source="s", unit="response", dev=0.3)
        assert (manifest.rows, manifest.split_across) == (100, 0)
        Dataset(folder).verify()
        devs.append([rows.index(row) for row in Dataset(folder).rows(Split.DEV)])
    assert devs[0] == devs[1] == devs[2] == devs[3]
    assert 15 <= len(devs[0]) <= 45


def test_a_changed_thumb_is_found(tmp_path: Path) -> None:
    rows = [Feedback(prompt=Conversation.of(f"q{i}"), response="a", good=True) for i in range(30)]
    write_dataset(tmp_path / "d", rows, kind="feedback", source="s")
    change_table(tmp_path / "d" / "part-00000.parquet", "good", 17, False)
    with pytest.raises(DataError, match="digest"):
        Dataset(tmp_path / "d").verify()


def test_only_rows_with_responses_are_split_by_response(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prompts have no response"):
        write_dataset(
            tmp_path / "d",
            [Prompt(conversation=Conversation.of("q"))],
            kind="prompts",
            source="s",
            unit="response",
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("dev", "test"), [(-0.1, 0.0), (1.0, 0.0), (0.5, 0.5), (float("nan"), 0)])
def test_shares_that_leave_no_training_rows_are_refused(
    tmp_path: Path, dev: float, test: float
) -> None:
    with pytest.raises(ConfigError):
        write_dataset(
            tmp_path / "d", [preference(1)], kind="preferences", source="s", dev=dev, test=test
        )


def failing_rows() -> Iterator[Comparison]:
    yield from (preference(i) for i in range(1000))
    raise KeyboardInterrupt


def test_nothing_is_left_of_an_interrupted_writing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "d", failing_rows(), kind="preferences", source="s")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ([], "preferences", "no row"),
        ([preference(1)], "prompts", "another kind of row"),
        (
            [Demonstration(conversation=Conversation.of("q").answered("\ud800a"))],
            "demonstrations",
            "half a surrogate",
        ),
    ],
)
def test_unusable_rows_leave_nothing(
    tmp_path: Path, rows: list[Row], kind: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        write_dataset(tmp_path / "d", rows, kind=kind, source="s")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="preferences, demonstrations, prompts, feedback"):
        write_dataset(tmp_path / "d", [preference(1)], kind="pairs", source="s")


def test_a_taken_name_is_left_alone(tmp_path: Path) -> None:
    write_dataset(tmp_path / "d", [preference(1)], kind="preferences", source="s")
    with pytest.raises(WorkspaceError, match="there already"):
        write_dataset(tmp_path / "d", [preference(2)], kind="preferences", source="s")
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    assert list(Dataset(tmp_path / "d").rows()) == [preference(1)]


def test_a_parent_that_is_a_file_is_a_workspace_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkspaceError, match="in the way"):
        write_dataset(tmp_path / "file" / "d", [preference(1)], kind="preferences", source="s")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A shard name that leads to /dev/full makes the system itself say that no space is left.
    made = Path.mkdir

    def mkdir_with_full_shard(path: Path, *args: object, **options: object) -> None:
        made(path, *args, **options)  # type: ignore[arg-type]
        if path.name.endswith(".tmp"):
            (path / "part-00000.parquet").symlink_to("/dev/full")

    monkeypatch.setattr(Path, "mkdir", mkdir_with_full_shard)
    with pytest.raises(WorkspaceError, match="no room left on the disk"):
        write_dataset(
            tmp_path / "d", (preference(i) for i in range(5000)), kind="preferences", source="s"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [preference(i) for i in range(1000)]
    write_dataset(tmp_path / "d", rows, kind="preferences", source="s", dev=0.2, shard_rows=600)
    return tmp_path / "d"


def change_table(path: Path, column: str, row: int, value: object) -> None:
    table = pq.read_table(path)
    values = table.column(column).to_pylist()
    values[row] = value
    place = table.schema.get_field_index(column)
    field = table.schema.field(column)
    pq.write_table(table.set_column(place, field, pa.array(values, field.type)), path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("responses", ["other", "text"]),
        ("tiers", [1, 0]),
        ("weight", 2.0),
        ("label", 0.5),
        ("split", "test"),
        ("source", "elsewhere"),
        ("tiers", [5, 5]),
        ("split", "other"),
    ],
)
def test_verify_finds_a_changed_value(folder: Path, column: str, value: object) -> None:
    change_table(folder / "part-00001.parquet", column, 17, value)
    with pytest.raises(DataError, match="not what its manifest says"):
        Dataset(folder).verify()


def test_verify_finds_swapped_rows(folder: Path) -> None:
    table = pq.read_table(folder / "part-00000.parquet")
    order = [1, 0, *range(2, table.num_rows)]
    pq.write_table(table.take(order), folder / "part-00000.parquet")
    with pytest.raises(DataError, match="digest"):
        Dataset(folder).verify()


def test_a_missing_or_cut_shard_is_an_error(folder: Path) -> None:
    shard = folder / "part-00001.parquet"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="cannot be read"):
        list(Dataset(folder).rows())
    shard.unlink()
    with pytest.raises(DataError, match=r"part-00001\.parquet"):
        list(Dataset(folder).rows())


@given(st.data())
def test_any_flipped_byte_of_a_shard_is_found_or_harmless(data: st.DataObject) -> None:
    rows = [preference(i) for i in range(40)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "d")
        write_dataset(folder, rows, kind="preferences", source="s")
        shard = folder / "part-00000.parquet"
        content = bytearray(shard.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        shard.write_bytes(content)
        try:
            Dataset(folder).verify()
        except DataError:
            return
        assert list(Dataset(folder).rows()) == rows


def test_fewer_rows_than_promised_are_noticed_while_reading(folder: Path) -> None:
    table = pq.read_table(folder / "part-00001.parquet")
    pq.write_table(table.slice(0, 10), folder / "part-00001.parquet")
    with pytest.raises(DataError, match="610 rows, the manifest says 1000"):
        list(Dataset(folder).rows())


@pytest.mark.parametrize(
    "change",
    [
        {"rows": "many"},
        {"rows": 999},
        {"kind": "pairs"},
        {"unit": "rater"},
        {"counts": {"train": 1000}},
        {"shards": ["../elsewhere.parquet"]},
        {"digest": None},
    ],
)
def test_a_damaged_manifest_is_named(folder: Path, change: dict[str, object]) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match="manifest is damaged"):
        Dataset(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", "{}"])
def test_a_manifest_that_is_none_is_named(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(DataError, match="manifest is damaged"):
        Dataset(folder)


def test_a_newer_layout_asks_for_an_upgrade(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": SCHEMA + 1}))
    with pytest.raises(DataError, match="upgrade accord"):
        Dataset(folder)


def test_a_folder_without_manifest_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="not a data set"):
        Dataset(tmp_path)


def test_notes_come_back(tmp_path: Path) -> None:
    notes = {"file": "a.jsonl", "rejected": 3, "list": [1, "two", None]}
    write_dataset(tmp_path / "d", [preference(1)], kind="preferences", source="s", notes=notes)
    assert DatasetManifest.load(tmp_path / "d").notes == notes


STREAM = """
import resource, sys
from pathlib import Path
from accord.core.types import Comparison, Conversation
from accord.store.columns import JUDGED, schema_of
from accord.store.datasets import Dataset, write_dataset
def rows(n):
    for i in range(n):
        text = f"{i} " * 150
        both = (text + "a", text + "b")
        yield Comparison(prompt=Conversation.of(text), responses=both, tiers=(0, 1))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
write_dataset(Path(sys.argv[1], "small"), rows(2000), kind="preferences", source="s")
small = peak()
write_dataset(Path(sys.argv[1], "large"), rows(100_000), kind="preferences", source="s")
written = peak()
assert sum(1 for _ in Dataset(Path(sys.argv[1], "large")).rows()) == 100_000
print(small, written, peak())
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_rows(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STREAM, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    small, written, read = map(float, done.stdout.split())
    print(f"peak MiB: 2,000 rows {small:.0f}, 100,000 rows written {written:.0f}, read {read:.0f}")
    assert written - small < 60
    assert read - written < 120
