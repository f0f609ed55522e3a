"""The command line over real stages: a small tiny world from end to end."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from accord.pipeline.artifact import Manifest, read_manifest
from tests.cli import small
from tests.cli.small import SMALL
from tests.forked import accord, begin

pytest.importorskip("torch")
STAGES = ["base", "pretrain", "sft", "compare", "reward", "ppo", "dpo", "eval"]


def make(folder: Path) -> Path:
    """A workspace with small settings."""
    done = accord("init", folder.name, "--recipe", "tiny", cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    (folder / "accord.toml").write_text(SMALL)
    return folder


def manifests(folder: Path, name: str) -> list[Manifest]:
    return [read_manifest(path) for path in (folder / "artifacts").glob(f"{name}-*")]


def made(told: str) -> list[list[str]]:
    """Stage and what was done about it, from the table that a run prints."""
    return [line.split()[:2] for line in told.splitlines() if re.match(r"\w+ +(built|kept) ", line)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that `accord run` finished; tests may add artifacts and remove none."""
    folder = make(tmp_path_factory.mktemp("cli") / "ws")
    done = small.accord("run", cwd=folder)  # a process that begins by itself
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert made(done.stdout) == [[stage, "built"] for stage in STAGES]
    *_, ppo, dpo, following = done.stdout.splitlines()
    assert re.match(r"ppo against sft: score [+-]\d", ppo)
    assert dpo.startswith("dpo against sft: ")
    assert following == 'next: accord report, accord sample "a question"'
    assert re.search(r"^ppo 2/2  reward .*  KL .*  length .*  entropy ", done.stderr, re.MULTILINE)
    return folder


def test_second_run_and_resume_keep_everything(finished: Path) -> None:
    for command in ("run", "resume"):
        done = accord(command, cwd=finished)
        assert done.returncode == 0, done.stderr
        assert made(done.stdout) == [[stage, "kept"] for stage in STAGES]


def test_status_shows_what_was_made(finished: Path) -> None:
    done = accord("status", cwd=finished)
    assert done.returncode == 0, done.stderr
    for stage in STAGES:
        assert re.search(rf"^{stage} +done +[0-9a-f]{{16}}", done.stdout, re.MULTILINE), stage


def test_sample_answers(finished: Path) -> None:
    words = ["sample", "Tell me about the fox.", "--n", "2", "--max-tokens", "8"]
    first, again = accord(*words, cwd=finished), accord(*words, cwd=finished)
    assert first.returncode == 0, first.stderr
    assert first.stdout == again.stdout
    assert len(first.stdout.splitlines()) >= 2
    assert first.stderr.startswith("ppo-")
    other = accord(*words, "--stage", "sft", cwd=finished)
    assert other.returncode == 0, other.stderr
    assert other.stderr.startswith("sft-")
    key = manifests(finished, "dpo")[0].key
    named = accord(*words, "--stage", f"dpo-{key}", cwd=finished)
    assert named.stderr.startswith(f"dpo-{key} answers")


def test_report_is_one_file_with_all_stages(finished: Path) -> None:
    done = accord("report", cwd=finished)
    assert done.returncode == 0, done.stderr
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert done.stdout.strip() == str(finished / "report.html")
    for words in (
        *STAGES,
        "tiny world",
        "no human judged an answer",
        manifests(finished, "ppo")[0].key,
    ):
        assert words in page
    assert not re.search(r"(src|href)=.https?:", page)
    assert "<script" not in page


def test_the_report_shows_what_was_evaluated_beside_the_settings(
    finished: Path, tmp_path: Path
) -> None:
    """A stage that accord.toml no longer names is shown with the evaluation that compared it."""
    folder = tmp_path / "ws"
    subprocess.run(["cp", "-r", str(finished), str(folder)], check=True)
    settings = folder / "accord.toml"
    kept = [stage for stage in STAGES if stage not in ("base", "dpo")]
    settings.write_text(SMALL.replace("[pretrain]", f"stages = {kept}\n[pretrain]"))
    done = accord("report", cwd=folder)
    assert done.returncode == 0, done.stderr
    numbers = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert list(numbers["lineage"]["stages"]) == STAGES
    assert [arm["policy"] for arm in numbers["arms"]] == ["sft", "best of 2", "ppo", "dpo"]
    assert numbers["data"][0]["judged_by"] == {"by simulated raters": numbers["data"][0]["rows"]}
    assert "asks for now" not in done.stderr


def test_single_stage_with_an_override(finished: Path) -> None:
    before = {made.key for made in manifests(finished, "ppo")}
    done = accord("ppo", "--steps", "1", "--kl.coefficient", "0.5", cwd=finished)
    assert done.returncode == 0, done.stderr
    (made,) = [one for one in manifests(finished, "ppo") if one.key not in before]
    assert made.config["own"]["kl"]["coefficient"] == 0.5
    assert made.config["own"]["steps"] == 1
    assert made.steps == 1
    assert f"ppo-{made.key}" in done.stdout
    assert accord("status", cwd=finished).stdout.count("stale") == 0
    for command, told in (("eval", f"not ppo-{made.key}"), ("report", f"ppo-{made.key}, which")):
        done = accord(command, cwd=finished)
        assert done.returncode == 0, done.stderr
        assert told in done.stderr


def test_comparisons_alone_with_an_override(finished: Path) -> None:
    done = accord("compare", "--prompts", "8", cwd=finished)
    assert done.returncode == 0, done.stderr
    (made,) = [one for one in manifests(finished, "compare") if one.config["own"]["prompts"] == 8]
    assert f"compare-{made.key}" in done.stdout


def test_the_micro_batch_of_the_settings_is_used(finished: Path, tmp_path: Path) -> None:
    """It is a matter of the machine: what was made with another one is kept."""
    folder = tmp_path / "ws"
    subprocess.run(["cp", "-r", str(finished), str(folder)], check=True)
    settings = folder / "accord.toml"
    settings.write_text(
        SMALL.replace("machine.checkpoint", "machine.micro_batch_tokens = 96\nmachine.checkpoint")
    )
    done = accord("run", "--to", "sft", cwd=folder)
    assert [one for _, one in made(done.stdout)] == ["kept"] * 3, done.stderr
    assert re.search(r"\(micro_batch_tokens \d+ -> 96\) and is kept", done.stderr)
    done = accord("sft", "--epochs", "0.25", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert 96 in [made.machine.micro_batch_tokens for made in manifests(folder, "sft")]


def test_single_stage_names_what_it_lacks(tmp_path: Path) -> None:
    folder = make(tmp_path / "ws")
    done = accord("ppo", cwd=folder)
    assert done.returncode == 2
    assert "needs pretrain" in done.stderr
    assert "`accord run --to ppo`" in done.stderr


def test_killed_command_resumes_to_the_same_weights(finished: Path, tmp_path: Path) -> None:
    """A single stage with an override, killed: `accord resume` takes it up, override and all."""
    folder = tmp_path / "ws"
    subprocess.run(["cp", "-r", str(finished), str(folder)], check=True)
    words = ["sft", "--epochs", "3"]
    until = time.monotonic() + 120
    with begin(*words, cwd=folder) as run:
        while not list(folder.glob("runs/sft-*/checkpoints/[0-9]*")):
            assert not run.ended(), run.wait().stderr
            assert time.monotonic() < until
            time.sleep(0.005)
        run.kill()
    (partial,) = (folder / "runs").glob("sft-*")
    assert not (folder / "artifacts" / partial.name).exists()
    done = accord("resume", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "goes on after step" in done.stderr
    untouched = small.accord(*words, cwd=finished)  # a process that begins by itself
    assert untouched.returncode == 0, untouched.stderr
    mine, theirs = (read_manifest(root / "artifacts" / partial.name) for root in (folder, finished))
    assert mine.digest == theirs.digest
    assert (
        mine.files["adapter/adapter_model.safetensors"]
        == (theirs.files["adapter/adapter_model.safetensors"])
    )


def test_without_sft_the_report_compares_with_pretraining(tmp_path: Path) -> None:
    """The evaluation and the report mean the same policy by what was there before."""
    folder = make(tmp_path / "ws")
    settings = folder / "accord.toml"
    stages = 'stages = ["pretrain", "compare", "dpo", "eval"]'
    settings.write_text(SMALL.replace("machine.checkpoint", f"{stages}\nmachine.checkpoint"))
    for command in ("run", "report"):
        done = accord(command, cwd=folder)
        assert done.returncode == 0, done.stderr
    (made,) = manifests(folder, "eval")
    assert made.figures["evaluation"]["before"] == "pretrain"
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Nothing was compared before and after" not in page
    assert "from pretrain to dpo" in page
