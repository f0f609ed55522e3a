"""Settings files: a recipe's values with what `accord.toml` overrides, checked strictly.

A text is never taken for a number nor a number for a text; `"none"` stands for no value, which
TOML cannot write.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cattrs import Converter
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)

from accord.core.errors import AccordError, ConfigError
from accord.core.hashing import plain
from accord.pipeline.called import setting
from accord.pipeline.config import PipelineConfig

T = TypeVar("T")
Keys = tuple[str, ...]
MOVED: Mapping[Keys, str] = {
    ("world",): "its place is [data.world], with the same keys",
    ("ppo", "value_clip"): "it is 'critic.clip' now",
    ("ppo", "value_coefficient"): "it is 'critic.coefficient' now",
}
"""What to do about keys that older settings have elsewhere."""
_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
_WRITTEN = {
    int: "write digits without quotes, as in 8",
    float: "write a number without quotes, as in 0.5",
    str: 'write it in quotes, as in "tiny"',
    bool: "write true or false, without quotes",
}


@dataclass(frozen=True, slots=True)
class Source:
    """The text that settings came from, to say where a mistake is."""

    path: Path
    text: str

    def place(self, keys: Keys) -> str:
        """`file:line` of a key, or of the innermost table around it that is written down."""
        for length in range(len(keys), 0, -1):
            line = line_of(self.text, keys[:length])
            if line is not None:
                return f"{self.path}:{line}"
        return str(self.path)


def load(path: Path, recipes: Mapping[str, Callable[[], PipelineConfig]]) -> PipelineConfig:
    """The settings of a workspace: its recipe's values, overridden by the rest of the file.

    Raises ConfigError with file and line for an unreadable file, an unknown recipe or key, a wrong
    type or a value out of bounds.
    """
    name, values, source = _read(path, recipes)
    return override(recipes[name](), values, source)


def recipe_of(path: Path, recipes: Mapping[str, Callable[[], PipelineConfig]]) -> str:
    """The recipe that settings name. Raises ConfigError as `load` does."""
    return _read(path, recipes)[0]


def _read(path: Path, recipes: Collection[str]) -> tuple[str, dict[str, Any], Source]:
    """The recipe, and the values that override it."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            "settings cannot be read",
            got=str(error),
            where=path,
            do="make it a file in UTF-8 that you have the right to read",
        ) from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        where = f"{path}:{line.group(1)}" if line else str(path)
        raise ConfigError(
            "settings are not TOML", got=str(error), where=where, do="see https://toml.io"
        ) from None
    source = Source(path, text)
    name = values.pop("recipe", None)
    if not isinstance(name, str) or name not in recipes:
        raise ConfigError(
            "recipe names no recipe" if name is not None else "settings name no recipe",
            got=None if name is None else repr(name),
            where=source.place(("recipe",)),
            do=f'write recipe = "NAME" with one of {", ".join(sorted(recipes))}',
        )
    return name, values, source


def override(default: T, values: Mapping[str, Any], source: Source) -> T:
    """`default`, a dataclass, with the values of a nested mapping in place of its own.

    Raises ConfigError that names the place in `source`.
    """
    merged = _merge(plain(default), values, (), source)
    return structure(merged, type(default), source)


def structure(values: object, kind: type[T], source: Source) -> T:
    """JSON values as a settings dataclass, strictly. Raises ConfigError as `override` does."""
    try:
        return _converter().structure(values, kind)
    except (BaseValidationError, AccordError, ValueError, TypeError) as error:
        raise _explain(error, (), source) from None


def _merge(default: object, values: object, keys: Keys, source: Source) -> object:
    if not isinstance(default, Mapping):
        return values
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{'.'.join(keys)} must be a table",
            got=repr(values),
            where=source.place(keys),
            do=f"write [{'.'.join(keys)}] and its keys below",
        )
    inner = {k: _merge(default.get(k), v, (*keys, k), source) for k, v in values.items()}
    return {**default, **inner}


@cache
def _converter() -> Converter:
    """Strict: no unknown key, no silent conversion."""
    converter = Converter(forbid_extra_keys=True)
    for kind in _NAMES:
        converter.register_structure_hook(kind, _strict)
    converter.register_structure_hook_func(lambda kind: bool(_words(kind)), _choice)
    converter.register_structure_hook_factory(_is_optional, _optional)
    converter.register_structure_hook_factory(_is_tuple, _tuple)
    return converter


def _strict(value: object, kind: type) -> object:
    if kind not in _NAMES:  # an enum of words is a kind of text
        return _choice(value, kind)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"must be {_NAMES[kind]}", got=repr(value), do=_WRITTEN[kind])
    return value


def _words(kind: object) -> tuple[str, ...]:
    """The words that a Literal or an enum allows; none for other types."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return tuple(member.value for member in kind)
    return ()


def _choice(value: object, kind: Any) -> object:
    words = _words(kind)
    if value not in words:
        near = get_close_matches(str(value), words, n=1) or words[:1]
        raise ConfigError(
            f"must be one of {', '.join(words)}",
            got=repr(value),
            do=f'write "{near[0]}", or another',
        )
    return kind(value) if isinstance(kind, type) else value


def _is_optional(kind: object) -> bool:
    return get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind)


def _optional(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    (inner,) = (part for part in get_args(kind) if part is not NoneType)

    def hook(value: Any, _: Any) -> Any:
        none = value is None or (value == "none" and inner is not str)
        return None if none else converter.structure(value, inner)

    return hook


def _is_tuple(kind: object) -> bool:
    return get_origin(kind) is tuple


def _tuple(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    inner = get_args(kind)[0]

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, list):
            raise ConfigError("must be a list", got=repr(value), do=f"write [{value!r}]")
        return tuple(converter.structure(item, inner) for item in value)

    return hook


def _explain(error: BaseException, keys: Keys, source: Source) -> ConfigError:
    """The first mistake that an error of cattrs holds, in our words and at its place."""
    if isinstance(error, BaseValidationError):
        inner = error.exceptions[0]
        return _explain(inner, (*keys, *_noted(inner)), source)
    if isinstance(error, ForbiddenExtraKeysError):
        return _unknown(error, keys, source)
    if isinstance(error, AccordError):
        named = error.what.split(" ", 1)[0].rpartition(".")[2]
        about = ".".join(keys)
        what = f"{about} {error.what}" if error.what.startswith("must be") else error.what
        inside = keys if error.what.startswith("must be") else (*keys, named)
        return ConfigError(what, got=error.got, where=source.place(inside), do=error.do)
    return ConfigError(
        f"{'.'.join(keys) or 'a setting'} has a value that cannot be used",
        got=str(error),
        where=source.place(keys),
    )


def _noted(error: BaseException) -> Keys:
    notes = getattr(error, "__notes__", [])
    return tuple(str(n.name) for n in notes if isinstance(n, AttributeValidationNote)) + tuple(
        str(n.index) for n in notes if isinstance(n, IterableValidationNote)
    )


def _unknown(error: ForbiddenExtraKeysError, keys: Keys, source: Source) -> ConfigError:
    name = min(error.extra_fields)
    known = [field.name for field in fields(error.cl)] if is_dataclass(error.cl) else []
    named = setting(name, [*known, *_inside(error.cl)])
    near = [named] if named else _in_a_table(error.cl, name)
    near = near or get_close_matches(name, known, n=1)
    do = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return ConfigError(
        "unknown key in the settings",
        got=".".join((*keys, name)),
        where=source.place((*keys, name)),
        do=MOVED.get((*keys, name), do),
    )


def _in_a_table(cls: type, name: str) -> list[str]:
    """The key of a table inside that is written like `name` but for its dot: `kl.coefficient` of
    `kl_coefficient`."""
    return [key for key in _inside(cls) if key.replace(".", "_") == name]


def _inside(cls: type) -> list[str]:
    """Keys of the tables inside, as `kl.coefficient`."""
    tables = get_type_hints(cls) if is_dataclass(cls) else {}
    return [
        f"{name}.{field.name}"
        for name, table in tables.items()
        if is_dataclass(table)
        for field in fields(table)
    ]


def line_of(text: str, keys: Keys) -> int | None:
    """The line, from 1, on which a TOML text gives `keys` a value or opens their table."""
    table: Keys = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = _split(header.group(1))
            if table == keys:
                return number
        elif written := re.match(r"\s*([\w\s.\"'-]+?)\s*=", line):
            own = (*table, *_split(written.group(1)))
            inline = own == keys[: len(own)] and re.search(
                rf"[{{,]\s*[\"']?{re.escape(keys[-1])}[\"']?\s*=", line
            )
            if own == keys or inline:
                return number
    return None


def _split(dotted: str) -> Keys:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
