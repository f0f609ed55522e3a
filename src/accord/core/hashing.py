"""Content digests: the same value has the same digest on every machine and in every process."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path

CHUNK = 1 << 20
_HEX_DIGITS = 13
"""52 bits of a hash: as many as a float64 holds exactly."""
_AS_IT_IS = frozenset((str, int, bool, type(None)))
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def plain(value: object) -> object:
    """`value` as JSON values: dataclasses become mappings, tuples lists, paths and enums strings.

    Raises TypeError on a value with no canonical form and ValueError on NaN or infinity, which JSON
    cannot hold.
    """
    kind = type(value)
    if kind in _AS_IT_IS:  # nearly all values there are; an enum, say, has a type of its own
        return value
    return _plain_mapping(value) if kind is dict else _converted(value)  # type: ignore[arg-type]


def _converted(value: object) -> object:
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no canonical form")
        return value
    if isinstance(value, Path):
        return value.as_posix()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    if isinstance(value, frozenset | set):
        return sorted(plain(item) for item in value)  # type: ignore[type-var]
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _plain_mapping(value: Mapping[object, object]) -> dict[str, object]:
    named = {
        str(key): item if type(item) in _AS_IT_IS else plain(item) for key, item in value.items()
    }
    if len(named) < len(value):
        raise TypeError("two keys are the same as text: the mapping has no canonical form")
    return named


def canonical_json(value: object) -> str:
    """`value` as JSON with sorted keys, no spaces, ASCII only."""
    return _ENCODER.encode(plain(value))


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON of `value`, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def place(value: object, *, salt: str) -> float:
    """Where `value` falls in [0, 1): evenly spread over different values, the same for equal ones.

    Another salt gives places that have nothing to do with these.
    """
    sha = hashlib.sha256((salt + canonical_json(value)).encode())
    return int(sha.hexdigest()[:_HEX_DIGITS], 16) / (1 << 4 * _HEX_DIGITS)


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK):
            sha.update(block)
    return sha.hexdigest()
