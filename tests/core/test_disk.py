"""What the disk refuses is explained; anything else passes through."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from accord.core.disk import Guarded, check_room, explain
from accord.core.errors import WorkspaceError


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_device_is_explained() -> None:
    full = Path("/dev/full")
    with pytest.raises(WorkspaceError, match="no room left") as caught, Guarded(full):
        full.write_text("words")
    assert caught.value.exit_code == 2


def test_errors_of_other_languages_are_read() -> None:
    error = RuntimeError("I/O error: No space left on device (os error 28)")
    told = explain(error, Path("model"))
    assert told is not None
    assert told.what == "there is no room left on the disk"
    assert explain(RuntimeError("shape mismatch"), Path("model")) is None


def test_a_name_too_long_and_a_broken_disk_are_no_defects(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="in the way"), Guarded(tmp_path):
        (tmp_path / ("a" * 300)).write_text("words")
    told = explain(OSError(errno.EIO, "Input/output error"), tmp_path)
    assert told is not None
    assert told.what == "the disk failed"


def test_other_errors_pass_through() -> None:
    with pytest.raises(FileNotFoundError), Guarded(Path("here")):
        Path("/no/such/file").read_bytes()


def test_nearly_full_disk_is_refused_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_room(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("accord.core.disk.LEAST_FREE", 1 << 62)
    with pytest.raises(WorkspaceError, match="no room left"):
        check_room(tmp_path)
