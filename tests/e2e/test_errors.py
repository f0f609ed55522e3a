"""What can go wrong outside of Accord: one clear message, exit code 2, nothing half-written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests import forked
from tests.cli import small
from tests.e2e.small import PATIENCE, artifact, copy_before, make, manifest, run

LONG = "A very long tale. " * 60
"""Alone more tokens than the tiny model's context of 512."""
OWN_DATA = """\
recipe = "smollm2"
model = "model"
machine.precision = "float32"
"""


def refused(
    folder: Path, *words: str | Path, command: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """`accord WORDS`, which must end with one message and exit code 2 and leave nothing begun."""
    words = (*words, "--quiet")
    begin = partial(small.accord, inside=command) if command else forked.accord
    done = begin(*words, cwd=folder)
    assert done.returncode == 2, f"{done.stdout}\n{done.stderr}"
    assert len(re.findall("^error: ", done.stderr, re.MULTILINE)) == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    for pattern in ("artifacts/*.tmp*", "artifacts/.*", "runs/*/output", "runs/*/checkpoints/.*"):
        assert not list(folder.glob(pattern)), pattern
    return done


def made(folder: Path) -> set[str]:
    """Stages with a finished artifact."""
    return {path.name.partition("-")[0] for path in (folder / "artifacts").glob("*-*")}


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A workspace for one's own data with nothing in it."""
    return make(tmp_path / "ws", OWN_DATA)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model."""
    pytest.importorskip("torch")
    from accord.models.tiny import make_tiny

    folder = tmp_path_factory.mktemp("model") / "model"
    make_tiny(folder, seed=0)
    return folder


@pytest.fixture
def workspace(empty: Path, model: Path) -> Path:
    """A workspace with a model folder and no data yet."""
    shutil.copytree(model, empty / "model")
    return empty


def test_unknown_key(empty: Path) -> None:
    (empty / "accord.toml").write_text('recipe = "tiny"\n\n[ppo]\nlearning_rat = 3\n')
    told = refused(empty, "run").stderr
    assert f"{empty / 'accord.toml'}:4" in told
    assert "learning_rat" in told
    assert not (empty / "artifacts").exists() or not list((empty / "artifacts").iterdir())


def test_missing_column(empty: Path) -> None:
    path = write_rows(empty.parent / "mine.jsonl", [{"prompt": "Why?", "chosen": "So."}] * 3)
    told = refused(empty, "import", path, "--format", "prompt-chosen-rejected").stderr
    assert "rejected" in told
    assert str(path) in told
    assert list((empty / "data").iterdir()) == []


def test_empty_response_is_counted_and_listed(empty: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"{i}?", "response": "Yes."} for i in range(3)]
    rows.insert(1, {"prompt": "Nothing?", "response": "  "})
    done = run(empty, "import", str(write_rows(empty.parent / "mine.jsonl", rows)))
    assert "4 rows read" in done.stdout
    assert "1 left out" in done.stdout
    (listing,) = empty.glob("artifacts/*/rejected.jsonl")
    (entry,) = map(json.loads, listing.read_text().splitlines())
    assert (entry["row"], entry["column"]) == (2, "response")


def test_nothing_but_empty_responses(empty: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"{i}?", "response": ""} for i in range(3)]
    told = refused(empty, "import", write_rows(empty.parent / "mine.jsonl", rows)).stderr
    assert "none of the file's 3 rows can be used" in told
    assert list((empty / "data").iterdir()) == []
    assert list(empty.glob("artifacts/*")) == []


@pytest.mark.parametrize(
    ("stage", "answers", "told"),
    [
        ("sft", {"response": "Yes."}, "no demonstration can be trained on"),
        ("reward", {"chosen": "Yes.", "rejected": "No."}, "no comparison can be trained on"),
    ],
)
def test_no_row_can_be_used(
    workspace: Path, stage: str, answers: dict[str, object], told: str
) -> None:
    """Rows longer than the context and rows that say the stop token, and no other row."""
    texts = [f"{i}: {text}" for i in range(8) for text in (LONG, "say <|end|>")]
    rows: list[dict[str, object]] = [{"prompt": text, **answers} for text in texts]
    run(workspace, "import", str(write_rows(workspace.parent / "mine.jsonl", rows)))
    said = refused(workspace, "run", "--to", stage).stderr
    assert told in said
    assert re.search(r"left out: [1-8] too long, [1-8] says the stop token; the limit is 512", said)
    assert stage not in made(workspace)


def test_prompts_longer_than_the_context(untouched: Path, tmp_path: Path) -> None:
    """Prompt and answer share the context: an answer as long as it leaves no room for any."""
    folder = copy_before("ppo", untouched, tmp_path / "ws")
    settings = folder / "accord.toml"
    text = settings.read_text().replace("batch_prompts = 4\nmax_tokens = 12", "max_tokens = 511")
    assert text != settings.read_text()
    settings.write_text(text)
    told = refused(folder, "run", "--to", "ppo").stderr
    assert "no prompt can be answered" in told
    assert "max_tokens = 511" in told
    assert "ppo" not in made(folder)


def test_prompt_longer_than_the_context_is_refused_by_sample(untouched: Path) -> None:
    told = refused(untouched, "sample", LONG).stderr
    assert "no room for an answer" in told
    assert "512" in told


def test_template_without_a_stop_token(workspace: Path) -> None:
    rows: list[dict[str, object]] = [{"prompt": f"{i}?", "response": "Yes."} for i in range(12)]
    run(workspace, "import", str(write_rows(workspace.parent / "mine.jsonl", rows)))
    template = workspace / "model" / "chat_template.jinja"
    template.write_text(template.read_text().replace("+ '<|end|>'", ""))
    told = refused(workspace, "run", "--to", "sft").stderr
    assert "does not end the assistant's turn with a stop token" in told
    assert "sft" not in made(workspace)


def test_reward_that_is_not_a_number(untouched: Path, tmp_path: Path) -> None:
    """A damaged head of the right size, which its manifest confirms."""
    from safetensors.torch import load_file, save_file

    from accord.core.hashing import file_digest

    folder = copy_before("ppo", untouched, tmp_path / "ws")
    path = artifact(folder, "reward") / "head.safetensors"
    before = manifest(folder, "reward").files[path.name].sha256
    save_file({name: t.clone().fill_(float("nan")) for name, t in load_file(path).items()}, path)
    recorded = artifact(folder, "reward") / "manifest.json"
    recorded.write_text(recorded.read_text().replace(before, file_digest(path)))
    told = refused(folder, "run", "--to", "ppo").stderr
    assert "finite" in told or "NaN" in told
    assert "reward" in told or "head" in told
    assert "ppo" not in made(folder)


def no_rights() -> tuple[str, ...]:
    """What takes away root's right to write anywhere; a user who is not root has none."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root may write anywhere, and setpriv is not there to change that")
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


@pytest.fixture
def shut() -> Iterator[Callable[[Path], Path]]:
    """Closes folders to writing, and opens them again when the test is over."""
    closed: list[Path] = []

    def close(folder: Path) -> Path:
        folder.chmod(0o555)
        closed.append(folder)
        return folder

    yield close
    for folder in closed:
        folder.chmod(0o755)


def test_unwritable_place_for_a_workspace(tmp_path: Path, shut: Callable[[Path], Path]) -> None:
    done = refused(shut(tmp_path), "init", "ws", command=no_rights())
    assert "cannot be written" in done.stderr
    assert str(tmp_path) in done.stderr or "ws" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["artifacts", "runs"])
def test_unwritable_workspace(empty: Path, name: str, shut: Callable[[Path], Path]) -> None:
    (empty / "accord.toml").write_text('recipe = "tiny"\n')
    (empty / name).mkdir(exist_ok=True)
    shut(empty / name)
    done = refused(empty, "run", command=no_rights())
    assert "cannot be written" in done.stderr
    assert name in done.stderr
    assert made(empty) == set()


@dataclass(frozen=True, slots=True)
class Disk:
    """A place that is full from the moment a stage starts, until `free` is called."""

    folder: Path
    command: tuple[str, ...]
    filler: Path | None

    def fill(self, started: Path, name: str) -> None:
        """Take all room that is left as soon as there is a folder of that name."""
        until = time.monotonic() + PATIENCE
        while not any(started.glob(name)) and time.monotonic() < until:
            time.sleep(0.002)
        if self.filler is not None:
            self.filler.write_bytes(bytes(shutil.disk_usage(self.folder).free - 4096))

    def free(self) -> None:
        if self.filler is not None:
            self.filler.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small file system of its own; where that may not be mounted, files may not grow."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield Disk(folder, ("prlimit", "--fsize=2000000"), None)
        return
    yield Disk(folder, (), folder / "filler")
    subprocess.run(["umount", str(folder)], check=True)


def test_no_room_left(untouched: Path, disk: Disk) -> None:
    """The disk fills up during pretraining; with room again the same run goes on to the end."""
    folder = copy_before("pretrain", untouched, disk.folder / "ws")
    filling = threading.Thread(target=disk.fill, args=(folder / "runs", "pretrain-*"))
    filling.start()
    told = refused(folder, "run", "--to", "pretrain", command=disk.command).stderr
    filling.join()
    assert "there is no room left on the disk" in told
    assert "accord resume" in told
    assert made(folder) == {"base"}
    disk.free()
    run(folder, "resume")
    assert manifest(folder, "pretrain").digest == manifest(untouched, "pretrain").digest
