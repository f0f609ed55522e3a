"""JSON arrays, read piece by piece: the same rows as read whole, and faults where they are."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.collect import arrays
from accord.collect.arrays import JsonArray
from accord.core.errors import DataError

PATH = Path("some.json")
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def read(content: bytes) -> list[tuple[object, str | None]]:
    return list(JsonArray(io.BytesIO(content), PATH))


@given(st.lists(values, max_size=8), st.booleans(), st.integers(1, 9), st.sampled_from([None, 2]))
def test_any_array_in_any_pieces_is_read_as_json_reads_it(
    items: list[object], ascii_only: bool, chunk: int, indent: int | None
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK", chunk)
        content = json.dumps(items, ensure_ascii=ascii_only, indent=indent).encode()
        assert read(content) == [(item, None) for item in json.loads(content)]


def test_a_byte_order_mark_and_blanks_around_are_no_rows() -> None:
    assert read(b"\xef\xbb\xbf \n[ 1 ,\t{} ]\r\n ") == [(1, None), ({}, None)]


FAULTY = [
    (b'[{"a": 1, "a": 2}, 3]', "'a' is given twice"),
    (b'[{"a": [NaN]}, 3]', "NaN is no number"),
    (b'[{"a": -Infinity}, 3]', "-Infinity is no number"),
    (b'[{"a": ' + b"9" * 5000 + b"}, 3]", "a number has 5000 digits"),
]


@pytest.mark.parametrize(("content", "fault"), FAULTY)
def test_a_fault_inside_an_object_costs_that_row_alone(content: bytes, fault: str) -> None:
    (_, first), (value, second) = read(content)
    assert (first, value, second) == (fault, 3, None)


BROKEN = [
    (b"", "the file is empty", False),
    (b"{}", "begins with '{'", False),
    (b"nonsense", "begins with 'n'", False),
    (b"[1, 2", "the file ends too early", True),
    (b"[1, ", "Expecting value", True),
    (b"[1 2]", "'2' where ',' or ']' belongs", True),
    (b"[1,]", "Expecting value", True),
    (b"[1] x", "'x' after the end", True),
    (b'[{"a": 1', "Expecting ',' delimiter", True),
    (b'["abc', "Unterminated string", True),
    (b'["\xff"]', "not UTF-8", False),
    (b'["\xe2\x82', "not UTF-8", True),
    ("[1]".encode("utf-16"), "not UTF-8", False),
    (b"[" * 100_000, "too deeply nested", True),
    (b'["\\ud8', "Invalid", True),
]


@pytest.mark.parametrize(("content", "message", "has_row"), BROKEN)
def test_broken_json_is_one_error_with_the_row(content: bytes, message: str, has_row: bool) -> None:
    with pytest.raises(DataError) as caught:
        read(content)
    assert message in str(caught.value)
    assert ("some.json, row" in str(caught.value)) == has_row


def test_a_break_is_told_without_reading_on() -> None:
    file = io.BytesIO(b'[{"a": 1} {"b": 2}, ' + b"1, " * (1 << 20))
    with pytest.raises(DataError, match=r"'\{' where"):
        list(JsonArray(file, PATH))
    assert file.tell() <= arrays.CHUNK


def test_an_endless_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "LONGEST", 1 << 20)
    with pytest.raises(DataError, match="keep a row below 1 MiB"):
        read(b'["' + b"x" * (3 << 20) + b'"]')
