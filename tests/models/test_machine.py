"""Which device, precision and micro-batch are chosen, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from accord.core.errors import ConfigError
from accord.models import machine
from accord.models.machine import memory_limits, prepare, resolve


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken(dtype: str) -> None:
    found = resolve(dtype, "cpu")
    assert (found.device, found.dtype) == ("cpu", dtype)
    assert found.torch == torch.__version__
    assert found.threads == torch.get_num_threads()


@pytest.mark.parametrize(("fast", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_auto_takes_bfloat16_where_it_is_fast(
    monkeypatch: pytest.MonkeyPatch, fast: bool, dtype: str
) -> None:
    monkeypatch.setattr(machine, "_bfloat16_is_fast", lambda device: fast)
    assert resolve("auto", "cpu").dtype == dtype


@pytest.mark.parametrize(
    ("gib", "tokens"), [(0.5, 512), (2, 512), (8, 512), (16, 1024), (23, 2048), (400, 4096)]
)
def test_the_micro_batch_is_a_power_of_two_of_total_memory(
    monkeypatch: pytest.MonkeyPatch, gib: float, tokens: int
) -> None:
    monkeypatch.setattr(machine, "total_memory", lambda device: int(gib * 2**30))
    assert resolve("float32", "cpu").micro_batch_tokens == tokens


def test_a_given_micro_batch_is_taken() -> None:
    assert resolve("float32", "cpu", 96).micro_batch_tokens == 96


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown precision"):
        resolve("float16", "cpu")
    with pytest.raises(ConfigError, match="unknown device"):
        resolve("float32", "tpu")


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        resolve("float32", "cuda")
    assert resolve("float32", "auto").device == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(machine, "total_memory", lambda device: 2**34)
    stored = resolve("float32", "cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="started on CUDA"):
        prepare(stored)


def test_prepare_sets_the_threads_that_were_stored() -> None:
    before = torch.get_num_threads()
    stored = resolve("float32", "cpu")
    try:
        torch.set_num_threads(before + 1)
        prepare(stored)
        assert torch.get_num_threads() == stored.threads == before
    finally:
        torch.set_num_threads(before)


def groups(folder: Path, lines: str, limits: dict[str, str]) -> list[int]:
    (folder / "groups").write_text(lines)
    for name, text in limits.items():
        path = folder / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return sorted(memory_limits(folder / "groups", folder / "root"))


def test_limits_of_the_second_version_hold_from_every_group_around(tmp_path: Path) -> None:
    limits = {"memory.max": "max", "job/memory.max": "3000", "job/a b/memory.max": "5000"}
    assert groups(tmp_path, "0::/job/a b\n", limits) == [3000, 5000]
    assert groups(tmp_path, "0::/elsewhere\n", {"memory.max": "700"}) == [700]


def test_limits_of_the_first_version(tmp_path: Path) -> None:
    lines = "5:cpu:/job\n4:memory:/job/mine\n0::/\n"
    limits = {
        "memory/job/memory.limit_in_bytes": "2000",
        "memory/job/mine/memory.limit_in_bytes": "9223372036854771712",
        "cpu/job/memory.limit_in_bytes": "1",
    }
    assert groups(tmp_path, lines, limits) == [2000, 9223372036854771712]


def test_without_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_limits(tmp_path / "none", tmp_path) == []


def test_a_limit_makes_the_micro_batch_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_limits", list)
    whole = resolve().micro_batch_tokens
    monkeypatch.setattr(machine, "memory_limits", lambda: [3 << 30])
    assert resolve().micro_batch_tokens == 512 <= whole
