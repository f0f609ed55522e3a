"""`accord doctor` over a small tiny world: table, batch, JSON and exit codes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.small import SMALL, accord

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which SFT has run; tests copy it to change it."""
    folder = tmp_path_factory.mktemp("doctor") / "ws"
    assert accord("init", folder.name, "--recipe", "tiny", cwd=folder.parent).returncode == 0
    (folder / "accord.toml").write_text(SMALL.replace("[dpo]", "[dpo]\nbeta = 0.2"))
    done = accord("run", "--to", "sft", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "doctor: 8 checks before sft passed, 1 not applicable" in done.stderr
    return folder


def test_the_fast_part_shows_a_batch_and_a_table(trained: Path) -> None:
    before = sorted(path.name for path in (trained / "artifacts").iterdir())
    done = accord("doctor", "--fast", "--rows", "1", cwd=trained)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "<|assistant|>[+" in done.stdout
    assert "<|end|>+]" in done.stdout
    assert "there is no compare yet: `accord run --to compare`" in " ".join(done.stdout.split())
    assert " 0 failed" in done.stdout
    assert sorted(path.name for path in (trained / "artifacts").iterdir()) == before


def test_all_checks_as_json(trained: Path) -> None:
    """Four steps of training teach nobody to stop: that is found, and nothing else."""
    done = accord("doctor", "--json", "--stage", "ppo", cwd=trained)
    assert done.returncode == 2, done.stderr
    body = json.loads(done.stdout)
    assert body["passed"] is False
    outcomes = {one["check"]: one["outcome"] for one in body["checks"]}
    assert [name for name, outcome in outcomes.items() if outcome == "failed"] == ["answers stop"]
    for name in ("adapter delivered", "score stands alone", "time and memory"):
        assert outcomes[name] == "passed"
    assert all(one["do"] for one in body["checks"] if one["outcome"] == "failed")


def test_a_start_policy_that_was_changed_is_found(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    shutil.copytree(trained, folder)
    (file,) = folder.glob("artifacts/sft-*/adapter/adapter_model.safetensors")
    body = bytearray(file.read_bytes())
    body[-1] ^= 1
    file.write_bytes(bytes(body))
    done = accord("doctor", "--fast", "--stage", "ppo", cwd=folder)
    assert done.returncode == 2
    assert "reference is the start" in done.stdout
    assert "do: delete the SFT artifact" in done.stdout


def test_nothing_to_prove_is_no_success(tmp_path: Path) -> None:
    """A new workspace: no data, no model. It says so, and makes and fetches nothing."""
    assert accord("init", "ws", cwd=tmp_path).returncode == 0
    done = accord("doctor", cwd=tmp_path / "ws")
    assert done.returncode == 2
    told = " ".join(done.stdout.split())
    assert "sft was not looked at: no demonstrations were imported" in told
    assert "nothing was proved" in told
    assert not done.stderr


def test_a_stage_that_trains_nothing(trained: Path) -> None:
    done = accord("doctor", "--stage", "eval", cwd=trained)
    assert done.returncode == 2
    assert "nothing to look at before this stage" in done.stderr
