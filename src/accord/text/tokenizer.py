"""A model folder's tokenizer on the `tokenizers` library alone: no torch, no transformers.

It reads and writes the files that transformers reads and writes (`tokenizer.json`,
`tokenizer_config.json`, `chat_template.jinja`). It never adds a special token by itself: the chat
template says all there is to say, so that no BOS or EOS comes twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

from tokenizers import Tokenizer as Backend

from accord.core.errors import DataError, ModelError
from accord.core.files import write_atomic
from accord.core.hashing import digest

SPECIAL = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
"""Names of special tokens in `tokenizer_config.json`, which chat templates may use."""

_TOKENIZER, _CONFIG, _TEMPLATE = "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"


class TextTokenizer:
    """Text to token ids and back, with the special tokens and the chat template of its folder.

    `config` is the content of `tokenizer_config.json`; `chat_template`, when given, wins over the
    one in `config`. Raises ModelError where a special token is not in the vocabulary.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        config: Mapping[str, object] | None = None,
        chat_template: str | None = None,
    ) -> None:
        backend.no_truncation()
        backend.no_padding()
        self._backend = backend
        self._config = dict(config or {})
        self.chat_template = chat_template or _template_in(self._config.get("chat_template"))
        self.special = _special_tokens(self._config)
        """Name to text of the special tokens that are set: `{"eos_token": "<|im_end|>"}`."""
        for name, text in self.special.items():
            if backend.token_to_id(text) is None:
                raise ModelError(
                    f"the tokenizer's {name} is not in its vocabulary",
                    got=repr(text),
                    where=_CONFIG,
                    do=f"set {name} to a token of tokenizer.json",
                )

    @classmethod
    def load(cls, folder: Path) -> TextTokenizer:
        """Read the tokenizer of a model folder.

        Raises ModelError where `tokenizer.json` is missing or a file cannot be read.
        """
        path = folder / _TOKENIZER
        if not path.is_file():
            raise ModelError(
                "the model folder has no tokenizer.json",
                where=folder,
                do="save it again with a fast tokenizer (transformers: save_pretrained)",
            )
        try:
            backend = Backend.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception
            raise ModelError("tokenizer.json cannot be read", got=error, where=path) from None
        return cls(
            backend, config=_read_config(folder / _CONFIG), chat_template=_read_template(folder)
        )

    def save(self, folder: Path) -> None:
        """Write the files into `folder`, which is made where it is missing; OSError passes through.

        The template goes into a file of its own, where transformers 5 puts it too.
        """
        folder.mkdir(parents=True, exist_ok=True)
        config = {key: value for key, value in self._config.items() if key != "chat_template"}
        config.setdefault("tokenizer_class", "PreTrainedTokenizerFast")
        write_atomic(folder / _TOKENIZER, self._backend.to_str(pretty=True))
        write_atomic(folder / _CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n")
        if self.chat_template is not None:
            write_atomic(folder / _TEMPLATE, self.chat_template)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`: nothing is added; special tokens written in the text are parsed.

        Raises DataError on half a surrogate pair, which is no character and has no bytes.
        """
        try:
            return self._backend.encode(text, add_special_tokens=False).ids
        except (TypeError, UnicodeEncodeError):
            raise DataError(
                "a text cannot be encoded: it holds half a surrogate pair", got=ascii(text)[:80]
            ) from None

    def decode(self, ids: Sequence[int], *, keep_special: bool = False) -> str:
        """Text of `ids`, with special tokens left out unless `keep_special`."""
        return self._backend.decode(list(ids), skip_special_tokens=not keep_special)

    def id_of(self, token: str) -> int | None:
        """Id of a token given by its text, None where the vocabulary lacks it."""
        return self._backend.token_to_id(token)

    @cached_property
    def vocab_size(self) -> int:
        """One more than the largest token id: how many rows an embedding table needs."""
        return max(self._backend.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def marks(self) -> Mapping[str, int]:
        """Text to id of every token that ordinary text never becomes: the special tokens."""
        added = self._backend.get_added_tokens_decoder()
        marks = {token.content: number for number, token in added.items() if token.special}
        marks.update({text: cast(int, self.id_of(text)) for text in self.special.values()})
        named = {text for name, text in self.special.items() if name != "unk_token"}
        unknown = {self.special.get("unk_token")} - named
        return {text: number for text, number in marks.items() if text not in unknown}

    @property
    def eos_token(self) -> str | None:
        """Text of the token that ends a document, None where the folder names none."""
        return self.special.get("eos_token")

    @property
    def eos_id(self) -> int | None:
        """Id of the token that ends a document, None where the folder names none."""
        return None if self.eos_token is None else self.id_of(self.eos_token)

    @property
    def bos_token(self) -> str | None:
        """Text of the token that begins a document, None where the folder names none."""
        return self.special.get("bos_token")

    @cached_property
    def digest(self) -> str:
        """Content hash over vocabulary, rules, special tokens and chat template."""
        return digest([self._backend.to_str(), self.special, self.chat_template])


def _read_config(path: Path) -> Mapping[str, object]:
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path.name} is not valid JSON", got=error, where=path) from None
    if not isinstance(config, dict):
        raise ModelError(
            f"{path.name} must hold one JSON object", got=type(config).__name__, where=path
        )
    return config


def _read_template(folder: Path) -> str | None:
    path = folder / _TEMPLATE
    if not path.is_file():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise ModelError(f"{path.name} is not UTF-8 text", got=error, where=path) from None


def _template_in(value: object) -> str | None:
    """The chat template in `tokenizer_config.json`: text, or a list of named ones."""
    if value is None or isinstance(value, str):
        return value
    named = {
        item.get("name"): item.get("template")
        for item in (value if isinstance(value, list) else ())
        if isinstance(item, dict)
    }
    template = named.get("default")
    if isinstance(template, str):
        return template
    raise ModelError(
        "the tokenizer's chat_template is neither text nor a list with a default",
        got=sorted(str(name) for name in named) or type(value).__name__,
        where=_CONFIG,
        do="write the template into chat_template.jinja",
    )


def _special_tokens(config: Mapping[str, object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in SPECIAL:
        value = config.get(name)
        text = value.get("content") if isinstance(value, Mapping) else value
        if text is None:
            continue
        if not isinstance(text, str):
            raise ModelError(f"the tokenizer's {name} must be text", got=repr(text), where=_CONFIG)
        found[name] = text
    return found
