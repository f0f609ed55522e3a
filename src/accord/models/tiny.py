"""The model `tiny`: a small Llama and its own byte-level tokenizer, made from scratch in a second.

The folder is in Hugging Face's format and loads with `AutoModelForCausalLM`, `AutoTokenizer` and
the `tokenizers` library. Weights are random: the model can say nothing before it is pretrained, and
after that only the tiny world of `accord.text.grammar`. The same seed gives the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from accord.text import grammar

PAD, END = "<|pad|>", "<|end|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
MOST_TOKENS = 512
CONTEXT = 512
TEXTS = 2000
"""Documents that the tokenizer learns its merges from."""

TEMPLATE = """\
{%- for message in messages -%}
{{- '<|' + message['role'] + '|>' -}}
{%- if message['role'] == 'assistant' -%}
{% generation %}{{- message['content'] + '<|end|>' -}}{% endgeneration %}
{%- else -%}
{{- message['content'] + '<|end|>' -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- endif -%}
"""


def make_tiny(folder: Path, *, seed: int) -> None:
    """Write a tiny model and its tokenizer into `folder`, which is made where it is missing.

    430,000 float32 weights: 2 layers x 128, 4 heads of 32 over 2 key-value heads, SwiGLU 352,
    512 positions, one table for input and output embeddings with a row for every token of the
    tokenizer. `seed` sets the weights; the tokenizer is the same for every seed. The global random
    state is left as it was. Raises OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "clean_up_tokenization_spaces": False,
                "eos_token": END,
                "model_max_length": CONTEXT,
                "pad_token": PAD,
                "tokenizer_class": "PreTrainedTokenizerFast",
            },
            indent=2,
            sort_keys=True,
        )
        + "\n",
        encoding="utf-8",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(_config(tokenizer))
    weights = {n: w.contiguous() for n, w in model.state_dict().items() if n != "lm_head.weight"}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)


def train_tokenizer() -> Tokenizer:
    """A byte-level BPE over the grammar's documents: any text can be said and read back.

    It ends below its limit of 512 tokens, once every word of the documents is one token. Ids 0 to
    4 are the pad, the end of a turn or document, and the three roles.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=MOST_TOKENS,
        special_tokens=[PAD, END, *ROLES],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(grammar.documents(0, TEXTS), trainer)
    return tokenizer


def _config(tokenizer: Tokenizer) -> LlamaConfig:
    return LlamaConfig(
        architectures=["LlamaForCausalLM"],  # by this name others know what to load
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=0.05,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id(END),
        pad_token_id=tokenizer.token_to_id(PAD),
        dtype="float32",
    )
