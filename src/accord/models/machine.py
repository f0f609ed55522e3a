"""What this machine computes in, decided once a run."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from accord.core.errors import ConfigError
from accord.core.machine import Machine

BYTES_A_TOKEN = 3 << 19
"""Activations of one training token of a model of some 100 million parameters: keeps a micro-batch
under a few GiB."""


def _bfloat16_is_fast(device: str) -> bool:
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return bool(
        torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def total_memory(device: str) -> int:
    """Bytes of memory that there are for this process: of the machine or a container around it."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *memory_limits()])


def memory_limits(
    groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> list[int]:
    """Bytes that this process may use, by each control group around it (a container's, a batch
    job's): the kernel kills who asks for more. Empty where there is no limit or no such group.
    """
    found = []
    for line in _lines(groups):
        _, kinds, path = line.split(":", 2)
        if kinds and "memory" not in kinds.split(","):
            continue
        top, name = (root / "memory", _LIMIT_1) if kinds else (root, _LIMIT_2)
        here = top / path.lstrip("/")
        # A container sees its own group at the root, whatever it is called outside.
        for folder in {here, *here.parents, top}:
            if folder == top or top in folder.parents:
                found += [int(text) for text in _lines(folder / name) if text.isdigit()]
    return found


_LIMIT_1, _LIMIT_2 = "memory.limit_in_bytes", "memory.max"
"""Of the first and of the second version of control groups; without a limit "max", or a number
beyond any memory."""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _fitting(memory: int) -> int:
    """Tokens of a micro-batch for so many bytes of memory."""
    return max(512, min(4096, 1 << round(math.log2(memory // 8 // BYTES_A_TOKEN))))


def resolve(
    precision: str = "auto", device: str = "auto", micro_batch_tokens: int | None = None
) -> Machine:
    """Choose device, precision, threads and micro-batch for this machine.

    `precision` is auto, float32 or bfloat16; auto takes bfloat16 where the processor has it. The
    micro-batch, where none is given, follows total, not free, memory, or a container's limit, so
    that it is the same from run to run.
    Raises ConfigError on an unknown name or a device that is not there.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise ConfigError("unknown precision", got=precision, do="use auto, float32 or bfloat16")
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError("unknown device", got=device, do="use auto, cpu or cuda")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device is there", got=device, do="use device = auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if precision == "auto":
        precision = "bfloat16" if _bfloat16_is_fast(device) else "float32"
    return Machine(
        device=device,
        dtype=precision,
        threads=torch.get_num_threads(),
        micro_batch_tokens=micro_batch_tokens or _fitting(total_memory(device)),
        torch=torch.__version__,
        cpu=torch.backends.cpu.get_cpu_capability(),
    )


def prepare(machine: Machine) -> None:
    """Make this process compute as `machine` says. Raises ConfigError where it cannot."""
    if machine.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("this run was started on CUDA, which is not there now", got="cpu only")
    torch.set_num_threads(machine.threads)
