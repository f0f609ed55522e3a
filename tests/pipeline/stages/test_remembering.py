"""What is kept on disk is read only where it is about exactly the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from accord.core.errors import DivergenceError
from accord.pipeline.stages.remembering import remembered, rows_digest
from accord.text.tokenized import Tokenized, TokenRows

ABOUT = {"rows": "ab", "stack": {"weights": "cd", "head": {}}, "packing": True}
VALUES = torch.tensor([-1.5, 0.1, -1e-7])


def never() -> Tensor:
    raise AssertionError("this was to be read")


def test_what_is_read_is_what_was_computed_to_the_bit(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    first, found = remembered(folder, "reference", ABOUT, lambda: VALUES)
    assert (found, first is VALUES) == (False, True)
    again, found = remembered(folder, "reference", dict(reversed(ABOUT.items())), never)
    assert found
    assert torch.equal(again, VALUES)
    assert again.dtype == torch.float32
    assert [path.suffix for path in folder.iterdir()] == [".safetensors"]


def test_without_a_folder_nothing_is_kept() -> None:
    for _ in range(2):
        assert remembered(None, "reference", ABOUT, lambda: VALUES)[1] is False


@pytest.mark.parametrize(
    "changed",
    [
        {"rows": "other"},
        {"stack": {"weights": "other", "head": {}}},
        {"stack": {"weights": "cd", "head": {"bias": [0.0]}}},
        {"packing": False},
        {"new": 1},
    ],
)
def test_whatever_changed_is_computed_again(tmp_path: Path, changed: dict[str, object]) -> None:
    remembered(tmp_path, "reference", ABOUT, lambda: VALUES)
    other, found = remembered(tmp_path, "reference", {**ABOUT, **changed}, lambda: VALUES + 1)
    assert not found
    assert torch.equal(other, VALUES + 1)


def test_another_name_is_another_thing(tmp_path: Path) -> None:
    remembered(tmp_path, "reference", ABOUT, lambda: VALUES)
    assert not remembered(tmp_path, "rewards", ABOUT, lambda: VALUES)[1]


def damage(path: Path, how: str) -> None:
    """A file that was cut short, is another's, or holds other numbers than it says."""
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "bit":
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
    else:
        values = load_file(path)
        told = {"about": json.dumps({"rows": "foreign"}), "sha256": "0"}
        save_file(values, path, metadata=told if how == "foreign" else None)


@pytest.mark.parametrize("how", ["cut", "empty", "bit", "foreign", "silent"])
def test_a_damaged_or_foreign_file_is_as_good_as_none(tmp_path: Path, how: str) -> None:
    remembered(tmp_path, "reference", ABOUT, lambda: VALUES)
    (path,) = tmp_path.iterdir()
    damage(path, how)
    values, found = remembered(tmp_path, "reference", ABOUT, lambda: VALUES - 1)
    assert not found
    assert torch.equal(values, VALUES - 1)
    assert remembered(tmp_path, "reference", ABOUT, never)[1]


def test_what_could_not_be_computed_leaves_nothing(tmp_path: Path) -> None:
    def fails() -> Tensor:
        raise DivergenceError("no number")

    with pytest.raises(DivergenceError):
        remembered(tmp_path / "cache", "reference", ABOUT, fails)
    assert not (tmp_path / "cache").exists()


def test_rows_are_known_by_tokens_masks_and_order() -> None:
    rows = [Tokenized.answered([1, 2], [3]), Tokenized.answered([1], [2, 3])]
    plain = rows_digest(rows)
    assert plain == rows_digest(TokenRows.build(rows)[i] for i in range(2))
    assert plain != rows_digest(rows[::-1])
    assert plain != rows_digest([rows[0], rows[0]])
    assert rows_digest(rows[:1]) != rows_digest([Tokenized.answered([1], [2, 3])])
