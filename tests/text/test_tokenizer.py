"""The tokenizer of a model folder: what it reads, writes and refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from accord.core.errors import DataError, ModelError
from accord.text.tokenizer import TextTokenizer

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
SPECIAL = ["<s>", "</s>", "<unk>"]


def backend() -> Tokenizer:
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *ALPHABET])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(SPECIAL)
    return made


def tokenizer(**config: object) -> TextTokenizer:
    return TextTokenizer(backend(), config={"bos_token": "<s>", "eos_token": "</s>", **config})


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_text_comes_back(text: str) -> None:
    made = tokenizer()
    assert made.decode(made.encode(text), keep_special=True) == text


def test_special_tokens_in_text_are_parsed_and_left_out_of_the_decoded_text() -> None:
    made = tokenizer()
    ids = made.encode("a</s>b")
    assert ids[1] == made.eos_id == 1
    assert made.decode(ids) == "ab"
    assert made.decode(ids, keep_special=True) == "a</s>b"


def test_nothing_is_added_cut_or_padded() -> None:
    raw = backend()
    raw.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    raw.enable_truncation(4)
    raw.enable_padding(length=20)
    assert len(TextTokenizer(raw).encode("twelve chars")) == 12


def test_half_a_surrogate_pair_is_a_data_error() -> None:
    with pytest.raises(DataError, match="surrogate"):
        tokenizer().encode("a\ud800")


def test_vocab_size_counts_rows_of_an_embedding_table() -> None:
    assert tokenizer().vocab_size == len(SPECIAL) + 256


def test_marks_are_the_special_tokens_without_the_unknown_one() -> None:
    assert tokenizer(unk_token="<unk>").marks == {"<s>": 0, "</s>": 1}
    # GPT-2 names one token for everything.
    assert tokenizer(unk_token="</s>").marks == {"<s>": 0, "</s>": 1, "<unk>": 2}


def test_a_missing_eos_is_none() -> None:
    made = TextTokenizer(backend())
    assert made.eos_token is None
    assert made.eos_id is None
    assert made.bos_token is None


@pytest.mark.parametrize(
    "eos", ["</s>", {"content": "</s>", "lstrip": False, "__type": "AddedToken"}]
)
def test_special_tokens_are_text_or_objects(eos: object) -> None:
    assert tokenizer(eos_token=eos).eos_token == "</s>"


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    made = tokenizer(model_max_length=64, chat_template="{{ bos_token }}\n")
    made.save(tmp_path / "model")
    again = TextTokenizer.load(tmp_path / "model")
    assert again.digest == made.digest
    assert again.chat_template == made.chat_template
    assert again.special == made.special
    assert again.encode("a</s>b") == made.encode("a</s>b")
    config = json.loads((tmp_path / "model" / "tokenizer_config.json").read_text())
    assert config["model_max_length"] == 64


def test_transformers_reads_what_is_saved(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    made = tokenizer(chat_template="{{ messages[0].content }}{{ eos_token }}")
    made.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    text = "a </s> b\u00e9"
    assert theirs.encode(text, add_special_tokens=False) == made.encode(text)
    assert (theirs.eos_token, theirs.bos_token) == ("</s>", "<s>")
    assert theirs.chat_template == made.chat_template


def test_what_transformers_saves_is_read(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend(), bos_token="<s>", eos_token="</s>"
    )
    theirs.chat_template = "{{ bos_token }}"
    theirs.save_pretrained(tmp_path)
    made = TextTokenizer.load(tmp_path)
    assert made.special == {"bos_token": "<s>", "eos_token": "</s>"}
    assert made.chat_template == "{{ bos_token }}"


def test_digest_depends_on_every_part() -> None:
    digests = [
        tokenizer().digest,
        tokenizer(eos_token="<s>").digest,
        tokenizer(chat_template="x").digest,
    ]
    assert len(set(digests)) == 3
    assert tokenizer().digest == digests[0]


def test_the_default_of_several_templates_is_taken() -> None:
    named = [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]
    assert tokenizer(chat_template=named).chat_template == "d"
    with pytest.raises(ModelError, match="list with a default"):
        tokenizer(chat_template=named[:1])


def test_a_template_file_wins(tmp_path: Path) -> None:
    tokenizer(chat_template="old").save(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("new")
    assert TextTokenizer.load(tmp_path).chat_template == "new"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"tokenizer.json": None}, "no tokenizer.json"),
        ({"tokenizer.json": b"{"}, "cannot be read"),
        ({"tokenizer.json": b"\xff"}, "cannot be read"),
        ({"tokenizer_config.json": b"{"}, "not valid JSON"),
        ({"tokenizer_config.json": b"[]"}, "one JSON object"),
        ({"tokenizer_config.json": b'{"eos_token": "<gone>"}'}, "eos_token is not in its vocab"),
        ({"tokenizer_config.json": b'{"eos_token": 3}'}, "eos_token must be text"),
        ({"chat_template.jinja": b"\xff"}, "not UTF-8"),
    ],
)
def test_a_damaged_folder_is_one_clear_error(
    tmp_path: Path, files: Mapping[str, bytes | None], message: str
) -> None:
    tokenizer().save(tmp_path)
    for name, content in files.items():
        if content is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        TextTokenizer.load(tmp_path)


def test_a_folder_of_tokenizer_json_alone_is_enough(tmp_path: Path) -> None:
    tokenizer().save(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    assert TextTokenizer.load(tmp_path).special == {}
