"""`accord doctor` over a small tiny world: table, batch, JSON and exit codes."""

from __future__ import annotations

import io
import json
import shutil
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("torch")

from accord.cli.main import main
from tests.cli.small import SMALL


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str


def accord(*words: str, at: Path) -> Done:
    """A command in this process, where torch is loaded already."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = main([*words, "--workspace", str(at)])
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which SFT has run; tests copy it to change it."""
    folder = tmp_path_factory.mktemp("doctor") / "ws"
    with redirect_stdout(io.StringIO()):
        assert main(["init", str(folder), "--recipe", "tiny"]) == 0
    (folder / "accord.toml").write_text(SMALL)
    done = accord("run", "--to", "sft", at=folder)
    assert done.code == 0, done.err
    assert "doctor: 8 checks before sft passed, 1 not applicable" in done.err
    return folder


def test_the_fast_part_shows_a_batch_and_a_table(trained: Path) -> None:
    before = sorted(path.name for path in (trained / "artifacts").iterdir())
    done = accord("doctor", "--fast", "--rows", "1", at=trained)
    assert done.code == 0, done.out + done.err
    assert "<|assistant|>[+" in done.out
    assert "<|end|>+]" in done.out
    assert "row 2" not in done.out
    assert "there is no compare yet: `accord run --to compare` makes it" in done.out
    assert " 0 failed" in done.out
    assert sorted(path.name for path in (trained / "artifacts").iterdir()) == before


def test_all_checks_as_json(trained: Path) -> None:
    """Four steps of training teach nobody to stop: that is found, and nothing else."""
    done = accord("doctor", "--json", "--stage", "ppo", at=trained)
    assert done.code == 2, done.err
    body = json.loads(done.out)
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
    done = accord("doctor", "--fast", "--stage", "ppo", at=folder)
    assert done.code == 2
    assert "ppo, reference is the start: it does not hold that: " in done.out
    assert "  do: delete the SFT artifact" in done.out


def test_nothing_to_prove_is_no_success(tmp_path: Path) -> None:
    """A new workspace: no data, no model. It says so, and makes and fetches nothing."""
    with redirect_stdout(io.StringIO()):
        assert main(["init", str(tmp_path / "ws")]) == 0
    done = accord("doctor", at=tmp_path / "ws")
    assert done.code == 2
    assert "sft was not looked at: no demonstrations were imported" in done.out
    assert "nothing was proved" in done.out
    assert not done.err


def test_data_without_a_model_are_looked_at_as_far_as_they_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model would have to be fetched: nobody asked for that."""
    monkeypatch.setenv("ACCORD_CACHE", str(tmp_path / "cache"))
    with redirect_stdout(io.StringIO()):
        assert main(["init", str(tmp_path / "ws")]) == 0
    rows = [{"prompt": f"ask {i}", "response": f"answer {i}"} for i in range(40)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert accord("import", str(tmp_path / "mine.jsonl"), at=tmp_path / "ws").code == 0
    done = accord("doctor", at=tmp_path / "ws")
    assert done.code == 0, done.out
    assert "there is no base yet: `accord run --to base` fetches it" in done.out
    assert "1 passed, 0 failed" in done.out
    assert "reward was not looked at: no preferences were imported" in done.out
    assert not (tmp_path / "cache").exists()


def test_a_stage_that_trains_nothing(trained: Path) -> None:
    done = accord("doctor", "--stage", "eval", at=trained)
    assert done.code == 2
    assert "nothing to look at before this stage" in done.err
