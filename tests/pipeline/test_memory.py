"""Memory that runs out: one clear message and exit code 2, whoever says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from accord.core.errors import ExhaustedError, InvariantError
from accord.pipeline.memory import Roomy, explain
from accord.pipeline.stage import Stage
from accord.pipeline.workspace import Workspace
from tests.pipeline.toy import MACHINE, WalkConfig, run_toy

TOO_MANY = 1 << 58
"""Bytes that no machine has."""


def of_torch() -> None:
    torch = pytest.importorskip("torch")
    torch.empty(TOO_MANY, dtype=torch.uint8)


def of_torch_on_a_gpu() -> None:
    torch = pytest.importorskip("torch")
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def of_numpy() -> None:
    np.empty(TOO_MANY, dtype=np.uint8)


def of_python() -> None:
    bytearray(TOO_MANY)


@pytest.mark.parametrize("exhaust", [of_torch, of_torch_on_a_gpu, of_numpy, of_python])
def test_a_stage_without_memory_says_what_to_lower(
    tmp_path: Path, exhaust: Callable[[], None]
) -> None:
    def body(context):
        yield {"loss": 1.0}
        exhaust()

    workspace = Workspace.create(tmp_path / "ws", "tiny")
    plan = [Stage(name="first", kind="walk", config=WalkConfig(), body=body)]
    with pytest.raises(ExhaustedError, match="ran out") as caught:
        run_toy(workspace, plan=plan)
    assert caught.value.exit_code == 2
    assert "lower micro_batch_tokens in accord.toml (now 512)" in str(caught.value)
    assert ("GPU" in str(caught.value)) == (exhaust is of_torch_on_a_gpu)
    assert list(workspace.artifacts.iterdir()) == []


@pytest.mark.parametrize("other", [RuntimeError("shapes do not fit"), InvariantError("a promise")])
def test_other_errors_pass_through(other: Exception) -> None:
    assert explain(other, MACHINE) is None
    with pytest.raises(type(other)), Roomy(MACHINE):
        raise other
