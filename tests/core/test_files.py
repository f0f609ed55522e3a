"""Writes that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from accord.core.files import sync_tree, write_atomic


def test_text_replaces_text_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, "old")
    write_atomic(path, "new \u00e9")
    assert path.read_text(encoding="utf-8") == "new \u00e9"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_in_the_way_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir()
    with pytest.raises(OSError, match="a"):
        write_atomic(path, "text")
    assert list(tmp_path.iterdir()) == [path]


def test_a_tree_can_be_synced(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "c").write_text("x")
    sync_tree(tmp_path)
    assert (inner / "c").read_text() == "x"
