"""The metric file survives a kill and goes back to a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accord.core.errors import WorkspaceError
from accord.telemetry.memory import peak_memory
from accord.telemetry.rows import MetricLog, read, truncate_after


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["loss", "seconds"]), st.floats(allow_nan=False, allow_infinity=False)
        )
    )
)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    path = tmp_path_factory.mktemp("rows") / "metrics.jsonl"
    with MetricLog(path) as log:
        for step, row in enumerate(rows, 1):
            log.append(step, row)
    assert read(path) == [{"step": step, **row} for step, row in enumerate(rows, 1)]


def write(path: Path, steps: int) -> None:
    with MetricLog(path) as log:
        for step in range(1, steps + 1):
            log.append(step, {"loss": 1 / step})
        log.sync()


def test_every_row_is_there_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with MetricLog(path) as log:
        log.append(1, {"loss": 0.5})
        assert read(path) == [{"step": 1, "loss": 0.5}]


def test_a_cut_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 3)
    path.write_text(path.read_text()[:-5])
    assert [row["step"] for row in read(path)] == [1, 2]
    truncate_after(path, 9)
    write(path, 1)
    assert [row["step"] for row in read(path)] == [1, 2, 1]


def test_back_to_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write(path, 7)
    truncate_after(path, 4)
    assert [row["step"] for row in read(path)] == [1, 2, 3, 4]
    assert [name.name for name in tmp_path.iterdir()] == ["metrics.jsonl"]
    truncate_after(path, 0)
    assert read(path) == []


@pytest.mark.parametrize("line", ["{", "[1]", '{"loss": 1}'])
def test_damage_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n' + line + '\n{"step": 3}\n')
    with pytest.raises(WorkspaceError, match="damaged") as caught:
        read(path)
    assert caught.value.where == f"{path}:2"


def test_no_file_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == []


def test_peak_memory_sees_a_large_block() -> None:
    before = peak_memory()
    block = bytearray(256 << 20)
    after = peak_memory()
    assert len(block) == 256 << 20
    assert 0 < before <= after < 64
    assert after >= 0.25
