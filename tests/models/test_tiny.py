"""The tiny model: the same bytes each time, any text read back, its template's stop token."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer

from accord.models.tiny import END, PAD, ROLES, make_tiny, train_tokenizer
from accord.text import grammar
from accord.text.tokenizer import TextTokenizer

TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "What of the fox by the lake?"},
    {"role": "assistant", "content": "The fox runs."},
    {"role": "user", "content": "Tell me more."},
    {"role": "assistant", "content": "The fox is kind."},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    make_tiny(folder, seed=0)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_two_processes_write_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from accord.models.tiny import make_tiny\n"
    code += "make_tiny(Path(sys.argv[1]), seed=0)"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "other")],
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "2"},
        check=True,
    )
    assert digests(tmp_path / "other") == digests(folder)
    assert "model.safetensors" in digests(folder)


def test_the_seed_sets_the_weights_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    make_tiny(tmp_path, seed=1)
    one, other = digests(folder), digests(tmp_path)
    assert {name for name in one if one[name] != other[name]} == {"model.safetensors"}


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    make_tiny(tmp_path, seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_it_loads_with_transformers(folder: Path) -> None:
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert sum(p.numel() for p in model.parameters()) < 900_000
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) == model.config.vocab_size
    assert tokenizer.eos_token_id == model.config.eos_token_id
    assert tokenizer.pad_token_id == model.config.pad_token_id != tokenizer.eos_token_id
    config = json.loads((folder / "config.json").read_text())
    assert config["num_attention_heads"] == 2 * config["num_key_value_heads"]


def test_its_first_guess_is_almost_even(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    ids = torch.tensor([TextTokenizer.load(folder).encode("The fox runs by the lake.")])
    with torch.no_grad():
        loss = model(input_ids=ids, labels=ids).loss
    assert abs(loss.item() - torch.tensor(float(model.config.vocab_size)).log().item()) < 0.7


def test_the_tokenizer_gives_every_word_of_the_world_few_tokens() -> None:
    tokenizer = train_tokenizer()
    assert tokenizer.get_vocab_size() <= 512
    whole = [w for w in grammar.lexicon() if len(tokenizer.encode(f" {w}").ids) == 1]
    assert {*grammar.NOUNS, *grammar.KIND, *grammar.RUDE} <= set(whole)
    lengths = sorted(
        len(tokenizer.encode(row.conversation.messages[1].content).ids) + 1
        for row in grammar.demonstrations(0, 500)
    )
    assert lengths[0] >= 8
    assert 15 <= lengths[250] <= 25
    assert lengths[-1] <= 40


def test_every_byte_can_be_said() -> None:
    tokenizer = train_tokenizer()
    for text in (
        "".join(map(chr, range(256))),
        "\u00fcber \u4f60\u597d \U0001f98a",
        "a\x00b\r\n\t ",
    ):
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


@given(text=st.text())
def test_any_text_reads_back_and_both_libraries_agree(folder: Path, text: str) -> None:
    ours, theirs = TextTokenizer.load(folder), AutoTokenizer.from_pretrained(folder)
    ids = ours.encode(text)
    assert ours.decode(ids, keep_special=True) == text
    assert theirs(text)["input_ids"] == ids


def test_special_tokens_come_first_and_are_single(folder: Path) -> None:
    tokenizer = TextTokenizer.load(folder)
    assert [tokenizer.encode(token) for token in (PAD, END, *ROLES)] == [[0], [1], [2], [3], [4]]
    assert tokenizer.eos_token == END


def test_the_template_marks_answers_with_their_stop_token(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(TALK, tokenize=False)
    assert text == (
        "<|system|>Be kind.<|end|><|user|>What of the fox by the lake?<|end|>"
        "<|assistant|>The fox runs.<|end|><|user|>Tell me more.<|end|>"
        "<|assistant|>The fox is kind.<|end|>"
    )
    rendered = tokenizer.apply_chat_template(
        TALK, return_dict=True, return_assistant_tokens_mask=True
    )
    marked = [
        i for i, m in zip(rendered["input_ids"], rendered["assistant_masks"], strict=True) if m
    ]
    assert tokenizer.decode(marked) == "The fox runs.<|end|>The fox is kind.<|end|>"


def test_the_generation_prompt_opens_an_answer(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(TALK[:2], add_generation_prompt=True, tokenize=False)
    assert text.endswith("the lake?<|end|><|assistant|>")


def test_text_is_kept_as_given(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template([{"role": "user", "content": " a \n"}], tokenize=False)
    assert text == "<|user|> a \n<|end|>"


def test_generation_ends_at_the_stop_token_unless_told_otherwise(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        # Without weights the hidden state is 0 and all logits are equal: the bias decides.
    model.lm_head.register_forward_hook(
        lambda *call: torch.nn.functional.one_hot(torch.tensor(1), call[2].shape[-1]) + call[2]
    )
    ids = torch.tensor([[3, 100, 101]])
    said = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=9, do_sample=False
    )
    assert said[0, 3:].tolist() == [TextTokenizer.load(folder).eos_id]
