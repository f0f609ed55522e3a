"""Digests: stable, independent of order where order means nothing, and of the process."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.hashing import CHUNK, canonical_json, digest, file_digest, place, plain

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
finite = scalars.filter(lambda x: not (isinstance(x, float) and math.isinf(x)))
values = st.recursive(
    finite, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Box:
    name: str
    size: tuple[int, ...]


def test_golden_digest() -> None:
    expected = hashlib.sha256(b'{"a":[1,2.5,null,true],"b":"\\u00e9"}').hexdigest()
    assert digest({"b": "\u00e9", "a": (1, 2.5, None, True)}) == expected


@given(values)
def test_canonical_json_reads_back_as_the_same_value(value: object) -> None:
    text = canonical_json(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(), finite, min_size=2))
def test_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    assert digest(value) == digest(dict(reversed(list(value.items()))))


@given(st.lists(st.integers(), min_size=2, unique=True))
def test_order_of_a_list_matters_and_of_a_set_does_not(value: list[int]) -> None:
    assert digest(value) != digest(value[::-1])
    assert digest(frozenset(value)) == digest(set(value[::-1]))


@given(values, values)
def test_equal_digests_mean_equal_text(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (canonical_json(one) == canonical_json(other))


def test_domain_values_become_plain_ones() -> None:
    value = {"box": Box("b", (1, 2)), "colour": Colour.RED, "path": Path("a") / "b"}
    assert plain(value) == {"box": {"name": "b", "size": [1, 2]}, "colour": "red", "path": "a/b"}
    assert type(plain(Colour.RED)) is str


def test_one_is_not_true_and_not_one_point_zero() -> None:
    assert len({digest(1), digest(True), digest(1.0), digest("1")}) == 4


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan]])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="canonical form"):
        digest(value)


@pytest.mark.parametrize("value", [object(), b"bytes", Box, {1: 2}.keys()])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="has no canonical form"):
        digest(value)


def test_keys_that_collide_as_text_are_refused() -> None:
    with pytest.raises(TypeError, match="keys"):
        digest({1: "a", "1": "b"})


def test_the_same_in_another_process_with_other_string_hashes() -> None:
    program = (
        "from accord.core.hashing import digest; print(digest([{'b': 1, 'a': {'x', 'y', 'z'}}, 2]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {digest([{"a": {"z", "y", "x"}, "b": 1}, 2]) + "\n"}


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_file_digest_is_of_all_bytes(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    path = tmp_path / "file"
    path.write_bytes(content[:size])
    assert file_digest(path) == hashlib.sha256(content[:size]).hexdigest()


def test_places_are_spread_evenly_and_kept() -> None:
    assert place("a", salt="s") == int(hashlib.sha256(b's"a"').hexdigest()[:13], 16) / 16**13
    found = [place(number, salt="s") for number in range(4000)]
    assert 0 <= min(found) < 0.01 < 0.99 < max(found) < 1
    tenths = [sum(int(10 * at) == tenth for at in found) for tenth in range(10)]
    assert all(abs(count - 400) < 4 * 19 for count in tenths)
    others = [place(number, salt="t") for number in range(4000)]
    same = sum((one < 0.5) == (other < 0.5) for one, other in zip(found, others, strict=True))
    assert abs(same - 2000) < 4 * 32
